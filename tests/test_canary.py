"""A canary: drive every path of the middleware at DEBUG, and find no secret in what it says."""

from __future__ import annotations

import logging
import re
import traceback
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import convostate
from convostate import (
    ConversationMiddleware,
    Conversations,
    PhonePair,
    Settings,
    StateError,
    StoreError,
    UsageError,
)
from convostate.errors import ConvostateError
from convostate.stores import MemoryStore
from convostate.twilio.signature import sign
from tests.served import (  # fmt: skip
    ADA,
    BOB,
    FORM,
    KEY,
    NOW,
    SID,
    URL,
    US,
    Door,
    bare,
    counting,
    serve,
    settings,
    signed,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from convostate import State

pytestmark = pytest.mark.unmeasured
TOKEN, OTHER_TOKEN = "zaffretoken-0123456789", "zaffreother-0123456789"
SHARED = "zaffreshared-0123456789"
BODY, VALUE = "zaffre body", "zaffre value"
STATE_KEY_VALUE = {"step": VALUE, "cart": [VALUE, {"x": VALUE.encode()}]}
SECRETS = [TOKEN, OTHER_TOKEN, SHARED, KEY, KEY[:16], ADA, BOB, US, BODY, "zaffre+body", VALUE, "zaffre",
           *(number[-7:] for number in (ADA, BOB, US)), SID]  # fmt: skip


class Broken(MemoryStore):
    """A store whose server is down, at one step."""

    def __init__(self, step: str, reason: Any) -> None:
        super().__init__()
        self.step, self.reason = step, reason

    def begin(self, *args: Any) -> Any:
        return self._fail() if self.step == "begin" else super().begin(*args)

    def commit(self, *args: Any) -> Any:
        return self._fail() if self.step == "commit" else super().commit(*args)

    def _fail(self) -> NoReturn:
        raise StoreError(self.reason, "the server is away")


def app_that(
    do: Callable[[State], object], status: str = "200 OK", chunks: Any = (b"<Response/>",)
) -> Any:
    def app(environ: WSGIEnvironment, start_response: Any) -> Any:
        if "convostate.state" in environ:
            do(environ["convostate.state"])
        start_response(status, [("Content-Type", "text/xml"), ("Set-Cookie", "own=1")])
        return chunks

    return app


def keep(state: State) -> None:
    state.update(STATE_KEY_VALUE)


def fail(state: State) -> None:
    raise KeyError(len(state))


def keep_too_much(state: State) -> None:
    state.update(step=VALUE * 500)


def keep_what_cannot_be(state: State) -> None:
    state.update(cart=[VALUE, object()])


def keep_a_surrogate(state: State) -> None:
    state.update(cart=[VALUE + "\ud800"])


def set_a_wrong_lifetime(state: State) -> None:
    state.lifetime = VALUE  # type: ignore[assignment]


def write_after_the_end(state: State) -> None:
    state.end()
    state["step"] = VALUE


def canary(body: str = BODY, **changes: str) -> dict[str, str]:
    return text(body, **changes)


def proven(
    params: dict[str, str] | None = None, method: str = "POST", **changes: Any
) -> WSGIEnvironment:
    return signed(canary() if params is None else params, method=method, token=TOKEN, **changes)


def accepted() -> Iterator[tuple[str, WSGIEnvironment]]:
    """Requests that reach the app, if the store lets them."""
    cookie = serve(ConversationMiddleware(counting, secret_settings()), proven()).cookie
    bob = serve(
        ConversationMiddleware(counting, secret_settings()), proven(canary(From=BOB))
    ).cookie
    yield "proven", proven()
    yield "proven GET", proven(method="GET")
    yield "its cookie", proven(HTTP_COOKIE=f"convostate={cookie}")
    yield "a foreign cookie", proven(HTTP_COOKIE=f"convostate={bob}")
    yield "a broken cookie", proven(HTTP_COOKIE=f"convostate={VALUE}; own={VALUE}")
    yield (
        "expired",
        proven(HTTP_COOKIE=f"convostate={cookie}") | {"convostate.clock": lambda: NOW + 10**6},
    )
    yield "a STOP", proven(canary("STOP", ProfileName=BODY))
    yield "a status", proven(canary(MessageStatus="sent", From=US, To=ADA))
    yield (
        "no pair",
        proven(
            {"RecordingUrl": f"https://example.com/{BODY}", "From": "anonymous", "CallSid": "CA1"}
        ),
    )
    yield "a shared key", proven(
        HTTP_X_TWILIO_SIGNATURE=sign(URL, canary().items(), SHARED, "HMAC_SHA256"),
        HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS="key=k1,algorithm=HMAC_SHA256")  # fmt: skip


def refused() -> Iterator[tuple[str, WSGIEnvironment]]:
    """Requests that prove nothing, or not all."""
    for method in ("GET", "POST"):
        yield f"unsigned {method}", proven(method=method, HTTP_X_TWILIO_SIGNATURE=None)
        yield (
            f"badly signed {method}",
            proven(method=method, HTTP_X_TWILIO_SIGNATURE="A" * 27 + "="),
        )
        yield f"another scheme {method}", proven(method=method) | {"wsgi.url_scheme": "http"}
        yield (
            f"another host {method}",
            proven(method=method)
            | {"HTTP_HOST": "10.0.0.1", "HTTP_X_FORWARDED_HOST": "example.com"},
        )
    yield "another token", signed(canary(), token=OTHER_TOKEN)
    yield "PUT", proven(REQUEST_METHOD="PUT")
    yield "another type", proven(CONTENT_TYPE="text/plain")
    yield "another charset", proven(CONTENT_TYPE=f"{FORM}; charset={VALUE}")
    yield (
        "identity in the query",
        signed(canary(), f"{URL}?From=%2B15550100001&Body=zaffre", token=TOKEN),
    )
    yield "re-split", proven(canary(f"hiFrom{ADA}") | {"Zz": f"From{BOB}"})
    yield "malformed", bare(body=f"Body={BODY};From={ADA}".encode())
    yield "not UTF-8", bare(body=b"Body=zaffre%FF&From=%2B15550100001")
    yield "too long", proven(CONTENT_LENGTH="999999999")
    yield "cut short", proven(CONTENT_LENGTH="99999")
    yield "a broken input", proven() | {"wsgi.input": Failing()}


class Failing:
    def read(self, _size: int) -> bytes:
        raise ValueError(f"{ADA} {BODY} {TOKEN}")


SECRET_SETTINGS: dict[str, Any] = {"auth_token": TOKEN, "shared_keys": {"k1": SHARED}}


def secret_settings(**changes: Any) -> Settings:
    return settings(**SECRET_SETTINGS | changes)


APPS: dict[str, Any] = {
    "keeps": app_that(keep), "looks": app_that(lambda _: None), "ends": app_that(lambda state: state.end()),
    "fails": app_that(keep, "500 Oops"), "keeps too much": app_that(keep_too_much),
    "keeps what cannot be": app_that(keep_what_cannot_be), "keeps a surrogate": app_that(keep_a_surrogate),
    "sets a wrong lifetime": app_that(set_a_wrong_lifetime), "writes after the end": app_that(write_after_the_end),
    "answers too much": app_that(keep, chunks=(b"x" * 70_000,)), "breaks WSGI": app_that(keep, chunks=("text",)),
}  # fmt: skip
STORES: dict[str, Callable[[], Any]] = {
    "cookie": lambda: None, "memory": MemoryStore, "down": lambda: Broken("begin", "down"), "busy": lambda: Broken("begin", "busy"),
    "lost": lambda: Broken("commit", "lost"), "down at the end": lambda: Broken("commit", "down"),
}  # fmt: skip
OURS = re.compile(r"[/\\]convostate[/\\](?!testing)")


def said_by(error: BaseException) -> Iterator[str]:
    """Everything of an error of ours that a log would show: its text and the whole traceback."""
    yield "".join(traceback.format_exception(error))
    yield repr(error)
    yield repr(error.args)


@pytest.mark.parametrize("store", STORES.values(), ids=[f"a43 {name}" for name in STORES])
@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_p1_no_log_and_no_error_holds_a_secret(app: Any, store: Any) -> None:
    assert secrets_in_what_is_said(app, store, "refuse", accepted()) == []


@pytest.mark.parametrize(
    ("app", "store"), list(zip(APPS.values(), cycle(STORES.values()))), ids=[f"a43 {name}" for name in APPS]
)  # fmt: skip
@pytest.mark.parametrize("door", ["wsgi", "asgi"])
def test_p1_no_log_and_no_error_holds_a_secret_if_the_app_runs_without_a_store(
    app: Any, store: Any, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "asgi", door == "asgi")
    assert secrets_in_what_is_said(app, store, "empty", accepted()) == []


@pytest.mark.usefixtures("both_doors")
def test_a43_nothing_that_is_said_of_a_refused_request_holds_a_secret() -> None:
    """Before the proof neither the store nor the app has a part in it."""
    assert secrets_in_what_is_said(APPS["keeps"], MemoryStore, "refuse", refused()) == []


def secrets_in_what_is_said(
    app: Any,
    store: Callable[[], Any],
    on_outage: str,
    requests: Iterable[tuple[str, WSGIEnvironment]],
) -> list[str]:
    log = StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(
        logging.Formatter("%(name)s %(levelname)s %(message)s %(args)s %(exc_text)s")
    )
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    said: list[str] = []
    try:
        for name, environ in requests:
            middleware = wrapped(
                app, store=store(), inside=False, on_outage=on_outage, **SECRET_SETTINGS
            )
            said += [
                repr(middleware),
                repr(middleware.store),
                repr(vars(middleware.settings)["keys"]),
            ]
            try:
                served = serve(middleware, environ, outside=False)
                assert served.status < 400 or served.body == b"" or app is APPS["fails"], name
            except (ConvostateError, AssertionError, TypeError) as error:
                said += said_by(error)
            except ValueError:  # the server's own, which goes back to it
                assert name == "a broken input"
    finally:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)

    said.append(log.getvalue())
    return [secret for secret in SECRETS if any(secret in each for each in said)]


