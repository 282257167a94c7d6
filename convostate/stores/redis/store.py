"""RedisStore: conversations in a Redis, shared by threads, processes and hosts.

*Two round trips a turn; the messages of one conversation run one after another, in order; each changes
the state and is answered once.*

BEGIN takes the conversation's lease or a place in its queue, COMMIT writes the outcome and hands the
lease to the next: both are Lua scripts beside this file, and document their keys, arguments and replies. A file
whose name begins with an underscore is a part of several scripts.
A waiting turn of a thread blocks on its own list, which the release rings; one of an event loop is woken
through the loop's subscription. The keys, for a conversation ``h``:

    cs1:{h}         state, the sealed bytes                                    its lifetime
    cs1:{h}l        lease: id of the turn that runs                            16 s; 300 ms until claimed
    cs1:{h}l{id}    rung for a turn that waits                                 300 ms
    cs1:{h}q        ids of the turns that wait, in order                       10 s
    cs1:{h}o        the person has sent STOP                                   30 days
    cs1:{h}r        the newest reply, as begin.lua has it                      10 minutes
    cs1:{h}r{name}  older replies, by the name of their request                10 minutes
    cs1:{h}d        ids of turns that are over, if no reply shows it           2 minutes
    cs1:{h}c        names of the conversations of the pair's calls             4 hours
    cs1:{h}p        as q, of texts that are answered later                     10 s
    cs1:{h}a … x    what is to be answered and sent, as _work.lua has it        24 hours

All keys expire, all are in one slot of a Cluster, and none shows who talks. A call is a conversation with its
own name and slot: a pair's call is listed under the pair once, in a third round trip. Times are the
server's, so the `now` of the contract is not used, and hosts' clocks may differ.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from convostate.errors import StoreError
from convostate.sealing.token import HEAD_BYTES
from convostate.stores.base import (
    CALL_S,
    LEASE_S,
    MAX_WAITING,
    MOST_TEXTS,
    OPT_OUT_S,
    REPLY_S,
    WAIT_S,
    WORK_S,
    AsyncStore,
    Begun,
    Claim,
    End,
    Headers,
    Keep,
    Outcome,
    Queue,
    Replay,
    Reply,
    blocking,
    lost,
    mailbox_full,
    too_many_wait,
    waited_too_long,
)
from convostate.stores.redis.client import HANDOVER_MS, Client, Clients, check_client
from convostate.stores.redis.connection import Connection, Script
from convostate.stores.redis.url import client_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis, RedisCluster

    from convostate.stores.redis.work import RedisWork

# How long the end of a turn is remembered. A COMMIT is repeated within 1.1 s, or later if its process was
# paused: after half of this time it is not called lost. A BEGIN may arrive late while TCP retransmits it.
OVER_S = 120
_MOST_CALLS = 1000  # that are listed under a pair
_LONGEST_BREAK_S = 2  # between two BEGINs of a waiting turn; then its place in the queue may go

BEGIN = Script.load("_turn", "begin")
COMMIT = Script.load("_turn", "_time", "commit")
ABORT = Script.load("_turn", "abort")
WRITE = Script.load("write")
ERASE = Script.load("_turn", "erase")
PEEK = Script.load("peek")
STATUS = Script.load("status")
CLOCK = Script.load("_time", "clock")
LIST_CALL = Script.load("list_call")
CALLS = Script.load("calls")


@dataclass(slots=True, eq=False, repr=False)
class Lease:
    """A turn's lease of its conversation.

    Attributes:
        connection: Its connection; None when the turn is over.
        turn_id: The value of the lease.
        keys: Of the conversation, as BEGIN has them.
        head: The first bytes of the state that the turn began with or wrote last; b"" without a state.
        deferred: The text that its COMMIT is to keep, and the time; or None.
        tried: The first bytes of the state that it last tried to write, as a WRITE whose reply was lost may
            have been carried out. b"" without one.
    """

    connection: Connection | None
    turn_id: bytes
    keys: list[str]
    head: bytes
    deferred: tuple[bytes, str] | None = None
    tried: bytes = b""


class RedisTurns(AsyncStore):
    """Takes turns in a Redis: the whole protocol, as coroutines over connections that block or do not.

    Its arguments are those of `RedisStore`.
    """

    server_side = True
    client_type: ClassVar[type[Client]] = Client

    def __init__(
        self, client: Any, *, max_waiting: int, wait_s: float = WAIT_S, lease_s: float = LEASE_S
    ) -> None:
        if not callable(client):
            check_client(client, self.client_type.kinds)
        make = client if callable(client) else lambda: client
        self.clients = Clients(self.client_type, make, theirs=not callable(client))
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._lease_ms = _ms(lease_s)
        self._place_ms = _ms(wait_s + _LONGEST_BREAK_S)

    @cached_property
    def work(self) -> RedisWork:
        """Keeps deferred texts."""
        from convostate.stores.redis.work import RedisWork  # noqa: PLC0415  # for apps that defer

        return RedisWork(self)

    async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        connection = self._connection(claim)
        client, state_key = connection.client, connection.key
        queue_key = f"{state_key}p" if claim.defers else f"{state_key}q"
        keys = [state_key, f"{state_key}l", queue_key, f"{state_key}o"]
        if claim.fingerprint is not None:
            keys += [f"{state_key}r", f"{state_key}r{claim.fingerprint}"]
        turn_id = client.unique()
        connection.on_close = (ABORT, keys[:3], (turn_id, HANDOVER_MS, OVER_S * 1000))
        deadline = time.monotonic() + self._wait_s
        waited = b"0"
        try:
            while True:
                _, answer, *rest = await connection.run(
                    BEGIN, keys, turn_id, self._lease_ms, HANDOVER_MS, self._place_ms,
                    self._max_waiting, waited, claim.idempotency, claim.fingerprint or "",
                )  # fmt: skip
                if answer == b"yours":
                    state, opted_out, left_ms = rest
                    if state is None and claim.listed_under:
                        # Before its app runs, so that `erase` of the pair reaches a turn in flight.
                        pair = Claim(claim.listed_under)
                        what = (claim.name, CALL_S * 1000, _MOST_CALLS)
                        await self.ask(LIST_CALL, pair, ("c",), *what, after_timeout=True)
                    connection.on_close = None
                    left_s = None if state is None else max(left_ms, 1) / 1000
                    lease = Lease(connection, turn_id, keys, (state or b"")[:HEAD_BYTES])
                    return Begun(claim, state, lease, opted_out is not None, left_s)
                if answer == b"replay":
                    connection.release()
                    return Replay(rest[0])
                if answer == b"full":
                    busy = too_many_wait()
                    break
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    await connection.run(
                        ABORT, keys[:3], turn_id, HANDOVER_MS, "", after_timeout=True
                    )
                    busy = waited_too_long()
                    break
                wake = keys[1].encode() + turn_id
                await client.wait(connection, turn_id, wake, left_s, rest[0] / 1000)
                waited = b"1"
        except BaseException:
            connection.close()
            raise
        connection.release()
        raise busy

    async def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """Write the state and keep the conversation, with a full lease.

        Raises:
            StoreError: ``lost``, nothing is written; or ``down``, it may be written. After ``down`` the turn
                may call `write` again.
        """
        lease, connection = held(begun)
        state = token or b""
        args = (lease.turn_id, self._lease_ms, lease.head, state, _ms(lifetime_s), lease.tried)
        lease.tried = state[:HEAD_BYTES]  # before it is asked: the answer may be lost
        answer = (await connection.run(WRITE, lease.keys[:2], *args, after_timeout=True))[1]
        if answer != b"done":
            raise lost() if answer == b"lost" else _unknown()
        lease.head = state[:HEAD_BYTES]

    async def commit(
        self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float
    ) -> Headers:
        """Carry out the outcome, record the reply, wake the next turn.

        Raises:
            StoreError: ``lost``, nothing is written; or ``down``, it may be written.
        """
        claim = begun.claim
        lease, connection = held(begun)
        stop = {True: "1", False: "0", None: ""}[outcome.opted_out]
        replies = reply is not None and claim.fingerprint is not None
        over_ms: int | str = OVER_S * 1000 if connection.late or not replies else ""
        args: list[Any] = [
            lease.turn_id, HANDOVER_MS, lease.head, *carried_out(outcome), stop,
            OPT_OUT_S * 1000, over_ms,
        ]  # fmt: skip
        if reply is not None and claim.fingerprint is not None:
            redirects = b"\x01" if reply.redirects else b"\x00"
            name = claim.fingerprint.encode("ascii")
            head = lease.turn_id + redirects + claim.idempotency + name
            args += [head, reply.sealed, REPLY_S * 1000]
            if lease.deferred is not None:
                args += [*lease.deferred, MOST_TEXTS, WORK_S * 1000]
        asked_s = time.monotonic()
        keys = lease.keys if replies else lease.keys[:4]
        answer = (await connection.run(COMMIT, keys, *args, after_timeout=True))[1]
        lease.connection = None
        connection.release()
        if answer == b"full":
            raise mailbox_full()
        if answer != b"done":
            certain = answer == b"lost" and time.monotonic() - asked_s < OVER_S / 2
            raise lost() if certain else _unknown()
        return []

    async def abort(self, begun: Begun) -> None:
        """Wake the next turn. If the server is gone, the lease ends by itself."""
        lease = begun.lease
        if type(lease) is not Lease or lease.connection is None:
            return
        connection, lease.connection = lease.connection, None
        if connection.dead:
            return
        args = (lease.turn_id, HANDOVER_MS, OVER_S * 1000 if connection.late else "")
        try:
            await connection.run(ABORT, lease.keys[:3], *args, after_timeout=True)
            connection.release()
        except StoreError:
            connection.close()

    async def peek(self, claim: Claim, now: float) -> bytes | None:
        state: bytes | None = (await self.ask(PEEK, claim, ("",)))[1]
        return state

    async def queue(self, claim: Claim) -> Queue:
        _, lease_ms, waiting, *_ = await self.ask(STATUS, claim, ("",))
        return Queue(lease_ms / 1000 if lease_ms > 0 else None, waiting)

    async def calls(self, claim: Claim) -> list[str]:
        _, *names = await self.ask(CALLS, claim, ("c",))
        return [name.decode("ascii") for name in names]

    async def erase(self, claim: Claim, *, replies: bool) -> None:
        if replies:
            for name in await self.calls(claim):
                await self.erase(Claim(name, call=True), replies=False)
        which = ("", "l", "q", "r", "c")
        await self.ask(ERASE, claim, which, HANDOVER_MS, str(int(replies)), after_timeout=True)

    async def clock_ahead_s(self, claim: Claim) -> float | None:
        """How far this host's clock is ahead of the server's, in seconds; None without the right to ask."""
        before = time.time()
        try:
            there_us: int = (await self.ask(CLOCK, claim, ("",)))[1]
        except StoreError:
            return None
        return (before + time.time()) / 2 - there_us / 1e6

    async def ask(
        self,
        script: Script,
        claim: Claim,
        which: Sequence[str],
        *args: Any,
        after_timeout: bool = False,
    ) -> list[Any]:
        """Run one script outside a turn, as `Connection.run` does, on the conversation's keys with these ends."""
        connection = self._connection(claim)
        keys = [connection.key + end for end in which]
        try:
            return await connection.run(script, keys, *args, after_timeout=after_timeout)
        finally:
            connection.release()

    def _connection(self, claim: Claim) -> Connection:
        """A connection to a conversation's server, unless it is known to be down."""
        client = self.clients.current()
        if not client.breaker.admits():
            raise StoreError(
                "down",
                "the Redis in CONVOSTATE_STORE has not answered several times in a row, and is asked "
                "once a second. Check that it runs, and the network",
            )
        return Connection(client, f"cs1:{{{claim.name}}}")

    async def check(self) -> list[tuple[str, str, str]]:
        """What ``convostate doctor`` prints: tuples of level, what was found, and what to do about it."""
        from convostate.stores.redis.check import check  # noqa: PLC0415  # for doctor alone

        return await check(self)

    async def close(self) -> None:
        """Close the connections, those of running turns as they end; a later turn connects again.

        A client that was passed in stays open; one that a function made is closed.
        """
        await self.clients.close()


