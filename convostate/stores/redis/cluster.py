"""The route to the servers of a Redis Cluster, by the map of slots that redis-py's client keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import SlotNotCoveredError

from convostate.stores.redis.client import reading_slots, settled

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.stores.redis.client import Pool, Transport


class Cluster:
    """The route of a ``redis.RedisCluster``: each conversation is on the master of its slot in the client's map."""

    is_cluster = True

    def __init__(self, client: Any, make_pool: Callable[[Any], Pool]) -> None:
        self._client = client
        self._make_pool = make_pool
        self._pools: dict[str, Pool] = {}
        self._stale = False

    async def to(self, key: str) -> Pool:
        """The connections to the master of a key's slot."""
        if self._stale:
            await self._read_map()
            self._stale = False
        slot = self._client.keyslot(key)
        return self._of(self._client.nodes_manager.get_node_from_slot(slot))

    async def take(self, key: str, *, fresh: bool = False) -> Transport:
        """Lend a connection to the master of a key's slot, as `Pool.take`."""
        return await (await self.to(key)).take(key, fresh=fresh)

    async def at(self, host: str, port: int) -> Pool:
        """The connections to the server that an ASK names; if the map lacks it, the map is read again."""
        node = self._client.get_node(host=host, port=port)
        if node is None:
            await self._read_map()
            node = self._client.get_node(host=host, port=port)
        if node is None:
            raise SlotNotCoveredError("the cluster names a server that it does not know")
        return self._of(node)

    def moved(self) -> None:
        """Read the map of slots again before its next use."""
        self._stale = True

    def close(self) -> None:
        """Close the connections to all the servers."""
        for pool in list(self._pools.values()):
            pool.close()

    async def _read_map(self) -> None:
        with reading_slots():
            await settled(self._client.nodes_manager.initialize())

    def _of(self, node: Any) -> Pool:
        pool = self._pools.get(node.name)
        if pool is None:
            # A node of the blocking client has a client with a pool; one of the asyncio client is a pool.
            own = getattr(self._client, "get_redis_connection", None)
            pool = self._make_pool(node if own is None else own(node).connection_pool)
            self._pools[node.name] = pool
        return pool
