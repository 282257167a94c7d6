"""Whether a store can keep conversations, for ``convostate doctor``."""

from __future__ import annotations

import secrets
import time
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convostate.cli.findings import Finding
from convostate.errors import ConvostateError, StoreError
from convostate.sealing.codec import to_base64url
from convostate.stores.base import Claim, End, Keep, Leave, Replay, Reply
from convostate.stores.work import BlockingWork
from convostate.testing.event_loop import blocking_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import AsyncStore, Begun

_LIFETIME_S = 60.0  # bounds what stays in the store if it fails halfway
_POLLS, _POLL_S = 200, 0.01  # until a turn is seen to wait
_UNSEEN_S = 0.1  # for a turn to wait in a store that does not show its queue


def examine_store(store: Store | AsyncStore, settings: Settings) -> Iterator[Finding]:
    """Take turns in a store, then report the findings of its own ``check()``, if it has one."""
    if not store.server_side:
        yield Finding("ok", "the state travels in Twilio's cookie: there is no store to check")
        return
    with blocking_store(store) as blocking:
        began = time.monotonic()
        try:
            _take_turns(blocking, waits=settings.max_waiting != 0)
        except ConvostateError as error:
            yield Finding.fault(error)
            return
        except Exception as error:  # noqa: BLE001  # a user's own store may raise anything
            yield Finding(
                "fault",
                f"the store raises {type(error).__name__} when it takes a turn",
                "Test it with convostate.testing.StoreContract, which says what a store must do",
            )
            return
        took_ms = (time.monotonic() - began) * 1000
        what = "the store takes a turn: begin, write, commit, repeat, wait, erase"
        yield Finding("ok", f"{what} in {took_ms:.1f} ms")
        if settings.defer_paths:
            yield from _examine_work(blocking, store)
        check = getattr(blocking, "check", None)
        if check is not None:
            yield from (Finding(*finding) for finding in check())


def _examine_work(store: Any, original: Any) -> Iterator[Finding]:
    """Defer and answer a text, in a queue of its own."""
    work: Any = store.work if store is not original else BlockingWork(original.work)
    claim, queue = Claim(_name(), _name(), defers=True), _name()
    try:
        with _turn(store, claim) as begun:
            work.defer(begun, queue, _token(), None)
            store.commit(begun, Leave(), Reply(_token(), redirects=False), time.time())
        (hint,) = work.due(queue, 1, None)
        taken = work.take(hint, 0, _LIFETIME_S, None)
        work.renew(taken, _LIFETIME_S)
        work.keep(taken, Keep(_token(), _LIFETIME_S), [reply := _token()], None)
        work.settle(taken, [reply], "doctor", None)
        work.rest(taken, 0, 0, None)
        (dead,) = work.dead(queue)
        work.letters(dead, retry=True, now=None)
        (hint,) = work.due(queue, 1, None)
        work.settle(work.take(hint, 0, _LIFETIME_S, None), [reply], "", None)
        work.backlog(claim)
        store.erase(claim, replies=True)
        (hint,) = work.due(queue, 1, None) or [hint]
        work.take(hint, 0, _LIFETIME_S, None)
    except StoreError as error:
        what, _, advice = str(error).rpartition(". ")
        yield Finding("fault", f"texts cannot be answered later: {what}", advice)
        return
    yield Finding("ok", "a text can be answered later: defer, take, renew, keep, settle, rest")
    if hasattr(original.work, "check"):
        yield from (Finding(*finding) for finding in work.check())


def _take_turns(store: Any, *, waits: bool) -> None:
    """Use every operation that a store needs, for a conversation that does not exist.

    Otherwise a missing permission would show only with the first text that needs it.
    """
    ours = Claim(_name())
    first, second = (ours._replace(fingerprint=_name()) for _ in range(2))
    recorded = Reply(secrets.token_bytes(97), redirects=False)
    with _turn(store, first) as begun:
        store.write(begun, None, _LIFETIME_S, time.time())
        store.write(begun, _token(), _LIFETIME_S, time.time())
        store.commit(begun, Leave(), recorded, time.time())
    # The turn ends before the pool, so that the waiting turn ends at once also after an error.
    with ThreadPoolExecutor(1) as thread, _turn(store, second) as begun:
        waiting = thread.submit(_begin_and_abort, store, ours) if waits else None
        if waiting is not None:
            _wait_until_it_waits(store, ours, waiting)
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
    with _turn(store, ours) as begun:
        store.commit(begun, End(_token(), _LIFETIME_S), None, time.time())
    store.peek(ours, time.time())
    if hasattr(store, "queue"):
        store.queue(ours)
    store.erase(ours, replies=True)


@contextmanager
def _turn(store: Any, claim: Claim) -> Iterator[Begun]:
    begun = store.begin(claim, "", time.time())
    try:
        yield begun
    finally:
        store.abort(begun)  # does nothing after a commit


def _begin_and_abort(store: Any, claim: Claim) -> None:
    store.abort(store.begin(claim, "", time.time()))


def _wait_until_it_waits(store: Any, claim: Claim, waiting: Future[None]) -> None:
    if not hasattr(store, "queue"):
        futures.wait([waiting], _UNSEEN_S)
        return
    for _ in range(_POLLS):
        if waiting.done() or store.queue(claim).waiting:
            return
        futures.wait([waiting], _POLL_S)


def _name() -> str:
    return to_base64url(secrets.token_bytes(16))


def _token() -> bytes:
    return secrets.token_bytes(97)
