"""What ``convostate doctor`` finds out about a Redis: tuples of level, what was found, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostate.stores.base import Claim
from convostate.stores.redis.client import settled
from convostate.stores.redis.errors import FAULTS, OneNodeError, store_error

if TYPE_CHECKING:
    from convostate.stores.redis.store import RedisTurns

_OLDEST = (6, 2)  # the first with all the commands that the scripts use
_SKEW_S = 5  # between this host's clock and the server's

Findings = list[tuple[str, str, str]]


async def check(turns: RedisTurns) -> Findings:
    """Check the server's rights, version, kind, eviction policy and clock."""
    try:
        client = turns.clients.current()
        route = await client.route()
        await settled(client.redis.eval("return 1", 0))  # if a server has forgotten its scripts
    except FAULTS as error:
        return [_fault(error)]
    try:
        info = _first_node(await settled(client.redis.info()))
        ahead_s = await turns.clock_ahead_s(Claim("doctor".ljust(22, "-")))
    except Exception as error:  # noqa: BLE001  # of many kinds; the store itself works without it
        advice = "Grant INFO and TIME to the user of CONVOSTATE_STORE while you run doctor"
        what = "the server's version, clock and eviction policy cannot be read"
        return [("note", f"{what} ({type(error).__name__})", advice)]
    version, policy = str(info.get("redis_version", "0")), info.get("maxmemory_policy", "")
    product = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    found = [("ok", f"the server is {product}", "")]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
        found = [("fault", found[0][1], "Run Redis 6.2 or newer, or Valkey")]
    if info.get("cluster_enabled") and not route.is_cluster:  # the clock may be on another node
        return [*found, _fault(OneNodeError())]
    if policy not in ("noeviction", ""):
        what = f"the server may evict conversations: maxmemory-policy is {policy}"
        advice = (
            "Run: redis-cli config set maxmemory-policy noeviction, and write it into redis.conf"
        )
        found.append(("fault", what, advice))
    if ahead_s is None:
        advice = "Grant TIME to the user of CONVOSTATE_STORE"
        found.append(("note", "the server's clock cannot be read", advice))
    elif abs(ahead_s) > _SKEW_S:
        what = f"the server's clock and this host's are {abs(ahead_s):.0f} s apart"
        found.append(("note", what, "Synchronise both with NTP"))
    return found


async def check_work(turns: RedisTurns) -> Findings:
    """Check whether deferred texts survive a server that stops."""
    try:
        client = turns.clients.current()
        await client.route()
        info = _first_node(await settled(client.redis.info("persistence")))
    except FAULTS:  # `check` says which rights are missing
        return []
    what = (
        "the server keeps no log of its writes: if it stops, texts that wait for an answer are lost"
    )
    advice = "Run: redis-cli config set appendonly yes, and write it into redis.conf"
    return [] if info.get("aof_enabled") else [("note", what, advice)]


def _fault(error: Exception) -> tuple[str, str, str]:
    what, _, advice = str(store_error(error)).rpartition(". ")
    return "fault", what, advice


def _first_node(answer: Any) -> Any:
    """The reply of one node; a cluster's client returns the replies by node."""
    if isinstance(answer, dict) and answer and all(":" in str(node) for node in answer):
        return next(iter(answer.values()))
    return answer
