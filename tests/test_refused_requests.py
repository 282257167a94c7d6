"""A refused request: the status, and nothing else; the app, the store and the cookie are not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import convostate.asgi.middleware
import convostate.wsgi.middleware
import convostate.wsgi.request
from convostate.stores import CookieStore
from tests.answering import Answering
from tests.served import FORM, Door, Served, bare, counting, serve, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from convostate.stores import Store

DOORS = pytest.mark.usefixtures("both_doors")

REFUSED: dict[str, tuple[WSGIEnvironment, int]] = {
    "no signature": (bare(), 403),
    "a wrong signature": (signed(HTTP_X_TWILIO_SIGNATURE="A" * 27 + "="), 403),
    "a signature of another path": (signed() | {"PATH_INFO": "/x", "REQUEST_URI": "/x"}, 403),
    "two SIDs": (signed(text(SmsSid="SM" + "9" * 32)), 403),
    "too long": (bare(CONTENT_LENGTH="262145"), 413),
    "text/plain": (signed(CONTENT_TYPE="text/plain"), 415),
    "a GET with a body": (bare(method="GET", body=b"a=1"), 415),
    "PUT": (signed(REQUEST_METHOD="PUT"), 405),
    "HEAD": (bare(method="HEAD"), 405),
    "a malformed form": (bare(body=b"a", HTTP_X_TWILIO_SIGNATURE="A"), 400),
    "a malformed length": (bare(CONTENT_LENGTH="7x"), 400),
    "a body cut short": (bare(body=b"a=1", CONTENT_LENGTH="9"), 400),
    "a malformed host": (bare(HTTP_HOST="example.com/x"), 400),
}


class Untouched:
    """A store that nobody may ask anything."""

    def __init__(self, *, server_side: bool) -> None:
        self.server_side = server_side

    def __getattr__(self, name: str) -> Any:
        if name == "most_bytes":
            return None
        if name == "for_asyncio":
            raise AttributeError(name)

        def asked(*_: Any) -> NoReturn:
            raise AssertionError(f"the store was asked to {name}")

        return asked


@DOORS
@pytest.mark.parametrize(
    ("environ", "status"), REFUSED.values(), ids=[f"a45 {name}" for name in REFUSED]
)
@pytest.mark.parametrize("server_side", [False, True], ids=["cookie", "server"])
def test_a_refused_request_touches_nothing(
    environ: WSGIEnvironment, status: int, server_side: bool
) -> None:
    app, store = Answering(), Untouched(server_side=server_side)  # type: Answering, Any
    cookie = serve(wrapped(counting), signed()).cookie

    served = serve(
        wrapped(app, store=store), environ | {"HTTP_COOKIE": f"convostate={cookie}"}, outside=False
    )

    assert (served.status, served.body, app.asked) == (status, b"", [])
    allow = {"allow": "GET, POST"} if status == 405 else {}
    assert {name.lower(): value for name, value in served.headers} == {
        "content-type": "text/plain; charset=utf-8", "content-length": "0", "cache-control": "no-store", **allow,
    }  # fmt: skip


@DOORS
def test_a45_a_proven_request_does_touch_the_store() -> None:
    store: Any = Untouched(server_side=True)

    with pytest.raises(AssertionError, match="asked to begin"):
        serve(wrapped(Answering(), store=store), signed())


@pytest.mark.parametrize("environ", [bare(), signed(CONTENT_TYPE="x/y"), signed(REQUEST_METHOD="PUT")],
                         ids=["403", "415", "405"])  # fmt: skip
def test_refusals_keep_to_wsgi(environ: WSGIEnvironment) -> None:
    assert serve(wrapped(Answering()), environ).status >= 400


@DOORS
@pytest.mark.parametrize("where", ["read_request", "authenticate"])
@pytest.mark.parametrize("surprise", [
    ValueError("+15550100001"), KeyError("From"), TypeError(), RecursionError(), MemoryError(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), OverflowError(), AssertionError(), OSError(),
], ids=lambda error: type(error).__name__)  # fmt: skip
def test_any_surprise_in_the_verification_is_403_and_never_500(
    surprise: Exception,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def surprising(*_: Any) -> Any:
        raise surprise

    app = Answering()
    middleware = wrapped(app)
    if Door.asgi:
        reading = {"read_request": "request_of"}
        monkeypatch.setattr(convostate.asgi.middleware, reading.get(where, where), surprising)
    else:
        monkeypatch.setattr(convostate.wsgi.middleware, where, surprising)

    served = serve(middleware, signed())

    assert (served.status, served.body, served.cookie, app.asked) == (403, b"", "", [])
    assert f"{type(surprise).__name__} while verifying it" in caplog.text
    assert "+15550100001" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_stops_the_worker_is_not_logged_as_a_failure(
    signal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    middleware = wrapped(Answering())
    monkeypatch.setattr(
        convostate.wsgi.middleware, "authenticate", lambda *_: (_ for _ in ()).throw(signal())
    )

    with pytest.raises(signal):
        serve(middleware, signed())


@pytest.mark.parametrize(
    "missing", ["wsgi.input", "wsgi.url_scheme", "REQUEST_METHOD", "SERVER_NAME"]
)
def test_a_server_that_leaves_something_out_gets_a_403_at_worst(missing: str) -> None:
    environ = bare()
    del environ[missing]
    started: list[Any] = []

    def start_response(*args: Any) -> Any:
        started.append(args)

    wrapped(Answering())(environ, start_response)

    assert started[0][0] == "403 Forbidden"


@DOORS
def test_what_is_wrong_after_the_verification_is_the_apps_and_a_500() -> None:
    """Only the proof is a matter of 403: the app's own errors stay what they are."""

    def app(_environ: Any, _start_response: Any) -> Any:
        raise ValueError("of the app")

    with pytest.raises(ValueError, match="of the app"):
        serve(wrapped(app, inside=False), signed())


@DOORS
def test_a_refusal_while_others_are_served_does_not_disturb_them() -> None:
    middleware = wrapped(counting)
    replies: list[Served] = []
    for environ in (signed(), bare(), signed(text("two")), bare(body=b"a=1", CONTENT_TYPE=FORM)):
        cookie = replies[0].cookie if replies else ""
        replies.append(serve(middleware, environ | {"HTTP_COOKIE": f"convostate={cookie}"}))

    assert [reply.status for reply in replies] == [200, 403, 200, 403]
    assert replies[2].body == b"2"


@DOORS
def test_a45_the_cookie_store_is_a_store_like_any_other() -> None:
    store: Store = CookieStore("other")

    assert (
        serve(wrapped(counting, store=store), signed()).headers["Set-Cookie"].startswith("other=")
    )
    assert "Set-Cookie" not in serve(wrapped(counting, store=store), bare()).headers
