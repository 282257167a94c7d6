"""Stores for asyncio, made of stores that block. A store that never waits runs in the loop, others in threads."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from convostate.errors import UsageError
from convostate.stores.base import (
    WAIT_S,
    AsyncStore,
    Begun,
    Claim,
    Replay,
    Store,
    is_store,
    waited_too_long,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

# A begin that waits for an earlier turn occupies its thread for up to 8 s. The calls that end a turn have
# threads of their own, or they would wait for the turns that wait for them.
BEGINNING_THREADS, ENDING_THREADS = 32, 8


def as_async_store(store: object) -> AsyncStore:
    """The asyncio form of a store.

    Args:
        store: A store for asyncio, which is returned as it is, or one that blocks. If that has a method
            `for_asyncio`, its result is used, as the package's own stores have it. Any other store
            runs in threads.

    Raises:
        UsageError: It is not a store.
    """
    if not is_store(store):
        raise UsageError(
            "store must be a convostate store. Derive yours from convostate.stores.Store"
        )
    if inspect.iscoroutinefunction(cast("Any", store).begin):
        return cast("AsyncStore", store)
    make: Callable[[], AsyncStore] | None = getattr(store, "for_asyncio", None)
    return make() if make is not None else InThreads(cast("Store", store))


class LoopBell:
    """The `Bell` of a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self.ring_here = self._rung.set  # from the task's loop

    def ring(self) -> None:
        """See `Bell`."""
        with suppress(RuntimeError):  # its loop is closed, so there is no task
            self._loop.call_soon_threadsafe(self.ring_here)

    async def wait(self, seconds: float) -> None:
        """See `Bell`."""
        patience = self._loop.call_later(seconds, self.ring_here)
        try:
            await self._rung.wait()
        finally:
            patience.cancel()
        self._rung.clear()


# The tasks that `Tasks` has started, in all event loops. Nothing cancels them.
_carried_out: WeakSet[asyncio.Task[Any]] = WeakSet()


class Tasks:
    """Work that runs to its end even if the task that waits for it is cancelled."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()  # the loop alone would let them be collected
        self._last: dict[int, asyncio.Task[Any]] = {}

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task that need not be awaited."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        _carried_out.add(task)
        task.add_done_callback(self._ended)
        return task

    async def in_order(self, begun: Begun, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Await work on a turn. It follows all earlier work on the turn, and goes on if the caller is cancelled."""
        turn = id(begun)  # which `work` keeps alive
        if asyncio.current_task() in _carried_out:
            return await self._after(self._last.get(turn), work)
        task = self._last[turn] = self.start(self._after(self._last.get(turn), work))
        task.add_done_callback(lambda done: self._last.get(turn) is done and self._last.pop(turn))
        return await asyncio.shield(task)

    @staticmethod
    async def _after(
        earlier: asyncio.Task[Any] | None, work: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        if earlier is not None:
            await asyncio.wait([earlier])
        return await work()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marked as retrieved: whoever awaits the task gets it


class InLoop:
    """A store that never waits and does no I/O: its methods as coroutine functions, called in the event loop.

    What is not a method, such as `server_side`, is the store's own.

    Args:
        store: The store, or another object with such methods.
        call: Calls a method of the store, such as in a thread; if absent, it is called in the event loop.

    Attributes:
        store: As given.
    """

    def __init__(
        self, store: Any, call: Callable[..., Coroutine[Any, Any, Any]] | None = None
    ) -> None:
        self.store = store
        self._call = call or _call_here

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return partial(self._call, found) if callable(found) else found


async def _call_here(method: Callable[..., Any], *args: Any, **named: Any) -> Any:
    return method(*args, **named)


class InThreads(InLoop):
    """A store that blocks, called in threads; what has reached a thread is carried out."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, self._call_in_thread)
        self._beginning = ThreadPoolExecutor(BEGINNING_THREADS, "convostate-begin")
        self._ending = ThreadPoolExecutor(ENDING_THREADS, "convostate-end")
        self._tasks = Tasks()

    @property
    def work(self) -> Any:
        """As the store's, if it has that."""
        from convostate.stores.work import BlockingWork  # noqa: PLC0415  # for apps that defer

        work = super().__getattr__("work")
        return work and InLoop(BlockingWork(work), self._call)

    async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """As `Store.begin`; the time until a thread is free counts as waiting."""
        asked: Future[Begun | Replay] = self._beginning.submit(
            self.store.begin, claim, cookies, now
        )
        result = asyncio.wrap_future(asked)
        impatience = asyncio.get_running_loop().call_later(WAIT_S, asked.cancel)
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            if result.cancelled():  # no thread has come to it
                raise waited_too_long() from None
            result.cancel()
            asked.add_done_callback(self._give_up)
            raise
        finally:
            impatience.cancel()

    def _give_up(self, asked: Future[Begun | Replay]) -> None:
        """Let go of a turn that began although its task is gone."""
        if not asked.cancelled() and asked.exception() is None:
            begun = asked.result()
            if isinstance(begun, Begun):
                self._ending.submit(self.store.abort, begun)

    async def close(self) -> None:
        """As `Store.close`, even if the interpreter is ending."""
        try:
            closing = self._ending.submit(self.store.close)
        except RuntimeError:  # there are no threads any more, and nothing that would have to wait
            self.store.close()
        else:
            await asyncio.wrap_future(closing)

    async def _call_in_thread(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call a method; if it takes a turn, after the earlier calls that took it."""
        work = partial(self._in_thread, method, *args, **named)
        if args and isinstance(args[0], Begun):
            return await self._tasks.in_order(args[0], work)
        return await work()

    async def _in_thread(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await asyncio.wrap_future(self._ending.submit(call, *args, **named))
