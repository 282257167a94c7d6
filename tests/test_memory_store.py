"""MemoryStore beyond the contract: what is over does not stay in memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import MemoryStore
from convostate.stores.aio import as_async_store
from convostate.stores.base import Begun, Claim, Keep, Leave, Replay, Reply, ThreadBell
from convostate.stores.memory import _Conversation, _Turn
from tests.redis_stage import token

if TYPE_CHECKING:
    from convostate.stores.base import AsyncStore


def begin(store: MemoryStore, name: str, now: float = 0.0, fingerprint: str = "f") -> Begun:
    begun = store.begin(Claim(name.ljust(22, "-"), fingerprint.ljust(22, "-")), "", now)
    assert isinstance(begun, Begun)
    return begun


def test_a_conversation_without_state_leaves_nothing() -> None:
    store = MemoryStore()
    store.commit(begin(store, "a"), Leave(), None, 0.0)
    assert repr(store) == "MemoryStore(0 conversations)"


def test_expired_states_and_replies_are_swept_and_others_stay() -> None:
    store = MemoryStore()
    reply = Reply(b"sealed", redirects=False)
    for number in range(5000):
        store.commit(begin(store, f"old{number}"), Keep(token(1), 60), reply, 0.0)
    for number in range(600):
        store.abort(begin(store, f"aborted{number}"))
    stays = token(2)
    store.commit(begin(store, "stays"), Keep(stays, 7200), None, 0.0)
    held = begin(store, "held")
    for number in range(6000):
        store.commit(begin(store, f"new{number}", 3600.0), Keep(token(1), 60), None, 3600.0)

    assert len(store._conversations) < 9000
    assert store.peek(Claim("stays".ljust(22, "-")), 3600.0) == stays
    store.commit(held, Keep(token(3), 60), None, 3600.0)
    assert store.peek(Claim("held".ljust(22, "-")), 3600.0)


def test_a_turn_that_never_ended_does_not_keep_its_conversation_for_ever() -> None:
    store = MemoryStore(lease_s=0)
    for number in range(5000):
        begin(store, f"died{number}")
    assert len(store._conversations) <= 1025


def test_a_write_gives_the_turn_a_whole_lease_again() -> None:
    store = MemoryStore()
    held = begin(store, "a")
    assert isinstance(held.lease, _Turn)
    held.lease.ends -= 15
    store.write(held, token(1), 60, 0.0)
    assert (store.queue(held.claim).lease_s or 0) > 10


def test_the_replies_of_one_conversation_are_dropped_when_they_have_expired() -> None:
    store = MemoryStore()
    reply = Reply(b"sealed", redirects=False)
    for number in range(100):
        now = number * 60.0
        begun = begin(store, "a", now, f"request{number}")
        store.commit(begun, Keep(token(1), 3600), reply, now)
    assert len(store._conversations["a".ljust(22, "-")].replies or ()) <= 11  # ten minutes' worth


def test_a_reply_that_is_recorded_again_is_kept_for_ten_minutes_more() -> None:
    store = MemoryStore()
    for name, now in (("again", 0.0), ("once", 300.0), ("again", 590.0), ("later", 950.0)):
        asked = Claim("a".ljust(22, "-"), name, str(now).encode())
        begun = store.begin(asked, "", now)
        assert isinstance(begun, Begun)  # a reply that redirects is no answer to another delivery
        store.commit(begun, Keep(token(1), 3600), Reply(b"sealed", redirects=True), now)

    assert list(store._conversations["a".ljust(22, "-")].replies or ()) == ["again", "later"]


def test_a_commit_does_not_go_through_all_the_replies() -> None:
    class Counted(OrderedDict[str, tuple[Reply, bytes, float]]):
        seen = 0

        def values(self) -> Any:
            for value in super().values():
                self.seen += 1
                yield value

    store, reply = MemoryStore(), Reply(b"sealed", redirects=False)
    kept = store._conversations["a".ljust(22, "-")] = _Conversation("a".ljust(22, "-"))
    kept.replies = Counted()
    for number in range(1000):
        store.commit(begin(store, "a", 0.0, str(number)), Leave(), reply, 0.0)

    assert isinstance(kept.replies, Counted)
    assert len(kept.replies) == 1000
    assert kept.replies.seen == 1000  # one look a commit


@pytest.mark.parametrize("waiting", [1, 256])
def test_o21_a_turn_wakes_one_other_however_many_wait(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write() -> int:
        memory = MemoryStore(max_waiting=waiting)
        store = as_async_store(memory)
        held = await store.begin(Claim("a"), "", 0)
        assert isinstance(held, Begun)
        tasks = [asyncio.create_task(take_turn(store)) for _ in range(waiting)]
        while memory.queue(Claim("a")).waiting < waiting:
            await asyncio.sleep(0)
        asked.clear()
        await store.abort(held)
        await asyncio.gather(*tasks)
        return len(asked)

    async def take_turn(store: AsyncStore) -> None:
        begun = await store.begin(Claim("a"), "", 0)
        assert isinstance(begun, Begun)
        await store.commit(begun, Keep(token(1), 60), None, 0)

    asked: list[Claim] = []
    ask = MemoryStore._ask

    def counted(self: MemoryStore, claim: Claim, *args: Any) -> Begun | Replay | None:
        asked.append(claim)
        return ask(self, claim, *args)

    monkeypatch.setattr(MemoryStore, "_ask", counted)
    assert asyncio.run(write()) == waiting


def test_o21_no_turn_looks_at_more_than_two_other_conversations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    idle = _Conversation.idle

    def counted(self: _Conversation, now: float) -> bool:
        looked.append(self.name)
        return idle(self, now)

    monkeypatch.setattr(_Conversation, "idle", counted)
    store, most = MemoryStore(), 0
    for number in range(3000):
        looked.clear()
        now = float(number)
        store.commit(begin(store, str(number), now), Keep(token(1), 1000), None, now)
        most = max(most, len(looked))
    assert most <= 3  # its own, when it is committed
    assert 1000 <= len(store._conversations) <= 2010  # and yet what has expired does not stay


def test_a_lease_that_ends_while_others_wait_lets_the_next_in_without_a_wake_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits, wait = list[float](), ThreadBell.wait

    async def noted(self: ThreadBell, seconds: float) -> None:
        waits.append(seconds)
        await wait(self, seconds)

    monkeypatch.setattr(ThreadBell, "wait", noted)
    store = MemoryStore(lease_s=0.05)
    store.begin(Claim("a"), "", 0)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: store.begin(Claim("a"), "", 0), range(2)))  # and die

    waits.remove(max(waits))  # of the second, until the first wakes it: it has a lease then
    assert waits
    assert max(waits) <= 0.05
