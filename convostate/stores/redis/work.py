"""RedisWork: deferred texts in Redis. See `WorkStore`.

The work of a conversation is in the conversation's slot. Workers find it by a hint: the conversation's name
in a sorted set, scored by when to look. A hint is written before its text. It is removed only if nothing is
left and no text has arrived meanwhile, so every text has a hint.

    cs1:{h}a … x    the work of a conversation h; _work.lua lists the keys      24 hours; the lease a 30 s
    cs1:{w}z        hints, by time                                             24 hours
    cs1:{w}x        conversations with dead letters                            24 hours

``w`` is the queue's name. In a Cluster there are 16 such queues, spread over its servers. Every script except
DUE may be repeated. Times are the server's, in microseconds, unless a test gives its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

from convostate.errors import StoreError
from convostate.sealing.token import HEAD_BYTES
from convostate.stores.base import WORK_S, Begun, Claim, Outcome, lost
from convostate.stores.redis.client import HANDOVER_MS
from convostate.stores.redis.connection import Script
from convostate.stores.redis.errors import FAULTS, store_error
from convostate.stores.redis.store import STATUS, carried_out
from convostate.stores.work import LENT_S, LONGEST_BURST_S, Backlog, DeadLetter, Hint, Taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostate.stores.redis.connection import Connection
    from convostate.stores.redis.store import RedisTurns

_QUEUES = 16  # in a Cluster
_MOST_LETTERS = 1000  # of one conversation
_BUSY_US = 50_000  # until the next look at a conversation whose turn runs: a webhook takes some ms
_KEEP_MS = WORK_S * 1000
_S = 1_000_000

SCHEDULE = Script.load("_time", "schedule")
DUE = Script.load("_time", "due")
TAKE = Script.load("_work", "_time", "take")
RENEW = Script.load("_work", "renew")
KEEP = Script.load("_work", "keep")
SETTLE = Script.load("_work", "_time", "settle")
REST = Script.load("_turn", "_work", "_time", "rest")
DEAD_LETTERS = Script.load("_work", "dead_letters")


class RedisWork:
    """The `WorkStore` of a `RedisStore` or an `AsyncRedisStore`."""

    def __init__(self, turns: RedisTurns) -> None:
        self._turns = turns

    async def defer(self, begun: Begun, queue: str, text: bytes, now: float | None) -> None:
        lease: Any = begun.lease
        lease.deferred = (text, _us(now))
        await self._schedule(Hint(begun.claim.name, queue, ""), 0, now, over=lease.connection)

    async def due(self, queue: str, most: int, now: float | None) -> list[Hint]:
        hints: list[Hint] = []
        failure: StoreError | None = None
        for shard in await self._shards(queue):
            args = (most - len(hints), LENT_S * _S, _us(now))
            try:
                _, lent, *names = await self._turns.ask(DUE, Claim(shard), ("z",), *args)
            except StoreError as error:  # of a Cluster, one server may be down
                failure = error
            else:
                hints += [Hint(name.decode("ascii"), queue, lent) for name in names]
            if len(hints) >= most:
                break
        if failure is not None and not hints:
            raise failure
        return hints

    async def take(
        self, hint: Hint, burst_s: float, lease_s: float, now: float | None
    ) -> Taken | None:
        claim, worker = Claim(hint.name), self._turns.clients.current().unique()
        _, answer, *rest = await self._turns.ask(
            TAKE, claim, ("", "l", "q", "o"), worker, int(lease_s * 1000), int(burst_s * _S),
            LONGEST_BURST_S * _S, _us(now), _KEEP_MS, _BUSY_US, after_timeout=True,
        )  # fmt: skip
        if answer != b"yours":
            await self._schedule(hint, rest[0] if rest else None, now)
            return None
        state, opted_out, left_ms, tries, replies, texts = rest
        left_s = None if state is None else max(left_ms, 1) / 1000
        return Taken(
            hint, Begun(claim, state, worker, bool(opted_out), left_s), texts, replies, tries
        )

    async def renew(self, taken: Taken, lease_s: float) -> None:
        await self._ask(RENEW, taken, int(lease_s * 1000))

    async def keep(
        self, taken: Taken, outcome: Outcome, replies: list[bytes], now: float | None
    ) -> None:
        head = (taken.begun.token or b"")[:HEAD_BYTES]
        await self._ask(KEEP, taken, head, *carried_out(outcome), _KEEP_MS, *replies)

    async def settle(
        self, taken: Taken, entries: list[bytes], reason: str, now: float | None
    ) -> None:
        if reason:  # first, so that no dead letter is unlisted if this process dies
            await self._list(taken.hint)
        await self._ask(SETTLE, taken, reason, _us(now), _KEEP_MS, _MOST_LETTERS, *entries)
        if reason:  # and again: somebody who looked in between found none and unlisted it
            await self._list(taken.hint)

    async def rest(self, taken: Taken, tries: int, seconds: float, now: float | None) -> None:
        delay_us = int(seconds * _S)
        left = await self._ask(
            REST, taken, tries, delay_us, _us(now), _KEEP_MS, HANDOVER_MS, which=("", "l", "q")
        )
        if left[0]:  # another worker may have put it off until this lease ends
            await self._schedule(taken.hint._replace(ticket=""), delay_us, now)
        else:
            await self._schedule(taken.hint, None, now)

    async def dead(self, queue: str) -> list[Hint]:
        hints: list[Hint] = []
        for shard in await self._shards(queue):
            _, _, *names = await self._turns.ask(DUE, Claim(shard), ("x",), _MOST_LETTERS, 0, "")
            hints += [Hint(name.decode("ascii"), queue) for name in names]
        return hints

    async def letters(self, hint: Hint, *, retry: bool, now: float | None) -> list[DeadLetter]:
        claim = Claim(hint.name)
        if retry:
            await self._schedule(hint._replace(ticket=""), 0, now)
        args = ("1" if retry else "0", _KEEP_MS)
        _, *letters = await self._turns.ask(DEAD_LETTERS, claim, ("",), *args, after_timeout=retry)
        if retry or not letters:
            await self._list(hint, listed=False)
        return [
            DeadLetter(
                each[:1] == b"t",
                each[17:33].decode("ascii").rstrip(),
                int(each[1:17]) / _S,
                each[33:],
            )
            for each in letters
        ]

    async def backlog(self, claim: Claim) -> Backlog:
        _, _, _, texts, answering, replies, dead = await self._turns.ask(STATUS, claim, ("",))
        return Backlog(texts, bool(answering), replies, dead)

    async def check(self) -> list[tuple[str, str, str]]:
        """What ``convostate doctor`` prints about deferred texts."""
        from convostate.stores.redis.check import check_work  # noqa: PLC0415  # for doctor alone

        return await check_work(self._turns)

    async def _ask(
        self, script: Script, taken: Taken, *args: Any, which: Sequence[str] = ("",)
    ) -> list[Any]:
        """Run a script that needs the worker's lease; StoreError ``lost`` without it."""
        claim, worker = Claim(taken.hint.name), taken.begun.lease
        _, answer, *rest = await self._turns.ask(
            script, claim, which, worker, *args, after_timeout=True
        )
        if answer != b"done":
            raise lost()
        return rest

    async def _schedule(
        self,
        hint: Hint,
        delay_us: int | None,
        now: float | None,
        *,
        key: str = "z",
        over: Connection | None = None,
    ) -> None:
        """Schedule a hint, or remove it if `delay_us` is None, unless a text that arrived meanwhile has scheduled it.

        The key ``z`` has the hints, and ``x`` the conversations with dead letters. If there is one server only, a
        running turn's connection leads there.
        """
        shards = await self._shards(hint.queue)
        shard = shards[crc32(hint.name.encode("ascii")) % len(shards)]
        delay = "" if delay_us is None else delay_us
        args = (hint.name, hint.ticket, delay, _us(now), _KEEP_MS)
        if over is not None and len(shards) == 1:
            await over.run(SCHEDULE, [f"cs1:{{{shard}}}{key}"], *args, after_timeout=True)
        else:
            await self._turns.ask(SCHEDULE, Claim(shard), (key,), *args, after_timeout=True)

    async def _list(self, hint: Hint, *, listed: bool = True) -> None:
        """Add a conversation to those with dead letters, or remove it; by the server's time, by which `dead` asks."""
        hint = hint._replace(ticket="")
        await self._schedule(hint, 0 if listed else None, None, key="x")

    async def _shards(self, queue: str) -> list[str]:
        """The names of a queue's sorted sets."""
        try:
            route = await self._turns.clients.current().route()
        except FAULTS as error:
            raise store_error(error) from error
        if not route.is_cluster:
            return [queue]
        return [f"{queue[:-2]}{shard:02}" for shard in range(_QUEUES)]


def _us(now: float | None) -> str:
    return "" if now is None else str(int(now * _S))
