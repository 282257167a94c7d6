"""E3 for ASGI: an existing test suite signs in one line, with httpx and with the frameworks' TestClient."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from convostate import Settings, UsageError
from convostate.asgi import ConversationMiddleware
from convostate.testing import SignedASGIApp, SignedTransport
from tests.served import KEY, TOKEN


def make_app(**changes: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(ConversationMiddleware, settings=Settings(auth_token=TOKEN, keys=KEY, paths="/sms,/voice", **changes))  # fmt: skip

    @app.post("/sms")
    async def sms(request: Request) -> dict[str, Any]:
        form = await request.form()
        n = request.session["n"] = request.session.get("n", 0) + 1
        return {"n": n, "body": form["Body"]}

    @app.get("/voice")
    async def voice(request: Request) -> dict[str, Any]:
        return {"digits": request.query_params["Digits"]}

    @app.get("/page")
    async def page() -> str:
        return "page"

    return app


@pytest.mark.parametrize("around", [SignedASGIApp, lambda app: app])
def test_e3_wrong_settings_fail_a_test_client_with_a_lifespan(
    monkeypatch: pytest.MonkeyPatch, around: Any
) -> None:
    monkeypatch.delenv("CONVOSTATE_KEYS", raising=False)
    app = FastAPI()
    app.add_middleware(ConversationMiddleware)

    with pytest.raises(UsageError, match="CONVOSTATE_KEYS"), TestClient(around(app)):
        pytest.fail("the app has started")


def test_e3_an_async_suite_signs_with_one_transport() -> None:
    async def suite() -> None:
        transport = SignedTransport(make_app())
        async with httpx.AsyncClient(transport=transport, base_url="https://example.com") as client:
            for n in (1, 2):
                reply = await client.post("/sms", data={"Body": "hi & bye"})
                assert reply.json() == {"n": n, "body": "hi & bye"}
            assert (await client.get("/voice", params={"Digits": "1", "CallSid": "CA1"})).json() == {"digits": "1"}  # fmt: skip
            assert (await client.get("/page")).json() == "page"

    asyncio.run(suite())


def test_e3_a_suite_with_the_framework_s_test_client_signs() -> None:
    client = TestClient(SignedASGIApp(make_app(public_url="https://example.com/bots")))
    assert client.post("/sms", data={"Body": "hi"}).json()["n"] == 1
    assert client.get("/page").json() == "page"


def test_what_is_not_signed_is_refused_and_the_log_names_the_clients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    client = TestClient(make_app())
    assert client.post("/sms", data={"Body": "hi"}).status_code == 403
    assert "convostate.testing" in caplog.text


def test_a_wrong_token_is_refused() -> None:
    client = TestClient(SignedASGIApp(make_app(), auth_token="f" * 32))
    assert client.post("/sms", data={"Body": "hi"}).status_code == 403


def test_an_app_whose_settings_are_wrong_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVOSTATE_KEYS")
    app = FastAPI()
    app.add_middleware(ConversationMiddleware)  # which reads the environment in the event loop
    with pytest.raises(UsageError, match="CONVOSTATE_KEYS is not set"):
        TestClient(SignedASGIApp(app)).post("/sms", data={"Body": "hi"})


def test_e3_an_attribute_that_a_test_sets_is_the_app_s() -> None:
    app: Any = make_app()
    client: Any = TestClient(SignedASGIApp(app))
    client.app.dependency_overrides = {make_app: "another"}

    assert app.dependency_overrides == {make_app: "another"}


def test_e3_a_fastapi_app_is_found_in_what_is_around_it_before_its_first_request() -> None:
    def around(app: Any) -> Any:
        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        return middleware

    client = TestClient(SignedASGIApp(around(make_app())))

    assert client.post("/sms", data={"Body": "hi"}).json() == {"n": 1, "body": "hi"}
    assert TestClient(around(make_app())).post("/sms", data={"Body": "hi"}).status_code == 403
