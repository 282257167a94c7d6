"""One event for each turn, by the log and by the hook, and nothing of the conversation in it."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from convostate import ConversationMiddleware, StateError
from convostate.events import TurnEvent
from convostate.stores import MemoryStore
from convostate.turns import MAX_RESPONSE_BYTES
from tests.served import KEY, OTHER_KEY, counting, serve, text
from tests.test_canary import (
    BODY,
    SECRETS,
    VALUE,
    Broken,
    accepted,
    app_that,
    canary,
    keep,
    proven,
    refused,
    secret_settings,
)
from tests.turning import SlowStore

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

KEEPS, LOOKS = app_that(keep), app_that(lambda _: None)


def raising(environ: WSGIEnvironment, _start_response: Any) -> NoReturn:
    keep(environ["convostate.state"])
    raise LookupError(VALUE)


class Watched:
    """A middleware whose events are kept.

    Attributes:
        events: All that the hook was given.
    """

    def __init__(self, app: Any, store: Any = None, **changes: Any) -> None:
        self.events: list[TurnEvent] = []
        self.middleware = ConversationMiddleware(
            app, secret_settings(**changes), store=store, on_turn=self.events.append
        )

    def one(self, environ: WSGIEnvironment | None = None) -> TurnEvent:
        """Serve a request; what the app raises is swallowed, as a server does."""
        self.events.clear()
        with suppress(LookupError):
            serve(self.middleware, proven() if environ is None else environ, outside=False)
        (event,) = self.events
        return event


OUTCOMES: dict[str, tuple[Any, Any, str, str, int | None]] = {
    "kept": (KEEPS, None, "kept", "", 200),
    "ended": (app_that(lambda state: state.end()), None, "ended", "", 200),
    "left": (LOOKS, None, "left", "", 200),
    "aborted by its status": (app_that(keep, "500 Oops"), None, "aborted", "status", 500),
    "aborted by an exception": (raising, None, "aborted", "exception", None),
    "too large": (
        app_that(keep, chunks=(b"x" * (MAX_RESPONSE_BYTES + 1),)),
        None,
        "aborted",
        "too-large",
        500,
    ),
    "busy": (KEEPS, Broken("begin", "busy"), "unavailable", "busy", 503),
    "down": (KEEPS, Broken("begin", "down"), "unavailable", "down", 503),
    "down at the end": (KEEPS, Broken("commit", "down"), "unavailable", "down", 503),
    "lost": (KEEPS, Broken("commit", "lost"), "unavailable", "lost", 503),
}


@pytest.mark.parametrize(
    ("app", "store", "outcome", "reason", "status"), OUTCOMES.values(), ids=OUTCOMES
)
def test_a_turn_gives_one_event(
    app: Any, store: Any, outcome: str, reason: str, status: int | None
) -> None:
    event = Watched(app, store).one()

    assert event.kind == "message"
    assert (event.outcome, event.reason, event.status) == (outcome, reason, status)


@pytest.mark.parametrize("step", ["begin", "commit"])
def test_a_reply_that_is_sent_though_the_store_is_down_is_unwritten(step: str) -> None:
    event = Watched(KEEPS, Broken(step, "down"), on_outage="empty").one()

    assert (event.outcome, event.reason, event.status) == ("unwritten", "down", 200)


def test_a_delivery_of_an_answered_message_is_replayed() -> None:
    watched = Watched(KEEPS, MemoryStore())

    first, again = watched.one(), watched.one()

    assert (first.outcome, again.outcome) == ("kept", "replayed")
    assert (again.app_ms, again.token_bytes) == (0, 0)
    assert (again.conversation, again.response_bytes) == (first.conversation, first.response_bytes)


def test_a_recorded_reply_that_does_not_open_is_lost() -> None:
    store = MemoryStore()
    Watched(KEEPS, store).one()
    other = Watched(KEEPS, store, keys=OTHER_KEY, index_key=KEY)

    event = other.one()

    assert (event.outcome, event.reason, event.status) == ("unavailable", "lost", 503)


def test_a_state_that_does_not_open_is_the_reason_of_a_kept_turn() -> None:
    event = Watched(KEEPS).one(proven(HTTP_COOKIE="convostate=x"))

    assert (event.outcome, event.reason) == ("kept", "malformed")


@pytest.mark.parametrize(
    ("environ", "reason", "status"),
    [
        (proven(HTTP_X_TWILIO_SIGNATURE="A" * 27 + "="), "signature", 403),
        (proven(HTTP_X_TWILIO_SIGNATURE=None), "unsigned", 403),
        (proven(REQUEST_METHOD="PUT"), "method", 405),
        (proven(CONTENT_LENGTH="999999999"), "length", 413),
        (proven(HTTP_HOST=7), "surprise", 403),
    ],
)
def test_a_refused_request_gives_one_event(
    environ: WSGIEnvironment, reason: str, status: int
) -> None:
    event = Watched(KEEPS).one(environ)

    assert (event.kind, event.outcome, event.conversation) == ("unproven", "refused", "")
    assert (event.reason, event.status) == (reason, status)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"MessageStatus": "sent"}, "message-status"),
        ({"CallSid": "CA" + "1" * 32, "Direction": "inbound"}, "call"),
    ],
)
def test_an_event_has_the_kind_of_the_webhook(changes: dict[str, str], kind: str) -> None:
    params = canary(**changes)
    if kind == "call":
        params = {name: params[name] for name in ("AccountSid", "From", "To", *changes)}

    assert Watched(LOOKS).one(proven(params)).kind == kind


def test_a_request_that_is_not_a_turn_gives_no_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")
    watched = Watched(LOOKS, paths="/sms")
    recording = {"RecordingUrl": "https://example.com/r", "RecordingSid": "RE1"}

    for environ in (proven() | {"PATH_INFO": "/about"}, proven(recording)):
        assert serve(watched.middleware, environ, outside=False).status == 200

    assert watched.events == []
    assert "convostate.turns" not in {record.name for record in caplog.records}


def test_an_event_has_sizes_and_times() -> None:
    event = Watched(KEEPS).one()

    assert event.request_bytes == int(proven()["CONTENT_LENGTH"])
    assert event.response_bytes == len(b"<Response/>")
    assert event.token_bytes > 64
    assert min(event.verify_ms, event.store_ms, event.app_ms) > 0
    assert event.verify_ms + event.store_ms + event.app_ms <= event.total_ms + 0.003  # rounded


def test_the_time_of_the_app_is_not_that_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def slow(environ: WSGIEnvironment, start_response: Any) -> Any:
        now[0] += 5
        yield from KEEPS(environ, start_response)
        now[0] += 7

    event = Watched(slow, SlowStore(now)).one()

    assert event[-4:] == (0, 5000, 12_000, 17_000)


def test_the_record_has_the_event_as_fields_and_as_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")
    event = Watched(KEEPS).one()

    (record,) = (record for record in caplog.records if record.name == "convostate.turns")
    assert record.levelname == "INFO"
    assert {name: vars(record)[name] for name in TurnEvent._fields} == event._asdict()
    assert re.fullmatch(
        rf"conversation {event.conversation}: message kept, status 200, [\d.]+ ms "
        r"\(verify [\d.]+, store [\d.]+, app [\d.]+\), bytes \d+ in, 11 out, \d+ written",
        record.getMessage(),
    )


def test_the_conversation_has_the_name_that_it_has_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = Watched(KEEPS).one(proven(HTTP_COOKIE="convostate=x"))

    assert caplog.messages[0].startswith(f"conversation {event.conversation}: a fresh state")


def test_no_event_is_made_without_a_hook(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "convostate.turns")
    monkeypatch.setattr("convostate.events.TurnEvent", None)
    middleware = ConversationMiddleware(counting, secret_settings())

    assert serve(middleware, proven()).body == b"1"

    caplog.set_level(logging.INFO, "convostate.turns")
    with pytest.raises(TypeError):
        serve(middleware, proven())


def test_a_hook_that_raises_breaks_no_turn_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hook(_event: TurnEvent) -> None:
        raise ArithmeticError(VALUE)

    middleware = ConversationMiddleware(counting, secret_settings(), on_turn=hook)
    for body in ("one", "two"):
        assert serve(middleware, proven(text(body))).status == 200
    broken = ConversationMiddleware(raising, secret_settings(), on_turn=hook)
    with pytest.raises(LookupError) as raised:
        serve(broken, proven(), outside=False)

    assert raised.value.__context__ is None
    assert raised.traceback[-1].name == "raising"
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert caplog.messages[0].startswith(f"on_turn raised ArithmeticError at {__file__}:")
    assert VALUE not in caplog.text


def test_a_hook_that_is_interrupted_stops_the_worker() -> None:
    def hook(_event: TurnEvent) -> None:
        raise SystemExit

    middleware = ConversationMiddleware(counting, secret_settings(), on_turn=hook)
    with pytest.raises(SystemExit):
        serve(middleware, proven(), outside=False)


@pytest.mark.parametrize("app", [KEEPS, LOOKS, raising, app_that(keep, "500 Oops")])
@pytest.mark.parametrize("store", [None, "memory", "down"])
def test_no_event_and_no_record_holds_a_secret(
    app: Any, store: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")
    given = {"memory": MemoryStore(), "down": Broken("commit", "down"), None: None}[store]
    watched = Watched(app, given)
    said: list[str] = []
    for name, environ in [*accepted(), *refused()]:
        watched.events.clear()
        with suppress(LookupError, StateError, ValueError):
            serve(watched.middleware, environ, outside=False)
        assert len(watched.events) == (name != "a broken input"), name
        said += [str(event) + repr(event) for event in watched.events]
    said += [repr(vars(record)) for record in caplog.records if record.name == "convostate.turns"]

    assert len(said) > 40
    assert [secret for secret in SECRETS if any(secret in each for each in said)] == []


def test_a_secret_in_an_event_would_be_found() -> None:
    event = Watched(KEEPS).one()

    assert BODY in repr(event._replace(reason=BODY))
    assert BODY in SECRETS
