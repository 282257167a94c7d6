"""Stores on an event loop: what waits holds no thread, and who is cancelled leaves nothing behind."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from convostate.errors import StoreError, UsageError
from convostate.settings import Settings
from convostate.stores import CookieStore, MemoryStore, Store, async_store_for, store_for
from convostate.stores.aio import BEGINNING_THREADS, InLoop, InThreads, as_async_store
from convostate.stores.base import Begun, Claim, Keep, Leave, Queue
from tests.conversing import KEY, TOKEN
from tests.redis_stage import count_in, token
from tests.test_cli_doctor import doctor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from convostate.stores.base import AsyncStore, Headers, Outcome, Replay, Reply

PATIENCE_S = 30


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


def claim(name: str = "a") -> Claim:
    return Claim(name.ljust(22, "-"))


async def begin(store: AsyncStore, name: str = "a") -> Begun:
    begun = await store.begin(claim(name), "", 0)
    assert isinstance(begun, Begun)
    return begun


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


async def add_one(store: AsyncStore, name: str = "a") -> int:
    begun = await begin(store, name)
    number = count_in(begun.token) + 1
    await store.commit(begun, Keep(token(number), 3600), None, 0)
    return number


@pytest.mark.unmeasured
def test_two_thousand_texts_wait_at_once_on_one_loop_without_a_thread() -> None:
    async def write() -> tuple[list[int], int]:
        memory = MemoryStore(max_waiting=2000)
        store = as_async_store(memory)
        held = await begin(store)
        before = threading.active_count()
        tasks = [asyncio.create_task(add_one(store)) for _ in range(2000)]
        await until(lambda: memory.queue(claim()).waiting == 2000)
        threads = threading.active_count() - before
        await store.abort(held)
        return await asyncio.gather(*tasks), threads

    counted, threads = run(write())
    assert counted == list(range(1, 2001))
    assert threads <= 0  # those of earlier tests may end meanwhile


def test_threads_and_tasks_take_turns_in_one_memory_store() -> None:
    memory = MemoryStore()

    async def write() -> int:
        store = as_async_store(memory)
        held = await begin(store)
        blocking = asyncio.get_running_loop().run_in_executor(None, memory.begin, claim(), "", 0)
        await until(lambda: memory.queue(claim()).waiting == 1)
        await store.commit(held, Keep(token(1), 3600), None, 0)
        begun: Any = await blocking
        task = asyncio.create_task(add_one(store))
        await until(lambda: memory.queue(claim()).waiting == 1)
        await asyncio.to_thread(memory.commit, begun, Keep(token(2), 3600), None, 0)
        return await task

    assert run(write()) == 3


class Own(Store):
    """A user's own store, which blocks and derives the least."""

    server_side = True

    def __init__(self) -> None:
        self.inner = MemoryStore(max_waiting=1000, wait_s=20)
        self.go_on = threading.Event()
        self.go_on.set()

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        return self.inner.begin(claim, cookies, now)

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        self.inner.write(begun, token, lifetime_s, now)

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        assert self.go_on.wait(PATIENCE_S)
        return self.inner.commit(begun, outcome, reply, now)

    def abort(self, begun: Begun) -> None:
        self.inner.abort(begun)

    def peek(self, claim: Claim, now: float) -> bytes | None:
        return self.inner.peek(claim, now)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        self.inner.erase(claim, replies=replies)


@pytest.mark.parametrize("interpreter_ends", [False, True])
def test_a_blocking_store_is_closed_even_if_the_interpreter_has_no_threads_any_more(
    interpreter_ends: bool,
) -> None:
    class Closed(Own):
        closings = 0

        def close(self) -> None:
            self.closings += 1

    async def write() -> int:
        store = as_async_store(Closed())
        assert isinstance(store, InThreads)
        if interpreter_ends:  # before what atexit calls, as concurrent.futures does
            store._ending.shutdown()
        await store.close()
        assert isinstance(store.store, Closed)
        return store.store.closings

    assert run(write()) == 1


def test_more_turns_than_threads_wait_in_a_blocking_store_without_starving() -> None:
    async def write() -> int:
        store = as_async_store(Own())
        assert isinstance(store, InThreads)
        held = await begin(store)
        many = BEGINNING_THREADS + 8
        tasks = [asyncio.create_task(add_one(store)) for _ in range(many)]
        assert isinstance(store.store, Own)
        inner = store.store.inner
        await until(lambda: inner.queue(claim()).waiting == BEGINNING_THREADS)
        await store.commit(held, Leave(), None, 0)
        return max(await asyncio.gather(*tasks)) - many

    assert run(write()) == 0


