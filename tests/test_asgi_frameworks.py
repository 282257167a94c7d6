"""Apps of Quart, Litestar and FastAPI as people have them, wrapped by one line: played, and asked by their own clients."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import litestar.testing
import pytest
import quart
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Form, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from litestar import Litestar, WebSocket, post, websocket
from litestar import Request as LitestarRequest
from litestar import Response as LitestarResponse
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.params import Body
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.websockets import WebSocket as StarletteWebSocket  # noqa: TC002  # FastAPI reads the annotations

from convostate import State, UsageError, state_from, webhook_from
from convostate.asgi import ConversationMiddleware
from convostate.frameworks.fastapi import ConversationState, ProvenWebhook  # noqa: TC001  # likewise
from convostate.testing import SignedASGIApp, TwilioSimulator
from tests.served import ADA, TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

XML = "text/xml"


def document(state: dict[Any, Any], body: str) -> str:
    state["n"] = state.get("n", 0) + 1
    return f"<Response><Message>{body} {state['n']}</Message></Response>"


def make_settings(**changes: Any) -> Any:
    return settings(**{"store": "memory", "paths": "/sms*,/relay", **changes})


def quart_app(**changes: Any) -> Any:
    app = quart.Quart(__name__)

    @app.before_request
    async def before() -> None:
        state_from(quart.request.scope)["before"] = True

    @app.after_request
    async def after(response: Any) -> Any:
        state_from(quart.request.scope)["after"] = True
        return response

    @app.post("/sms")
    async def sms() -> Any:
        form = await quart.request.form
        said = document(state_from(quart.request.scope), form["Body"])
        return said, {"Content-Type": XML}

    @app.websocket("/relay")
    async def relay() -> None:
        await quart.websocket.accept()
        await quart.websocket.send(webhook_from(quart.websocket.scope).url)

    app.asgi_app = ConversationMiddleware(app.asgi_app, make_settings(**changes))  # type: ignore[method-assign]  # Quart's own way
    return app


def litestar_app(sessions: tuple[Any, ...] = (), **changes: Any) -> Any:
    @post("/sms", status_code=200)
    async def sms(
        request: LitestarRequest[Any, Any, Any],
        data: Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)],
    ) -> LitestarResponse[str]:
        assert request.session == state_from(request.scope)
        return LitestarResponse(document(request.session, data["Body"]), media_type=XML)

    @websocket("/relay")
    async def relay(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text(webhook_from(socket.scope).url)
        await socket.close()

    names = {"LitestarRequest": LitestarRequest, "WebSocket": WebSocket, "ASGIConnection": ASGIConnection}  # fmt: skip
    app = Litestar(
        [sms, relay], middleware=list(sessions), signature_namespace=names, logging_config=None
    )
    return ConversationMiddleware(app, make_settings(**changes))


def fastapi_app(  # noqa: C901  # a handler for each way
    around: Any = None, inside: Any = None, **changes: Any
) -> FastAPI:
    """Every way of a handler to count: `/sms/form`, `/sms/depends` …; and what came late in `app.state.late`."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hi"}

    app, router = FastAPI(lifespan=lifespan), APIRouter(prefix="/sms")
    late = app.state.late = []

    def write(state: State, what: str) -> None:
        try:
            state[what] = True
        except UsageError:
            late.append(what)

    async def counted(state: ConversationState, webhook: ProvenWebhook) -> str:
        return document(state, webhook.body or "")

    async def unit(state: ConversationState) -> AsyncIterator[None]:
        yield
        write(state, "unit")

    def answer(said: str) -> Response:
        return Response(said, media_type=XML)

    @router.post("/form")
    def form(state: ConversationState, body: Annotated[str, Form(alias="Body")]) -> Response:
        return answer(document(state, body))

    @router.post("/depends", dependencies=[Depends(unit)])
    async def depends(said: str = Depends(counted)) -> Response:
        return answer(said)

    @router.post("/lifespan")
    async def lifespan_state(request: Request) -> Response:
        return answer(document(request.session, request.state.greeting))

    @router.post("/background")
    async def background(state: ConversationState, tasks: BackgroundTasks) -> Response:
        tasks.add_task(write, state, "background")
        return answer(document(state, "hi"))

    @router.post("/stream")
    async def stream(state: ConversationState) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            yield ""
            for piece in document(state, "hi"):
                yield piece

        return StreamingResponse(pieces(), media_type=XML)

    @router.post("/handled")
    async def handled(state: ConversationState) -> Response:
        raise LookupError(document(state, "hi"))

    @app.exception_handler(LookupError)
    async def sorry(_request: Request, error: LookupError) -> Response:
        return answer(str(error.args[0]))

    @app.websocket("/relay")
    async def relay(socket: StarletteWebSocket, webhook: ProvenWebhook) -> None:
        await socket.accept()
        await socket.send_text(webhook.url)
        await socket.close()

    app.include_router(router)
    if inside is not None:
        app.add_middleware(inside[0], **inside[1])
    app.add_middleware(ConversationMiddleware, settings=make_settings(**changes))
    if around is not None:
        app.add_middleware(around[0], **around[1])
    return app


