"""Faults of the network between the store and its Redis, made by a proxy: F1 to F6, F16."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from convostate.stores import RedisStore
from convostate.stores.base import Keep
from convostate.stores.redis.store import ABORT, BEGIN, COMMIT, PEEK, WRITE
from tests.conversing import World
from tests.drivers import each_driver, failures
from tests.redis_servers import free_port, wait_until
from tests.redis_stage import BASE, add_one, begin, claim, count_in, log_of, refused, token
from tests.toxics import deaf_port, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.stores.base import Begun
    from tests.redis_servers import RedisServer
    from tests.toxics import Fault, Proxy


_driver = each_driver()


SCRIPTS = {"BEGIN": BEGIN, "COMMIT": COMMIT, "ABORT": ABORT}


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    server.admin.flushall()
    with proxied(server.port) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: Proxy) -> RedisStore:
    store = RedisStore.from_url(proxy.url)
    assert add_one(store) == 1  # the scripts are known and a connection is open
    return store


@contextmanager
def times_out(times: int, store: RedisStore) -> Iterator[None]:
    """Check how often the block waits in vain."""
    before = failures(store)
    yield
    assert failures(store) == before + times


def test_f01_a_refused_connection_is_down_at_once() -> None:
    store = RedisStore.from_url(f"redis://127.0.0.1:{free_port()}/0")
    with refused() as caught:
        begin(store)
    assert "CONVOSTATE_STORE" in str(caught[0])


def test_f01_a_text_that_finds_no_redis_is_answered_503_and_the_app_not_called() -> None:
    world = World(RedisStore.from_url(f"redis://127.0.0.1:{free_port()}/0"))
    world.handle = lambda *_: pytest.fail("the app was called")
    assert world.phone.text("hi").status == 503


def test_f02_a_connect_without_an_answer_ends_in_time() -> None:
    began = time.monotonic()
    with deaf_port() as port, refused():
        begin(RedisStore.from_url(f"redis://127.0.0.1:{port}/0"))
    assert time.monotonic() - began < 30  # TCP itself would try for two minutes


def test_f02_a_black_hole_ends_begin_commit_and_peek_in_time(
    store: RedisStore, proxy: Proxy
) -> None:
    held = begin(store)
    proxy.hole = True
    with times_out(1, store), refused():
        store.commit(held, token_outcome(), None, 0)
    with times_out(0, store):
        store.abort(held)
    with times_out(1, store), refused():
        begin(store)
    with times_out(1, store), refused():
        store.peek(claim(), 0)


def test_f02_an_abort_into_a_black_hole_ends_in_time_and_does_not_raise(
    store: RedisStore, proxy: Proxy
) -> None:
    held = begin(store)
    proxy.hole = True
    with times_out(1, store):
        store.abort(held)


@pytest.mark.parametrize("jitter", [False, True])
def test_f03_a_slow_network_is_waited_for(store: RedisStore, proxy: Proxy, jitter: bool) -> None:
    proxy.latency_s, proxy.jitter = 0.1, jitter
    assert add_one(store) == 2
    assert add_one(store) == 3


@pytest.mark.parametrize("latency_s", [0.7, 3.0])
def test_f03_one_that_is_too_slow_is_down_in_time(
    store: RedisStore, proxy: Proxy, latency_s: float
) -> None:
    proxy.latency_s = latency_s
    with refused():
        begin(store)


def test_f03_a_late_begin_is_aborted_on_its_own_socket(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    proxy.latency_s = 0.7
    with refused():
        begin(store)
    proxy.latency_s = 0
    wait_until(lambda: not server.admin.exists(f"{BASE}l"), "a lease that is let go", 4)
    assert add_one(store) == 2


@pytest.mark.parametrize("fault", ["cut", "lose", "halve", "swap"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_f04_f05_f06_f16_one_fault_is_made_good_and_nothing_happens_twice(
    store: RedisStore, proxy: Proxy, server: RedisServer, script: str, fault: Fault
) -> None:
    for number in range(5):
        add_one(store, name="another".ljust(22, "-"))  # whose reply is swapped in
        proxy.plan(fault, SCRIPTS[script].sha)
        if script == "ABORT":
            store.abort(begin(store))
            assert add_one(store, f"request{number}") == number + 2
        else:
            assert add_one(store, f"request{number}") == number + 2
            assert add_one(store, f"request{number}") is None
        assert proxy.planned == 0
        assert not server.admin.exists(f"{BASE}l")


def test_f05_a_reply_lost_on_a_commit_without_a_record_is_not_a_conflict(
    store: RedisStore, proxy: Proxy
) -> None:
    for number in range(5):
        proxy.plan("lose", COMMIT.sha)
        assert add_one(store, None) == number + 2


def test_f05_a_commit_whose_lease_went_to_another_turn_is_not_taken_for_done(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    held = begin(store, claim("request"))
    server.admin.set(f"{BASE}l", "somebody else", px=1000)
    proxy.plan("lose", COMMIT.sha)
    with refused("lost"):
        store.commit(held, token_outcome(), None, 0)
    assert count_in(store.peek(claim(), 0)) == 1


def lose_write(store: RedisStore, proxy: Proxy, held: Begun, state: bytes) -> None:
    """A write that is carried out, and neither it nor its repetition is ever answered."""
    proxy.plan("lose", WRITE.sha)
    proxy.plan("lose", "-- WRITE:")  # the second time the script is sent whole
    with refused():
        store.write(held, state, 3600, 0)
    assert store.peek(claim(), 0) == state


@pytest.mark.parametrize("fresh", [False, True])
def test_f05_a_write_whose_answer_was_lost_can_be_taken_back(
    store: RedisStore, proxy: Proxy, fresh: bool
) -> None:
    if fresh:
        store.erase(claim(), replies=True)
    held = begin(store)
    store.write(held, held.token, 60, 0)
    lose_write(store, proxy, held, token(7))

    store.write(held, held.token, 60, 0)
    assert store.peek(claim(), 0) == held.token
    store.abort(held)


def test_f05_what_another_wrote_is_not_overwritten_by_taking_back(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    held = begin(store)
    store.write(held, held.token, 60, 0)
    lose_write(store, proxy, held, token(7))
    server.admin.set(BASE, token(9), px=60_000)

    with refused("lost"):
        store.write(held, held.token, 60, 0)
    assert count_in(store.peek(claim(), 0)) == 9


def test_f05_a_start_whose_write_got_no_answer_leaves_what_was_there(
    server: RedisServer, proxy: Proxy
) -> None:
    server.admin.flushall()
    world = World(RedisStore.from_url(proxy.url))
    world.put({"old": True})
    before = world.sealed()
    proxy.plan("lose", WRITE.sha)
    proxy.plan("lose", "-- WRITE:")

    with refused():
        world.start({"new": True})

    assert proxy.planned == 0
    assert world.sealed() == before
    assert world.phone.inbox == []
    assert not server.admin.keys("*}l")
    assert world.phone.text("hi").messages == ["{'old': True, 'log': ['hi']}"]


@pytest.mark.parametrize("fault", ["cut", "lose", "halve", "swap"])
def test_f05_f16_peek_is_asked_again(store: RedisStore, proxy: Proxy, fault: Fault) -> None:
    store.peek(claim(name="another".ljust(22, "-")), 0)
    proxy.plan(fault, PEEK.sha)
    assert count_in(store.peek(claim(), 0)) == 1


def test_f06_replies_in_slices_are_put_together(store: RedisStore, proxy: Proxy) -> None:
    proxy.slice_bytes = 1
    assert add_one(store, "request") == 2
    assert add_one(store, "request") is None


def test_f16_replies_that_stay_swapped_are_refused(store: RedisStore, proxy: Proxy) -> None:
    add_one(store, name="another".ljust(22, "-"))
    proxy.plan("swap", BEGIN.sha)
    proxy.plan("swap", "-- BEGIN:")  # the second time the script is sent whole
    with refused() as caught:
        begin(store)
    assert "a different command" in str(caught[0])
    proxy.plan("swap", PEEK.sha)
    proxy.plan("swap", "-- PEEK:")
    with refused():
        store.peek(claim(), 0)


def test_f05_through_the_middleware_lost_replies_are_made_good(proxy: Proxy) -> None:
    world = World(RedisStore.from_url(proxy.url))
    for number in range(6):
        for script in ("BEGIN", "COMMIT")[: number % 3]:
            proxy.plan("lose", SCRIPTS[script].sha)
        assert world.phone.text(str(number), deliveries=2).status == 200
    assert log_of(world) == [str(number) for number in range(6)]


def test_f04_a_connection_cut_while_the_app_runs_is_replaced(
    store: RedisStore, proxy: Proxy
) -> None:
    held = begin(store)
    proxy.cut_all()
    store.commit(held, token_outcome(7), None, 0)
    assert count_in(store.peek(claim(), 0)) == 7


def test_f04_a_waiting_turn_survives_cut_connections(
    store: RedisStore, proxy: Proxy, server: RedisServer
) -> None:
    held = begin(store)
    waiting = threading.Thread(target=add_one, args=(store,))
    waiting.start()
    wait_until(lambda: server.admin.llen(f"{BASE}q"), "a turn that waits")
    proxy.cut_all()
    store.commit(held, token_outcome(5), None, 0)
    waiting.join(60)
    assert count_in(store.peek(claim(), 0)) == 6


def token_outcome(count: int = 2) -> Keep:
    """Keep a count."""
    return Keep(token(count), 3600)