def test_p1_the_canary_would_be_found(caplog: pytest.LogCaptureFixture) -> None:
    """A guard that never bites proves nothing: the app's own log line does show its secrets."""

    def telling(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
        logging.getLogger("app").warning("text: %s", environ["convostate.webhook"].body)
        return list(app_that(keep)(environ, start_response))

    serve(ConversationMiddleware(telling, secret_settings()), proven())

    assert BODY in caplog.text


@pytest.mark.usefixtures("both_doors")
@pytest.mark.parametrize(
    ("keeps", "error", "secret"), [(fail, KeyError, BODY), (keep_too_much, StateError, VALUE)]
)
def test_p1_no_variable_of_ours_in_the_traceback_of_the_apps_error_shows_a_secret(
    keeps: Callable[[State], None], error: type[Exception], secret: str
) -> None:
    with pytest.raises(error) as caught:
        serve(ConversationMiddleware(app_that(keeps), secret_settings()), proven())
    ours = [each for each in caught.traceback if each.frame.f_globals["__name__"][:5] == "convo"]

    assert {"wsgi", "asgi"} & {each.frame.f_globals["__name__"].split(".")[1] for each in ours}
    assert not [each for each in ours if secret in repr(each.locals)]


def test_p1_nothing_that_the_app_is_handed_shows_a_secret_in_its_repr() -> None:
    shown: list[str] = []

    def showing(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
        state, webhook = environ["convostate.state"], environ["convostate.webhook"]
        keep(state)
        shown.extend([repr(state), str(state), f"{state}", repr(webhook), str(webhook), repr(state.pair), str(state.lost)])  # fmt: skip
        return list(app_that(keep)(environ, start_response))

    serve(ConversationMiddleware(showing, secret_settings()), proven())

    assert "step" in shown[0]
    assert [secret for secret in SECRETS if any(secret in each for each in shown)] == []


@pytest.mark.parametrize(
    "number", [ADA, "38000", "whatsapp:+15550100001", "sip:ada@example.com", "12", "Twilio", "+1"]
)
def test_p7_a_masked_address_shows_two_characters_at_most(number: str) -> None:
    pair = PhonePair("AC" + "7" * 32, number, number)

    for shown in (repr(pair), str(pair), f"{pair}", repr([pair])):
        masked = re.findall(r"='([^']*)'", shown)
        assert len(masked) == 3
        assert all(len(each.replace("*", "")) <= 2 and "***" in each for each in masked)


def test_p7_the_log_names_a_conversation_without_a_number(caplog: pytest.LogCaptureFixture) -> None:
    middleware = ConversationMiddleware(app_that(keep), secret_settings())
    names = []
    for params in (canary(), canary(), canary(From=BOB)):
        caplog.clear()
        serve(middleware, proven(params, HTTP_COOKIE="convostate=x"))
        names.append(caplog.records[0].getMessage().split()[1])

    assert names[0] == names[1] != names[2]
    assert all(re.fullmatch(r"[\w-]{22}:", name) for name in names)


@pytest.mark.parametrize("what", ["read_request", "authenticate", "open_turn", "finish_response"])
def test_p1_a_fault_of_ours_does_not_log_what_it_stumbled_over(
    what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumbling(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise LookupError(f"{ADA} {BODY}")

    middleware = ConversationMiddleware(app_that(keep), secret_settings())
    where = "convostate.middleware" if what == "finish" else "convostate.wsgi.middleware"
    monkeypatch.setattr(f"{where}.{what}", stumbling)
    caplog.set_level(logging.DEBUG)
    try:
        serve(middleware, proven())
    except LookupError:
        assert what in ("open_turn", "finish_response")  # after the proof it is the server's to log

    assert [secret for secret in SECRETS if secret in caplog.text] == []


STORE = f"redis://:{SHARED}@localhost:99999"


@pytest.mark.parametrize(
    "wrong",
    [
        {"CONVOSTATE_STORE": STORE},
        {"CONVOSTATE_STORE": f"redis+sentinel://h/s?sentinel_password={SHARED}&x=1"},
        {"TWILIO_AUTH_TOKEN": f"{TOKEN},{OTHER_TOKEN}"},
        {"CONVOSTATE_KEYS": f"{KEY},{KEY}"},
        {"CONVOSTATE_LIFETIME": "5y"},
    ],
    ids=["port", "option", "token", "keys", "lifetime"],
)
@pytest.mark.parametrize("make", [lambda: ConversationMiddleware(counting), Conversations])
def test_a_start_that_fails_leaves_no_secret_in_the_variables_that_error_trackers_show(
    make: Callable[[], object], wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"TWILIO_AUTH_TOKEN": TOKEN, "CONVOSTATE_KEYS": KEY, "CONVOSTATE_STORE": "memory"}
    for name, value in (given | wrong).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as raised:
        make()

    package = str(Path(convostate.__file__).parent)
    error = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    frames = [frame for frame in error.stack if frame.filename.startswith(package)]
    assert frames
    assert error.__context__ is None or error.__suppress_context__
    assert [frame for frame in frames if any(each in repr(frame.locals) for each in SECRETS)] == []


def test_settings_that_are_wrong_leave_no_secret_in_their_own_variables() -> None:
    with pytest.raises(UsageError) as raised:
        Settings(auth_token=TOKEN, keys=KEY, lifetime="5y")

    error = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert error.stack[-1].name == "__init__"
    assert not any(secret in repr(error.stack[-1].locals) for secret in (TOKEN, KEY))
