"""The breaker: F27, and what a dead Redis costs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from convostate.errors import StoreError
from convostate.stores import RedisStore
from convostate.stores.redis.client import FAILURES, PAUSE_S, Breaker
from tests.conversing import World
from tests.drivers import each_driver
from tests.redis_servers import free_port, redis_server, wait_until
from tests.redis_stage import add_one, begin, refused
from tests.toxics import proxied

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer


driver = each_driver(autouse=False)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_f27_it_opens_after_failures_in_a_row_and_lets_one_probe_through_per_pause() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert [breaker.admits() for _ in range(3)] == [False, False, False]

    clock.now += PAUSE_S
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.failed()  # the probe
    clock.now += PAUSE_S
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.failures = 0
    assert breaker.closed
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


def test_f27_failures_that_are_not_in_a_row_leave_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10 * FAILURES):
        breaker.failed()
        breaker.failures = 0
    assert breaker.closed


def test_f27_a_probe_that_never_reports_is_followed_by_another() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for _ in range(FAILURES):
        breaker.failed()
    for _ in range(3):
        clock.now += PAUSE_S
        assert breaker.admits()


@pytest.mark.usefixtures("driver")
def test_f27_open_it_costs_next_to_nothing_and_it_closes_by_itself(server: RedisServer) -> None:
    server.admin.flushall()
    with proxied(server.port) as proxy:
        store = RedisStore.from_url(proxy.url)
        assert add_one(store) == 1
        proxy.hole = True
        for _ in range(FAILURES):
            with refused():
                begin(store)
        assert "once a second" in refusal(store)

        proxy.hole = False
        wait_until(lambda: served(store), "a breaker that closes")
        assert served(store)  # the one before was the probe


def refusal(store: RedisStore) -> str:
    """What a turn is refused with, or ""."""
    try:
        add_one(store)
    except StoreError as error:
        return str(error)
    return ""


def served(store: RedisStore) -> bool:
    return not refusal(store)


def test_f27_errors_that_a_living_server_answers_with_do_not_open_it() -> None:
    with redis_server("--maxmemory", "1") as server:
        store = RedisStore.from_url(server.url)
        for _ in range(2 * FAILURES):
            with refused():
                begin(store)
        assert store._turns.clients.current().breaker.closed


def test_f27_threads_do_not_pile_up_before_a_dead_redis(server: RedisServer) -> None:
    with proxied(server.port) as proxy, ThreadPoolExecutor(50) as pool:
        store = RedisStore.from_url(proxy.url)
        store._turns.clients.current().breaker = Breaker(clock=Clock())  # between two probes
        proxy.hole = True
        assert not any(pool.map(lambda _: served(store), range(50)))
        said = pool.map(lambda _: refusal(store), range(50))
        assert [one for one in said if "once a second" not in one] == []


@pytest.mark.usefixtures("driver")
def test_f27_a_dead_redis_through_the_middleware_is_503_and_soon_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(RedisStore.from_url(f"redis://127.0.0.1:{free_port()}/0"))
    for _ in range(FAILURES):
        assert world.phone.text("hi").status == 503
    assert "once a second" not in caplog.text
    assert world.phone.text("hi").status == 503
    assert "once a second" in caplog.text


def test_a_child_process_shares_neither_connection_nor_breaker(server: RedisServer) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    assert add_one(store) == 1
    parents = store._turns.clients.current()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            counted = [add_one(store) for _ in range(50)]
            own = store._turns.clients.current() is not parents
            os.write(writing, b"right" if own and None not in counted else b"wrong")
        finally:
            os._exit(0)
    for _ in range(50):
        assert add_one(store)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"right"
    os.close(reading)
    os.close(writing)
    assert add_one(store) == 102
