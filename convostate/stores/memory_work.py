"""MemoryWork: deferred texts in this process's memory. See `WorkStore`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from convostate.stores.base import MOST_TEXTS, WORK_S, Begun, Claim, Outcome, lost
from convostate.stores.work import LENT_S, LONGEST_BURST_S, Backlog, DeadLetter, Hint, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from threading import Lock

_BUSY_S = 0.05  # until the next look at a conversation whose turn runs


class Lease:
    """A turn's or a worker's lease of a conversation, which ends at a time of `time.monotonic`."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        self.ends = 0.0

    def renew(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds


def left_s(lease: Lease | None) -> float:
    """How much longer a lease lasts, in seconds; 0 or less if it has ended."""
    return 0.0 if lease is None else lease.ends - time.monotonic()


def held(lease: Any, by: object) -> Any:
    """The lease, if it is still the caller's; else StoreError ``lost``."""
    if left_s(lease) <= 0 or lease is not by:
        raise lost()
    return lease


class Work:
    """The work of a conversation. Times are Unix time in seconds."""

    def __init__(self) -> None:
        self.texts: list[tuple[float, bytes]] = []  # the time of arrival, and the text
        self.replies: list[bytes] = []
        self.dead: list[DeadLetter] = []
        self.batch = 0  # how many texts, from the first, are answered together
        self.tries = 0  # how often their answer or the first reply was tried
        self.not_before = self.touched = 0.0
        self.lease: Lease | None = None  # of the worker that answers

    def idle(self, now: float) -> bool:
        """Whether nothing is left to do or to show."""
        over = now >= self.touched + WORK_S or not (self.texts or self.replies or self.dead)
        return over and left_s(self.lease) <= 0

    def wait_s(self, burst_s: float, now: float) -> float:
        """How long until it may be taken."""
        until = self.not_before
        if burst_s and self.texts and not (self.replies or self.batch):
            quiet = min(self.texts[-1][0] + burst_s, self.texts[0][0] + LONGEST_BURST_S)
            until = max(until, quiet)
        return max(left_s(self.lease), until - now)


class MemoryWork:
    """The `WorkStore` of a `MemoryStore`, with its lock; `find` returns or makes the conversation of a name."""

    def __init__(self, lock: Lock, find: Callable[[str, float], Any]) -> None:
        self._lock = lock
        self._find = find
        self._due: dict[tuple[str, str], float] = {}  # by queue and conversation: when to look
        self._dead: set[tuple[str, str]] = set()

    async def defer(self, begun: Begun, queue: str, text: bytes, now: float | None) -> None:
        lease: Any = begun.lease
        lease.deferred = (queue, text, now)

    def post(self, kept: Any, queue: str, text: bytes, now: float | None) -> bool:
        """Put a text into the mailbox if there is room, and say whether. The caller has the lock."""
        work = kept.work = kept.work or Work()
        if len(work.texts) >= MOST_TEXTS:
            return False
        work.touched = _moment(now)
        work.texts.append((work.touched, text))
        self._due[queue, kept.name] = work.touched
        return True

    async def due(self, queue: str, most: int, now: float | None) -> list[Hint]:
        moment = _moment(now)
        with self._lock:
            found = [each for each, at in self._due.items() if each[0] == queue and at <= moment]
            for each in found[:most]:
                self._due[each] = moment + LENT_S
            return [Hint(name, queue) for _, name in found[:most]]

    async def take(
        self, hint: Hint, burst_s: float, lease_s: float, now: float | None
    ) -> Taken | None:
        moment = _moment(now)
        with self._lock:
            kept = self._find(hint.name, moment)
            if kept.work is not None and kept.work.idle(moment):
                kept.work = None
            work = kept.work
            if left_s(kept.holder) > 0:
                self._look(hint, moment + _BUSY_S)
            elif work is None or not (work.texts or work.replies):
                self._look(hint, None)
            elif work.wait_s(burst_s, moment) > 0:
                self._look(hint, moment + work.wait_s(burst_s, moment))
            else:
                work.lease = Lease()
                work.lease.renew(lease_s)
                work.tries += 1
                texts: Iterable[tuple[float, bytes]] = ()
                if not work.replies:
                    work.batch = work.batch or len(work.texts)
                    texts = work.texts[: work.batch]
                opted_out = moment < kept.opted_out_until
                begun = Begun(Claim(hint.name), kept.state(moment), work.lease, opted_out)
                entries = [text for _, text in texts]
                return Taken(hint, begun, entries, list(work.replies), work.tries)
            return None

    async def renew(self, taken: Taken, lease_s: float) -> None:
        with self._lock:
            self._held(taken).work.lease.renew(lease_s)

    async def keep(
        self, taken: Taken, outcome: Outcome, replies: list[bytes], now: float | None
    ) -> None:
        moment = _moment(now)
        with self._lock:
            kept = self._held(taken)
            kept.carry_out(outcome, moment)
            work = kept.work
            del work.texts[: work.batch]
            work.replies += replies
            work.batch = work.tries = 0
            work.touched = moment

    async def settle(
        self, taken: Taken, entries: list[bytes], reason: str, now: float | None
    ) -> None:
        moment = _moment(now)
        with self._lock:
            work = self._held(taken).work
            for entry in entries:
                is_text = entry not in work.replies
                if is_text:
                    work.texts = [each for each in work.texts if each[1] != entry]
                    work.batch -= 1
                else:
                    work.replies.remove(entry)
                work.tries = 0
                if reason:
                    work.dead.append(DeadLetter(is_text, reason, moment, entry))
                    self._dead.add((taken.hint.queue, taken.hint.name))
                    work.touched = moment

    async def rest(self, taken: Taken, tries: int, seconds: float, now: float | None) -> None:
        moment = _moment(now)
        with self._lock:
            kept = self._held(taken)
            work = kept.work
            work.lease, work.tries = None, tries
            work.not_before = moment + seconds if work.batch + tries else 0.0
            self._look(taken.hint, moment + seconds if work.texts or work.replies else None)
            kept.wake_next()

    async def dead(self, queue: str) -> list[Hint]:
        with self._lock:
            return [Hint(name, where) for where, name in sorted(self._dead) if where == queue]

    async def letters(self, hint: Hint, *, retry: bool, now: float | None) -> list[DeadLetter]:
        moment = _moment(now)
        with self._lock:
            work = self._find(hint.name, moment).work
            found = [] if work is None else list(work.dead)
            if retry or not found:
                self._dead.discard((hint.queue, hint.name))
            if retry and work is not None and found:
                texts = [(letter.at_s, letter.entry) for letter in found if letter.is_text]
                work.texts[work.batch : work.batch] = texts
                work.replies += [letter.entry for letter in found if not letter.is_text]
                work.dead = []
                work.touched = moment
                self._look(hint, moment)
            return found

    async def backlog(self, claim: Claim) -> Backlog:
        with self._lock:
            work = self._find(claim.name, 0).work or Work()
            return Backlog(
                len(work.texts), left_s(work.lease) > 0, len(work.replies), len(work.dead)
            )

    def _held(self, taken: Taken) -> Any:
        """The conversation, if its worker still holds the lease; else StoreError ``lost``."""
        kept = self._find(taken.hint.name, 0)
        held(kept.work and kept.work.lease, taken.begun.lease)
        return kept

    def _look(self, hint: Hint, at: float | None) -> None:
        """Schedule a hint, or remove it."""
        if at is None:
            self._due.pop((hint.queue, hint.name), None)
        else:
            self._due[hint.queue, hint.name] = at


def _moment(now: float | None) -> float:
    return time.time() if now is None else now