def texted(app: Any, path: str = "/sms") -> tuple[list[str], dict[Any, Any]]:
    """What two texts are answered with, and the state after them."""
    twilio = TwilioSimulator(app, auth_token=TOKEN, webhook_url=f"https://example.com{path}")
    phone = twilio.phone(ADA)
    messages = [message for _ in range(2) for message in phone.text("hi").messages]
    assert phone.state is not None
    return messages, phone.state


@pytest.mark.parametrize("store", ["cookie", "memory"])
@pytest.mark.parametrize("make", [quart_app, litestar_app])
def test_an_app_that_is_wrapped_by_one_line_counts(make: Any, store: str) -> None:
    messages, state = texted(make(store=store))
    assert messages == ["hi 1", "hi 2"]
    assert state["n"] == 2
    assert state.keys() == ({"n", "before", "after"} if make is quart_app else {"n"})


@pytest.mark.parametrize("make", [quart_app, litestar_app, fastapi_app])
def test_a_text_with_a_wrong_signature_is_refused(make: Any) -> None:
    phone = TwilioSimulator(make(), auth_token=TOKEN).phone(ADA)
    phone.break_signature()
    assert phone.text("hi").status == 403


def test_quart_s_test_client_signs_by_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def suite() -> None:
        app = quart_app()
        client = app.test_client()
        assert (await client.post("/sms", form={"Body": "hi"})).status_code == 403
        assert "SignedASGIApp" in caplog.text
        async with client.websocket("/relay") as refused:
            with pytest.raises(quart.testing.connections.WebsocketDisconnectError):
                await refused.receive()

        app.asgi_app = SignedASGIApp(app.asgi_app)
        for number in (1, 2):
            reply = await client.post("/sms", form={"Body": "hi"})
            assert f"hi {number}" in await reply.get_data(as_text=True)
        async with client.websocket("/relay") as accepted:
            assert await accepted.receive() == "ws://localhost/relay"

    asyncio.run(suite())


