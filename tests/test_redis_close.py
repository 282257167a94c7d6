"""RedisStore.close(): what it frees, counted at the server, and what it leaves alone."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from convostate.core.outcome import Keep
from convostate.stores import RedisStore
from tests.redis_servers import clients_of, wait_until
from tests.redis_stage import add_one, begin, claim, token

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer


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
