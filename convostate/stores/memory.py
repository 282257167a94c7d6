"""MemoryStore: conversations in this process's memory, for tests, demos and one-process servers.

It keeps every promise of `Store` (turns in order, repeated deliveries answered from the record), for
the threads, greenlets and event loops of one process. Another process does not see any of it.

A turn that ends wakes only the next one, so its cost does not depend on how many wait.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from threading import Lock
from typing import TYPE_CHECKING

from convostate.stores.base import (
    CALL_S,
    LEASE_S,
    MAX_WAITING,
    OPT_OUT_S,
    REPLY_S,
    WAIT_S,
    Begun,
    Claim,
    End,
    Headers,
    Keep,
    Outcome,
    Queue,
    Replay,
    Reply,
    Store,
    ThreadBell,
    blocking,
    mailbox_full,
    too_many_wait,
    waited_too_long,
)
from convostate.stores.memory_work import Lease, MemoryWork, Work, held, left_s

if TYPE_CHECKING:
    from convostate.stores.base import AsyncStore, Bell

# Conversations that are checked for each new one. With 2, each is checked before their number has doubled.
_SWEPT_AT_ONCE = 2


class _Turn(Lease):
    """One turn's lease of a conversation, or its place in a queue. Times are `time.monotonic`'s."""

    __slots__ = ("bell", "deferred", "queue", "wakes")

    def __init__(self, bell: Bell) -> None:
        super().__init__()
        self.wakes = 0.0  # when it asks again without being woken
        self.bell = bell
        self.queue: deque[_Turn] | None = None  # while it waits
        self.deferred: tuple[str, bytes, float | None] | None = None

    def leave_queue(self) -> None:
        if self.queue is not None:
            self.queue.remove(self)
            self.queue = None


class _Conversation:
    """What is kept under one name. Times are Unix time in seconds."""

    __slots__ = (
        "calls", "deferring", "expires", "holder", "name", "opted_out_until", "queue", "replies", "token", "work",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.token: bytes | None = None
        self.expires = self.opted_out_until = 0.0
        # By fingerprint, in the order in which they expire.
        self.replies: OrderedDict[str, tuple[Reply, bytes, float]] | None = None
        self.calls: dict[str, float] | None = None  # the names of a pair's calls; when they expire
        self.holder: _Turn | None = None
        self.queue: deque[_Turn] | None = None
        self.deferring: deque[_Turn] | None = None  # of the turns that do not wait for answers
        self.work: Work | None = None  # texts that are answered later

    def state(self, now: float) -> bytes | None:
        return self.token if now < self.expires else None

    def record(self, fingerprint: str, reply: Reply, idempotency: bytes, now: float) -> None:
        if self.replies is None:
            self.replies = OrderedDict()
        self.replies[fingerprint] = (reply, idempotency, now + REPLY_S)
        self.replies.move_to_end(fingerprint)

    def recorded(self, claim: Claim, now: float) -> Replay | None:
        if claim.fingerprint is None or self.replies is None:
            return None
        reply, idempotency, expires = self.replies.get(claim.fingerprint, (None, b"", 0.0))
        other = reply is not None and reply.redirects and idempotency != claim.idempotency
        return None if reply is None or now >= expires or other else Replay(reply.sealed)

    def idle(self, now: float) -> bool:
        while self.replies and next(iter(self.replies.values()))[2] <= now:
            self.replies.popitem(last=False)
        nothing_kept = self.state(now) is None and not self.replies and now >= self.opted_out_until
        if self.calls:
            self.calls = {name: ends for name, ends in self.calls.items() if now < ends}
            nothing_kept = nothing_kept and not self.calls
        if self.work is not None and self.work.idle(now):
            self.work = None
        used = self.queue or self.deferring or self.work or left_s(self.holder) > 0
        return nothing_kept and not used

    def carry_out(self, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, Keep):
            self.token, self.expires = outcome.token, now + outcome.lifetime_s
        elif isinstance(outcome, End):
            self.token = None

    def busy_s(self, claim: Claim) -> float:
        """For how much longer a turn or a worker may keep another turn waiting."""
        held_s = left_s(self.holder)
        return held_s if claim.defers else max(held_s, self.answering_s())

    def answering_s(self) -> float:
        """For how much longer a worker may have it."""
        return 0.0 if self.work is None else left_s(self.work.lease)

    def queue_of(self, claim: Claim) -> deque[_Turn]:
        """The queue in which such a turn waits."""
        if claim.defers:
            self.deferring = self.deferring or deque()
            return self.deferring
        self.queue = self.queue or deque()
        return self.queue

    def first(self) -> _Turn | None:
        """The turn that is next."""
        if self.deferring:
            return self.deferring[0]
        return self.queue[0] if self.queue and self.answering_s() <= 0 else None

    def wake_next(self, *, always: bool = False) -> None:
        """Wake the turn that has waited longest, if the conversation is free; or with `always`."""
        first = self.first()
        if first is not None and (self.holder is None or always):
            first.bell.ring()

    def release(self, lease: object) -> None:
        """Free the conversation if the lease holds it, and wake the next turn."""
        if self.holder is lease:
            self.holder = None
        self.wake_next()


class MemoryStore(Store):
    """Keeps conversations in memory.

    Args:
        max_waiting: How many turns of one conversation may wait at once (2).
        wait_s: How long one may wait, in seconds (8).
        lease_s: How long a turn may hold its conversation, in seconds (16).
    """

    server_side = True
    most_bytes = None

    def __init__(
        self, *, max_waiting: int = MAX_WAITING, wait_s: float = WAIT_S, lease_s: float = LEASE_S
    ) -> None:
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._lease_s = lease_s
        self._conversations: dict[str, _Conversation] = {}
        self._to_sweep: deque[_Conversation] = deque()
        self._lock = Lock()  # never held while anything waits
        self.work = MemoryWork(self._lock, self._find)

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._conversations)} conversations)"

    def for_asyncio(self) -> AsyncStore:
        """The same conversations for the tasks of an event loop; a task that waits holds no thread."""
        from convostate.stores.aio import InLoop, LoopBell  # noqa: PLC0415  # asyncio is not for everyone

        store = self

        class InMemory(InLoop):
            async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
                return await store.begin_with(LoopBell(), claim, now)

        return InMemory(self)

    @blocking
    async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        return await self.begin_with(ThreadBell(), claim, now)

    async def begin_with(self, bell: Bell, claim: Claim, now: float) -> Begun | Replay:
        """Begin a turn, which waits for the bell."""
        lease, deadline = _Turn(bell), time.monotonic() + self._wait_s
        try:
            while True:
                found = self._ask(claim, lease, now, deadline)
                if found is not None:
                    return found
                await lease.bell.wait(max(0.0, lease.wakes - time.monotonic()))
        except BaseException:
            with self._lock:
                lease.leave_queue()
                self._kept(claim).release(lease)
            raise

    def _ask(
        self, claim: Claim, lease: _Turn, now: float, deadline: float
    ) -> Begun | Replay | None:
        """Hold the conversation or find the recorded reply; or return None, to wait."""
        moment = time.monotonic()
        with self._lock:
            kept = self._find(claim.name, now)
            if kept.holder is not None and kept.holder.ends <= moment:
                kept.holder = None
            replay = kept.recorded(claim, now)
            if replay is not None:
                lease.leave_queue()
                kept.wake_next()
                return replay
            busy_s = kept.busy_s(claim)
            if busy_s <= 0 and kept.first() in (None, lease):
                lease.leave_queue()
                kept.holder = lease
                lease.renew(self._lease_s)
                if claim.listed_under and kept.state(now) is None:
                    pair = self._find(claim.listed_under, now)
                    pair.calls = {**(pair.calls or {}), claim.name: now + CALL_S}
                first = kept.first()
                if first is not None and lease.ends < first.wakes:
                    kept.wake_next(always=True)  # this lease may end before it would ask again
                return Begun(claim, kept.state(now), lease, now < kept.opted_out_until)
            if lease.queue is None:
                queue = kept.queue_of(claim)
                if len(queue) >= self._max_waiting + (busy_s <= 0):
                    raise too_many_wait()
                lease.queue = queue
                queue.append(lease)
            elif moment >= deadline:
                raise waited_too_long()
            lease.wakes = deadline if busy_s <= 0 else min(deadline, moment + busy_s)
            kept.wake_next()
            return None

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        with self._lock:
            kept = self._kept(begun.claim)
            held(kept.holder, begun.lease).renew(self._lease_s)
            kept.token, kept.expires = token, now + lifetime_s

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        claim = begun.claim
        with self._lock:
            kept = self._kept(claim)
            lease = held(kept.holder, begun.lease)
            if isinstance(outcome, End) and outcome.opted_out:
                kept.work = None
            elif lease.deferred is not None and not self.work.post(kept, *lease.deferred):
                kept.release(lease)
                raise mailbox_full()
            kept.carry_out(outcome, now)
            if outcome.opted_out is not None:
                kept.opted_out_until = now + OPT_OUT_S if outcome.opted_out else 0.0
            if reply is not None and claim.fingerprint is not None:
                kept.record(claim.fingerprint, reply, claim.idempotency, now)
            kept.release(lease)
            if kept.idle(now):
                del self._conversations[claim.name]
        return []

    def abort(self, begun: Begun) -> None:
        with self._lock:
            self._kept(begun.claim).release(begun.lease)

    def peek(self, claim: Claim, now: float) -> bytes | None:
        with self._lock:
            return self._kept(claim).state(now)

    def calls(self, claim: Claim) -> list[str]:
        with self._lock:
            return list(self._kept(claim).calls or ())

    def queue(self, claim: Claim) -> Queue:
        with self._lock:
            kept = self._kept(claim)
            lease_s = left_s(kept.holder)
            waiting = len(kept.queue or ()) + len(kept.deferring or ())
            return Queue(lease_s if lease_s > 0 else None, waiting)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        with self._lock:
            calls = (self._kept(claim).calls or ()) if replies else ()
            for each in (claim, *map(Claim, calls)):
                kept = self._kept(each)
                kept.token = kept.work = None
                if replies:
                    kept.replies = kept.calls = None
                kept.release(kept.holder)

    def _kept(self, claim: Claim) -> _Conversation:
        """What is kept of a conversation; if nothing is, an object that is not kept either."""
        return self._conversations.get(claim.name) or _Conversation(claim.name)

    def _find(self, name: str, now: float) -> _Conversation:
        kept = self._conversations.get(name)
        if kept is None:
            for _ in range(min(_SWEPT_AT_ONCE, len(self._to_sweep))):
                old = self._to_sweep.popleft()
                if self._conversations.get(old.name) is old:
                    if old.idle(now):
                        del self._conversations[old.name]
                    else:
                        self._to_sweep.append(old)
            kept = self._conversations[name] = _Conversation(name)
            self._to_sweep.append(kept)
        return kept
