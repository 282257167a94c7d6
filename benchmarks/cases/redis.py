"""Redis mode beside the session stores that people use, on one redis-server in one run.

The rivals read at the start of a request and write at its end; of two requests at once the later one
wins. convostate holds the conversation in between, in the same two round trips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cases.flask import BARE, beside
from benchmarks.figures import Figure, counted
from benchmarks.measure import APP, RIVAL, Contender, Process, Scale
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "overhead over bare Flask on one redis-server (wall clock), and round trips counted there"
OURS, THEIRS = "convostate, Redis", "Flask-Session on Redis"
BOUND = 0.65  # × the overhead of Flask + RequestValidator + Flask-Session
BOUND_TRIPS = 2


def run(scale: Scale) -> Iterator[Figure]:
    """Measure the time, then count the trips and what the scripts take of the server."""
    with redis_server() as server:
        ours = Contender(OURS, APP, {"app": "flask wrapped", "store": server.url})
        rival = Contender(THEIRS, RIVAL, {"name": "flask_session_redis", "store": server.url})
        yield from beside(BARE, ours, rival, BOUND, scale, "wall")
        wrapped = Contender(OURS, APP, {"app": "wrapped", "store": server.url})
        calls = scale.calls
        with Process(wrapped) as process:
            process.ask("wall", calls)  # warm
            server.admin.config_resetstat()
            process.ask("wall", calls)
            scripts = server.admin.info("commandstats")["cmdstat_evalsha"]
            reads = server.admin.info("stats")["total_reads_processed"] - 2  # these two
    yield counted(f"{OURS}: reads of its socket a turn", reads / calls, "", BOUND_TRIPS)
    yield counted(f"{OURS}: EVALSHA a turn", scripts["calls"] / calls, "", BOUND_TRIPS)
    yield counted(f"{OURS}: the server's time in scripts a turn", scripts["usec"] / calls, "µs")
