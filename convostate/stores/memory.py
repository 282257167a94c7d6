"""MemoryStore: conversations in this process's memory, for tests, demos and one-process servers.

It keeps every promise of `Store` (turns in order, repeated deliveries answered from the record), for
the threads and greenlets of one process. Another process does not see any of it.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from threading import Condition

from convostate.stores.base import (
    LEASE_S,
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
    lost,
    too_many_wait,
    waited_too_long,
)


class _Lease:
    """One turn's hold of a conversation, or its place in the queue."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        self.ends = 0.0  # by time.monotonic()


@dataclass
class _Conversation:
    """What is kept under one name. Times are Unix time in seconds, but for the leases."""

    token: bytes | None = None
    expires: float = 0.0
    opted_out_until: float = 0.0
    replies: OrderedDict[str, tuple[Reply, bytes, float]] = field(default_factory=OrderedDict)
    holder: _Lease | None = None
    queue: deque[_Lease] = field(default_factory=deque)

    def state(self, now: float) -> bytes | None:
        return self.token if now < self.expires else None

    def record(self, fingerprint: str, reply: Reply, idempotency: bytes, now: float) -> None:
        self.replies[fingerprint] = (reply, idempotency, now + REPLY_S)
        self.replies.move_to_end(fingerprint)  # they are in the order in which they expire

    def idle(self, now: float) -> bool:
        while self.replies and next(iter(self.replies.values()))[2] <= now:
            self.replies.popitem(last=False)
        nothing_kept = self.state(now) is None and not self.replies and now >= self.opted_out_until
        held = self.holder is not None and self.holder.ends > time.monotonic()
        return nothing_kept and not held and not self.queue


class MemoryStore:
    """Keeps conversations in memory.

    Args:
        max_waiting: How many turns of one conversation may wait at once.
        wait_s: How long one may wait, in seconds.
        lease_s: How long a turn may hold its conversation, in seconds.
    """

    server_side = True
    most_bytes = None

    def __init__(
        self, *, max_waiting: int = 8, wait_s: float = WAIT_S, lease_s: float = LEASE_S
    ) -> None:
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._lease_s = lease_s
        self._conversations: dict[str, _Conversation] = {}
        self._changed = Condition()
        self._sweep_at = 1024  # conversations; after each sweep twice as many as it found in use

    def __repr__(self) -> str:
        return f"MemoryStore({len(self._conversations)} conversations)"

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """Wait for the earlier turns, then hold the conversation or find the recorded reply."""
        with self._changed:
            kept = self._find(claim.name, now)
            lease = _Lease()
            kept.queue.append(lease)
            try:
                replay = self._wait(kept, claim, lease, now)
                if replay is not None:
                    return replay
                kept.holder = lease
                lease.ends = time.monotonic() + self._lease_s
                return Begun(claim, kept.state(now), lease, now < kept.opted_out_until)
            finally:
                kept.queue.remove(lease)
                self._changed.notify_all()

    def _wait(self, kept: _Conversation, claim: Claim, lease: _Lease, now: float) -> Replay | None:
        moment = time.monotonic()
        deadline = moment + self._wait_s
        arrived = True
        while True:
            if kept.holder is not None and kept.holder.ends <= moment:
                kept.holder = None
            replay = self._recorded(kept, claim, now)
            if replay is not None or (kept.holder is None and kept.queue[0] is lease):
                return replay
            if arrived and len(kept.queue) > self._max_waiting + (kept.holder is None):
                raise too_many_wait()
            if moment >= deadline:
                raise waited_too_long()
            ends = deadline if kept.holder is None else min(deadline, kept.holder.ends)
            self._changed.wait(ends - moment)
            moment, arrived = time.monotonic(), False

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """Write the state and go on holding the conversation, with a whole lease."""
        with self._changed:
            kept, lease = self._held(begun)
            kept.token, kept.expires = token, now + lifetime_s
            lease.ends = time.monotonic() + self._lease_s

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        """Carry out the outcome, record the reply, wake the next turn."""
        claim = begun.claim
        with self._changed:
            kept, _ = self._held(begun)
            if isinstance(outcome, Keep):
                kept.token, kept.expires = outcome.token, now + outcome.lifetime_s
            elif isinstance(outcome, End):
                kept.token = None
            if outcome.opted_out is not None:
                kept.opted_out_until = now + OPT_OUT_S if outcome.opted_out else 0.0
            if reply is not None and claim.fingerprint is not None:
                kept.record(claim.fingerprint, reply, claim.idempotency, now)
            self._release(claim.name, kept, now)
        return []

    def abort(self, begun: Begun) -> None:
        """Wake the next turn."""
        with self._changed:
            kept = self._conversations.get(begun.claim.name)
            if kept is not None and kept.holder is begun.lease:
                kept.holder = None
                self._changed.notify_all()

    def peek(self, claim: Claim, now: float) -> bytes | None:
        """Read the sealed state without waiting."""
        with self._changed:
            kept = self._conversations.get(claim.name)
            return None if kept is None else kept.state(now)

    def queue(self, claim: Claim) -> Queue:
        """Who is at the conversation."""
        with self._changed:
            kept = self._conversations.get(claim.name)
            lease = None if kept is None else kept.holder
            left_s = 0.0 if lease is None else lease.ends - time.monotonic()
            return Queue(left_s if left_s > 0 else None, len(kept.queue) if kept else 0)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        """Remove the state and take the lease from a turn in flight."""
        with self._changed:
            kept = self._conversations.get(claim.name)
            if kept is not None:
                kept.token = kept.holder = None
                if replies:
                    kept.replies.clear()
                self._changed.notify_all()

    def close(self) -> None:
        """Nothing is freed: what is kept stays."""

    def _find(self, name: str, now: float) -> _Conversation:
        if len(self._conversations) >= self._sweep_at:
            in_use = {key: kept for key, kept in self._conversations.items() if not kept.idle(now)}
            self._conversations = in_use
            self._sweep_at = max(1024, 2 * len(in_use))
        return self._conversations.setdefault(name, _Conversation())

    def _held(self, begun: Begun) -> tuple[_Conversation, _Lease]:
        kept, lease = self._conversations.get(begun.claim.name), begun.lease
        if (
            kept is None
            or not isinstance(lease, _Lease)
            or kept.holder is not lease
            or lease.ends <= time.monotonic()
        ):
            raise lost()
        return kept, lease

    def _release(self, name: str, kept: _Conversation, now: float) -> None:
        kept.holder = None
        if kept.idle(now):
            del self._conversations[name]
        self._changed.notify_all()

    @staticmethod
    def _recorded(kept: _Conversation, claim: Claim, now: float) -> Replay | None:
        if claim.fingerprint is None:
            return None
        reply, idempotency, expires = kept.replies.get(claim.fingerprint, (None, b"", 0.0))
        if (
            reply is None
            or now >= expires
            or (reply.redirects and idempotency != claim.idempotency)
        ):
            return None
        return Replay(reply.sealed)
