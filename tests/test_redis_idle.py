"""G10: idle connections that a firewall has forgotten. Packets vanish, nobody is told, and Redis is well."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from convostate.stores import RedisStore
from convostate.stores.base import Keep, Leave
from convostate.stores.redis.client import (
    IDLE_S,
    STALE_S,
    Transport,
    connection_kwargs,
)
from tests.conversing import World
from tests.drivers import each_driver, failures
from tests.redis_servers import wait_until
from tests.redis_stage import BASE, NAME, add_one, begin, claim, count_in, log_of, refused, token
from tests.test_redis_sentinel import sentinel_of
from tests.toxics import proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_servers import RedisServer
    from tests.toxics import Proxy


_driver = each_driver()


@pytest.fixture(autouse=True)
def _every_connection_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection that was used before is an idle one."""
    monkeypatch.setattr("convostate.stores.redis.client.IDLE_S", -1)
    monkeypatch.setattr("convostate.stores.redis.aio.IDLE_S", -1)


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    server.admin.flushall()
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy) -> RedisStore:
    store = RedisStore.from_url(proxy.url, max_waiting=8)
    assert add_one(store) == 1
    return store


def test_g10_with_seven_idle_connections_that_are_forgotten_twelve_texts_are_answered(
    proxy: Proxy,
) -> None:
    world = World(RedisStore.from_url(proxy.url))
    held = [begin(world.store, claim(name=f"{number}".ljust(22, "-"))) for number in range(7)]  # type: ignore[arg-type]
    for begun in held:
        world.store.commit(begun, Leave(), None, 0)
    assert proxy.forget() >= 1

    for number in range(12):
        assert world.phone.text(str(number)).status == 200
    assert log_of(world) == [str(number) for number in range(12)]
    assert failures(world.store) == 0


def test_g10_texts_at_once_on_forgotten_connections_are_all_answered(proxy: Proxy) -> None:
    store = RedisStore.from_url(proxy.url)
    names = [f"{number}".ljust(22, "-") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for expected in (1, 2, 3):
            counted = list(pool.map(lambda name: add_one(store, None, name), names))
            assert counted == [expected] * 8
            proxy.forget()
    assert failures(store) == 0


@pytest.mark.parametrize("fingerprint", [None, "request"])
def test_g10_a_connection_that_is_forgotten_while_the_app_runs_costs_no_text(
    store: RedisStore, proxy: Proxy, fingerprint: str | None
) -> None:
    held = begin(store, claim(fingerprint))
    proxy.forget()
    store.commit(held, Keep(token(7), 3600), None, 0)
    proxy.forget()
    assert count_in(store.peek(claim(), 0)) == 7
    proxy.forget()
    store.erase(claim(), replies=True)
    assert failures(store) == 0


def test_g10_an_abort_on_a_forgotten_connection_lets_the_next_text_in(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    held = begin(store)
    proxy.forget()
    store.abort(held)
    assert not server.admin.exists(f"{BASE}l")


def test_g10_a_text_that_waits_is_let_in_although_all_connections_are_forgotten(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = begin(store)
        pool.submit(add_one, store)
        wait_until(lambda: server.admin.llen(f"{BASE}q") == 1, "a turn that waits")
        store.commit(held, Leave(), None, 0)
        wait_until(lambda: count_in(store.peek(claim(), 0)) == 2)
        proxy.forget()  # those of turns, and the subscription of an event loop
        held = begin(store)
        waiting = pool.submit(add_one, store)
        wait_until(lambda: server.admin.llen(f"{BASE}q") == 1, "another one")
        store.commit(held, Leave(), None, 0)
        assert waiting.result(10) == 3


@pytest.mark.parametrize("ends_by", ["commit", "commit with a reply", "abort"])
def test_g10_a_begin_that_arrives_when_its_turn_is_over_holds_nothing_up(
    store: RedisStore, proxy: Proxy, server: RedisServer, ends_by: str
) -> None:
    asked = claim("request" if ends_by == "commit with a reply" else None)
    proxy.forget()
    if ends_by == "abort":
        store.abort(begin(store, asked))
    else:
        assert add_one(store, None if asked.fingerprint is None else "request") == 2
    assert len(proxy.swallowed) == 1
    proxy.deliver_late()

    assert not server.admin.exists(f"{BASE}l")
    assert add_one(store)


def test_g10_a_begin_that_arrives_late_takes_the_lease_if_it_was_never_asked_again(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    assert add_one(store, name="another".ljust(22, "-")) == 1  # the server knows the script
    proxy.hole = True
    with refused():
        begin(store)
    # An event loop may have asked for its subscription before. What is sent to end the turn stays away.
    proxy.swallowed = [request for request in proxy.swallowed if b"EVAL" in request][:1]
    proxy.deliver_late()
    assert server.admin.pttl(f"{BASE}l") > 10_000  # nothing has said that its turn is over


def test_g10_a_server_that_is_dead_costs_a_text_no_more_than_before_and_counts(
    store: RedisStore, proxy: Proxy
) -> None:
    proxy.hole = True
    with refused():
        begin(store)
    assert failures(store) == 1


def test_g10_a_connection_that_was_just_used_is_not_suspected(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convostate.stores.redis.client.IDLE_S", IDLE_S)
    monkeypatch.setattr("convostate.stores.redis.aio.IDLE_S", IDLE_S)
    store = RedisStore.from_url(proxy.url)
    assert add_one(store) == 1
    asked = proxy.requests
    proxy.latency_s = 3 * STALE_S
    assert add_one(store) == 2
    assert proxy.requests == asked + 2


def test_g10_sentinels_that_are_asked_over_forgotten_connections_are_asked_again(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    with sentinel_of(server) as sentinel, proxied(sentinel.port) as between:
        store = RedisStore.from_url(f"redis+sentinel://127.0.0.1:{between.port}/texts")
        wait_until(lambda: add_one(store, None, "warm".ljust(22)), "a master that is known")
        between.forget()
        server.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert add_one(store) == 1


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"socket_keepalive": None}, True),
        ({"socket_keepalive": False}, False),
        ({"socket_keepalive": True, "socket_keepalive_options": {4: 7}}, {4: 7}),
    ],
)
def test_g10_keep_alive_options_of_the_callers_client_are_honoured(
    given: dict[str, Any], expected: object
) -> None:
    with closing(Redis(**given)) as client:
        kwargs = connection_kwargs(client.connection_pool)
    key = "socket_keepalive_options" if isinstance(expected, dict) else "socket_keepalive"
    assert kwargs[key] == expected


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)
def test_g10_a_thread_that_waits_in_redis_and_is_interrupted_leaves_no_place_behind(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent on a connection that blocks is dropped with it: the abort takes another one."""
    held = begin(store)
    exchange = Transport.exchange

    async def interrupted(self: Transport, *command: Any, idle: bool = False) -> Any:
        if command[0] == "BLPOP":
            self._connection.send_command(*command)
            raise KeyboardInterrupt
        return await exchange(self, *command, idle=idle)

    monkeypatch.setattr(Transport, "exchange", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(store)
    assert server.admin.llen(f"{BASE}q") == 0
    monkeypatch.setattr(Transport, "exchange", exchange)
    store.abort(held)
    assert add_one(store, None, NAME) == 2
