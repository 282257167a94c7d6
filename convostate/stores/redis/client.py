"""Client: what a process knows about its Redis servers, and its connections to them.

It uses the connections of redis-py, but not its pools. The coroutines here are written once: with
`Transport` they never suspend, and `convostate.stores.base.blocking` runs them; with the transport of
`convostate.stores.redis.aio` an event loop runs them.
"""

from __future__ import annotations

import inspect
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import SlotNotCoveredError
from redis.retry import Retry

from convostate.errors import UsageError
from convostate.stores.base import ThreadBell
from convostate.stores.redis.errors import FAULTS, ExhaustedError, StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence

    from convostate.stores.base import Bell
    from convostate.stores.redis.cluster import Cluster
    from convostate.stores.redis.connection import Connection


def packed(command: Sequence[str | bytes | int]) -> bytes:
    """A command as Redis reads it."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


try:
    import hiredis
except ImportError:
    pack: Callable[[tuple[Any, ...]], bytes] = packed
else:
    pack = hiredis.pack_command  # redis-py's wrapper takes five times as long

TIMEOUT_S = 0.5  # connect and each reply; Twilio waits 15 s in all
BLOCK_S = 0.25  # how long a waiting turn blocks at a time; below TIMEOUT_S
# A firewall or a load balancer silently forgets an idle connection: packets vanish. After so many idle
# seconds, a connection that does not answer at once is replaced.
IDLE_S, STALE_S = 2.0, 0.08
JUST_NOW = float("inf")  # a new connection is not idle, even if its process is paused
HANDOVER_MS = 300  # the cost of a waiter that has died; a live one takes the lease in 1 ms
FAILURES = 5  # in a row; fewer may be one bad connection
PAUSE_S = 1.0  # between two probes of a dead server: the longest that a recovered one waits

# The client that is given decides where to connect, as which user, and how to keep a connection alive. These
# arguments decide how long to wait and how often to retry.
_OURS: dict[str, Any] = {
    "protocol": 2,  # RESP3 was seen to return another key's value after an interrupt
    "socket_timeout": TIMEOUT_S,
    "socket_connect_timeout": TIMEOUT_S,
    "decode_responses": False,
    "encoding": "utf-8",
    "health_check_interval": 0,  # its PING would be a third round trip
    "client_name": None,  # each name costs another round trip on every new connection
    "retry_on_timeout": False,
    "retry_on_error": [],
}
# What redis-py 8 adds for RESP3's maintenance notices, and what costs another round trip.
_NOT_OURS = ("cache", "cache_config", "connection_pool", "retry", "lib_name", "lib_version")
_PREFIXES_NOT_OURS = ("maint_", "maintenance_", "orig_", "oss_")
_NO_NAMES: dict[str, Any] = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection).parameters
    else {"lib_name": None, "lib_version": None}  # redis-py before 7
)
# redis-py's defaults from version 8 on.
_KEEP_ALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


def connection_kwargs(pool: Any) -> dict[str, Any]:
    """The arguments of the store's connections, from those of a client's pool."""
    kwargs = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name not in _NOT_OURS and not name.startswith(_PREFIXES_NOT_OURS)
    }
    if "path" not in kwargs and kwargs.get("socket_keepalive") is None:
        options = kwargs.get("socket_keepalive_options") or _KEEP_ALIVE
        kwargs |= {"socket_keepalive": True, "socket_keepalive_options": options}
    if getattr(pool, "sentinel_manager", None) is not None:
        kwargs["connection_pool"] = getattr(pool, "proxy", pool)  # redis.asyncio needs no proxy
    return kwargs | _OURS | _NO_NAMES


async def settled(result: Any) -> Any:
    """The result of redis-py, awaited if its client is the asyncio one."""
    return await result if inspect.isawaitable(result) else result


@contextmanager
def reading_slots() -> Iterator[None]:
    """redis-py reads the map of a Cluster's slots; if there is none at all, it raises an IndexError."""
    try:
        yield
    except IndexError as error:
        raise SlotNotCoveredError("the cluster has no slots") from error


