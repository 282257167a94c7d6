"""Turns of `Conversations` are told as those of webhooks are: one event each, and no secret in it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from twilio.base.exceptions import TwilioRestException

from convostate import (
    ConversationExistsError,
    Conversations,
    ConvostateError,
    OptedOutError,
    StateError,
    StoreError,
    UsageError,
)
from convostate.events import TurnEvent
from convostate.stores import MemoryStore
from tests.conversing import ADA, KEY, PAIR, TOKEN, US, World, end_lease, settings
from tests.test_canary import Broken
from tests.turning import SlowStore

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "zaffre value"
ERRORS = (ConvostateError, LookupError, TwilioRestException)


class Watched:
    """An installation whose own turns are watched.

    Attributes:
        events: All that the hook was given.
    """

    def __init__(self, store: MemoryStore | None = None, **changes: Any) -> None:
        self.events: list[TurnEvent] = []
        self.world = World(MemoryStore() if store is None else store)
        self.conversations = self.world.conversations = Conversations(
            settings(**changes),
            store=self.world.store,
            clock=self.world.simulator.clock,
            on_turn=self.events.append,
        )

    def turn(self, do: Callable[[Any], object]) -> None:
        with self.conversations.turn(**PAIR) as state:
            do(state)

    def one(self) -> TurnEvent:
        (event,) = self.events
        return event


@pytest.fixture
def watched() -> Watched:
    return Watched()


def keep(state: dict[str, str]) -> None:
    state["step"] = VALUE


def fail(_: object) -> None:
    raise LookupError(VALUE)


@pytest.mark.parametrize(
    ("do", "outcome", "reason", "raises"),
    [
        (keep, "kept", "", None),
        (lambda _: None, "left", "", None),
        (lambda state: state.end(), "ended", "", None),
        (fail, "aborted", "exception", LookupError),
        (lambda state: state.update(when=object()), "aborted", "exception", StateError),
    ],
)
def test_a_turn_gives_one_event(
    watched: Watched, do: Any, outcome: str, reason: str, raises: Any
) -> None:
    if raises is None:
        watched.turn(do)
    else:
        with pytest.raises(raises):
            watched.turn(do)

    event = watched.one()
    assert (event.kind, event.outcome, event.reason) == ("turn", outcome, reason)
    assert (event.status, event.request_bytes, event.response_bytes) == (None, 0, 0)
    assert (event.token_bytes > 64) == (outcome == "kept")


@pytest.mark.parametrize(
    ("step", "reason"), [("begin", "busy"), ("begin", "down"), ("commit", "lost")]
)
def test_a_turn_that_the_store_denies_is_unavailable(step: str, reason: str) -> None:
    watched = Watched(Broken(step, reason))
    with pytest.raises(StoreError):
        watched.turn(keep)

    event = watched.one()
    assert (event.outcome, event.reason, event.token_bytes) == ("unavailable", reason, 0)


def test_a_store_error_of_the_block_is_the_block_s(watched: Watched) -> None:
    def raise_another_stores(_: object) -> None:
        raise StoreError("down", "another store's")

    with pytest.raises(StoreError):
        watched.turn(raise_another_stores)

    assert (watched.one().outcome, watched.one().reason) == ("aborted", "exception")


def test_a_state_that_does_not_open_is_the_reason_of_a_kept_turn(watched: Watched) -> None:
    other = Watched(watched.world.store, keys="GPnE2vWrk5AtH7MJvs9NcoDxTZ4bUYqRLw3XhKe8gF0", index_key=KEY)  # type: ignore[arg-type]  # fmt: skip
    watched.turn(keep)
    other.turn(keep)

    assert (other.one().outcome, other.one().reason) == ("kept", "unknown-key")


def test_a_start_gives_one_event_with_the_size_of_its_state(watched: Watched) -> None:
    watched.world.start({"step": VALUE})

    event = watched.one()
    assert (event.kind, event.outcome, event.reason) == ("start", "kept", "")
    assert event.token_bytes == len(watched.world.sealed() or b"")
    assert event.app_ms > 0


def stop(world: World) -> None:
    world.phone.text("STOP")


@pytest.mark.parametrize(
    ("before", "given", "reason", "raises"),
    [
        (stop, {}, "opted-out", OptedOutError),
        (
            lambda world: world.phone.text("hi"),
            {"if_exists": "refuse"},
            "exists",
            ConversationExistsError,
        ),
        (
            lambda world: world.simulator.refuse_sends(21610),
            {},
            "exception",
            TwilioRestException,
        ),
        (lambda _: None, {"state": {"when": object()}}, "exception", StateError),
    ],
)
def test_a_start_that_sends_nothing_is_aborted(
    watched: Watched, before: Any, given: dict[str, Any], reason: str, raises: Any
) -> None:
    before(watched.world)
    with pytest.raises(raises):
        watched.world.start(**given)

    event = watched.one()
    assert (event.kind, event.outcome, event.reason) == ("start", "aborted", reason)
    assert event.token_bytes == 0


def test_a_start_whose_lease_ends_after_the_send_is_kept_and_says_so(watched: Watched) -> None:
    send = watched.world.client.messages.create

    def dawdle(**message: Any) -> Any:
        sent = send(**message)
        end_lease(watched.world.store)
        return sent

    watched.world.client.messages.create = dawdle
    watched.world.start({"step": 1})

    assert (watched.one().outcome, watched.one().reason) == ("kept", "lost")
    assert watched.one().token_bytes > 64


def test_a_request_that_is_not_a_turn_gives_no_event(watched: Watched) -> None:
    watched.conversations.peek(**PAIR)
    watched.conversations.end(**PAIR)
    watched.conversations.forget(**PAIR)
    with pytest.raises(UsageError):
        watched.world.start(if_exists="ignore")

    assert watched.events == []


def test_a_turn_of_the_middleware_is_not_an_event_of_the_conversations(watched: Watched) -> None:
    watched.world.phone.text("hi")

    assert watched.events == []


def test_its_times_are_the_store_s_and_the_block_s(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def dawdle(_: object) -> None:
        now[0] += 5

    watched = Watched(SlowStore(now))
    watched.turn(dawdle)

    assert watched.one()[-4:] == (0, 5000, 5000, 10_000)


def test_the_record_has_the_event_as_fields_and_the_name_that_the_webhook_s_has(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")
    watched.world.phone.text("hi")
    watched.turn(keep)

    webhook, own = (record for record in caplog.records if record.name == "convostate.turns")
    assert {name: vars(own)[name] for name in TurnEvent._fields} == watched.one()._asdict()
    assert vars(own)["conversation"] == vars(webhook)["conversation"] != ""
    assert own.getMessage().startswith(f"conversation {watched.one().conversation}: turn kept, status -")  # fmt: skip


def test_a_hook_that_raises_breaks_no_turn_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hook(_event: TurnEvent) -> None:
        raise ArithmeticError(VALUE)

    store = MemoryStore()
    conversations = Conversations(settings(), store=store, on_turn=hook)
    for _ in range(2):
        with conversations.turn(**PAIR) as state:
            keep(state)
    with pytest.raises(LookupError), conversations.turn(**PAIR) as state:
        fail(state)

    assert conversations.peek(**PAIR) == {"step": VALUE}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages[0].startswith(f"on_turn raised ArithmeticError at {__file__}:")
    assert VALUE not in caplog.text


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    hook: Any = "print"
    with pytest.raises(UsageError, match=r"on_turn .* Give it a function"):
        Conversations(settings(), store=MemoryStore(), on_turn=hook)


def test_a_hook_may_peek_at_the_conversation_of_its_event() -> None:
    kept: list[object] = []
    store = MemoryStore()
    conversations: Conversations

    def hook(event: TurnEvent) -> None:
        kept.append(conversations.peek(**PAIR))
        if event.outcome == "kept":
            conversations.end(**PAIR)  # the turn is over

    conversations = Conversations(settings(), store=store, on_turn=hook)
    with conversations.turn(**PAIR) as state:
        keep(state)

    assert kept == [{"step": VALUE}]
    assert conversations.peek(**PAIR) is None


@pytest.mark.parametrize("step", ["none", "begin", "commit"])
def test_no_event_and_no_record_holds_a_secret(step: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "convostate.turns")
    watched = Watched(Broken(step, "down"))
    for do in (keep, fail, lambda state: state.update(when={VALUE: object()})):
        with suppress(*ERRORS):
            watched.turn(do)
    for given in ({"step": VALUE}, {"when": {VALUE: object()}}):
        with suppress(*ERRORS):
            watched.world.start(given)
    watched.world.simulator.refuse_sends(21610)
    with suppress(*ERRORS):
        watched.world.start({"step": VALUE})

    assert len(watched.events) == 6
    said = [str(event) + repr(event) for event in watched.events]
    said += [repr(vars(record)) for record in caplog.records if record.name == "convostate.turns"]
    for secret in (VALUE, ADA, US, ADA[-7:], US[-7:], TOKEN, KEY):
        assert not any(secret in each for each in said)
