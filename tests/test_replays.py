"""Replays: at a server-side store a repeated request is answered from the record; in a cookie it runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores.base import REPLY_S
from convostate.twilio.signature import sign
from tests.served import ADA, NOW, TOKEN, URL, US, Served, counting, serve, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from convostate import ConversationMiddleware

pytestmark = pytest.mark.usefixtures("both_doors")


class Counting:
    """Counts texts in the state, and how often it ran."""

    def __init__(self, status: str = "200 OK", body: bytes = b"") -> None:
        self.ran, self.status, self.body = 0, status, body

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        self.ran += 1
        state = environ["convostate.state"]
        state["n"] = state.get("n", 0) + 1
        start_response(self.status, [("Content-Type", "text/xml"), ("X-Own", str(self.ran))])
        return [self.body or str(state["n"]).encode()]


def at(environ: WSGIEnvironment, seconds: float) -> WSGIEnvironment:
    return environ | {"convostate.clock": lambda: NOW + seconds}


@pytest.fixture
def app() -> Counting:
    return Counting()


@pytest.fixture
def middleware(app: Counting) -> ConversationMiddleware:
    return wrapped(app, store="memory")


def same(first: Served, again: Served) -> bool:
    return (first.status, list(first.headers), first.body) == (
        again.status,
        list(again.headers),
        again.body,
    )


def test_a27_a_repeated_request_is_answered_from_the_record(app: Counting, middleware: Any) -> None:
    first, again = serve(middleware, signed()), serve(middleware, signed())

    assert same(first, again)
    assert (first.body, app.ran) == (b"1", 1)
    assert serve(middleware, signed(text("another"))).body == b"2"


@pytest.mark.parametrize("token", [None, "first", "second"])
def test_a28_the_idempotency_header_makes_no_new_request(
    token: str | None, app: Counting, middleware: Any
) -> None:
    serve(middleware, signed(HTTP_I_TWILIO_IDEMPOTENCY_TOKEN="first"))
    again = serve(middleware, signed(HTTP_I_TWILIO_IDEMPOTENCY_TOKEN=token))

    assert (again.body, app.ran) == (b"1", 1)


@pytest.mark.parametrize(("token", "ran"), [("first", 1), ("second", 2), (None, 2)])
def test_a28_a_redirect_to_the_same_url_runs_with_a_token_of_its_own(
    token: str | None, ran: int
) -> None:
    app = Counting(body=b"<Response><Redirect/></Response>")
    middleware = wrapped(app, store="memory")
    for each in ("first", token):
        serve(middleware, signed(HTTP_I_TWILIO_IDEMPOTENCY_TOKEN=each))

    assert app.ran == ran


def reordered(environ: WSGIEnvironment) -> WSGIEnvironment:
    return signed(dict(reversed(text().items()))) | {
        "HTTP_X_TWILIO_SIGNATURE": environ["HTTP_X_TWILIO_SIGNATURE"]
    }


@pytest.mark.parametrize("change", [
    pytest.param(lambda environ: environ | {"HTTP_HOST": "example.com:443"}, id="a29 a port"),
    pytest.param(lambda _: signed(url="https://example.com:443/sms"), id="a29 a signed port"),
    pytest.param(reordered, id="a29 another order"),
    pytest.param(lambda environ: environ | {"CONTENT_TYPE": environ["CONTENT_TYPE"] + "; charset=utf-8"}, id="a29 a charset"),
    pytest.param(lambda environ: environ | {"HTTP_COOKIE": "convostate=x", "REMOTE_ADDR": "192.0.2.9"}, id="a29 unsigned headers"),
])  # fmt: skip
def test_another_spelling_of_the_same_request_is_a_replay(
    change: Any, app: Counting, middleware: Any
) -> None:
    first = serve(middleware, signed())
    again = serve(middleware, change(signed()))

    assert same(first, again)
    assert app.ran == 1


def test_a29_doubled_parameters_are_a_replay(app: Counting, middleware: Any) -> None:
    params = text(Tag="1")
    serve(middleware, signed(params))
    doubled = signed(params)
    raw = doubled["wsgi.input"].getvalue() + b"&Tag=1"
    doubled["wsgi.input"].write(raw)
    doubled["CONTENT_LENGTH"] = str(len(raw))

    assert serve(middleware, doubled).body == b"1"
    assert app.ran == 1


def test_a30_after_the_recorded_reply_is_gone_the_request_runs_again(
    app: Counting, middleware: Any
) -> None:
    serve(middleware, signed())

    assert serve(middleware, at(signed(), REPLY_S - 1)).body == b"1"
    assert app.ran == 1
    assert serve(middleware, at(signed(), REPLY_S)).body == b"2"


def test_a30_a_replay_outlives_a_short_state(app: Counting) -> None:
    middleware = wrapped(app, store="memory", lifetime="60s")
    serve(middleware, signed())

    assert serve(middleware, at(signed(), 120)).body == b"1"
    assert app.ran == 1
    assert serve(middleware, at(signed(text("new")), 120)).body == b"1"
    assert app.ran == 2


def test_a30_a_replay_after_the_end_does_not_bring_the_conversation_back(middleware: Any) -> None:
    serve(middleware, signed())
    serve(middleware, signed(text("STOP")))

    assert serve(middleware, signed()).body == b"1"
    assert serve(middleware, signed(text("after"))).body == b"1"


def test_a27_an_error_is_not_recorded(app: Counting) -> None:
    app.status = "500 Oops"
    middleware = wrapped(app, store="memory")
    assert serve(middleware, signed()).status == 500
    app.status = "200 OK"

    assert (serve(middleware, signed()).body, app.ran) == (b"1", 2)


def test_a27_calls_that_repeat_run_again(middleware: Any) -> None:
    """A caller who presses the same digit twice sends identical requests."""
    call = {"AccountSid": "AC" + "0" * 32, "CallSid": "CA" + "1" * 32, "Direction": "inbound",
            "From": ADA, "To": US, "Digits": "1"}  # fmt: skip

    assert [serve(middleware, signed(call)).body for _ in range(2)] == [b"1", b"2"]


def test_a27_a_get_and_a_post_of_the_same_bytes_are_two_requests(
    app: Counting, middleware: Any
) -> None:
    serve(middleware, signed(method="GET"))
    serve(middleware, signed())

    assert app.ran == 2


def test_a31_in_a_cookie_an_old_request_runs_again_on_the_state_that_comes_with_it() -> None:
    """What the cookie store cannot promise; the docs say so."""
    middleware = wrapped(counting)
    cookies = [serve(middleware, signed()).cookie]
    for body in ("two", "three"):
        environ = signed(text(body), HTTP_COOKIE=f"convostate={cookies[-1]}")
        cookies.append(serve(middleware, environ).cookie)

    old, newest = cookies[0], cookies[-1]
    assert serve(middleware, signed(HTTP_COOKIE=f"convostate={newest}")).body == b"4"
    assert serve(middleware, signed(text("four"), HTTP_COOKIE=f"convostate={old}")).body == b"2"


def test_a27_a_replay_is_proven_like_any_request(middleware: Any) -> None:
    serve(middleware, signed())
    forged = signed(HTTP_X_TWILIO_SIGNATURE=sign(URL, text().items(), TOKEN.upper()))

    assert serve(middleware, forged).status == 403
