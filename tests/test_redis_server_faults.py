"""Faults of the Redis itself, while turns run: F7 to F9, F11, F15, F18, F21."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import RedisStore
from convostate.stores.base import End, Keep
from convostate.stores.redis.aio import AsyncioTransport
from convostate.stores.redis.client import Transport
from tests.conversing import World
from tests.drivers import each_driver, failures, is_looped
from tests.redis_servers import redis_server, wait_until
from tests.redis_stage import BASE, NAME, add_one, begin, claim, count_in, log_of, refused, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.redis_servers import RedisServer


_driver = each_driver()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server
        server.go_on()


@pytest.fixture
def store(server: RedisServer) -> RedisStore:
    return RedisStore.from_url(server.url)


class Counting:
    """An app that counts its calls and does something in the middle of the first."""

    def __init__(self, world: World, during: Callable[[], object]) -> None:
        self.calls = 0
        self._during = during
        self._log = world.handle
        world.handle = self

    def __call__(self, state: object, webhook: object) -> str | None:
        self.calls += 1
        said = self._log(state, webhook)  # type: ignore[arg-type]  # as they came
        if self.calls == 1:
            self._during()
        return said


def test_f07_stopped_at_commit_the_text_is_503_and_its_repetition_is_answered(
    server: RedisServer, store: RedisStore
) -> None:
    world = World(store)
    app = Counting(world, server.pause)

    assert world.phone.text("hi").status == 503
    server.go_on()
    wait_until(lambda: log_of(world) == ["hi"], "the commit that was on its way")
    assert world.phone.resend().status == 200
    assert app.calls == 1
    assert log_of(world) == ["hi"]


def test_f07_stopped_at_begin_no_lease_is_left(server: RedisServer, store: RedisStore) -> None:
    for number in range(1, 5):
        assert add_one(store) == number
        server.pause()
        with refused():
            begin(store)
        server.go_on()
        wait_until(server.admin.ping)
        wait_until(lambda: not server.admin.exists(f"{BASE}l"), "a lease that is let go", 4)


def test_f08_killed_and_empty_again_a_turn_in_flight_writes_nothing(
    server: RedisServer, store: RedisStore
) -> None:
    world = World(store)
    assert world.phone.text("before").status == 200

    def restart() -> None:
        server.kill()
        server.start()

    Counting(world, restart)
    assert world.phone.text("during").status == 503
    assert server.admin.dbsize() == 0
    assert world.phone.text("after").status == 200
    assert log_of(world) == ["after"]


def test_f09_forgotten_scripts_are_sent_again(server: RedisServer, store: RedisStore) -> None:
    for number in range(1, 4):
        begun = begin(store)
        server.admin.script_flush()
        store.commit(begun, Keep(token(number), 3600), None, 0)
        server.admin.script_flush()
        assert count_in(store.peek(claim(), 0)) == number


def test_f11_out_of_memory_nothing_is_written_and_nothing_stays_held(
    server: RedisServer, store: RedisStore
) -> None:
    assert add_one(store) == 1
    held = begin(store)
    server.admin.config_set("maxmemory", "1")
    with refused() as caught:
        store.commit(held, Keep(token(9), 3600), None, 0)
    store.abort(held)
    assert "maxmemory" in str(caught[0])
    with refused():
        begin(store)

    server.admin.config_set("maxmemory", "0")
    assert add_one(store) == 2


def test_f11_out_of_memory_a_waiting_turn_is_let_in_all_the_same(
    server: RedisServer, store: RedisStore
) -> None:
    held = begin(store)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add_one, store)
        wait_until(lambda: server.admin.llen(f"{BASE}q"), "a turn that waits")
        server.admin.config_set("maxmemory", "1")
        store.abort(held)
        with refused():
            waiting.result(10)
    assert not server.admin.exists(f"{BASE}l")
    server.admin.config_set("maxmemory", "0")
    assert add_one(store) == 1


def test_f11_out_of_memory_a_conversation_can_be_ended_and_erased(
    server: RedisServer, store: RedisStore
) -> None:
    assert add_one(store, "request") == 1
    held = begin(store)
    server.admin.config_set("maxmemory", "1")
    store.commit(held, End(b"", 3600, opted_out=False), None, 0)
    assert sorted(server.admin.keys("*")) == [f"{BASE}{kind}".encode() for kind in "dr"]
    store.erase(claim(), replies=True)
    assert server.admin.dbsize() == 0


def test_f11_an_evicted_state_is_written_again(server: RedisServer, store: RedisStore) -> None:
    assert add_one(store) == 1
    held = begin(store)
    server.admin.delete(BASE)
    store.commit(held, Keep(token(2), 3600), None, 0)
    assert add_one(store) == 3


def test_f11_a_state_that_somebody_else_wrote_is_not_overwritten(
    server: RedisServer, store: RedisStore
) -> None:
    assert add_one(store) == 1
    held = begin(store)
    server.admin.set(BASE, token(5), px=60_000)
    with refused("lost"):
        store.commit(held, Keep(token(2), 3600), None, 0)
    assert add_one(store) == 6


def test_f15_a_short_client_pause_is_waited_for_and_a_long_one_is_down(
    server: RedisServer, store: RedisStore
) -> None:
    assert add_one(store) == 1
    server.admin.client_pause(200)
    assert add_one(store) == 2
    server.admin.client_pause(1500)
    with refused():
        begin(store)
    server.admin.ping()  # answered after the pause
    assert add_one(store) == 3


def test_f15_killed_connections_are_replaced(server: RedisServer, store: RedisStore) -> None:
    for number in range(1, 4):
        begun = begin(store)
        server.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        store.commit(begun, Keep(token(number), 3600), None, 0)
        server.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert count_in(store.peek(claim(), 0)) == number


DIES_HOLDING = """
import os, sys
from convostate.stores import RedisStore
from convostate.stores.base import Claim
RedisStore.from_url(sys.argv[1], lease_s=1).begin(Claim(sys.argv[2]), "", 0)
os.kill(os.getpid(), 9)
"""


def test_f18_f21_a_worker_killed_while_it_held_the_lease_delays_the_next_by_the_lease(
    server: RedisServer, store: RedisStore
) -> None:
    died = subprocess.run([sys.executable, "-c", DIES_HOLDING, server.url, NAME], check=False)
    assert died.returncode == -9
    assert server.admin.exists(f"{BASE}l")
    assert add_one(store) == 1


def test_f18_a_write_gives_the_turn_a_whole_lease_again(
    server: RedisServer, store: RedisStore
) -> None:
    held = begin(store)
    server.admin.pexpire(f"{BASE}l", 1000)
    store.write(held, token(1), 3600, 0)
    assert server.admin.pttl(f"{BASE}l") > 10_000


def test_f18_a_worker_killed_while_it_waited_delays_the_next_by_the_handover(
    server: RedisServer, store: RedisStore
) -> None:
    held = begin(store)
    died = subprocess.Popen([sys.executable, "-c", DIES_HOLDING, server.url, NAME])
    wait_until(lambda: server.admin.llen(f"{BASE}q"), "a turn that waits")
    died.kill()
    died.wait(10)
    with ThreadPoolExecutor(1) as pool:
        next_turn = pool.submit(add_one, store)
        wait_until(lambda: server.admin.llen(f"{BASE}q") == 2, "a second one")
        store.abort(held)
        assert next_turn.result(10) == 1  # otherwise it gives up after 8 s


def test_f18_a_turn_that_comes_after_the_holder_died_does_not_overtake_one_that_waits(
    server: RedisServer, store: RedisStore
) -> None:
    server.admin.rpush(f"{BASE}q", "waits".ljust(16))
    server.admin.pexpire(f"{BASE}q", 10_000)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(add_one, store)
        wait_until(lambda: server.admin.get(f"{BASE}l") == b"waits".ljust(16), "its turn")
        assert server.admin.llen(f"{BASE}q") == 1
        assert late.result(10) == 1  # that one never came


def test_f18_a_lease_that_ends_while_the_app_runs_is_503_and_writes_nothing(
    server: RedisServer,
) -> None:
    world = World(RedisStore.from_url(server.url, lease_s=0.2))
    ended = threading.Event()

    def dawdle() -> None:
        wait_until(lambda: not server.admin.keys("*l"))
        ended.set()

    Counting(world, dawdle)
    assert world.phone.text("slow").status == 503
    assert ended.is_set()
    assert server.admin.dbsize() == 0
    assert world.phone.text("quick").status == 200
    assert log_of(world) == ["quick"]


def test_a_question_that_redis_refuses_gives_its_connection_back(
    store: RedisStore, server: RedisServer
) -> None:
    server.admin.rpush(BASE, "of another type")
    opened = []
    for _ in range(3):
        with refused() as caught:
            store.peek(claim(), 0)
        assert "WRONGTYPE" in str(caught[0])
        opened.append(server.admin.info("stats")["total_connections_received"])
    assert len(set(opened)) == 1


def test_a_connection_is_checked_only_after_a_pause_and_one_that_has_closed_costs_no_turn(
    store: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Any = AsyncioTransport if is_looped(store) else Transport
    check, checked = kind.is_in_step, []

    async def noted(self: Any) -> Any:
        checked.append(self)
        return await check(self)

    monkeypatch.setattr(kind, "is_in_step", noted)
    monkeypatch.setattr("convostate.stores.redis.client.IDLE_S", 3600)
    assert [add_one(store), add_one(store)] == [1, 2]
    server.admin.client_kill_filter(_type="normal", skipme=True)
    assert add_one(store) == 3
    assert not checked
    monkeypatch.setattr("convostate.stores.redis.client.IDLE_S", -1)
    assert add_one(store) == 4
    assert checked
    assert failures(store) == 0
