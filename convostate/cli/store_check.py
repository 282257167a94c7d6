"""Whether a store can keep conversations, for ``convostate doctor``."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from convostate.cli.findings import Finding
from convostate.errors import ConvostateError, StoreError
from convostate.sealing.codec import to_base64url
from convostate.stores.base import Claim, End, Keep, Leave, Replay, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import AsyncStore, Begun

_LIFETIME_S = 60.0  # of what is left if the store fails halfway
_LOOKS, _LOOK_S = 200, 0.01  # until a turn is seen to wait


def examine_store(store: Store | AsyncStore, settings: Settings) -> Iterator[Finding]:
    """Take turns in a store, then print what its own ``check()`` finds, if it has one."""
    if not store.server_side:
        yield Finding("ok", "the state travels in Twilio's cookie: there is no store to check")
        return
    with _blocking(store) as asked:
        began = time.monotonic()
        try:
            _take_turns(asked, waits=settings.max_waiting != 0)
        except ConvostateError as error:
            yield Finding.fault(error)
            return
        except Exception as error:  # noqa: BLE001  # of a store that somebody else wrote
            yield Finding(
                "fault",
                f"the store raises {type(error).__name__} when it is asked to take a turn",
                "Test it with convostate.testing.StoreContract, which says what a store must do",
            )
            return
        took_ms = (time.monotonic() - began) * 1000
        what = "the store takes a turn: begin, write, commit, repeat, wait, erase"
        yield Finding("ok", f"{what} in {took_ms:.1f} ms")
        check = getattr(asked, "check", None)
        if check is not None:
            yield from (Finding(*found) for found in check())


@contextmanager
def _blocking(store: Any) -> Iterator[Any]:
    """A store that blocks: the given one, or one for asyncio on an event loop of its own."""
    if not iscoroutinefunction(store.begin):
        yield store
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield _OnLoop(store, loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _OnLoop:
    """A store for asyncio, called from threads."""

    def __init__(self, store: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._loop = store, loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not iscoroutinefunction(found):
            return found
        return lambda *args, **named: asyncio.run_coroutine_threadsafe(
            found(*args, **named), self._loop
        ).result()


def _take_turns(store: Any, *, waits: bool) -> None:
    """Ask of a store all that texts and the app will, for a conversation that nobody has.

    Otherwise a single missing right would show only when the first text needs it.
    """
    ours = Claim(_name())
    first, second = (ours._replace(fingerprint=_name()) for _ in range(2))
    recorded = Reply(secrets.token_bytes(97), redirects=False)
    with _held(store, first) as begun:
        store.write(begun, None, _LIFETIME_S, time.time())
        store.write(begun, _token(), _LIFETIME_S, time.time())
        store.commit(begun, Leave(), recorded, time.time())
    # Leaving frees the conversation first, so that whoever waits ends at once also after an error.
    with ThreadPoolExecutor(1) as thread, _held(store, second) as begun:
        waiting = thread.submit(_pass_through, store, ours) if waits else None
        if waiting is not None:
            _see_it_wait(store, ours, waiting)
        # Its reply moves the first one's.
        store.commit(begun, Keep(_token(), _LIFETIME_S), recorded, time.time())
        if waiting is not None:
            waiting.result()
    for claim in (first, second):
        if store.begin(claim, "", time.time()) != Replay(recorded.sealed):
            raise StoreError(
                "lost",
                "the store does not return a reply that it has just recorded. "
                "Check that nothing else deletes its keys",
            )
    with _held(store, ours) as begun:
        store.commit(begun, End(_token(), _LIFETIME_S), None, time.time())
    store.peek(ours, time.time())
    if hasattr(store, "queue"):
        store.queue(ours)
    store.erase(ours, replies=True)


@contextmanager
def _held(store: Any, claim: Claim) -> Iterator[Begun]:
    begun = store.begin(claim, "", time.time())
    try:
        yield begun
    finally:
        store.abort(begun)  # does nothing after a commit


def _pass_through(store: Any, claim: Claim) -> None:
    with _held(store, claim):
        """It was let in."""


def _see_it_wait(store: Any, claim: Claim, waiting: Future[None]) -> None:
    for _ in range(_LOOKS):
        if waiting.done() or (hasattr(store, "queue") and store.queue(claim).waiting):
            return
        futures.wait([waiting], _LOOK_S)


def _name() -> str:
    return to_base64url(secrets.token_bytes(16))


def _token() -> bytes:
    return secrets.token_bytes(97)
