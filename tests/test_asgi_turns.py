"""The ASGI door: what its specification lets an app, a server and a client do in a turn (V1 … in README.md)."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Any

import pytest

from convostate import State, StateError, UsageError, state_from, webhook_from
from convostate.asgi import ConversationMiddleware
from convostate.stores import MemoryStore
from convostate.stores.aio import as_async_store
from tests.asgi_served import Sent, receiving, scope_of
from tests.served import NOW, bare, settings, signed, text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    App = Callable[[Any, Any, Any], Awaitable[None]]

XML = [(b"content-type", b"text/xml")]
START = {"type": "http.response.start", "status": 200, "headers": XML}
BODY = {"type": "http.response.body", "body": b"<Response/>"}


def wrapped(app: App, **changes: Any) -> ConversationMiddleware:
    store = changes.pop("store", None) or MemoryStore()
    return ConversationMiddleware(app, settings(store="memory", **changes), store=store)


def asked(app: Any, environ: Any = None, receive: Any = None, **more: Any) -> Sent:
    """Send a signed text to an app on a loop of its own."""
    scope, body = scope_of(signed() if environ is None else environ)
    sent = Sent()
    asyncio.run(app(scope | more, receive or receiving(body), sent))
    return sent


def remembered(middleware: ConversationMiddleware) -> int:
    """How many texts the conversation has, as a further text finds it."""
    found: list[int] = []

    async def look(scope: Any, _receive: Any, send: Any) -> None:
        found.append(state_from(scope).get("n", 0))
        await send({**START, "status": 500})
        await send(BODY)

    middleware.app, app = look, middleware.app
    asked(middleware, signed(text(MessageSid="SM" + "9" * 32, SmsSid="SM" + "9" * 32, SmsMessageSid="SM" + "9" * 32)))  # fmt: skip
    middleware.app = app
    return found[0]


def count(scope: Any) -> None:
    state = state_from(scope)
    state["n"] = state.get("n", 0) + 1


def saying(*messages: Message) -> App:
    """An app that counts and sends these messages."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        count(scope)
        for message in messages:
            await send(message)

    return app


def test_a_whole_response_keeps_the_state() -> None:
    middleware = wrapped(saying(START, BODY))
    sent = asked(middleware)
    assert (sent.status, sent.body) == (200, b"<Response/>")
    assert (b"cache-control", b"no-store") in sent.headers
    assert remembered(middleware) == 1


MORE = {**BODY, "more_body": True}
ODD = {
    "V1 start twice": [START, START, BODY],
    "V2 body before start": [BODY],
    "V8 an extension that was not offered": [START, {"type": "http.response.pathsend", "path": "/"}],
    "V8 trailers": [{**START, "trailers": True}, BODY],
    "V15 a header that is text": [{**START, "headers": [("content-type", "text/xml")]}, BODY],
    "V15 a status that is text": [{**START, "status": "200"}, BODY],
    "V15 a status that is not final": [{**START, "status": 101}, BODY],
    "V15 a body that is text": [START, {**BODY, "body": "text"}],
    "V15 a line break in a header": [{**START, "headers": [(b"x", b"a\r\nb")]}, BODY],
    "V26 a length that is not the body's": [{**START, "headers": [(b"content-length", b"1")]}, BODY],
}  # fmt: skip


@pytest.mark.parametrize("messages", ODD.values(), ids=ODD)
def test_a_response_that_breaks_the_specification_keeps_nothing(messages: list[Message]) -> None:
    middleware = wrapped(saying(*messages))
    with pytest.raises((AssertionError, TypeError)):
        asked(middleware)
    assert remembered(middleware) == 0


@pytest.mark.parametrize("messages", [[], [START], [START, MORE]], ids=["V3", "V4", "V4 body"])
def test_an_app_that_ends_without_a_whole_response_keeps_nothing(messages: list[Message]) -> None:
    middleware = wrapped(saying(*messages))
    sent = asked(middleware)
    assert not sent.status  # the server answers 500
    assert remembered(middleware) == 0


def test_v6_a_body_in_pieces_is_one_body() -> None:
    pieces = [{**MORE, "body": b""}, {**MORE, "body": b"<Resp"}, {"type": "http.response.body", "body": b"onse/>", "more_body": True}]  # fmt: skip
    middleware = wrapped(saying(START, *pieces, {"type": "http.response.body"}))
    assert asked(middleware).body == b"<Response/>"
    assert remembered(middleware) == 1


