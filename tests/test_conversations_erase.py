"""Looking at a conversation, ending it, and forgetting it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate import State, UsageError, Webhook
from convostate.stores import MemoryStore
from tests.conversing import ADA, BOB, PAIR, US, World

if TYPE_CHECKING:
    from redis import Redis

    from convostate.stores import Store

CANARY = "a canary that nobody may read"


def test_peek_gives_a_copy_that_refuses_to_be_changed(world: World) -> None:
    world.put({"step": 1, "list": [1]})
    state = world.conversations.peek(**PAIR)

    assert isinstance(state, State)
    assert (state, state.is_new, state.pair.theirs) == ({"step": 1, "list": [1]}, False, ADA)
    assert state.expires_at.timestamp() == world.simulator.clock.now() + 4 * 3600
    with pytest.raises(UsageError, match=r"peek\(\) returns a copy.*conversations\.turn"):
        state["step"] = 2
    state["list"].append(2)
    assert world.peek() == {"step": 1, "list": [1]}


def test_peek_finds_nothing_without_a_conversation(world: World) -> None:
    world.put({"step": 1})

    assert world.conversations.peek(ours=US, theirs=BOB) is None
    assert world.conversations.peek(ours=ADA, theirs=US) is None
    world.simulator.clock.advance(hours=4)
    assert world.peek() is None


def test_peek_does_not_wait(world: World) -> None:
    world.put({"step": 1})

    with world.conversations.turn(**PAIR) as state:
        state["step"] = 2
        assert world.peek() == {"step": 1}


@pytest.mark.parametrize("method", ["end", "forget"])
def test_after_end_and_forget_the_next_text_begins_a_conversation(
    world: World, method: str
) -> None:
    world.put({"step": 1})
    other = world.simulator.phone(BOB, texting=US)
    other.text("stays")

    for _ in range(2):  # what is gone may be ended again
        getattr(world.conversations, method)(**PAIR)

    assert world.peek() is None
    assert world.phone.text("hi").messages == ["{'log': ['hi']}"]
    assert world.conversations.peek(ours=US, theirs=BOB) == {"log": ["stays"]}


def test_end_leaves_the_recorded_reply_and_forget_removes_it(world: World) -> None:
    first = world.phone.text("hi")
    world.conversations.end(**PAIR)
    assert world.phone.resend().messages == first.messages
    assert world.peek() is None  # the app did not run

    world.conversations.forget(**PAIR)
    assert world.phone.resend().messages == first.messages
    assert world.peek() == {"log": ["hi"]}  # it did


@pytest.mark.parametrize("method", ["end", "forget"])
def test_a_webhook_in_flight_cannot_bring_the_conversation_back(world: World, method: str) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(state: State, _: Webhook) -> str:
        inside.set()
        assert go.wait(60)
        state["resurrected"] = True
        return "too late"

    world.put({"step": 1})
    world.handle = slow
    with ThreadPoolExecutor(1) as pool:
        texting = pool.submit(world.phone.text, "hi")
        assert inside.wait(60)
        getattr(world.conversations, method)(**PAIR)
        assert world.peek() is None
        go.set()
        reply = texting.result(timeout=60)

    assert (reply.status, reply.messages) == (503, [])
    assert world.peek() is None


def readable(store: Store, redis: Redis) -> list[bytes]:
    """All bytes that the store has."""
    if isinstance(store, MemoryStore):
        return [repr(kept).encode() for kept in store._conversations.values()]
    found: list[bytes] = []
    keys: Any = redis.keys("*")
    for key in keys:
        found += [key, redis.dump(key)]  # type: ignore[list-item]  # redis-py: or an awaitable
    return found


def test_forget_leaves_nothing_readable(world: World, redis: Redis) -> None:
    world.start({"secret": CANARY})
    world.phone.text(CANARY)
    kept = b"".join(readable(world.store, redis))  # sealed, and under names without numbers
    assert kept != b""
    assert [clear for clear in (CANARY, ADA[2:], US[2:]) if clear.encode() in kept] == []

    world.conversations.forget(**PAIR)

    if isinstance(world.store, MemoryStore):
        [nothing] = world.store._conversations.values()
        assert (nothing.token, nothing.replies) == (None, None)
    else:
        assert redis.keys("*") == []


def test_forget_keeps_that_a_stop_stands(world: World, redis: Redis) -> None:
    world.phone.text("STOP")
    world.conversations.forget(**PAIR)

    if not isinstance(world.store, MemoryStore):
        [key] = redis.keys("*")
        assert (key[-1:], redis.get(key)) == (b"o", b"1")
        assert 0 < int(redis.ttl(key)) <= 30 * 24 * 3600
    world.phone.text("START")
    world.conversations.forget(**PAIR)
    if not isinstance(world.store, MemoryStore):
        assert redis.keys("*") == []
