"""AsyncRedisStore: the conversations of a `RedisStore`, for the tasks of event loops.

The protocol, the scripts and the names are the same, so an app on WSGI and one on ASGI share them. A turn
that waits or runs holds neither a thread nor a connection: for each exchange it takes one of a few.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from redis import asyncio as redis_asyncio
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from convostate.errors import StoreError
from convostate.stores.aio import LoopBell, Tasks
from convostate.stores.base import MAX_WAITING_IN_LOOP, Begun
from convostate.stores.redis.client import (
    BLOCK_S,
    HANDOVER_MS,
    IDLE_S,
    JUST_NOW,
    PAUSE_S,
    STALE_S,
    TIMEOUT_S,
    Breaker,
    Client,
    Pool,
    Transport,
    pack,
)
from convostate.stores.redis.connection import Connection, Script
from convostate.stores.redis.errors import FAULTS, TIMEOUTS, StaleError, code_of
from convostate.stores.redis.store import RedisTurns
from convostate.stores.redis.url import client_maker

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    # redis-py needs it there.
    from async_timeout import timeout  # type: ignore[import-not-found, unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# Exchanges at once with one server: a loop cannot make use of more, and a burst of texts does not open a
# connection each.
EXCHANGES = 32
# A timeout that fires later than this says that the loop stood still, and the reply may be here unread.
LAG_S, LAGS = 0.05, 4
LAST_LOOK_S = 0.01  # for a reply that is here unread
POLL_S = 4.0  # how often a turn asks by itself while messages arrive; BLOCK_S while they do not
PING_S = 2.0  # how long a subscription may be silent while turns wait
RETRY_S = 60.0  # until a subscription that the server refuses is tried again
_MOST_EARLY = 1000
_SOON = b"+"  # as _turn.lua ends a message for the next but one

PUBLISH = Script.load("publish")


class AsyncioTransport(Transport):
    """A connection of ``redis.asyncio``, lent for one exchange at a time."""

    __slots__ = ("lent",)

    def __init__(self, pool: AsyncioPool) -> None:
        super().__init__(pool)
        self.lent = False

    async def connect(self) -> None:
        """Connect."""
        tls = isinstance(self._connection, redis_asyncio.SSLConnection)
        # Each sentinel that does not answer takes one, before the next is asked for the master.
        timeout_s = TIMEOUT_S * (1 + tls + self.pool.sentinels)
        for left in range(LAGS - 1, -1, -1):
            began = time.monotonic()
            try:
                async with timeout(timeout_s):
                    await self._connection.connect()
                break
            except TIMEOUTS as error:
                if not left or not _lagged(began, timeout_s):
                    raise exceptions.TimeoutError("handshake" if tls else "connect") from error
        self._used = JUST_NOW

    async def is_in_step(self) -> bool:
        """Whether it is open and has nothing left to read."""
        connection = self._connection
        # The younger name is there from redis-py 8 on.
        can_read = getattr(connection, "can_read", None) or connection.can_read_destructive
        return not await can_read()

    async def exchange(self, *command: Any, idle: bool = False) -> Any:
        """Send a command and read its reply."""
        await self.send(*command)
        reply = await self.read(STALE_S if idle else TIMEOUT_S)
        if reply is None and idle:
            raise StaleError
        if reply is None:
            raise exceptions.TimeoutError
        self._used = time.monotonic()
        return reply

    async def send(self, *command: Any) -> None:
        """Send a command."""
        async with timeout(TIMEOUT_S):
            await self._connection.send_packed_command([pack(command)])

    async def read(self, seconds: float) -> Any:
        """Read a reply; None if there is none in time. A timeout that fires late begins anew."""
        for _ in range(LAGS):
            began = time.monotonic()
            if (reply := await self._read(seconds)) is not None:
                return reply
            if not _lagged(began, seconds):
                break
        # A reply that came in the round of the loop in which the timeout fired is unread: it is in the
        # socket, or in the buffer if a timeout fires in the next round as well.
        for _ in range(2):
            if (reply := await self._read(LAST_LOOK_S)) is not None:
                return reply
        return None

    async def _read(self, seconds: float) -> Any:
        return await self._connection.read_response(timeout=seconds, disconnect_on_error=False)

    def close(self) -> None:
        """Close it."""
        _do_now(self._connection.disconnect(nowait=True))
        self.free()

    def send_and_close(self, *command: Any) -> None:
        """Send a last command and close: what is sent goes out before the end."""
        if self._connection.is_connected:
            _do_now(self._connection.send_packed_command([pack(command)]))
        self.close()

    def free(self) -> None:
        """Let another exchange begin."""
        if self.lent:
            self.lent = False
            self.pool.slots.release()


def _lagged(began: float, seconds: float) -> bool:
    return time.monotonic() - began > seconds + LAG_S


def _do_now(work: Coroutine[Any, Any, Any]) -> None:
    """Start what need not be waited for, and drop what remains."""
    with suppress(StopIteration, *FAULTS):
        work.send(None)
        work.close()


class AsyncioPool(Pool):
    """The connections of one event loop to one server: as many as exchanges go on at once."""

    transport = AsyncioTransport
    # The timeouts are those of the transport.
    ours: ClassVar[dict[str, Any]] = {"retry": Retry(NoBackoff(), 0), "socket_timeout": None}

    def __init__(self, pool: Any, breaker: Breaker) -> None:
        super().__init__(pool)
        self.slots = asyncio.Semaphore(min(EXCHANGES, self.most))
        self.most = sys.maxsize  # the slots are the bound
        self.sentinels = len(getattr(self._sentinels, "sentinels", ()))
        self._breaker = breaker

    async def take(self, key: str, *, fresh: bool = False) -> Transport:
        """Lend a connection, as soon as there is one to spare."""
        waits = self.slots.locked()
        await self.slots.acquire()
        if waits and not self._breaker.closed:  # those in front have found out
            self.slots.release()
            raise exceptions.ConnectionError
        try:
            transport = await super().take(key, fresh=fresh)
        except BaseException:
            self.slots.release()
            raise
        assert isinstance(transport, AsyncioTransport)
        transport.lent = True
        return transport

    def take_back(self, transport: Any) -> None:
        """Take back a connection, which another exchange may then have."""
        super().take_back(transport)
        transport.free()


class AsyncioClient(Client):
    """What one event loop knows about the servers."""

    place = staticmethod(asyncio.get_running_loop)
    by_place = WeakKeyDictionary
    bell = LoopBell
    keeps_transport = False
    kinds: ClassVar[tuple[Any, Any]] = (redis_asyncio.Redis, redis_asyncio.RedisCluster)
    mark = b"\0\0"  # by which _turn.lua recognises the turns of event loops

    def __init__(self, make_client: Callable[[], Any], *, theirs: bool) -> None:
        super().__init__(make_client, theirs=theirs)
        self.tasks = Tasks()
        self._lock = asyncio.Lock()
        self._listener = Listener(self)

    def make_pool(self, pool: Any) -> Pool:
        """The connections to one server."""
        return AsyncioPool(pool, self.breaker)

    async def route(self) -> Any:
        """The way to the servers."""
        if self._route is None:
            async with self._lock:
                if self._route is None:
                    async with timeout(4 * TIMEOUT_S):
                        self._route = await self.find_route()
        return self._route

    async def wait(
        self, connection: Connection, turn_id: bytes, wake: bytes, left_s: float, lease_s: float
    ) -> None:
        """Wait until the turn is woken, or for a moment."""
        await self._listener.wait(connection.key, turn_id, connection.asked_s, left_s, lease_s)

    def run_aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run what the caller does not wait for."""
        try:
            self.tasks.start(work)
        except RuntimeError:  # the loop is at its end
            work.close()

    async def close(self) -> None:
        """Close what leads to the servers."""
        self._listener.stop()
        await super().close()