@pytest.mark.parametrize("make", [MemoryStore, Own])
def test_a_begin_that_is_cancelled_while_it_waits_gives_its_place_up(
    make: Callable[[], Store],
) -> None:
    async def cancel() -> int:
        blocking = make()
        memory = blocking.inner if isinstance(blocking, Own) else blocking
        assert isinstance(memory, MemoryStore)
        store = as_async_store(blocking)
        held = await begin(store)
        waiting = asyncio.create_task(begin(store))
        await until(lambda: memory.queue(claim()).waiting == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await store.commit(held, Keep(token(1), 3600), None, 0)
        return await add_one(store)

    assert run(cancel()) == 2


def test_a_commit_that_is_cancelled_is_carried_out() -> None:
    async def cancel() -> int:
        own = Own()
        own.go_on.clear()
        store = as_async_store(own)
        held = await begin(store)
        committing = asyncio.create_task(store.commit(held, Keep(token(1), 3600), None, 0))
        await asyncio.sleep(0)  # it is called
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        own.go_on.set()
        await store.abort(held)
        return await add_one(store)

    assert run(cancel()) == 2


def test_a_begin_that_no_thread_comes_to_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convostate.stores.aio.WAIT_S", 0.05)

    async def wait() -> str:
        store = as_async_store(Own())
        held = await begin(store)
        tasks = [asyncio.create_task(begin(store)) for _ in range(BEGINNING_THREADS + 1)]
        with pytest.raises(StoreError) as caught:
            await tasks[-1]
        for _ in tasks[:-1]:
            await store.abort(held)
            held = await next(asyncio.as_completed([tasks.pop(0)]))
        await store.abort(held)
        return caught.value.reason

    assert run(wait()) == "busy"


@pytest.mark.parametrize("given", [None, "redis://localhost", MemoryStore, object()])
def test_what_is_not_a_store_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match="must be a convostate store"):
        as_async_store(given)


def test_a_store_for_asyncio_is_taken_as_it_is() -> None:
    store = as_async_store(CookieStore())
    assert isinstance(store, InLoop)
    assert as_async_store(store) is store
    assert (store.server_side, store.most_bytes) == (False, CookieStore().most_bytes)


@pytest.mark.parametrize("form", [InLoop, InThreads])
def test_a_blocking_store_keeps_its_optional_methods_in_its_asyncio_form(
    form: type[InLoop],
) -> None:
    store = form(MemoryStore())

    assert run(store.queue(claim())) == Queue(None, 0)
    assert store.server_side


@pytest.mark.parametrize("form", [InLoop, InThreads])
@pytest.mark.parametrize("name", ["check", "clock_ahead_s", "queue", "work"])
def test_a_method_that_a_blocking_store_lacks_its_asyncio_form_lacks_too(
    form: type[InLoop], name: str
) -> None:
    assert not hasattr(form(Own()), name)


def make_own() -> Own:
    return Own()


def make_for_asyncio() -> AsyncStore:
    return as_async_store(MemoryStore())


def make_nothing() -> None:
    return


def make_without_disk() -> None:
    raise OSError("a value")


def make_without_database() -> None:
    raise StoreError("down", "the database does not answer. Start it")


def settings(store: str, **changes: Any) -> Settings:
    return Settings(auth_token=TOKEN, keys=KEY, store=store, **changes)


def test_e13_a_factory_makes_the_store_for_both_doors() -> None:
    named = settings(f"{__name__}:make_own", lifetime="30d")
    assert isinstance(store_for(named), Own)
    made = async_store_for(named)
    assert isinstance(made, InThreads)
    assert isinstance(made.store, Own)
    assert isinstance(async_store_for(settings(f"{__name__}:make_for_asyncio")), InLoop)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (f"{__name__}:make_nothing", "does not return a store"),
        (f"{__name__}:make_none", "AttributeError"),
        (f"{__name__}:PATIENCE_S", "TypeError"),
        (f"{__name__}:make_without_disk", "OSError"),
        ("tests.no_such_module:make", "a module that cannot be imported"),
        (f"{__name__}:make_for_asyncio", "makes a store for asyncio"),
    ],
)
def test_e13_a_factory_that_makes_no_store_is_refused_at_start_up(factory: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        store_for(settings(factory))
    assert "CONVOSTATE_STORE" in str(caught.value)
    assert "a value" not in str(caught.value)


def test_e13_a_factory_may_say_what_its_database_lacks() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        store_for(settings(f"{__name__}:make_without_database"))
    result = doctor(CONVOSTATE_STORE=f"{__name__}:make_without_database")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "fault the database does not answer\n      → Start it" in result.stdout


@pytest.mark.parametrize(
    "name", ["module", "module:", ":factory", "a-b:c", "a..b:c", "a:b:c", "a:b.c"]
)
def test_e13_what_cannot_be_a_factory_is_refused_with_the_settings(name: str) -> None:
    with pytest.raises(UsageError, match=r"package\.module:factory"):
        settings(name)


def test_o3_two_texts_wait_under_wsgi_and_eight_under_asgi_unless_a_number_is_set() -> None:
    def most(store: object) -> int:
        memory = store.store if isinstance(store, InLoop) else store
        assert isinstance(memory, MemoryStore)
        return memory._max_waiting

    assert most(store_for(settings("memory"))) == 2
    assert most(async_store_for(settings("memory"))) == 8
    assert most(store_for(settings("memory", max_waiting=5))) == 5
    assert most(async_store_for(settings("memory", max_waiting=0))) == 0