@pytest.mark.parametrize("late", [BODY, START], ids=["body", "start"])
def test_v5_what_comes_after_the_response_changes_nothing(late: Message) -> None:
    middleware = wrapped(saying(START, BODY, late))
    assert asked(middleware).body == b"<Response/>"
    assert remembered(middleware) == 1


def test_v7_a_response_that_twilio_does_not_take_is_500_and_ends_the_app() -> None:
    pieces = 0

    async def endless(scope: Any, _receive: Any, send: Any) -> None:
        nonlocal pieces
        count(scope)
        await send(START)
        while True:
            pieces += 1
            await send({**MORE, "body": bytes(10_000)})

    middleware = wrapped(endless)
    assert asked(middleware).status == 500
    assert pieces == 8
    assert remembered(middleware) == 0


def test_v8_extensions_that_a_turn_cannot_collect_are_not_offered() -> None:
    offered: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        offered.append(scope["extensions"])
        await send(START)
        await send(BODY)

    extensions: Message = {name: {} for name in ("http.response.pathsend", "http.response.trailers", "http.response.push", "http.response.early_hint", "http.response.zerocopysend", "tls")}  # fmt: skip
    asked(wrapped(app), extensions=extensions)
    assert offered == [{"tls": {}}]


def test_v9_a_client_that_goes_before_its_body_is_whole_runs_nothing() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("the app ran")

    assert not asked(wrapped(never), receive=receiving()).status


def test_v10_an_app_that_has_answered_is_committed_though_the_client_is_gone() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.append((await receive())["type"])
        count(scope)
        await send(START)
        await send(BODY)

    async def gone(_message: Message) -> None:
        raise OSError("the client has gone")

    middleware = wrapped(app)
    scope, body = scope_of(signed())
    with pytest.raises(OSError, match="gone"):
        asyncio.run(middleware(scope, receiving(body), gone))
    assert seen == ["http.disconnect"]
    assert remembered(middleware) == 1


class BoomError(Exception):
    """An app's own."""


