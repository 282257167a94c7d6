"""What one redis-server has to do and to keep: round trips, time in scripts, bytes of a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.apps import plain, texting
from benchmarks.figures import Figure, figure
from benchmarks.measure import Scale
from convostate.stores.base import REPLY_S
from convostate.stores.redis.store import BEGIN, COMMIT
from tests.redis_servers import let_time_pass, redis_server

LOGGED = 200  # turns whose scripts are timed
MOST_ENTRIES = 10_000  # of the slow log; a script's own commands have entries, too


def run(scale: Scale) -> Iterator[Figure]:
    """Take turns of so many conversations, then let the recorded replies expire."""
    logged = min(scale.conversations, LOGGED)
    with redis_server() as server:
        client: Any = server.admin
        work = texting(plain(store=server.url))
        work.us(1)  # connects, and loads the scripts
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", MOST_ENTRIES)
        client.config_resetstat()
        work.us(logged)
        reads = client.info("stats")["total_reads_processed"] - 1
        entries = client.slowlog_get(MOST_ENTRIES)
        client.config_set("slowlog-log-slower-than", -1)
        client.slowlog_reset()
        client.flushall()
        before = client.info("memory")["used_memory"]
        work.us(scale.conversations)
        recorded = client.info("memory")["used_memory"]
        let_time_pass(client, REPLY_S)
        at_rest = client.info("memory")["used_memory"]
    yield figure("reads of its socket a turn", "", reads / logged)
    for name, script in (("BEGIN", BEGIN), ("COMMIT", COMMIT)):
        sent = f"EVALSHA {script.sha}".encode()
        us = [one["duration"] for one in entries if one["command"].startswith(sent)]
        yield figure(f"{name}: the server's time, p50", "µs", median(us))
    yield figure("a conversation at rest", "bytes", (at_rest - before) / scale.conversations)
    more = (recorded - at_rest) / scale.conversations
    yield figure("more, while a reply is recorded", "bytes", more)
