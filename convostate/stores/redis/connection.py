"""Connections to Redis servers: lent to one turn each, and given back only when they are in step.

redis-py's own `Connection` is used, its pool is not. What is lent is counted nowhere: whoever is
interrupted, by a signal or a greenlet's timeout, drops the connection, and a dropped one closes.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry
from redis.sentinel import SentinelConnectionPool

from convostate.stores.redis.errors import FAULTS, ExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.connection import Connection, ConnectionPool

TIMEOUT_S = 0.5  # connect and each reply; Twilio waits 15 s in all
BLOCK_S = 0.25  # how long a waiting turn blocks at a time; below TIMEOUT_S

# Of the caller's own client all that says where and as whom is kept. These decide how long and how.
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


class Connections:
    """The connections to one server, or to the master that some sentinels name.

    Args:
        pool: The pool of a client, which says where the server is; no connection of it is used.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        kwargs = {
            name: value
            for name, value in pool.connection_kwargs.items()
            if name not in _NOT_OURS and not name.startswith(_PREFIXES_NOT_OURS)
        }
        kwargs |= _OURS | _NO_NAMES | {"retry": Retry(NoBackoff(), 0)}
        if isinstance(pool, SentinelConnectionPool):
            kwargs["connection_pool"] = pool.proxy
        self._pool = pool  # the sentinels' proxy refers to it weakly
        self._make: Callable[[], Connection] = partial(pool.connection_class, **kwargs)
        self._most = pool.max_connections
        self._idle: list[Connection] = []
        self._alive: WeakSet[Connection] = WeakSet()
        self._closed = False

    def take(self, *, fresh: bool = False) -> Connection:
        """Lend a connection that is open and has nothing left to read.

        Args:
            fresh: A new one, because an idle one has just failed: the others are as old.
        """
        if fresh:
            self.forget_idle()
        while self._idle:
            try:
                connection = self._idle.pop()
                if not connection.can_read():
                    return connection
            except IndexError:  # another thread was faster
                break
            except FAULTS:  # closed by the server meanwhile
                pass
            connection.disconnect()
        if len(self._alive) >= self._most:
            raise ExhaustedError("as many connections as the client may have are in use")
        connection = self._make()
        self._alive.add(connection)
        connection.connect()
        return connection

    def give_back(self, connection: Connection) -> None:
        """Take back a connection whose last reply has been read whole."""
        self._idle.append(connection)
        if self._closed:
            self.forget_idle()

    def forget_idle(self) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def close(self) -> None:
        """Close the idle connections, and each one that is lent when it comes back."""
        self._closed = True
        self.forget_idle()


def exchange(connection: Connection, *command: Any) -> Any:
    """Send a command and read its reply.

    After a timeout the connection stays open, for a last command; after any other exception but an
    error reply it is of no use.
    """
    connection.send_command(*command)
    return connection.read_response(disconnect_on_error=False)


def say_and_close(connection: Connection, *command: Any) -> None:
    """Send a last command, whose reply nobody waits for, and close: the server still carries it out."""
    try:
        # `is_connected` is younger than redis-py 5.
        if getattr(connection, "_sock", None) is not None:
            connection.send_command(*command)
    except FAULTS:
        pass
    finally:
        connection.disconnect()
