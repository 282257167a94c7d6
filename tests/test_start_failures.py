"""A send that fails leaves everything as it was; what goes wrong after a send leaves the new state."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from twilio.base.exceptions import TwilioRestException

from convostate import Conversations, StoreError
from convostate.stores import Store
from tests.conversing import ADA, CLAIM, PAIR, US, World, end_lease, settings

if TYPE_CHECKING:
    from convostate.stores.base import Begun, Claim, Headers, Outcome, Replay, Reply


class Watched(Store):
    """A store whose writes are noted, and whose calls fail where a test says so.

    Attributes:
        writes: The token and the lifetime in seconds of every `write`, in order.
        failing: The error that a call ends with, by the call's name and its number.
        late: Whether it fails after the store has done what it was asked.
    """

    server_side = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.writes: list[tuple[bytes | None, float]] = []
        self.failing: dict[str, StoreError] = {}
        self.late = False

    def _call(self, name: str, *args: Any) -> Any:
        error = self.failing.pop(name, None)
        found = None
        if error is None or self.late:
            found = getattr(self._store, name)(*args)
        if error is not None:
            raise error
        return found

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        found: Begun | Replay = self._call("begin", claim, cookies, now)
        return found

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        self.writes.append((token, lifetime_s))
        self._call("write", begun, token, lifetime_s, now)

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        headers: Headers = self._call("commit", begun, outcome, reply, now)
        return headers

    def abort(self, begun: Begun) -> None:
        self._store.abort(begun)

    def peek(self, claim: Claim, now: float) -> bytes | None:
        return self._store.peek(claim, now)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        self._store.erase(claim, replies=replies)


@pytest.fixture
def watched(store: Store) -> Watched:
    return Watched(store)


@pytest.fixture
def world(watched: Watched) -> World:
    return World(watched)


FAILURES = [
    pytest.param(21211, TwilioRestException, id="no such number"),
    pytest.param(21610, TwilioRestException, id="opted out at Twilio"),
    pytest.param(ConnectionError("reset"), ConnectionError, id="no network"),
    pytest.param(KeyboardInterrupt(), KeyboardInterrupt, id="interrupted"),
]


@pytest.mark.parametrize(("reason", "error"), FAILURES)
@pytest.mark.parametrize("if_exists", ["replace", "keep"])
def test_a_failed_send_restores_what_was_there(
    world: World,
    watched: Watched,
    reason: int | BaseException,
    error: type[BaseException],
    if_exists: str,
) -> None:
    world.put({"old": True})
    before = world.sealed()
    world.simulator.clock.advance(hours=1)
    world.simulator.refuse_sends(reason)

    with pytest.raises(error):
        world.start({"new": True}, if_exists=if_exists)

    assert world.sealed() == before
    assert watched.writes[-1] == (before, 3 * 3600.0)
    assert world.phone.inbox == []
    world.simulator.clock.advance(hours=2, minutes=59)
    assert world.phone.text("hi").messages == ["{'old': True, 'log': ['hi']}"]


@pytest.mark.parametrize(("reason", "error"), FAILURES)
def test_a_failed_send_without_a_conversation_leaves_nothing(
    world: World, reason: int | BaseException, error: type[BaseException]
) -> None:
    world.simulator.refuse_sends(reason)

    with pytest.raises(error):
        world.start({"new": True})

    assert world.sealed() is None
    assert world.phone.text("hi").messages == ["{'log': ['hi']}"]


def test_what_expires_during_the_send_is_not_restored(world: World, watched: Watched) -> None:
    world.put({"old": True})
    world.simulator.clock.advance(hours=3, minutes=59)
    world.client.request = lambda *_, **__: world.simulator.clock.advance(minutes=2)

    with pytest.raises(AttributeError):  # that is no response
        world.start({"new": True})

    assert watched.writes[-1] == (None, 0.0)
    assert world.peek() is None


def test_what_no_key_opens_is_restored_too(world: World, watched: Watched) -> None:
    world.put({"old": True})
    before = world.sealed()
    other = settings(keys="GPnE2vWrk5AtH7MJvs9NcoDxTZ4bUYqRLw3XhKe8gF0", index_key=settings().keys)
    conversations = Conversations(other, store=watched, clock=world.simulator.clock)
    world.simulator.refuse_sends(21211)

    with pytest.raises(TwilioRestException):
        conversations.start(world.client, to=ADA, from_=US, body="hello", state={"new": True})

    assert world.sealed() == before
    assert world.peek() == {"old": True}


@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_sent_if_the_state_cannot_be_written(
    world: World, watched: Watched, late: bool
) -> None:
    world.put({"old": True})
    before = world.sealed()
    watched.failing["write"] = StoreError("down", "no answer")
    watched.late = late

    with pytest.raises(StoreError, match="no answer"):
        world.start({"new": True})

    assert world.phone.inbox == []
    assert world.sealed() == before
    assert world.phone.text("hi").error is None


def test_nothing_is_sent_if_the_lease_is_lost_before_the_write(
    world: World, watched: Watched
) -> None:
    world.put({"old": True})
    before = world.sealed()
    watched.failing["write"] = StoreError("lost", "too late")

    with pytest.raises(StoreError, match="too late"):
        world.start({"new": True})

    assert len(watched.writes) == 1  # there is nothing to take back
    assert world.phone.inbox == []
    assert world.sealed() == before


def test_the_caller_gets_the_message_if_the_store_fails_after_the_send(
    world: World, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.failing["commit"] = StoreError("down", "no answer")

    message = world.start({"new": True})

    assert [m.sid for m in world.phone.inbox] == [message.sid]
    assert world.peek() == {"new": True}
    assert "the message is sent, but its turn did not last as long (down)" in caplog.text


def test_the_log_says_if_nothing_can_be_restored(
    world: World, watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        watched.failing["write"] = StoreError("down", "no answer")
        raise ConnectionError

    world.client.request = fail

    with pytest.raises(ConnectionError):
        world.start({"new": True})

    assert "the message is not sent, and its state may be in place (down)" in caplog.text
    assert world.peek() == {"new": True}
    for number in (ADA, US, "hello"):
        assert number not in caplog.text


def test_a_failed_send_that_took_too_long_does_not_undo_a_reply(
    world: World, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    def fail(*_: object, **__: object) -> None:
        end_lease(store)
        replies.append(world.phone.text("fast"))
        raise ConnectionError

    replies: list[Any] = []
    world.put({"old": True})
    world.client.request = fail

    with pytest.raises(ConnectionError):
        world.start({"new": True})

    assert replies[0].messages == ["{'new': True, 'log': ['fast']}"]
    assert world.peek() == {"new": True, "log": ["fast"]}
    assert "(lost)" in caplog.text


def test_the_next_text_does_not_wait_for_a_turn_that_failed(world: World) -> None:
    world.simulator.refuse_sends(21211)
    with pytest.raises(TwilioRestException):
        world.start({"new": True})

    assert world.phone.text("hi").error is None
    assert world.store.peek(CLAIM, world.simulator.clock.now()) is not None
    assert world.conversations.peek(**PAIR) == {"log": ["hi"]}
