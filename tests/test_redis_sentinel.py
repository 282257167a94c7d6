"""A master, its replica and a Sentinel: a failover in the middle of a conversation (F10)."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest
from redis.sentinel import Sentinel

from convostate.errors import StoreError, UsageError
from convostate.stores import RedisStore
from convostate.stores.base import Keep
from tests.conversing import World
from tests.drivers import each_driver
from tests.redis_servers import BINARIES, RedisServer, clients_of, redis_server, wait_until
from tests.redis_stage import BASE, add_one, begin, log_of, refused, token

if TYPE_CHECKING:
    from collections.abc import Iterator


_driver = each_driver()


class Watched(NamedTuple):
    """A master that a Sentinel watches, and who takes over."""

    master: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/texts"


@contextmanager
def sentinel_of(master: RedisServer) -> Iterator[RedisServer]:
    """A Sentinel that takes a master for dead after half a second."""
    sentinel = RedisServer()
    config = sentinel.folder / "sentinel.conf"
    config.write_text(
        f"sentinel monitor texts 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds texts 500\n"
        "sentinel failover-timeout texts 3000\n",
        encoding="utf-8",
    )
    binary, *_ = sentinel._command
    sentinel._command = [
        binary, str(config), "--sentinel", "--port", str(sentinel.port), "--bind", "127.0.0.1",
        "--logfile", str(sentinel.folder / "log"),
    ]  # fmt: skip
    try:
        sentinel.start()
        yield sentinel
    finally:
        sentinel.close()


@pytest.fixture(params=BINARIES)
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    binary = BINARIES[request.param]
    with (
        redis_server("--repl-diskless-sync-delay", "0", binary=binary) as master,
        redis_server(binary=binary) as replica,
    ):
        replica.admin.replicaof("127.0.0.1", master.port)
        wait_until(lambda: replica.admin.info("replication")["master_link_status"] == "up")
        with sentinel_of(master) as sentinel:
            wait_until(lambda: sentinel.admin.sentinel_slaves("texts"), "a Sentinel that knows all")
            yield Watched(master, replica, sentinel)


def test_f10_a_conversation_goes_on_after_a_failover(watched: Watched) -> None:
    world = World(RedisStore.from_url(watched.url))
    assert world.phone.text("before").status == 200
    wait_until(lambda: watched.replica.admin.dbsize() == watched.master.admin.dbsize())
    watched.master.kill()

    assert world.phone.text("while nobody is master").status == 503
    wait_until(lambda: watched.replica.admin.info("replication")["role"] == "master")
    wait_until(lambda: world.phone.text("after").status == 200, "the new master")

    def kept() -> list[str]:
        try:
            return log_of(world)
        except StoreError:  # a sentinel that has no processor time may take the new master for dead
            return []

    wait_until(lambda: kept() == ["before", "after"], "what was kept")


def test_f10_a_turn_is_committed_at_the_new_master_when_the_roles_are_changed(
    watched: Watched,
) -> None:
    store = RedisStore.from_url(watched.url)
    assert add_one(store) == 1
    held = begin(store)
    wait_until(lambda: watched.replica.admin.exists(f"{BASE}l"), "a lease at the replica")
    watched.replica.admin.replicaof("NO", "ONE")
    watched.master.admin.replicaof("127.0.0.1", watched.replica.port)
    watched.sentinel.admin.sentinel_remove("texts")
    watched.sentinel.admin.sentinel_monitor("texts", "127.0.0.1", watched.replica.port, 1)

    store.commit(held, Keep(token(2), 3600), None, 0)
    assert add_one(store) == 3


def test_close_frees_the_connections_to_the_master_and_to_the_sentinel(watched: Watched) -> None:
    servers = (watched.master, watched.sentinel)
    before = clients_of(*servers)
    store = RedisStore.from_url(watched.url)
    assert add_one(store) == 1
    made = clients_of(*servers) - before
    assert sorted(port for port, _ in made) == sorted(server.port for server in servers)

    store.close()
    wait_until(lambda: not made & clients_of(*servers), "the end of its connections")


def test_the_callers_own_client_is_taken_and_one_for_replicas_refused(watched: Watched) -> None:
    sentinel = Sentinel([("127.0.0.1", watched.sentinel.port)])
    assert add_one(RedisStore(sentinel.master_for("texts"))) == 1
    with pytest.raises(UsageError, match="master_for"):
        RedisStore(sentinel.slave_for("texts"))


def test_a_service_that_no_sentinel_knows_is_down(watched: Watched) -> None:
    with refused() as caught:
        add_one(RedisStore.from_url(watched.url.replace("texts", "other")))
    assert "the service's name" in str(caught[0])
    assert isinstance(caught[0], StoreError)


def test_a_sentinel_whose_host_has_vanished_is_passed_over_while_another_answers() -> None:
    with (
        redis_server() as master,
        sentinel_of(master) as sentinel,
        socket.create_server(("127.0.0.1", 0)) as silent,  # nobody accepts
    ):
        vanished = f"127.0.0.1:{silent.getsockname()[1]}"
        with refused():
            add_one(RedisStore.from_url(f"redis+sentinel://{vanished}/texts"))
        store = RedisStore.from_url(f"redis+sentinel://{vanished},127.0.0.1:{sentinel.port}/texts")
        assert add_one(store) == 1
