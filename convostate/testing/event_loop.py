"""An event loop in a thread, for code that blocks."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

_PATIENCE_S = 30.0  # longer than any intended wait: after it a coroutine is stuck


class LoopThread:
    """An event loop that runs in a thread of its own until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stops = False
        self._thread = threading.Thread(target=self._serve, name="convostate-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stops:
            # An app that exits stops the loop; the exception goes to whoever awaits the app.
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()

    @property
    def is_current(self) -> bool:
        """Whether this code runs in the thread of the loop."""
        return threading.current_thread() is self._thread

    def run(self, work: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> Any:
        """Run a coroutine on the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def close(self) -> None:
        """Stop the loop and end the thread."""
        self._stops = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        if not self._loop.is_running():
            self._loop.close()


@contextmanager
def blocking_store(store: Any) -> Iterator[Any]:
    """A store that blocks: the store itself, or an `AsyncStore` on an event loop in a thread."""
    if not iscoroutinefunction(store.begin):
        yield store
        return
    loop = LoopThread()
    try:
        yield _BlockingStore(store, loop)
    finally:
        with suppress(Exception):  # a fault of the store has shown before
            loop.run(store.close(), _PATIENCE_S)  # its connections are the loop's
        loop.close()


class _BlockingStore:
    def __init__(self, store: Any, loop: LoopThread) -> None:
        self._store, self._loop = store, loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if name == "work":
            return _BlockingStore(attribute, self._loop)
        if not iscoroutinefunction(attribute):
            return attribute
        return lambda *args, **kwargs: self._loop.run(attribute(*args, **kwargs), _PATIENCE_S)