@pytest.mark.parametrize(
    ("make", "client_class", "origin"),
    [
        (litestar_app, litestar.testing.TestClient, "testserver.local"),
        (fastapi_app, TestClient, "testserver"),
    ],
    ids=["Litestar", "FastAPI"],
)
def test_a_test_client_signs_texts_and_websockets(
    make: Any, client_class: Any, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/sms" if make is litestar_app else "/sms/form"
    with client_class(make()) as client:
        assert client.post(path, data={"Body": "hi"}).status_code == 403
        assert "SignedASGIApp" in caplog.text
    with client_class(SignedASGIApp(make())) as client:
        for number in (1, 2):
            assert f"hi {number}" in client.post(path, data={"Body": "hi"}).text
        with client.websocket_connect("/relay") as socket:
            assert socket.receive_text() == f"ws://{origin}/relay"
    behind_a_proxy = SignedASGIApp(make(public_url="https://example.com"))
    with client_class(behind_a_proxy) as client, client.websocket_connect("/relay") as socket:
        assert socket.receive_text() == "wss://example.com/relay"


def test_litestar_s_session_middleware_is_an_error_unless_it_excludes_the_webhooks() -> None:
    sessions = CookieBackendConfig(secret=bytes(16))
    with pytest.raises(UsageError, match="Add ConversationMiddleware before SessionMiddleware"):
        texted(litestar_app((sessions.middleware,)))
    sessions = CookieBackendConfig(secret=bytes(16), exclude=["^/sms"])
    assert texted(litestar_app((sessions.middleware,)))[0] == ["hi 1", "hi 2"]


@pytest.mark.parametrize("path", ["form", "depends", "lifespan", "background", "stream", "handled"])
def test_every_way_of_a_handler_counts(path: str) -> None:
    app = fastapi_app()
    messages, state = texted(app, f"/sms/{path}")
    assert messages == ["hi 1", "hi 2"]
    assert state == {"n": 2}
    # What runs after the response is outside the turn.
    late = {"depends": "unit", "background": "background"}.get(path)
    assert app.state.late == ([late] * 2 if late else [])


class Touching(BaseHTTPMiddleware):
    """Reads the body, and touches the session before and after the app."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        assert await request.body()
        request.session["before"] = True
        response = await call_next(request)
        request.session["after"] = True
        return response


class Timing(BaseHTTPMiddleware):
    """Reads the body and the form, and changes the response."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        assert await request.body()
        assert (await request.form())["Body"] == "hi"
        response = await call_next(request)
        response.headers["x-time"] = "1"
        return response


class Greedy(BaseHTTPMiddleware):
    """Reads the form, which Starlette then gives to nobody else."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        await request.form()
        return await call_next(request)


def test_a_body_that_a_middleware_around_has_read_is_refused_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = TwilioSimulator(fastapi_app(around=(Greedy, {})), TOKEN).phone(ADA)
    assert phone.text("hi").status == 400
    assert "a middleware around ConversationMiddleware may have read it" in caplog.text


STACKS: dict[str, tuple[Any, Any]] = {
    "BaseHTTPMiddleware": (Timing, {}),
    "GZipMiddleware": (GZipMiddleware, {"minimum_size": 1}),
    "CORSMiddleware": (CORSMiddleware, {"allow_origins": ["*"]}),
}


@pytest.mark.parametrize("place", ["around", "inside"])
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("path", ["form", "stream"])
def test_middleware_of_the_framework_s_may_be_around_and_inside(
    stack: str, place: str, path: str
) -> None:
    messages, state = texted(fastapi_app(**{place: STACKS[stack]}), f"/sms/{path}")
    assert messages == ["hi 1", "hi 2"]
    assert state == {"n": 2}


def test_a_session_middleware_may_be_around_and_a_middleware_inside_may_use_the_session() -> None:
    sessions = (SessionMiddleware, {"secret_key": "an example"})
    app = fastapi_app(around=sessions, inside=(Touching, {}))
    messages, state = texted(app, "/sms/form")
    assert messages == ["hi 1", "hi 2"]
    assert state == {"n": 2, "before": True, "after": True}


def test_a_session_middleware_inside_is_an_error() -> None:
    sessions = (SessionMiddleware, {"secret_key": "an example"})
    with pytest.raises(UsageError, match="Add ConversationMiddleware before SessionMiddleware"):
        texted(fastapi_app(inside=sessions), "/sms/form")


def test_an_app_that_is_mounted_in_another_counts() -> None:
    outer = FastAPI()
    outer.mount("/pages", FastAPI())
    outer.mount("/bots", fastapi_app())
    twilio = TwilioSimulator(outer, auth_token=TOKEN, webhook_url="https://example.com/bots/sms/form")  # fmt: skip
    phone = twilio.phone(ADA)
    assert [phone.text("hi").messages for _ in range(2)] == [["hi 1"], ["hi 2"]]
    assert phone.state == {"n": 2}
    phone.break_signature()
    assert phone.text("hi").status == 403


def test_e3_a_test_client_signs_what_it_sends_to_a_mounted_app() -> None:
    outer = FastAPI()
    outer.mount("/bots", fastapi_app())
    with TestClient(outer) as client:
        assert client.post("/bots/sms/form", data={"Body": "hi"}).status_code == 403
    with TestClient(SignedASGIApp(outer)) as client:
        assert "hi 1" in client.post("/bots/sms/form", data={"Body": "hi"}).text


def test_e3_a_test_client_signs_the_prefix_that_a_proxy_strips() -> None:
    with TestClient(SignedASGIApp(fastapi_app()), root_path="/api") as client:
        assert "hi 1" in client.post("/sms/form", data={"Body": "hi"}).text
    app = fastapi_app()
    app.root_path = "/api"
    with TestClient(SignedASGIApp(app)) as client:
        assert "hi 1" in client.post("/sms/form", data={"Body": "hi"}).text
    url = "https://example.com/api/sms/form"
    phone = TwilioSimulator(app, TOKEN, url, stripped_prefix="/api").phone(ADA)
    assert phone.text("hi").messages == ["hi 2"]
    assert phone.state == {"n": 2}
