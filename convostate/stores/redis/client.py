"""Client: what a process knows about its Redis servers, and its connections to them.

redis-py's own connections are used, its pools are not. The coroutines here are written once: with
`BlockingTransport` they never suspend, and `convostate.stores.base.blocking` runs them; with the
transport of `convostate.stores.redis.aio` an event loop does.
"""

from __future__ import annotations

import inspect
import os
import socket
import threading
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from weakref import WeakSet

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import SlotNotCoveredError
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from convostate.errors import UsageError
from convostate.stores.redis.errors import FAULTS, ExhaustedError, StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

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
    pack = hiredis.pack_command  # what redis-py does around it takes five times as long

TIMEOUT_S = 0.5  # connect and each reply; Twilio waits 15 s in all
BLOCK_S = 0.25  # how long a waiting turn blocks at a time; below TIMEOUT_S
# A firewall or a load balancer forgets an idle connection without a word: packets vanish. After so many
# idle seconds a connection that does not answer soon is given up for a new one.
IDLE_S, STALE_S = 2.0, 0.08
JUST_NOW = float("inf")  # a new connection is not idle, however long its process stands still
FAILURES = 5  # in a row; fewer can be one connection's bad luck
PAUSE_S = 1.0  # between two probes of a dead server: what a recovered one is kept waiting at most

# The caller's own client decides where to connect, as whom, and how to keep a connection alive. These
# decide how long to wait and how often to retry.
_OURS: dict[str, Any] = {
    "protocol": 2,  # RESP3 has been seen to hand out another key's value after an interrupt
    "socket_timeout": TIMEOUT_S,
    "socket_connect_timeout": TIMEOUT_S,
    "decode_responses": False,
    "encoding": "utf-8",
    "health_check_interval": 0,  # its PING would be a third trip
    "client_name": None,  # each name is a trip more on every new connection
    "retry_on_timeout": False,
    "retry_on_error": [],
}
# What redis-py 8 puts beside them for RESP3's notices of maintenance, and what is a trip more.
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


def connection_kwargs(pool: Any, *, retry: Any = None) -> dict[str, Any]:
    """The arguments of the store's connections to the server of a pool."""
    kwargs = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if name not in _NOT_OURS and not name.startswith(_PREFIXES_NOT_OURS)
    }
    if "path" not in kwargs and kwargs.get("socket_keepalive") is None:
        options = kwargs.get("socket_keepalive_options") or _KEEP_ALIVE
        kwargs |= {"socket_keepalive": True, "socket_keepalive_options": options}
    return kwargs | _OURS | _NO_NAMES | {"retry": retry or Retry(NoBackoff(), 0)}


async def settled(result: Any) -> Any:
    """What redis-py gives: at once, or from an awaitable of its asyncio half."""
    return await result if inspect.isawaitable(result) else result


def first_node(answer: Any) -> Any:
    """A cluster's answers come by node; one node stands for all."""
    if isinstance(answer, dict) and answer and all(":" in str(node) for node in answer):
        return next(iter(answer.values()))
    return answer


