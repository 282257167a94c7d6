"""O2, O4: `lost` is said only if nothing was written, and a text whose process stood still keeps its place."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio

from convostate.stores import RedisStore
from convostate.stores.base import End, Keep, Leave, Outcome, Reply
from convostate.stores.redis.aio import PUBLISH, AsyncioClient, Listener
from convostate.stores.redis.client import HANDOVER_MS
from convostate.stores.redis.connection import Connection, Script
from convostate.stores.redis.store import BEGIN, COMMIT, OVER_S, WRITE
from tests.conversing import PAIR, World
from tests.drivers import each_driver
from tests.redis_stage import BASE, add_one, begin, claim, count_in, each_server, refused, token
from tests.toxics import proxied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.redis_servers import RedisServer
    from tests.toxics import Proxy


server = each_server()


_driver = each_driver()


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    server.admin.flushall()
    with proxied(server.port) as proxy:
        yield proxy


class Between:
    """Does something between a COMMIT whose answer is lost and its repetition."""

    def __init__(self, proxy: Proxy, during: Callable[[], object]) -> None:
        self._during = during
        self.done = threading.Event()  # on a slow machine the repetition overtakes it
        hold_back = proxy.hold_back
        proxy.plan("lose", COMMIT.sha)

        def before_reply() -> None:
            if not proxy.planned and self._during is not None:
                during, self._during = self._during, None  # type: ignore[assignment]
                during()
                self.done.set()
            hold_back()

        proxy.hold_back = before_reply  # type: ignore[method-assign]


OUTCOMES: dict[str, Callable[[], Outcome]] = {
    "keep": lambda: Keep(token(2), 3600),
    "end": lambda: End(b"", 3600),
    "leave": Leave,
}


@pytest.mark.parametrize("turns", [1, 3, 62])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_o2_a_commit_whose_answer_was_lost_is_done_whatever_was_committed_since(
    server: RedisServer, proxy: Proxy, outcome: str, turns: int
) -> None:
    store, others = RedisStore.from_url(proxy.url), RedisStore.from_url(server.url)
    assert add_one(store) == 1
    held = begin(store)

    def go_on() -> None:
        for _ in range(turns):
            assert add_one(others)

    between = Between(proxy, go_on)
    store.commit(held, OUTCOMES[outcome](), None, 0)
    assert between.done.wait(30)
    before = {"keep": 2, "end": 0, "leave": 1}[outcome]
    assert count_in(store.peek(claim(), 0)) == before + turns


def test_o2_after_more_turns_than_are_remembered_it_is_unknown_and_not_lost(
    server: RedisServer, proxy: Proxy
) -> None:
    store, others = RedisStore.from_url(proxy.url), RedisStore.from_url(server.url)
    held = begin(store)

    def go_on() -> None:
        assert add_one(others) == 3
        server.admin.set(f"{BASE}d", os.urandom(64 * 16), px=60_000)  # 63 more

    Between(proxy, go_on)
    with refused("down") as caught:
        store.commit(held, Keep(token(2), 3600), None, 0)
    assert "too late to know" in str(caught[0])


def test_o2_with_a_reply_it_is_done_whatever_was_answered_since(
    server: RedisServer, proxy: Proxy
) -> None:
    store, others = RedisStore.from_url(proxy.url), RedisStore.from_url(server.url)
    held = begin(store, claim("request"))
    between = Between(proxy, lambda: [add_one(others, f"other{number}") for number in range(5)])
    store.commit(held, Keep(token(1), 3600), Reply(b"sealed", redirects=False), 0)
    assert between.done.wait(30)
    assert count_in(store.peek(claim(), 0)) == 6


def test_o2_a_commit_that_never_arrived_is_lost_if_another_turn_has_the_lease(
    server: RedisServer, proxy: Proxy
) -> None:
    store = RedisStore.from_url(proxy.url)
    assert add_one(store) == 1
    held = begin(store)
    server.admin.set(f"{BASE}l", "somebody else", px=1000)
    proxy.plan("cut", COMMIT.sha)
    with refused("lost"):
        store.commit(held, Keep(token(2), 3600), None, 0)
    assert count_in(store.peek(claim(), 0)) == 1


def test_o2_a_repetition_that_comes_too_late_is_unknown_and_not_lost(
    server: RedisServer, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, others = RedisStore.from_url(proxy.url), RedisStore.from_url(server.url)
    held = begin(store)

    def stand_still() -> None:
        assert add_one(others)
        monkeypatch.setattr("convostate.stores.redis.store.OVER_S", 0)  # as if so long had passed
        server.admin.delete(f"{BASE}d")

    Between(proxy, stand_still)
    with refused("down"):
        store.commit(held, Keep(token(2), 3600), None, 0)


def test_o2_a_write_whose_answer_and_lease_were_lost_is_unknown(
    server: RedisServer, proxy: Proxy
) -> None:
    store = RedisStore.from_url(proxy.url)
    held = begin(store)
    hold_back, ended = proxy.hold_back, list[int]()

    def end_lease() -> None:
        if not ended and not proxy.planned:
            ended.append(server.admin.delete(f"{BASE}l"))
        hold_back()

    proxy.plan("lose", WRITE.sha)
    proxy.hold_back = end_lease  # type: ignore[method-assign]
    with refused("down"):
        store.write(held, token(1), 3600, 0)
    assert ended == [1]
    with refused("lost"):  # asked once
        store.write(held, token(1), 3600, 0)


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_o2_a_turn_whose_answer_was_lost_is_not_lost_and_in_the_list_once(
    server: RedisServer, proxy: Proxy
) -> None:
    world, other = World(RedisStore.from_url(proxy.url)), World(RedisStore.from_url(server.url))

    def append(to: World, item: str) -> bool:
        with to.conversations.turn(**PAIR) as state:  # a caller who meets `lost` tries again
            state.setdefault("log", []).append(item)
        return True

    for number in range(5):
        Between(proxy, lambda number=number: append(other, f"other {number}"))  # type: ignore[misc]  # a default has no type
        assert append(world, f"mine {number}")
    found = world.conversations.peek(**PAIR)
    assert found is not None
    assert sorted(found["log"]) == sorted(
        [f"{who} {number}" for who in ("mine", "other") for number in range(5)]
    )


@pytest.mark.parametrize("times", [1, 3])
def test_the_ids_of_turns_that_are_over_are_few_and_expire(server: RedisServer, times: int) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    for _ in range(40 * times):
        add_one(store)
    assert server.admin.strlen(f"{BASE}d") == min(64, 40 * times) * 16
    assert 0 < server.admin.ttl(f"{BASE}d") <= OVER_S
    store.erase(claim(), replies=False)
    assert not server.admin.exists(f"{BASE}d")


def ask(server: RedisServer, turn: bytes, *, waited: bool) -> bytes:
    """A BEGIN of a turn, as its process sends it; what it is answered."""
    keys = [BASE, f"{BASE}l", f"{BASE}q", f"{BASE}o"]
    args = (b"nonce", b"0", turn, 16_000, HANDOVER_MS, 10_000, 8, int(waited), bytes(8), "")
    reply = server.admin.eval(BEGIN.source.decode(), 4, *keys, *args)
    answer: bytes = reply[1]
    return answer


def turn_id(process: int, number: int) -> bytes:
    return b"\0\1node%02d%08x" % (process, number)


def let_handover_lapse(server: RedisServer) -> None:
    """As if a process had stood still for 0.3 s."""
    server.admin.delete(f"{BASE}l")


def queue(server: RedisServer) -> list[bytes]:
    return [bytes(waiting) for waiting in server.admin.lrange(f"{BASE}q", 0, -1)]  # type: ignore[arg-type]


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_o4_a_turn_whose_hand_over_lapsed_goes_back_to_the_front(server: RedisServer) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    held = begin(store)
    first, second, third = (turn_id(number, 1) for number in range(3))
    for turn in (first, second, third):
        assert ask(server, turn, waited=False) == b"wait"
    store.abort(held)
    assert server.admin.get(f"{BASE}l") == first
    let_handover_lapse(server)
    assert ask(server, second, waited=True) == b"yours"
    assert ask(server, first, waited=True) == b"wait"
    assert queue(server) == [first, third]  # overtaken by one, and by no other


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_o4_the_turns_of_a_process_that_stood_still_come_back_in_their_order(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    held = begin(store)
    stood_still = [turn_id(1, number) for number in (9, 10, 11)]
    other = turn_id(2, 1)
    for turn in (*stood_still, other):
        assert ask(server, turn, waited=False) == b"wait"
    store.abort(held)
    for _ in stood_still:
        let_handover_lapse(server)
        answer = ask(server, other, waited=True)
    assert answer == b"yours"
    for turn in (stood_still[2], stood_still[0], stood_still[1]):
        assert ask(server, turn, waited=True) == b"wait"
    assert queue(server) == stood_still


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_o4_a_turn_that_never_waited_goes_to_the_end(server: RedisServer) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    begin(store)
    earlier, later = turn_id(1, 5), turn_id(1, 1)
    for turn in (earlier, later):
        assert ask(server, turn, waited=False) == b"wait"
    assert queue(server) == [earlier, later]


@pytest.mark.parametrize("early", [0, 1, 2])
@pytest.mark.parametrize(("message", "wakes"), [(b"", True), (b"+", False)])
@pytest.mark.parametrize("_driver", ["loop"], indirect=True)
def test_o4_a_turn_of_a_loop_that_is_next_but_one_and_at_once_next_wakes(
    message: bytes, wakes: bool, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen(*_: object) -> None:
        """Stand in for a subscription; the test brings the messages."""

    async def wait() -> bool:
        listener = Listener(AsyncioClient(lambda: None, theirs=True))
        listener._since, turn = 0.5, turn_id(1, 1)
        messages = [turn + b"+", turn + message]
        for heard_before in messages[:early]:
            listener._wake(heard_before)
        waiting = asyncio.create_task(listener.wait("key", turn, 1, 60, 60))
        await asyncio.sleep(0)  # it waits
        for heard in messages[early:]:
            listener._wake(heard)
        for _ in range(3):
            await asyncio.sleep(0)
        woken = waiting.done()
        await waiting  # at the latest when the hand-over before it has lapsed
        return woken

    monkeypatch.setattr(Listener, "_listen", listen)
    monkeypatch.setattr("convostate.stores.redis.aio.POLL_S", 60)
    assert asyncio.run(asyncio.wait_for(wait(), 30)) == wakes


@pytest.mark.parametrize(("since", "wakes"), [(2, True), (0.5, False)])
@pytest.mark.parametrize("_driver", ["loop"], indirect=True)
def test_o4_a_turn_of_a_loop_that_asked_before_the_subscription_asks_again(
    since: float, wakes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen(*_: object) -> None:
        """Stand in for a subscription."""

    async def wait() -> bool:
        listener = Listener(AsyncioClient(lambda: None, theirs=True))
        listener._since = since
        waiting = asyncio.create_task(listener.wait("key", turn_id(1, 1), 1, 60, 60))
        for _ in range(3):
            await asyncio.sleep(0)
        woken = waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])
        return woken

    monkeypatch.setattr(Listener, "_listen", listen)
    assert asyncio.run(asyncio.wait_for(wait(), 30)) == wakes


@pytest.mark.parametrize("_driver", ["loop"], indirect=True)
def test_o4_a_turn_of_a_loop_that_is_rung_before_the_subscription_is_proven_wakes(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, ask_server = turn_id(1, 1), Connection.run

    async def ring_first(self: Connection, script: Script, *args: Any, **named: Any) -> list[Any]:
        if script is PUBLISH:
            server.admin.publish(args[1].decode("latin-1"), turn)
        return await ask_server(self, script, *args, **named)

    async def wait() -> None:
        client = AsyncioClient(lambda: redis.asyncio.Redis(port=server.port), theirs=False)
        client.node = b"\0\0node00"
        listener = Listener(client)
        await listener.wait("key", turn, 1e12, 60, 60)
        listener.stop()
        await asyncio.wait(list(client.tasks._running))
        await client.close()

    monkeypatch.setattr(Connection, "run", ring_first)
    monkeypatch.setattr(Listener, "_wake_all", lambda _: None)
    monkeypatch.setattr("convostate.stores.redis.aio.BLOCK_S", 60)
    asyncio.run(asyncio.wait_for(wait(), 10))