class Listener:
    """Hears of turns that may go on, on one subscription for all the turns of an event loop that wait.

    A message that is missed does no harm: a turn asks by itself as well, and more often while nothing
    shows that messages arrive.
    """

    def __init__(self, client: AsyncioClient) -> None:
        self._client = client
        self._channel = b"cs1:" + client.node
        self._bells: dict[bytes, LoopBell] = {}
        self._early: set[bytes] = set()  # messages to turns that did not wait yet
        self._task: asyncio.Task[None] | None = None
        self._transport: AsyncioTransport | None = None
        self._heard = self._not_before = float("-inf")
        self._since: float | None = None  # when the subscription began, while it lasts
        self._asked = False  # for a sign of life

    async def wait(
        self, key: str, turn_id: bytes, asked_s: float, left_s: float, lease_s: float
    ) -> None:
        """Wait until a turn, which asked at `asked_s`, is woken, or should ask by itself."""
        now = time.monotonic()
        if (self._task is None or self._task.done()) and now >= self._not_before:
            self._heard = now  # as a rule it is allowed, and at once
            self._task = self._client.tasks.start(self._listen(key))
        poll_s = POLL_S
        if now - self._heard > IDLE_S:
            poll_s = BLOCK_S
            self._ask()
        elif self._since is None:
            poll_s = BLOCK_S
        bell = self._bells[turn_id] = LoopBell()
        for message in (turn_id, turn_id + _SOON):
            if message in self._early:
                self._early.discard(message)
                self._wake(message)
        if self._since is not None and asked_s < self._since:
            bell.ring_here()  # its message may have come before the subscription
        try:
            # When the lease ends there may be nobody to wake it.
            await bell.wait(max(0.01, min(left_s, poll_s, lease_s + 0.005)))
        finally:
            del self._bells[turn_id]

    def stop(self) -> None:
        """End the subscription; turns that still wait ask by themselves."""
        self._not_before = float("inf")
        if self._task is not None:
            self._task.cancel()

    async def _listen(self, key: str) -> None:
        self._not_before = self._heard + PAUSE_S
        self._asked = False
        transport = None
        try:
            pool = await (await self._client.route()).to(key)
            transport = AsyncioTransport(pool)
            await transport.connect()
            self._transport = transport
            await transport.send("SUBSCRIBE", self._channel)
            if await transport.read(TIMEOUT_S) is None:
                return
            self._since = time.monotonic()
            self._wake_all()  # who was next before may have been
            # The path and the right to publish are shown by a message of one's own.
            connection = Connection(self._client, key)
            await connection.run(PUBLISH, [key], self._channel, self._client.node)
            message = await transport.read(PING_S)
            if message is None:
                self._not_before = time.monotonic() + RETRY_S
                return
            self._take(message)  # it may be a turn's as well
            await self._hear(transport)
        except FAULTS as error:
            if code_of(error) == "NOPERM":
                self._not_before = time.monotonic() + RETRY_S
        except StoreError:
            pass
        finally:
            self._heard = float("-inf")
            self._transport = self._since = None
            if transport is not None:
                transport.close()
            self._wake_all()  # from here on they ask more often

    async def _hear(self, transport: AsyncioTransport) -> None:
        while True:
            message = await transport.read(PING_S)
            if message is not None:
                self._take(message)
            elif self._asked:  # forgotten on its way
                return
            elif self._bells:
                self._ask()

    def _take(self, message: Any) -> None:
        self._asked, self._heard = False, time.monotonic()
        if message[0] == b"message":
            self._wake(message[2])

    def _wake_all(self) -> None:
        for bell in self._bells.values():
            bell.ring_here()

    def _ask(self) -> None:
        if self._transport is not None and not self._asked:
            self._asked = True
            _do_now(self._transport.send("PING"))

    def _wake(self, message: bytes) -> None:
        bell = self._bells.get(message[:16])
        if bell is None:
            if len(self._early) >= _MOST_EARLY:  # to turns that were cancelled
                self._early.clear()
            self._early.add(message)
        elif message.endswith(_SOON, 16):
            # It asks when this hand-over has lapsed; a ring that comes first wakes it.
            asyncio.get_running_loop().call_later(HANDOVER_MS / 1000 + 0.005, bell.ring_here)
        else:
            bell.ring_here()