class RedisStore:
    """Keeps conversations in a Redis 6.2 or newer, or a Valkey.

    Args:
        client: A client of redis-py: ``Redis``, ``RedisCluster``, or what ``Sentinel.master_for`` returns;
            or a function that makes one, called once in each process. It decides where to connect, as
            which user, and how to keep connections alive. The store has its own connections, timeouts
            (0.5 s) and retries.
        max_waiting: How many turns of one conversation may wait at once (2).
        wait_s: How long one may wait, in seconds (8).
        lease_s: How long a turn may hold its conversation, in seconds (16).

    Raises:
        UsageError: The client is of another type, or reads replicas. If a function makes it, the first turn
            raises this.
    """

    server_side = True
    most_bytes = None

    def __init__(
        self,
        client: Redis | RedisCluster | Callable[[], Redis | RedisCluster],
        *,
        max_waiting: int = MAX_WAITING,
        wait_s: float = WAIT_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._turns = RedisTurns(client, max_waiting=max_waiting, wait_s=wait_s, lease_s=lease_s)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        max_waiting: int = MAX_WAITING,
        wait_s: float = WAIT_S,
        lease_s: float = LEASE_S,
    ) -> RedisStore:
        """Make the store that a URL names, without connecting; `convostate.stores.redis.url` lists the forms.

        The other arguments are those of the class.

        Raises:
            UsageError: The URL is wrong; the message never shows it.
        """
        return cls(client_maker(url), max_waiting=max_waiting, wait_s=wait_s, lease_s=lease_s)

    def __repr__(self) -> str:
        return "RedisStore(…)"

    @cached_property
    def work(self) -> RedisWork:
        """Keeps deferred texts."""
        return self._turns.work

    begin = blocking(RedisTurns.begin, "_turns")
    write = blocking(RedisTurns.write, "_turns")
    commit = blocking(RedisTurns.commit, "_turns")
    abort = blocking(RedisTurns.abort, "_turns")
    peek = blocking(RedisTurns.peek, "_turns")
    queue = blocking(RedisTurns.queue, "_turns")
    calls = blocking(RedisTurns.calls, "_turns")
    erase = blocking(RedisTurns.erase, "_turns")
    clock_ahead_s = blocking(RedisTurns.clock_ahead_s, "_turns")
    check = blocking(RedisTurns.check, "_turns")
    close = blocking(RedisTurns.close, "_turns")


def held(begun: Begun) -> tuple[Lease, Connection]:
    """The lease of a turn, and its connection; StoreError ``lost`` if the turn is over or another store's."""
    lease = begun.lease
    if type(lease) is not Lease or lease.connection is None:
        raise lost()
    return lease, lease.connection


def carried_out(outcome: Outcome) -> tuple[str, bytes, int]:
    """What COMMIT and KEEP do with the state: ``keep``, ``end`` or ``leave`` it; the state to keep, its lifetime in ms."""
    if isinstance(outcome, Keep):
        return "keep", outcome.token, _ms(outcome.lifetime_s)
    return "end" if isinstance(outcome, End) else "leave", b"", 1


def _unknown() -> StoreError:
    return StoreError(
        "down",
        "the Redis in CONVOSTATE_STORE answered too late to know whether the state is written",
    )


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
