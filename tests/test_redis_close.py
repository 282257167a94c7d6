"""RedisStore.close(): what it frees, counted at the server, and what it leaves alone."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis import Redis
from redis.sentinel import Sentinel

from convostate.errors import UsageError
from convostate.stores import RedisStore
from convostate.stores.base import Begun, Keep
from convostate.stores.redis.aio import AsyncRedisStore
from tests.redis_servers import clients_of, wait_until
from tests.redis_stage import BASE, add_one, begin, claim, count_in, refused, token

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer

THREADS = 8


@pytest.fixture
def store(server: RedisServer) -> RedisStore:
    server.admin.flushall()
    return RedisStore.from_url(server.url)


def test_close_frees_the_connections_and_may_be_called_again(
    store: RedisStore, server: RedisServer
) -> None:
    held = [begin(store, claim(name=name.ljust(22, "-"))) for name in ("one", "two", "three")]
    for begun in held:
        store.abort(begun)
    assert len(clients_of(server)) == 3

    store.close()
    wait_until(lambda: not clients_of(server), "a server that nobody is connected to")
    store.close()
    assert not clients_of(server)


def test_a_store_that_never_connected_can_be_closed(store: RedisStore, server: RedisServer) -> None:
    store.close()
    assert not clients_of(server)


def test_without_close_a_connection_stays_for_the_next_turn(
    store: RedisStore, server: RedisServer
) -> None:
    assert add_one(store) == 1
    connection = clients_of(server)
    assert len(connection) == 1
    assert add_one(store) == 2
    assert clients_of(server) == connection
    store.close()


def test_a_turn_in_flight_is_committed_and_its_connection_closed_then(
    store: RedisStore, server: RedisServer
) -> None:
    held = begin(store)
    store.close()
    assert len(clients_of(server)) == 1

    store.commit(held, Keep(token(1), 3600), None, 0)
    wait_until(lambda: not clients_of(server), "a server that nobody is connected to")


def test_turns_of_an_event_loop_that_run_or_wait_go_on_and_leave_nothing_open(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    made: list[Any] = []

    def make_client() -> Any:
        made.append(redis.asyncio.Redis(port=server.port))
        return made[-1]

    async def take_turns() -> None:
        store = AsyncRedisStore(make_client)
        held = await store.begin(claim(), "", 0)
        waiting = asyncio.create_task(store.begin(claim(), "", 0))
        while not (await store.queue(claim())).waiting:
            await asyncio.sleep(0.001)
        await store.close()
        assert isinstance(held, Begun)
        await store.commit(held, Keep(token(1), 3600), None, 0)
        held = await waiting
        assert isinstance(held, Begun)
        assert count_in(held.token) == 1
        await store.commit(held, Keep(token(2), 3600), None, 0)
        assert len(made) == 1
        while clients_of(server):
            await asyncio.sleep(0.001)
        assert count_in(await store.peek(claim(), 0)) == 2  # over another client
        await store.close()

    asyncio.run(asyncio.wait_for(take_turns(), 20))
    assert len(made) == 2


def test_a_turn_in_flight_that_redis_refuses_makes_no_client_anew(server: RedisServer) -> None:
    server.admin.flushall()
    made: list[Redis] = []
    store = RedisStore(lambda: made.append(Redis.from_url(server.url)) or made[-1])  # type: ignore[func-returns-value]
    held = begin(store)
    store.close()
    server.admin.delete(BASE)
    server.admin.rpush(BASE, "of another type")
    with refused() as caught:
        store.commit(held, Keep(token(1), 3600), None, 0)
    assert "WRONGTYPE" in str(caught[0])
    store.abort(held)
    assert len(made) == 1
    wait_until(lambda: not clients_of(server), "a server that nobody is connected to")


def test_a_closed_store_connects_again(store: RedisStore, server: RedisServer) -> None:
    assert add_one(store) == 1
    store.close()

    assert add_one(store) == 2
    assert len(clients_of(server)) == 1
    store.close()
    wait_until(lambda: not clients_of(server), "a server that nobody is connected to")


def test_the_client_of_the_caller_stays_open(server: RedisServer) -> None:
    server.admin.flushall()
    with closing(Redis(port=server.port, protocol=2)) as client:
        client.ping()
        store = RedisStore(client)
        assert add_one(store) == 1
        assert len(clients_of(server)) == 2
        store.close()
        wait_until(lambda: len(clients_of(server)) == 1, "the client's own connection alone")
        assert client.ping() is True
        assert len(clients_of(server)) == 1


def test_a_client_that_the_store_had_made_is_closed(server: RedisServer) -> None:
    server.admin.flushall()

    def make_client() -> Redis:
        client = Redis(port=server.port, protocol=2)
        client.ping()
        return client

    store = RedisStore(make_client)
    assert add_one(store) == 1
    assert len(clients_of(server)) == 2
    store.close()
    wait_until(lambda: not clients_of(server), "a server that nobody is connected to")


def test_however_many_threads_come_first_one_client_is_made(server: RedisServer) -> None:
    server.admin.flushall()
    made: list[Redis] = []
    others = Barrier(THREADS)

    def make_client() -> Redis:
        made.append(Redis(port=server.port, protocol=2))
        Event().wait(0.01)  # the other threads go on, and nobody has a client yet
        return made[-1]

    store = RedisStore(make_client)

    def take_turn(name: str) -> int | None:
        others.wait()
        return add_one(store, name=name.ljust(22, "-"))

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(take_turn, "abcdefgh")) == [1] * THREADS
    assert len(made) == 1
    store.close()


def test_a_factory_that_returns_no_client_is_refused_with_advice(server: RedisServer) -> None:
    nothing: Any = lambda: 5  # noqa: E731
    with pytest.raises(UsageError, match=r"a client of redis-py, or a function that makes one"):
        begin(RedisStore(nothing))
    with closing(Redis(port=server.port, protocol=2)) as client:
        store = RedisStore(lambda: client)
        assert add_one(store, name="made".ljust(22, "-")) == 1
        store.close()


def test_a_factory_of_a_replicas_client_is_refused_with_advice(server: RedisServer) -> None:
    sentinel = Sentinel([("127.0.0.1", server.port)])
    with pytest.raises(UsageError, match=r"reads replicas.*master_for"):
        begin(RedisStore(lambda: sentinel.slave_for("service")))


def test_a_child_makes_its_servers_once(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = store._turns.clients
    parents = clients.current()
    assert clients.current() is parents
    monkeypatch.setattr(clients, "_place", lambda: -1)

    assert clients.current() is clients.current()
    assert clients.current() is not parents


def test_close_in_a_forked_child_leaves_the_parent_its_connections(
    store: RedisStore, server: RedisServer
) -> None:
    assert add_one(store) == 1
    child = multiprocessing.get_context("fork").Process(target=store.close)
    child.start()
    child.join(20)

    assert child.exitcode == 0
    assert len(clients_of(server)) == 1
    assert add_one(store) == 2
    store.close()