def _in_order(method: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
    """A method that takes a turn: it follows the turn's earlier ones, and is carried out if its caller is cancelled."""

    @wraps(method)
    async def call(self: AsyncRedisStore, begun: Begun, *args: Any, **named: Any) -> Any:
        work = partial(method, self, begun, *args, **named)
        return await self._tasks.in_order(begun, work)

    return call


class AsyncRedisStore(RedisTurns):
    """Keeps conversations in a Redis or a Valkey, for event loops: `RedisStore` as coroutines.

    Each loop that uses it has connections of its own; `close` closes those of the running one.

    Args:
        client: A client of ``redis.asyncio``: ``Redis``, ``RedisCluster``, or what ``Sentinel.master_for``
            gives; or a function that makes one, called once in each event loop.
        max_waiting: How many turns of one conversation may wait at once (8).
        wait_s: How long one may wait, in seconds (8).
        lease_s: How long a turn may hold its conversation, in seconds (16).

    Raises:
        UsageError: As `RedisStore`.
    """

    client_type = AsyncioClient

    def __init__(
        self, client: Any, *, max_waiting: int = MAX_WAITING_IN_LOOP, **bounds: float
    ) -> None:
        super().__init__(client, max_waiting=max_waiting, **bounds)
        self._tasks = Tasks()

    @classmethod
    def from_url(cls, url: str, **bounds: Any) -> AsyncRedisStore:
        """Make the store that a URL names, as `RedisStore.from_url`."""
        return cls(client_maker(url, asyncio=True), **bounds)

    def __repr__(self) -> str:
        return "AsyncRedisStore(…)"

    write = _in_order(RedisTurns.write)
    commit = _in_order(RedisTurns.commit)
    abort = _in_order(RedisTurns.abort)