class Breaker:
    """Counts failures, and decides who may try.

    It has no lock, so that nothing can be left locked by a fork, a signal or a greenlet's timeout: the
    worst that a race does is a second probe.

    Args:
        failures: How many in a row open it.
        pause_s: Seconds from one probe to the next while it is open.
        clock: Gives monotonic seconds.
    """

    def __init__(
        self,
        failures: int = FAILURES,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the server is believed to be well."""
        return self._opened is None

    def admits(self) -> bool:
        """Whether the caller may try: always while closed, once per pause while open."""
        if self._opened is None:
            return True
        now = self._clock()
        if now - self._opened < self._pause_s:
            return False
        self._opened = now  # the caller is the probe; everyone else waits for another pause
        return True

    def succeeded(self) -> None:
        """The server has answered."""
        self._failures = 0
        self._opened = None

    def failed(self) -> None:
        """The server has not answered."""
        self._failures += 1
        if self._failures >= self._limit:
            self._opened = self._clock()


class Transport(Protocol):
    """One connection of redis-py, lent to one turn at a time."""

    @property
    def pool(self) -> Pool:
        """Where it goes back to, once its last reply has been read whole."""
        ...

    @property
    def is_idle(self) -> bool:
        """It was not used for `IDLE_S`, and may be forgotten on its way."""
        ...

    async def connect(self) -> None:
        """Connect."""
        ...

    async def is_in_step(self) -> bool:
        """Whether it is open and has nothing left to read."""
        ...

    async def exchange(self, *command: Any) -> Any:
        """Send a command and read its reply.

        After a timeout it stays open, for a last command; after any other exception but an error reply
        it is of no use.

        Raises:
            StaleError: It was idle, and no reply came within `STALE_S`.
        """
        ...

    def close(self) -> None:
        """Close it. Never waits."""
        ...

    def send_and_close(self, *command: Any) -> None:
        """Send a last command, whose reply is not read, and close: the server still carries it out."""
        ...


class BlockingTransport:
    """A connection of ``redis.Redis``; its coroutines never suspend."""

    __slots__ = ("__weakref__", "_connection", "_used", "pool")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._connection = pool.make()
        self._used = JUST_NOW

    @property
    def is_idle(self) -> bool:
        """It was not used for `IDLE_S`."""
        return time.monotonic() - self._used > IDLE_S

    async def connect(self) -> None:
        """Connect."""
        self._connection.connect()
        self._used = JUST_NOW

    async def is_in_step(self) -> bool:
        """Whether it is open and has nothing left to read."""
        return not self._connection.can_read()

    async def exchange(self, *command: Any) -> Any:
        """Send a command and read its reply."""
        connection = self._connection
        idle = self.is_idle
        connection.send_packed_command([pack(command)])
        if idle and not connection.can_read(STALE_S):
            raise StaleError
        reply = connection.read_response(disconnect_on_error=False)
        self._used = time.monotonic()
        return reply

    def close(self) -> None:
        """Close it."""
        self._connection.disconnect()

    def send_and_close(self, *command: Any) -> None:
        """Send a last command and close."""
        try:
            # `is_connected` is younger than redis-py 5.
            if getattr(self._connection, "_sock", None) is not None:
                self._connection.send_packed_command([pack(command)])
        except FAULTS:
            pass
        finally:
            self._connection.disconnect()


class Pool:
    """The connections to one server, or to the master that some sentinels name.

    What is lent is counted nowhere but by its being alive: whoever is interrupted, by a signal or a
    greenlet's timeout, drops the connection, and a dropped one closes.

    Args:
        pool: The pool of a client, which says where the server is; no connection of it is used.
    """

    transport: Callable[[Any], Any] = BlockingTransport

    def __init__(self, pool: Any) -> None:
        kwargs = self.kwargs_of(pool)
        self._sentinels = getattr(pool, "sentinel_manager", None)
        self._client_pool = pool  # the sentinels' connections refer to it weakly
        self.make: Callable[[], Any] = lambda: pool.connection_class(**kwargs)
        self.most: int = pool.max_connections
        self._idle: list[Transport] = []
        self._alive: WeakSet[Any] = WeakSet()
        self._closed = False

    def kwargs_of(self, pool: Any) -> dict[str, Any]:
        """The arguments of its connections."""
        kwargs = connection_kwargs(pool)
        if isinstance(pool, SentinelConnectionPool):
            kwargs["connection_pool"] = pool.proxy
        return kwargs

    async def take(self, *, fresh: bool = False) -> Transport:
        """Lend a connection that is open and in step.

        Args:
            fresh: A new one, because an idle one has just failed: the others are as old.

        Raises:
            ExhaustedError: As many as the client may have are in use.
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
                if await transport.is_in_step():
                    return transport
            except FAULTS:  # closed by the server meanwhile
                pass
            transport.close()
        self.check_room()
        transport = self.transport(self)
        self._alive.add(transport)
        try:
            # Its connection to a sentinel may be forgotten as well.
            for sentinel in getattr(self._sentinels, "sentinels", ()):
                await settled(sentinel.connection_pool.disconnect(inuse_connections=False))
            await transport.connect()
        except BaseException:
            transport.close()
            raise
        return transport

    def check_room(self) -> None:
        """Refuse another connection beyond the client's bound."""
        if len(self._alive) >= self.most:
            raise ExhaustedError("as many connections as the client may have are in use")

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

    def close(self) -> None:
        """Close the idle connections, and each one that is lent when it comes back."""
        self._closed = True
        self.drop_idle()


class Standalone:
    """All conversations are on one server, or on the master that the sentinels name.

    Args:
        client: A ``redis.Redis``, also one that ``Sentinel.master_for`` gave, or its asyncio twin.
        make_pool: `Pool`, or that of the transport.
    """

    def __init__(self, client: Any, make_pool: Callable[[Any], Pool]) -> None:
        self.client = client
        self._pool = make_pool(client.connection_pool)

    async def to(self, key: str) -> Pool:
        """The connections to the server that holds a key."""
        return self._pool

    async def at(self, host: str, port: int) -> Pool:
        """The connections to a server that a Cluster has named."""
        return self._pool

    def moved(self) -> None:
        """Idle connections may lead to what was the master: close them."""
        self._pool.drop_idle()

    async def close(self, *, client_too: bool) -> None:
        """Close the connections, and with `client_too` those that the client has for itself."""
        self._pool.close()
        if client_too:
            manager = getattr(self.client.connection_pool, "sentinel_manager", None)
            for sentinel in getattr(manager, "sentinels", ()):
                await close_client(sentinel)
            await close_client(self.client)


class Cluster:
    """Each conversation is on the master of its slot.

    Args:
        client: A ``redis.RedisCluster``, which keeps the map of the slots, or its asyncio twin.
        make_pool: `Pool`, or that of the transport.
    """

    def __init__(self, client: Any, make_pool: Callable[[Any], Pool]) -> None:
        self.client = client
        self._make_pool = make_pool
        self._pools: dict[str, Pool] = {}
        self._stale = False

    async def to(self, key: str) -> Pool:
        """The connections to the master of a key's slot."""
        if self._stale:
            await settled(self.client.nodes_manager.initialize())
            self._stale = False
        slot = self.client.keyslot(key)
        return self._of(self.client.nodes_manager.get_node_from_slot(slot))

    async def at(self, host: str, port: int) -> Pool:
        """The connections to the server that an ASK named; one that the map lacks is looked up again."""
        node = self.client.get_node(host=host, port=port)
        if node is None:
            await settled(self.client.nodes_manager.initialize())
            node = self.client.get_node(host=host, port=port)
        if node is None:
            raise SlotNotCoveredError("the cluster names a server that it does not know")
        return self._of(node)

    def moved(self) -> None:
        """Something has changed: ask for the map again before the next use."""
        self._stale = True

    async def close(self, *, client_too: bool) -> None:
        """Close the connections to all the servers."""
        for pool in list(self._pools.values()):
            pool.close()
        if client_too:
            await close_client(self.client)

    def _of(self, node: Any) -> Pool:
        pool = self._pools.get(node.name)
        if pool is None:
            # The blocking client keeps a pool in a client of the node's; the other one is a pool itself.
            own = getattr(self.client, "get_redis_connection", None)
            pool = self._make_pool(node if own is None else own(node).connection_pool)
            self._pools[node.name] = pool
        return pool


async def close_client(client: Any) -> None:
    """Close a client of redis-py."""
    await settled((getattr(client, "aclose", None) or client.close)())


class Client:
    """What this process knows about the servers: where they are, and whether they answer.

    Args:
        make_client: Makes the client of redis-py; called when a server is first asked.
        theirs: The client is the caller's, who closes it.

    Attributes:
        keeps_transport: A turn keeps its connection from BEGIN to COMMIT, which saves time; a thread
            can run one turn only, an event loop thousands.
    """

    keeps_transport = True
    kinds: ClassVar[tuple[Any, Any]] = (Redis, RedisCluster)

    def __init__(self, make_client: Callable[[], Any], *, theirs: bool) -> None:
        self.pid = os.getpid()
        self.breaker = Breaker()
        self.node = self._node()
        self._count = count(int.from_bytes(os.urandom(4), "big"))
        self._make_client = make_client
        self._theirs = theirs
        self.is_cluster = False
        self._route: Standalone | Cluster | None = None
        self._finding = threading.Lock()  # so that a client is made once
        self._successors: dict[int, Client] = {}

    @staticmethod
    def _node() -> bytes:
        return b"\0\1" + os.urandom(6)

    def make_pool(self, pool: Any) -> Pool:
        """The connections to one server."""
        return Pool(pool)

    def unique(self) -> bytes:
        """16 bytes that no other process gives: who gives them, and in 8 digits which they are."""
        return b"%b%08x" % (self.node, next(self._count) & 0xFFFF_FFFF)

    def current(self) -> Client:
        """This one, or another after a fork: a child shares neither a socket nor a lock with its parent."""
        if self.pid == os.getpid():
            return self
        made = type(self)(self._make_client, theirs=self._theirs)
        return self._successors.setdefault(made.pid, made)  # the same for all of a child's threads

    async def route(self) -> Standalone | Cluster:
        """The way to the servers; if they are a Cluster, finding it asks one of them."""
        route = self._route
        if route is not None:
            return route
        # Making a Cluster's client asks its servers, and the waits for one that is dead must not add up.
        if not self._finding.acquire(timeout=2 * TIMEOUT_S):
            raise TimeoutError
        try:
            if self._route is None:
                self._route = await self.find_route()
            return self._route
        finally:
            self._finding.release()

    async def find_route(self) -> Standalone | Cluster:
        """Make the client of redis-py."""
        client = self._make_client()
        check_client(client, self.kinds)
        self.is_cluster = isinstance(client, self.kinds[1])
        if self.is_cluster and hasattr(client, "initialize"):  # the blocking one has asked by now
            try:
                await client.initialize()
            except BaseException:
                if not self._theirs:
                    self.run_aside(close_client(client))
                raise
        return (Cluster if self.is_cluster else Standalone)(client, self.make_pool)

    async def redis(self) -> Any:
        """The client of redis-py, for what no script can ask."""
        return (await self.route()).client

    def moved(self) -> None:
        """A server is gone, or has other conversations."""
        if self._route is not None:
            self._route.moved()

    async def wait(
        self, connection: Connection, turn_id: bytes, wake: bytes, left_s: float, lease_s: float
    ) -> None:
        """Wait until the turn is woken or for a moment; which of them does not matter."""
        await connection.block_on(wake, max(0.01, min(BLOCK_S, left_s)))  # BLPOP takes 0 for ever

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        threading.Event().wait(seconds)

    def run_aside(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run what the caller does not wait for; here it has no choice."""
        with suppress(StopIteration):
            work.send(None)

    async def close(self) -> None:
        """Close what leads to the servers; the next question finds the way anew."""
        route, self._route = self._route, None
        if route is not None:
            await route.close(client_too=not self._theirs)


def check_client(client: Any, kinds: tuple[Any, Any] = Client.kinds) -> None:
    """Refuse what is not a client of redis-py, or reads replicas.

    Raises:
        UsageError: The message says what to give instead.
    """
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
