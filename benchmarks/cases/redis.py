"""What one redis-server has to do and to keep: round trips, time in scripts, bytes of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.apps import plain, serve
from benchmarks.figures import Figure, counted, percentile
from benchmarks.webhooks import environ_of, sms
from convostate.stores.base import REPLY_S
from convostate.stores.redis.store import BEGIN, COMMIT
from tests.redis_servers import let_time_pass, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Scale

BOUND_TRIPS = 2
BOUND_BYTES = 400  # a small state at rest
BOUND_REPLY_BYTES = 490  # more, while a reply is recorded
LOGGED = 200  # turns whose scripts are timed
MOST_ENTRIES = 10_000  # of the slow log; a script's own commands have entries, too


def run(scale: Scale) -> Iterator[Figure]:
    """Take turns of so many conversations, then let the recorded replies expire."""
    people, logged = scale.conversations, min(scale.conversations, LOGGED)
    with redis_server() as server:
        client: Any = server.admin
        app = plain(store=server.url)
        serve(app, environ_of(sms(0)))  # connects, and loads the scripts
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", MOST_ENTRIES)
        client.config_resetstat()
        for person in range(1, logged + 1):
            serve(app, environ_of(sms(person)))
        reads = client.info("stats")["total_reads_processed"] - 1
        entries = client.slowlog_get(MOST_ENTRIES)
        client.config_set("slowlog-log-slower-than", -1)
        client.slowlog_reset()
        client.flushall()
        before = client.info("memory")["used_memory"]
        for person in range(people):
            serve(app, environ_of(sms(person)))
        recorded = (client.info("memory")["used_memory"] - before) / people
        let_time_pass(client, REPLY_S)
        at_rest = (client.info("memory")["used_memory"] - before) / people
    yield counted("reads of its socket a turn", reads / logged, "", BOUND_TRIPS)
    for name, script in (("BEGIN", BEGIN), ("COMMIT", COMMIT)):
        sent = f"EVALSHA {script.sha}".encode()
        us = [one["duration"] for one in entries if one["command"].startswith(sent)]
        yield counted(f"{name}: the server's time, p50", percentile(us, 50), "µs")
        yield counted(f"{name}: the server's time, p99", percentile(us, 99), "µs")
    yield counted(f"{people:,} conversations at rest: each", at_rest, "bytes", BOUND_BYTES)
    more = recorded - at_rest
    yield counted("more, while a reply is recorded", more, "bytes", BOUND_REPLY_BYTES)