@pytest.mark.parametrize("before", [[], [START], [START, MORE]], ids=["start", "body", "end"])
def test_v11_an_exception_before_the_last_body_keeps_nothing(before: list[Message]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await saying(*before)(scope, receive, send)
        raise BoomError

    middleware = wrapped(app)
    with pytest.raises(BoomError):
        asked(middleware)
    assert remembered(middleware) == 0


def test_v11_an_exception_after_the_last_body_changes_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await saying(START, BODY)(scope, receive, send)
        raise BoomError

    middleware = wrapped(app)
    scope, body = scope_of(signed())
    sent = Sent()
    with pytest.raises(BoomError):
        asyncio.run(middleware(scope, receiving(body), sent))
    assert sent.body == b"<Response/>"
    assert remembered(middleware) == 1


@pytest.mark.parametrize(("before", "n"), [([], 0), ([START], 0), ([START, BODY], 1)])
def test_v12_a_cancelled_app_keeps_what_it_had_answered(before: list[Message], n: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await saying(*before)(scope, receive, send)
        reached.set()
        await asyncio.Event().wait()

    reached = asyncio.Event()
    middleware = wrapped(app)

    async def cancel() -> None:
        scope, body = scope_of(signed())
        task = asyncio.ensure_future(middleware(scope, receiving(body), Sent()))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert remembered(middleware) == n


def test_v13_the_app_receives_exactly_what_was_verified() -> None:
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(await receive())
        got.append(dict(scope["headers"]))
        await saying(START, BODY)(scope, receive, send)

    environ = signed(HTTP_TRANSFER_ENCODING="chunked")
    _, body = scope_of(environ)
    environ["wsgi.input"].seek(0)
    scope, _ = scope_of(environ)
    scope["headers"] += [(b"content_length", b"1"), (b"Content_Type", b"text/plain")]
    pieces = [body[:1], b"", body[1:]]
    asyncio.run(wrapped(app)(scope, receiving(*pieces), Sent()))
    assert got[0] == {"type": "http.request", "body": body, "more_body": False}
    assert got[1][b"content-length"] == str(len(body)).encode()
    assert not {b"transfer-encoding", b"content_length", b"Content_Type"} & got[1].keys()


def test_v14_the_scope_of_the_server_stays_as_it_was() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["mine"] = 1
        await saying(START, BODY)(scope, receive, send)

    scope, body = scope_of(signed())
    before = dict(scope)
    asyncio.run(wrapped(app)(scope, receiving(body), Sent()))
    assert scope == before


def test_v16_wrong_settings_fail_the_start_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("CONVOSTATE_KEYS", raising=False)
    sent: list[Message] = []

    async def start() -> ConversationMiddleware:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            sent.append(message)

        middleware = ConversationMiddleware(saying())  # as add_middleware does it, in the loop
        with pytest.raises(UsageError, match="TWILIO_AUTH_TOKEN"):
            await middleware({"type": "lifespan"}, receive, send)
        with pytest.raises(UsageError, match="TWILIO_AUTH_TOKEN"):
            await middleware(*scope_and_channels())
        return middleware

    asyncio.run(start())
    assert [message["type"] for message in sent] == ["lifespan.startup.failed"]
    assert "TWILIO_AUTH_TOKEN" in sent[0]["message"]
    with pytest.raises(UsageError, match="TWILIO_AUTH_TOKEN"):
        ConversationMiddleware(saying())


def scope_and_channels() -> tuple[Any, Any, Any]:
    scope, body = scope_of(signed())
    return scope, receiving(body), Sent()


def test_v17_a_path_that_is_not_guarded_passes_untouched() -> None:
    got: list[Any] = []

    async def app(*args: Any) -> None:
        got.extend(args)

    scope, receive, sent = scope_and_channels()
    asyncio.run(wrapped(app, paths="/voice")(scope, receive, sent))
    assert got[0] is scope
    assert got[1] is receive
    assert got[2] is sent


def test_v17_the_lifespan_passes_untouched() -> None:
    got: list[Any] = []

    async def app(*args: Any) -> None:
        got.extend(args)

    lifespan = ({"type": "lifespan"}, object(), object())
    asyncio.run(wrapped(app)(*lifespan))
    assert got == list(lifespan)


def test_v19_other_methods_are_405() -> None:
    environ = signed(REQUEST_METHOD="PUT")
    sent = asked(wrapped(saying()), environ)
    assert sent.status == 405
    assert (b"allow", b"GET, POST") in sent.headers


def test_v20_a_background_task_runs_after_the_commit_and_cannot_write() -> None:
    late: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await saying(START, BODY)(scope, receive, send)
        late.append("runs")
        with pytest.raises(UsageError, match="turn is over"):
            state_from(scope)["n"] = 99

    middleware = wrapped(app)
    assert asked(middleware).status == 200
    assert late == ["runs"]
    assert remembered(middleware) == 1


def test_v21_a_session_that_another_middleware_replaces_is_an_error_and_keeps_nothing() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert type(state_from(scope)) is State
        scope["session"]["n"] = 1
        scope["session"] = {}
        await send(START)
        await send(BODY)

    middleware = wrapped(app)
    with pytest.raises(UsageError, match="before SessionMiddleware"):
        asked(middleware)
    assert remembered(middleware) == 0


CALL = {"AccountSid": "AC1", "CallSid": "CA1", "From": "+15550100001", "To": "+15550100099"}
UNKEPT = {
    "a status": {**text(), "MessageStatus": "read", "SmsStatus": "read"},
    "the end of a call": {**CALL, "Direction": "inbound", "CallStatus": "completed"},
    "nobody's text": text(From=""),
}


@pytest.mark.parametrize("case", UNKEPT)
def test_g12_a_session_takes_writes_that_cannot_be_kept_and_the_log_says_so_once(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope["session"]["seen"] = scope["session"].get("seen", 0) + 1
        await send(START)
        await send(BODY)

    middleware = wrapped(app)
    statuses = [asked(middleware, signed(UNKEPT[case])).status for _ in range(2)]

    assert statuses == [200, 200]
    [line] = [line for line in caplog.messages if "writes to the session are dropped" in line]
    assert ("never begins" in line) != (case == "nobody's text")
    assert remembered(middleware) == 0


@pytest.mark.parametrize("case", UNKEPT)
def test_g12_state_from_refuses_what_cannot_be_kept(case: str) -> None:
    with pytest.raises((StateError, UsageError), match=r"never begins|names no pair"):
        asked(wrapped(saying(START, BODY)), signed(UNKEPT[case]))


def test_g12_a_session_of_the_apps_own_serves_a_webhook_without_a_conversation() -> None:
    own: dict[str, int] = {}

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope["session"]["seen"] = 1
        await send(START)
        await send(BODY)

    assert asked(wrapped(app), signed(UNKEPT["nobody's text"]), session=own).status == 200
    assert own == {"seen": 1}


@pytest.mark.parametrize("swallow", [True, False])
def test_a_state_that_cannot_be_kept_raises_whatever_the_app_makes_of_it(swallow: bool) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        state_from(scope)["n"] = object()
        await send(START)
        try:
            await send(BODY)
        except StateError as error:
            if not swallow:
                raise RuntimeError from error

    middleware = wrapped(app)
    with pytest.raises(StateError, match=r"\$\.n"):
        asked(middleware)
    assert remembered(middleware) == 0


PLACES = {
    "uvicorn with --root-path": ({"path": "/bots/sms", "raw_path": b"/bots/sms", "root_path": "/bots"}, "https://example.com/bots/sms", None),
    "hypercorn with root_path": ({"path": "/sms", "raw_path": b"/sms", "root_path": "/bots"}, "https://example.com/bots/sms", None),
    "a mount": ({"path": "/bots/sms", "raw_path": b"/bots/sms", "root_path": "/bots"}, "https://example.com/bots/sms", "https://example.com"),
    "a prefix in both": ({"path": "/bots/sms", "raw_path": b"/bots/sms", "root_path": "/bots"}, "https://example.com/bots/sms", "https://example.com/bots"),
    "a stripped prefix": ({"path": "/sms", "raw_path": b"/sms"}, "https://example.com/bots/sms", "https://example.com/bots"),
    "an escape": ({"path": "/s/m", "raw_path": b"/s%2Fm"}, "https://example.com/s%2Fm", None),
    "no raw path": ({"path": "/s m", "raw_path": None}, "https://example.com/s%20m", None),
    "daphne's raw path": ({"path": "/sms", "raw_path": b"/sms?a=1", "query_string": b"a=1"}, "https://example.com/sms?a=1", None),
    "a raw path that contradicts": ({"path": "/sms", "raw_path": b"/voice"}, "https://example.com/sms", None),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "url", "public_url"), PLACES.values(), ids=PLACES)
def test_v22_the_url_is_the_one_that_twilio_signed(
    changes: dict[str, Any], url: str, public_url: str | None
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert webhook_from(scope).url == url
        await saying(START, BODY)(scope, receive, send)

    environ = signed(url=url)
    scope, body = scope_of(environ)
    sent = Sent()
    middleware = wrapped(app, public_url=public_url)
    asyncio.run(middleware(scope | changes, receiving(body), sent))
    assert sent.status == 200
    other = scope | changes | {"path": "/other", "raw_path": b"/other"}
    refused = Sent()
    asyncio.run(middleware(other, receiving(body), refused))
    assert refused.status == 403


def test_v23_two_signatures_are_refused() -> None:
    scope, body = scope_of(signed())
    scope["headers"].append((b"x-twilio-signature", b"x"))
    sent = Sent()
    asyncio.run(wrapped(saying())(scope, receiving(body), sent))
    assert sent.status == 403


GUARDED = {
    "root_path of the client's": {"path": "/x/sms", "root_path": "/x"},
    "absolute form": {"path": "http://evil/sms"},
    "a slash more": {"path": "//sms"},
    "root_path cut anywhere": {"path": "/xsms", "root_path": "/x"},
}


@pytest.mark.parametrize("changes", GUARDED.values(), ids=GUARDED)
def test_o11_a_guarded_path_is_guarded_in_every_reading_of_its_scope(
    changes: dict[str, Any],
) -> None:
    async def never(*_: Any) -> None:
        raise AssertionError("the app ran")

    scope, body = scope_of(bare(method="POST", body=b"From=x"))
    sent = Sent()
    asyncio.run(wrapped(never, paths="/sms")(scope | changes, receiving(body), sent))
    assert sent.status in (400, 403)


def test_v24_another_event_loop_is_a_usage_error() -> None:
    scope, receive, sent = scope_and_channels()
    running = wrapped(saying())(scope, receive, sent)
    with pytest.raises(UsageError, match="asyncio"):
        running.send(None)


def test_v25_what_a_scope_need_not_have_may_be_absent() -> None:
    scope, body = scope_of(signed())
    for name in ("root_path", "query_string", "raw_path", "client", "server"):
        scope.pop(name, None)
    sent = Sent()
    asyncio.run(wrapped(saying(START, BODY))(scope, receiving(body), sent))
    assert sent.status == 200


def test_v27_an_app_mounted_in_a_wrapped_one_finds_the_outer_webhook() -> None:
    inner = wrapped(saying(START, BODY))
    outer = wrapped(inner.app)

    async def mount(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    outer.app = mount
    assert asked(outer).status == 200
    assert remembered(outer) == 1


def test_contextvars_of_the_turn_do_not_stay() -> None:
    before = dict(contextvars.copy_context().items())
    asked(wrapped(saying(START, BODY)))
    assert dict(contextvars.copy_context().items()) == before


def test_the_refusal_is_logged_with_its_mend(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    environ = signed(url="https://example.com/sms")
    environ["wsgi.url_scheme"] = "http"
    assert asked(wrapped(saying()), environ).status == 403
    assert "CONVOSTATE_PUBLIC_URL=https://example.com" in caplog.text


def test_the_clock_of_a_test_is_honoured() -> None:
    times: list[float] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        times.append(state_from(scope).started_at.timestamp())
        await saying(START, BODY)(scope, receive, send)

    asked(wrapped(app))
    assert times == [NOW]


@pytest.mark.parametrize(
    "header",
    [
        (b"x-name", b"zaffre\r\nset-cookie: x=1"),
        (b"x-name", b"zaffre\0"),
        (b"x name", b"1"),
        (b"", b"1"),
        (b"content-length", b"10"),
    ],
    ids=["a line break", "a NUL", "a blank in a name", "no name", "another length"],
)
def test_e17_a_reply_that_the_server_cannot_send_keeps_nothing(header: tuple[bytes, bytes]) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        count(scope)
        await send({**START, "headers": [header]})
        await send(BODY)

    middleware = wrapped(app)
    with pytest.raises(AssertionError, match=r"^(the app's|a header of the app's)") as raised:
        asked(middleware)

    assert "zaffre" not in str(raised.value)
    assert remembered(middleware) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Transfer-Encoding", b"chunked"),
        (b"transfer-encoding", b"zaffre"),
        (b"connection", b"close"),
    ],
)
def test_e17_a_header_of_the_connection_is_left_to_the_server(name: bytes, value: bytes) -> None:
    headers = [*XML, (name, value), (b"content-length", b"11")]
    sent = asked(wrapped(saying({**START, "headers": headers}, BODY)))
    assert sent.status == 200
    assert name.lower() not in dict(sent.headers)


@pytest.mark.parametrize("changes", [{}, {"From": "anonymous"}], ids=["a pair", "withheld"])
def test_p9_a_call_has_a_state_of_its_own(changes: dict[str, str]) -> None:
    numbers: list[int] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        count(scope)
        numbers.append(state_from(scope)["n"])
        await send(START)
        await send(BODY)

    middleware = wrapped(app)
    params = {"AccountSid": "AC1", "From": "+15550100001", "To": "+15550100099", "Direction": "inbound"}  # fmt: skip
    for sid in ("CA1", "CA1", "CA2"):
        asked(
            middleware, signed({**params, "CallSid": sid, "CallStatus": "in-progress", **changes})
        )

    assert numbers == [1, 2, 1]
    assert remembered(middleware) == 0  # the pair's texts are another conversation


def test_the_time_of_the_app_is_not_that_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    events: list[Any] = []
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    store = as_async_store(MemoryStore())
    begin = store.begin

    async def slow_begin(*args: Any) -> Any:
        now[0] += 2
        return await begin(*args)

    async def slow_app(_scope: Any, _receive: Any, send: Any) -> None:
        now[0] += 5
        await send(START)
        await send(BODY)

    monkeypatch.setattr(store, "begin", slow_begin)
    asked(ConversationMiddleware(slow_app, settings(), store=store, on_turn=events.append))

    assert events[0][-4:] == (0, 2000, 5000, 7000)
