"""RedisStore: conversations in a Redis, shared by threads, processes and hosts.

*Two round trips a turn; the messages of one conversation run one after another, in order; each changes
the state and is answered once.*

BEGIN takes the conversation's lease or a place in its queue, COMMIT writes the outcome and hands the
lease to the next: both are Lua scripts beside this file, and state their keys, arguments and replies.
A waiting turn blocks on a list of its own, which the release rings. The names, for a conversation ``h``:

    cs1:{h}         state, the sealed bytes                                    its lifetime
    cs1:{h}l        lease: id of the turn that runs                            16 s; 300 ms until claimed
    cs1:{h}l{id}    rung for a turn that waits                                 300 ms
    cs1:{h}q        ids of the turns that wait, in order                       10 s
    cs1:{h}o        a STOP stands                                              30 days
    cs1:{h}r        the newest reply, as begin.lua has it                      10 minutes
    cs1:{h}r{name}  older replies, by the name of their request                10 minutes

All expire, all are in one slot of a Cluster, and none tells who talks. Times are the server's: the
`now` of the contract is not needed.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from convostate.errors import StoreError
from convostate.sealing.token import HEAD_BYTES
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
from convostate.stores.redis.connection import BLOCK_S
from convostate.stores.redis.lease import Lease, held
from convostate.stores.redis.line import Line, Script, Servers
from convostate.stores.redis.route import check_client
from convostate.stores.redis.url import client_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostate.stores.redis.route import Client

HANDOVER_MS = 300  # a waiter that has died costs this much; one that lives takes the lease in 1 ms
TURN_ID_BYTES = 16
_LONGEST_BREAK_S = 2  # between two BEGINs of a waiting turn; then its place in the queue may go

BEGIN = Script.load("release", "begin")
COMMIT = Script.load("release", "commit")
ABORT = Script.load("release", "abort")
WRITE = Script.load("write")
ERASE = Script.load("release", "erase")
PEEK = Script.load("peek")
QUEUE = Script.load("queue")


class RedisStore:
    """Keeps conversations in a Redis 6.2 or newer, or a Valkey.

    Args:
        client: A client of redis-py: ``Redis``, ``RedisCluster``, or what ``Sentinel.master_for`` gives;
            or a function that makes one, called once in each process. It says where the servers are
            and as whom to talk to them; connections, timeouts (0.5 s) and repetitions are the store's.
        max_waiting: How many turns of one conversation may wait at once.
        wait_s: How long one may wait, in seconds.
        lease_s: How long a turn may hold its conversation, in seconds.

    Raises:
        UsageError: The client is none, or reads replicas; of one that a function makes the first turn
            tells.
    """

    server_side = True
    most_bytes = None

    def __init__(
        self,
        client: Client | Callable[[], Client],
        *,
        max_waiting: int = 8,
        wait_s: float = WAIT_S,
        lease_s: float = LEASE_S,
    ) -> None:
        make_client: Callable[[], Client]
        if callable(client):
            make_client = client
        else:
            check_client(client)
            given = client  # the name that the function keeps is not Callable any more

            def make_client() -> Client:
                return given

        self._servers = Servers(make_client, theirs=not callable(client))
        self._max_waiting = max_waiting
        self._wait_s = wait_s
        self._lease_ms = _ms(lease_s)
        self._place_ms = _ms(wait_s + _LONGEST_BREAK_S)

    @classmethod
    def from_url(
        cls, url: str, *, max_waiting: int = 8, wait_s: float = WAIT_S, lease_s: float = LEASE_S
    ) -> RedisStore:
        """Make the store that a URL names, without connecting; `redis_url` lists the forms.

        Args:
            url: As ``CONVOSTATE_STORE`` takes it.
            max_waiting: How many turns of one conversation may wait at once.
            wait_s: How long one may wait, in seconds.
            lease_s: How long a turn may hold its conversation, in seconds.

        Raises:
            UsageError: The URL is wrong; the message never shows it.
        """
        return cls(client_maker(url), max_waiting=max_waiting, wait_s=wait_s, lease_s=lease_s)

    def __repr__(self) -> str:
        return "RedisStore(…)"

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """Wait for the earlier turns, then hold the conversation or find the recorded reply."""
        turn_id = os.urandom(TURN_ID_BYTES)
        keys = _keys(claim, replies=claim.fingerprint is not None)
        line = self._line(keys[0])
        line.farewell = (ABORT, keys[:3], (turn_id, HANDOVER_MS))
        try:
            return self._begin(line, turn_id, keys, claim)
        except BaseException:
            line.close()
            raise

    def _begin(
        self, line: Line, turn_id: bytes, keys: Sequence[str], claim: Claim
    ) -> Begun | Replay:
        deadline = time.monotonic() + self._wait_s
        wake = keys[1].encode() + turn_id
        while True:
            _, answer, *rest = line.run(
                BEGIN, keys, turn_id, self._lease_ms, HANDOVER_MS, self._place_ms,
                self._max_waiting, claim.idempotency, claim.fingerprint or "",
            )  # fmt: skip
            if answer == b"yours":
                state, opted_out = rest
                lease = Lease(line, turn_id, state)
                line.farewell = None
                return Begun(claim, state, lease, opted_out is not None)
            if answer == b"replay":
                line.let_go()
                return Replay(rest[0])
            if answer == b"full":
                line.let_go()
                raise too_many_wait()
            left = deadline - time.monotonic()
            if left <= 0:
                line.run(ABORT, keys[:3], turn_id, HANDOVER_MS, after_timeout=True)
                line.let_go()
                raise waited_too_long()
            line.wait(wake, max(0.01, min(BLOCK_S, left)))  # BLPOP takes 0 for ever

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """Write the state and go on holding the conversation, with a whole lease.

        Raises:
            StoreError: ``lost``, and nothing is written; or ``down``, and it may be: another `write`
                of the turn is taken either way.
        """
        lease, line = held(begun)
        keys = _keys(begun.claim, replies=False)[:2]
        state = token or b""
        args = (lease.turn_id, self._lease_ms, lease.head, state, _ms(lifetime_s), lease.tried)
        lease.tried = state[:HEAD_BYTES]  # before it is asked: the answer may be lost
        if line.run(WRITE, keys, *args, after_timeout=True)[1] != b"done":
            raise lost()
        lease.head = state[:HEAD_BYTES]

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        """Carry out the outcome, record the reply, wake the next turn.

        Raises:
            StoreError: ``lost``, and nothing is written; or ``down``, and it may be.
        """
        claim = begun.claim
        lease, line = held(begun)
        to_do, state, lifetime_s = "leave", b"", 0.0
        if isinstance(outcome, Keep):
            to_do, state, lifetime_s = "keep", outcome.token, outcome.lifetime_s
        elif isinstance(outcome, End):
            to_do = "end"
        stop = {True: "1", False: "0", None: ""}[outcome.opted_out]
        args: list[Any] = [
            lease.turn_id, HANDOVER_MS, lease.head, to_do, state, _ms(lifetime_s),
            stop, _ms(OPT_OUT_S),
        ]  # fmt: skip
        replies = False
        if reply is not None and claim.fingerprint is not None:
            replies = True
            mark = b"\x01" if reply.redirects else b"\x00"
            name = claim.fingerprint.encode("ascii")
            args += [lease.turn_id + mark + claim.idempotency + name, reply.sealed, _ms(REPLY_S)]
        done = line.run(COMMIT, _keys(claim, replies=replies), *args, after_timeout=True)[1]
        lease.line = None
        line.let_go()
        if done != b"done":
            raise lost()
        return []

    def abort(self, begun: Begun) -> None:
        """Wake the next turn. Where the server is gone, the lease ends by itself."""
        lease = begun.lease
        if type(lease) is not Lease or lease.line is None:
            return
        line, lease.line = lease.line, None
        if line.dead:
            return
        keys = _keys(begun.claim, replies=False)[:3]
        try:
            line.run(ABORT, keys, lease.turn_id, HANDOVER_MS, after_timeout=True)
            line.let_go()
        except StoreError:
            line.close()

    def peek(self, claim: Claim, now: float) -> bytes | None:
        """Read the sealed state without waiting."""
        keys = _keys(claim, replies=False)[:1]
        line = self._line(keys[0])
        state: bytes | None = line.run(PEEK, keys)[1]
        line.let_go()
        return state

    def queue(self, claim: Claim) -> Queue:
        """Who is at the conversation."""
        keys = _keys(claim, replies=False)[1:3]
        line = self._line(keys[0])
        _, lease_ms, waiting = line.run(QUEUE, keys)
        line.let_go()
        return Queue(lease_ms / 1000 if lease_ms > 0 else None, waiting)

    def erase(self, claim: Claim, *, replies: bool) -> None:
        """Remove the state and take the lease from a turn in flight."""
        keys = _keys(claim, replies=False)[:3]
        line = self._line(keys[0])
        newest = f"{keys[0]}r"
        line.run(ERASE, [*keys, newest], HANDOVER_MS, "1" if replies else "0", after_timeout=True)
        line.let_go()

    def close(self) -> None:
        """Close the connections, those of turns in flight as they end; a later turn connects again.

        A client that was given stays open; one that a function made is closed.
        """
        self._servers = self._servers.in_this_process()
        self._servers.close()

    def _line(self, key: str) -> Line:
        servers = self._servers = self._servers.in_this_process()
        if not servers.breaker.admits():
            raise StoreError(
                "down",
                "the Redis in CONVOSTATE_STORE has not answered several times in a row, and is asked "
                "once a second. Check that it runs, and the network",
            )
        return Line(servers, key)


def _keys(claim: Claim, *, replies: bool) -> list[str]:
    """The keys of a conversation as all the scripts number them; with `replies` six."""
    state = f"cs1:{{{claim.name}}}"
    keys = [state, f"{state}l", f"{state}q", f"{state}o"]
    if replies:
        keys += [f"{state}r", f"{state}r{claim.fingerprint}"]
    return keys


def _ms(seconds: float) -> int:
    return max(1, int(seconds * 1000))
