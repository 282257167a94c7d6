"""F17 on an event loop: a turn cancelled at any await leaves no lease, no place, no spoiled connection, no lost state."""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores.base import Keep, Replay, Reply
from convostate.stores.redis.aio import EXCHANGES, AsyncioPool, AsyncRedisStore
from tests.redis_stage import BASE, NAME, claim, count_in, token

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from tests.redis_servers import RedisServer

PATIENCE_S = 120


class CancelAt:
    """Cancels its task at the n-th await of a coroutine that suspends."""

    def __init__(self, at: int) -> None:
        self.left = at

    @types.coroutine
    def run(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        step: Any = lambda: work.send(None)  # noqa: E731
        while True:
            try:
                suspended = step()
            except StopIteration as ended:
                return ended.value
            self.left -= 1
            if self.left == 0:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value = yield suspended
                step = lambda value=value: work.send(value)  # noqa: E731
            except BaseException as error:  # noqa: BLE001  # whatever it is, the coroutine gets it
                step = lambda error=error: work.throw(error)  # noqa: E731


async def turn(store: AsyncRedisStore, fingerprint: str | None) -> int | None:
    """Take a turn as the middleware does; None if it was answered before."""
    begun = await store.begin(claim(fingerprint), "", 0)
    if isinstance(begun, Replay):
        return None
    try:
        number = count_in(begun.token) + 1
        await store.commit(begun, Keep(token(number), 3600), Reply(b"sealed", redirects=False), 0)
        return number
    finally:
        await store.abort(begun)


async def cancelled(work: Coroutine[Any, Any, Any], at: int) -> bool:
    """Run work and cancel it at an await; whether it had so many."""
    canceller = CancelAt(at)
    try:
        await asyncio.create_task(canceller.run(work))
    except asyncio.CancelledError:
        return True
    return canceller.left <= 0


async def settle(store: AsyncRedisStore, server: RedisServer) -> None:
    """Wait for what goes on after a cancellation, and check that nothing is left."""
    client = store.clients.current()
    while [task for tasks in (store._tasks, client.tasks) for task in tasks._running  # type: ignore[attr-defined]
           if "_listen" not in repr(task)]:  # fmt: skip
        await asyncio.sleep(0.001)
    for _ in range(2000):
        left = [key for key in (f"{BASE}l", f"{BASE}q") if server.admin.exists(key)]
        if not left:
            break
        await asyncio.sleep(0.001)
    assert left == []
    pool = client._route
    if isinstance(pool, AsyncioPool):
        for _ in range(2000):  # the subscription may be asking
            if pool.slots._value == EXCHANGES:
                break
            await asyncio.sleep(0.001)
        assert pool.slots._value == EXCHANGES, "a connection is held for ever"
        assert len(pool._idle) <= 8


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@pytest.mark.parametrize("fresh", [True, False])
def test_f17_cancelled_at_any_await_the_next_turn_is_right(
    server: RedisServer, fresh: bool
) -> None:
    async def history() -> int:
        store, count, at, more = AsyncRedisStore.from_url(server.url), 0, 0, True
        while more:
            at += 1
            if fresh:
                await store.close()  # so that it connects
            more = await cancelled(turn(store, f"request{at}"), at)
            await settle(store, server)
            # Either it has happened or it has not; the repetition makes it so, once.
            again = await turn(store, f"request{at}")
            assert again in (None, count + 1), at
            count += 1
            assert count_in(await store.peek(claim(), 0)) == count
        await store.close()
        return at

    server.admin.flushall()
    assert run(history()) > (5 if fresh else 3)


@pytest.mark.parametrize("heard", [True, False])
def test_f17_cancelled_at_any_await_a_turn_that_waits_gives_its_place_up(
    server: RedisServer, heard: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not heard:  # then it asks by itself
        monkeypatch.setattr("convostate.stores.redis.aio.Listener._listen", _nothing)
        monkeypatch.setattr("convostate.stores.redis.aio.IDLE_S", -1)

    async def history() -> int:
        store, count, at, more = AsyncRedisStore.from_url(server.url), 0, 0, True
        while more:
            at += 1
            held = await store.begin(claim(), "", 0)
            assert not isinstance(held, Replay)
            waiting = asyncio.create_task(cancelled(turn(store, f"request{at}"), at))
            while not waiting.done() and not server.admin.exists(f"{BASE}q"):
                await asyncio.sleep(0.001)
            await store.abort(held)
            more = await waiting
            await settle(store, server)
            again = await turn(store, f"request{at}")
            assert again in (None, count + 1), at
            count += 1
            assert count_in(await store.peek(claim(), 0)) == count
        await store.close()
        return at

    server.admin.flushall()
    assert run(history()) > 5


async def _nothing(*_: object) -> None:
    return


@pytest.mark.parametrize("what", ["peek", "queue", "erase", "clock_ahead_s"])
def test_f17_cancelled_at_any_await_other_questions_spoil_no_connection(
    server: RedisServer, what: str
) -> None:
    async def history() -> int:
        store, at, more = AsyncRedisStore.from_url(server.url), 0, True
        named = {"erase": {"replies": True}}.get(what, {})
        args = (0,) if what == "peek" else ()
        while more:
            at += 1
            more = await cancelled(getattr(store, what)(claim(), *args, **named), at)
            await settle(store, server)
            assert await turn(store, f"{what}{at}")
        await store.close()
        return at

    server.admin.flushall()
    assert run(history()) > 1


def test_a_turn_that_is_cancelled_while_it_waits_in_a_process_lets_the_others_in_at_once(
    server: RedisServer,
) -> None:
    async def history() -> list[int | None]:
        store = AsyncRedisStore.from_url(server.url)
        held = await store.begin(claim(), "", 0)
        assert not isinstance(held, Replay)
        tasks = [asyncio.create_task(turn(store, f"{number}")) for number in range(5)]
        while server.admin.llen(f"{BASE}q") < 5:
            await asyncio.sleep(0.001)
        for task in tasks[1::2]:
            task.cancel()
        await asyncio.wait(tasks[1::2])
        await store.abort(held)
        done = await asyncio.gather(*tasks[::2])
        await settle(store, server)
        await store.close()
        return list(done)

    server.admin.flushall()
    assert run(history()) == [1, 2, 3]
    assert server.admin.exists(f"cs1:{{{NAME}}}") == 1
