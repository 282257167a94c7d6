"""Redis mode beside the session stores that people use, on one redis-server in one run.

The rivals read at the start of a request and write at its end; of two requests at once the later one
wins. convostate holds the conversation in between, in the same two round trips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Contender, compare, started
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, beside, counted, less, spread

if TYPE_CHECKING:
    from benchmarks.measure import Effort
    from benchmarks.redis_server import Server
    from benchmarks.scale import Scale

TITLE = "overhead over bare Flask on one redis-server, and round trips counted there"
BOUND = 0.65  # × Flask + RequestValidator + Flask-Session on Redis
BOUND_TRIPS = 2

APP = "benchmarks.apps:contender"
RIVAL = "benchmarks.rivals:contender"
OURS = "convostate, Redis"
NAMES = {"flask_session_redis": "Flask-Session on Redis", "beaker_redis": "Beaker on Redis"}


def run(scale: Scale) -> Result:
    """Measure the time, then count the trips."""
    with redis_server() as server:
        contenders = [
            Contender("bare", APP, {"app": "flask"}),
            Contender(OURS, APP, {"app": "flask wrapped", "store": server.url}),
            *(Contender(name, RIVAL, {"name": name, "redis_url": server.url}) for name in NAMES),
        ]
        us, missing = compare(contenders, scale.effort._replace(wall=True))
        overhead = {label: less(times, us["bare"]) for label, times in us.items()}
        figures: list[Figure] = [spread(OURS, overhead[OURS], "µs")]
        figures += beside(OURS, NAMES, overhead, missing, {"flask_session_redis": BOUND})
        for contender in contenders[1:]:
            if contender.label not in missing:
                figures += trips(server, contender, scale.effort)
        return Result(TITLE, figures, (server.program, "SMS of 20 fields; 200 conversations"))


def trips(server: Server, contender: Contender, effort: Effort) -> list[Figure]:
    """Count what one request costs the server: times it reads a socket, and commands of a client's."""
    name = NAMES.get(contender.label, contender.label)
    calls = effort.calls
    with started(contender, effort) as process:
        process.ready()
        process.time(1, 1, wall=True)
        server.client.config_resetstat()
        process.time(calls, 1, wall=True)
        commands = server.client.info("commandstats")
        reads = server.client.info("stats")["total_reads_processed"] - 2  # these two
    bound = BOUND_TRIPS if contender.label == OURS else None
    figures = [counted(f"{name}: reads of its socket a request", reads / calls, "", bound)]
    if contender.label == OURS:
        sent = commands["cmdstat_evalsha"]["calls"] / calls
        figures.append(counted(f"{name}: EVALSHA a request", sent, "", BOUND_TRIPS))
    return figures