class Breaker:
    """A circuit breaker: after `FAILURES` in a row only one caller per `PAUSE_S` may try.

    It has no lock, because a fork, a signal or a greenlet's timeout could leave that locked. A race costs a
    second probe at worst. `clock` returns monotonic seconds.

    Attributes:
        failures: In a row; 0 once the server has answered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = 0
        self._clock = clock
        self._tried = 0.0

    @property
    def closed(self) -> bool:
        """Whether the server is considered healthy."""
        return self.failures < FAILURES

    def admits(self) -> bool:
        """Whether the caller may try: always while it is closed, once per pause while it is open."""
        if self.failures < FAILURES:
            return True
        now = self._clock()
        if now - self._tried < PAUSE_S:
            return False
        self._tried = now  # the caller is the probe; all others wait for another pause
        return True

    def failed(self) -> None:
        """The server has not answered."""
        self._tried = self._clock()
        self.failures += 1


class Transport:
    """One connection of ``redis.Redis``, lent to one turn at a time. Its coroutines never suspend.

    It goes back to its `pool` once its last reply has been read whole.
    """

    __slots__ = ("__weakref__", "_connection", "_used", "pool")

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self._connection = pool.make()
        self._used = JUST_NOW

    @property
    def is_idle(self) -> bool:
        """It was not used for `IDLE_S`, so a firewall may have forgotten it."""
        return time.monotonic() - self._used > IDLE_S

    async def connect(self) -> None:
        """Connect."""
        self._connection.connect()
        self._used = JUST_NOW

    async def is_in_step(self) -> bool:
        """Whether it is open and has nothing left to read."""
        return not self._connection.can_read()

    async def exchange(self, *command: Any, idle: bool = False) -> Any:
        """Send a command and read its reply.

        After a timeout it stays open, for a last command. After any other exception except an error reply it
        cannot be used again.

        Raises:
            StaleError: It was `idle`, and no reply came within `STALE_S`.
        """
        connection = self._connection
        connection.send_packed_command([pack(command)])
        if idle and not connection.can_read(STALE_S):
            raise StaleError
        reply = connection.read_response(disconnect_on_error=False)
        self._used = time.monotonic()
        return reply

    def close(self) -> None:
        """Close it. Never waits."""
        self._connection.disconnect()

    def send_and_close(self, *command: Any) -> None:
        """Send a last command, whose reply is not read, and close: the server still carries it out."""
        try:
            # `is_connected` is younger than redis-py 5.
            if getattr(self._connection, "_sock", None) is not None:
                self._connection.send_packed_command([pack(command)])
        except FAULTS:
            pass
        finally:
            self._connection.disconnect()


class Pool:
    """The connections to one server, or to the master that some sentinels name. The whole route of ``redis.Redis``.

    The pool of a client knows where the server is; its own connections are not used. A connection counts as in
    use while its object is alive: a thread that is interrupted, by a signal or a greenlet's timeout, drops it,
    and a dropped connection closes.
    """

    is_cluster = False
    transport: ClassVar[type[Transport]] = Transport
    ours: ClassVar[dict[str, Any]] = {"retry": Retry(NoBackoff(), 0)}

    def __init__(self, pool: Any) -> None:
        kwargs = connection_kwargs(pool) | self.ours
        self._sentinels = getattr(pool, "sentinel_manager", None)
        self._client_pool = pool  # the sentinels' connections refer to it weakly
        self.make: Callable[[], Any] = lambda: pool.connection_class(**kwargs)
        self.most: int = pool.max_connections
        self._idle: list[Transport] = []
        self._alive: WeakSet[Any] = WeakSet()
        self._closed = False

    async def to(self, key: str) -> Pool:
        """The connections to the server that holds a key."""
        return self

    async def take(self, key: str, *, fresh: bool = False) -> Transport:
        """Lend a connection that is open and in step; a new one if one has just failed: the idle ones are as old.

        One that was used in the last `IDLE_S` is not checked: if it has closed, the script is sent again.

        Raises:
            ExhaustedError: The client's `max_connections` are in use.
        """
        if fresh:
            self.drop_idle()
        transport: Transport
        while self._idle:
            try:
                transport = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            try:
                if not transport.is_idle or await transport.is_in_step():
                    return transport
            except FAULTS:  # closed by the server meanwhile
                pass
            transport.close()
        if len(self._alive) >= self.most:
            raise ExhaustedError("as many connections as the client may have are in use")
        transport = self.transport(self)
        self._alive.add(transport)
        try:
            # A firewall may have forgotten the connection to a sentinel as well.
            for sentinel in getattr(self._sentinels, "sentinels", ()):
                await settled(sentinel.connection_pool.disconnect(inuse_connections=False))
            await transport.connect()
        except BaseException:
            transport.close()
            raise
        return transport

    def take_back(self, transport: Transport) -> None:
        """Take back a connection whose last reply has been read whole."""
        self._idle.append(transport)
        if self._closed:
            self.drop_idle()

    def drop_idle(self) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, []
        for transport in idle:
            transport.close()

    moved = drop_idle  # they may lead to the former master

    def close(self) -> None:
        """Close the idle connections, and the lent ones as they come back."""
        self._closed = True
        self.drop_idle()


async def close_client(client: Any) -> None:
    """Close a client of redis-py, and those of the sentinels that it asks."""
    pool = getattr(client, "connection_pool", None)
    sentinels = getattr(getattr(pool, "sentinel_manager", None), "sentinels", ())
    for each in (*sentinels, client):
        await settled((getattr(each, "aclose", None) or each.close)())


class Client:
    """What this process knows about the servers: where they are, and whether they answer.

    Args:
        make_client: Makes the client of redis-py; called on first use.
        theirs: The client belongs to the caller, who closes it.

    Attributes:
        place: What has a `Client` of its own: a process or, under asyncio, an event loop.
        keeps_transport: A turn keeps its connection from BEGIN to COMMIT, which saves time. A thread runs
            one turn at once; an event loop runs thousands, and lends a connection for one exchange.
    """

    place: ClassVar[Callable[[], Any]] = staticmethod(os.getpid)
    by_place: ClassVar[Callable[[], MutableMapping[Any, Client]]] = dict
    bell: ClassVar[type[Bell]] = ThreadBell
    keeps_transport = True
    kinds: ClassVar[tuple[Any, Any]] = (Redis, RedisCluster)
    mark = b"\0\1"  # by which _turn.lua recognises the turns of threads

    def __init__(self, make_client: Callable[[], Any], *, theirs: bool) -> None:
        self.breaker = Breaker()
        self.node = self.mark + os.urandom(6)
        self._count = count(int.from_bytes(os.urandom(4), "big"))
        self._make_client = make_client
        self._theirs = theirs
        self._route: Pool | Cluster | None = None
        self.redis: Any = None  # the client of redis-py, once there is a route
        self._finding = threading.Lock()  # so that a client is made once

    def make_pool(self, pool: Any) -> Pool:
        """The connections to one server."""
        return Pool(pool)

    def unique(self) -> bytes:
        """16 bytes that are unique: the id of this object, and a number in 8 hexadecimal digits."""
        return b"%b%08x" % (self.node, next(self._count) & 0xFFFF_FFFF)

    async def route(self) -> Pool | Cluster:
        """The route to the servers, found on first use; a Cluster's client then asks a server."""
        route = self._route
        if route is not None:
            return route
        # A Cluster's client asks its servers when it is made: threads must not wait for a dead one in turn.
        if not self._finding.acquire(timeout=2 * TIMEOUT_S):
            raise TimeoutError
        try:
            if self._route is None:
                self._route = await self.find_route()
            return self._route
        finally:
            self._finding.release()

    async def lend(self, key: str, *, fresh: bool = False) -> Transport:
        """Lend a connection to the server that holds a key, as `Pool.take`."""
        route = self._route or await self.route()
        return await route.take(key, fresh=fresh)

    async def find_route(self) -> Pool | Cluster:
        """Make the client of redis-py."""
        with reading_slots():
            client = self._make_client()
        check_client(client, self.kinds)
        is_cluster = isinstance(client, self.kinds[1])
        if is_cluster and hasattr(client, "initialize"):  # the blocking one has asked by now
            try:
                with reading_slots():
                    await client.initialize()
            except BaseException:
                if not self._theirs:
                    self.run_aside(close_client(client))
                raise
        self.redis = client
        if is_cluster:
            from convostate.stores.redis.cluster import Cluster  # noqa: PLC0415  # few have one

            return Cluster(client, self.make_pool)
        return self.make_pool(client.connection_pool)

    def moved(self) -> None:
        """Note that a server has failed, or holds other conversations."""
        if self._route is not None:
            self._route.moved()

    async def wait(
        self, connection: Connection, turn_id: bytes, wake: bytes, left_s: float, lease_s: float
    ) -> None:
        """Wait until the turn is woken, or for a moment; at most `left_s`, or until the running turn's lease ends.

        A thread waits for its list `wake`; an event loop is told the ids of the turns.

        Raises:
            StoreError: ``down``.
        """
        await connection.block_on(wake, max(0.01, min(BLOCK_S, left_s)))  # BLPOP takes 0 for ever

    def run_aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run work whose result the caller does not need; here it blocks."""
        with suppress(StopIteration):
            work.send(None)

    async def close(self) -> None:
        """Close the route to the servers. Turns in flight may still use it; they leave nothing open."""
        if self._route is not None:
            self._route.close()
            if not self._theirs:
                await close_client(self.redis)


class Clients:
    """A store's clients: one for each place, until the store is closed there.

    A child process therefore shares neither sockets nor locks with its parent.
    """

    def __init__(self, kind: type[Client], make_client: Callable[[], Any], *, theirs: bool) -> None:
        self._make = partial(kind, make_client, theirs=theirs)
        self._place = kind.place
        self._of: MutableMapping[Any, Client] = kind.by_place()

    def current(self) -> Client:
        """The client of this place."""
        place = self._place()
        return self._of.get(place) or self._of.setdefault(place, self._make())

    async def close(self) -> None:
        """Close the client of this place; the next turn makes another."""
        client = self._of.pop(self._place(), None)
        if client is not None:
            await client.close()


def check_client(client: Any, kinds: tuple[Any, Any]) -> None:
    """Refuse what is not a client of redis-py, or reads replicas, with a UsageError."""
    if not isinstance(client, kinds):
        module = kinds[0].__module__.rpartition(".")[0]
        raise UsageError(
            f"The store takes a client of redis-py, or a function that makes one: {module}.Redis(…), "
            f"{module}.RedisCluster(…) or {module}.Sentinel(…).master_for(…). For a URL use from_url(url)"
        )
    pool = getattr(client, "connection_pool", None)
    if getattr(pool, "is_master", True) is False:
        raise UsageError(
            "This client reads replicas, and the store writes. Use Sentinel(…).master_for(…)"
        )
