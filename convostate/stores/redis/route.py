"""Routes: which server holds a conversation, for a single Redis, a Sentinel's master or a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from redis import Redis, RedisCluster
from redis.exceptions import SlotNotCoveredError
from redis.sentinel import SentinelConnectionPool

from convostate.errors import UsageError
from convostate.stores.redis.connection import Connections

if TYPE_CHECKING:
    from collections.abc import Callable

    Client = Redis | RedisCluster


class Route(Protocol):
    """The way to a conversation's server."""

    def to(self, key: str) -> Connections:
        """The connections to the server that holds a key."""
        ...

    def at(self, host: str, port: int) -> Connections:
        """The connections to a server that a Cluster has named."""
        ...

    def moved(self) -> None:
        """Something has changed: a slot has another server, or a server is gone."""
        ...

    def close(self, *, client_too: bool) -> None:
        """Close the connections, and with `client_too` those that the client has for itself."""
        ...


class Straight:
    """All conversations are at one server, or at the master that the sentinels name.

    Args:
        client: A ``redis.Redis``, also one that ``Sentinel.master_for`` gave.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._connections = Connections(client.connection_pool)

    def to(self, key: str) -> Connections:
        """The one server."""
        return self._connections

    def at(self, host: str, port: int) -> Connections:
        """The one server."""
        return self._connections

    def moved(self) -> None:
        """Idle connections may lead to what was the master: close them."""
        self._connections.forget_idle()

    def close(self, *, client_too: bool) -> None:
        """Close the connections to the one server, and to the sentinels."""
        self._connections.close()
        if client_too:
            pool = self._client.connection_pool
            if isinstance(pool, SentinelConnectionPool):
                for sentinel in pool.sentinel_manager.sentinels:
                    sentinel.close()
            self._client.close()


class ByCluster:
    """Each conversation is at the master of its slot.

    Args:
        client: A ``redis.RedisCluster``, which keeps the map of the slots.
    """

    def __init__(self, client: RedisCluster) -> None:
        self._client = client
        self._by_server: dict[str, Connections] = {}
        self._stale = False

    def to(self, key: str) -> Connections:
        """The master of the key's slot."""
        if self._stale:
            self._client.nodes_manager.initialize()
            self._stale = False
        slot = self._client.keyslot(key)
        return self._of(self._client.nodes_manager.get_node_from_slot(slot))

    def at(self, host: str, port: int) -> Connections:
        """The server that an ASK named; one that the map lacks is looked up again."""
        node = self._client.get_node(host=host, port=port)
        if node is None:
            self._client.nodes_manager.initialize()
            node = self._client.get_node(host=host, port=port)
        if node is None:
            raise SlotNotCoveredError("the cluster names a server that it does not know")
        return self._of(node)

    def moved(self) -> None:
        """Ask for the map again before the next use."""
        self._stale = True

    def close(self, *, client_too: bool) -> None:
        """Close the connections to all the servers."""
        for connections in list(self._by_server.values()):
            connections.close()
        if client_too:
            self._client.close()

    def _of(self, node: Any) -> Connections:
        found = self._by_server.get(node.name)
        if found is None:
            pool = self._client.get_redis_connection(node).connection_pool
            found = self._by_server[node.name] = Connections(pool)
        return found


def check_client(client: Client) -> None:
    """Refuse what is no client of redis-py's, or reads replicas.

    Raises:
        UsageError: The message says what to give instead.
    """
    if not isinstance(client, (Redis, RedisCluster)):
        raise UsageError(
            "RedisStore takes a client of redis-py, or a function that makes one: Redis(…), RedisCluster(…) or Sentinel(…).master_for(…). "
            "For a URL use RedisStore.from_url(url)"
        )
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool) and not pool.is_master:
        raise UsageError(
            "This client reads replicas, and the store writes. Use Sentinel(…).master_for(…)"
        )


def route_for(make_client: Callable[[], Client]) -> Route:
    """The route of a client.

    Raises:
        UsageError: What was made is no client, or reads replicas.
    """
    client = make_client()
    check_client(client)
    return ByCluster(client) if isinstance(client, RedisCluster) else Straight(client)
