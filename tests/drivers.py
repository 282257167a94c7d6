"""The two drivers of the Redis protocol under the same tests: threads, and an event loop in a thread."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis import Redis, RedisCluster

from convostate.stores import RedisStore
from convostate.stores.redis.aio import AsyncRedisStore
from convostate.stores.redis.client import close_client

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVERS = ("threads", "loop")
PATIENCE_S = 60


class LoopedRedisStore:
    """An `AsyncRedisStore`, called as a `RedisStore` is: its coroutines run on a loop in a thread."""

    server_side = True
    most_bytes = None
    _given: Any = None
    made: list[LoopedRedisStore] = []  # noqa: RUF012  # emptied by each test

    def __init__(self, client: Any, **bounds: Any) -> None:
        self._given = _for_asyncio(client)
        self._run_loop(AsyncRedisStore(self._given, **_as_blocking(bounds)))

    @classmethod
    def from_url(cls, url: str, **bounds: Any) -> LoopedRedisStore:
        made = cls.__new__(cls)
        made._run_loop(AsyncRedisStore.from_url(url, **_as_blocking(bounds)))
        return made

    def _run_loop(self, store: AsyncRedisStore) -> None:
        self.store = store
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.made.append(self)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)

        def call(*args: Any, **named: Any) -> Any:
            work = asyncio.run_coroutine_threadsafe(found(*args, **named), self.loop)
            try:
                return work.result(PATIENCE_S)
            except BaseException:
                work.cancel()
                raise

        return call

    def stop(self) -> None:
        """Close the store, then the loop."""
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(PATIENCE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    async def _end(self) -> None:
        await self.store.close()
        if isinstance(self._given, redis.asyncio.Redis):  # a caller closes its own
            await close_client(self._given)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)
        loop: Any = self.loop
        for _ in range(1000):  # a connection whose handshake failed is closed some rounds later
            await asyncio.sleep(0.001)
            if all(one._sock is None for one in loop._transports.values()):
                break


def _as_blocking(bounds: dict[str, Any]) -> dict[str, Any]:
    return {"max_waiting": 2, **bounds}


def _for_asyncio(client: Any) -> Any:
    """The asyncio twin of a client that a test has made."""
    if isinstance(client, RedisCluster):
        nodes = [
            redis.asyncio.cluster.ClusterNode(node.host, node.port) for node in client.get_nodes()
        ]
        return lambda: redis.asyncio.RedisCluster(startup_nodes=nodes)
    if isinstance(client, Redis):
        pool: Any = client.connection_pool
        manager = getattr(pool, "sentinel_manager", None)
        if manager is not None:
            hosts = [
                (
                    one.connection_pool.connection_kwargs["host"],
                    one.connection_pool.connection_kwargs["port"],
                )
                for one in manager.sentinels
            ]
            sentinel = redis.asyncio.Sentinel(hosts)
            return (
                sentinel.master_for(pool.service_name)
                if pool.is_master
                else sentinel.slave_for(pool.service_name)
            )
        kwargs = {k: pool.connection_kwargs[k] for k in ("host", "port", "db")}
        return redis.asyncio.Redis(**kwargs, max_connections=pool.max_connections)
    return client


def is_looped(store: Any) -> bool:
    """Whether a store, or the class of stores, is that of an event loop."""
    return store is LoopedRedisStore or isinstance(store, LoopedRedisStore)


def each_driver(*, autouse: bool = True) -> Any:
    """A fixture for a module: its tests use each driver in turn, under the name `RedisStore`."""

    @pytest.fixture(autouse=autouse, params=DRIVERS)
    def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        made = LoopedRedisStore if request.param == "loop" else RedisStore
        monkeypatch.setattr(request.module, "RedisStore", made)
        monkeypatch.setattr("tests.redis_stage.RedisStore", made)
        try:
            yield
        finally:
            while LoopedRedisStore.made:
                LoopedRedisStore.made.pop().stop()

    return driver


def failures(store: Any) -> int:
    """How many failures the breakers have counted."""
    turns = store.store if is_looped(store) else store._turns
    return sum(client.breaker.failures for client in turns.clients._of.values())
