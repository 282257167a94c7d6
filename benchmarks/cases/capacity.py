"""What one core carries: webhooks by the processor time that gunicorn's workers and redis-server spend on each.

Requests per second of a machine that also makes the load say little about another one; the time that a
process spends on a webhook does.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks import processor
from benchmarks.cases.throughput import WARM_S, WORKERS, apps, gunicorn, load
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "webhooks a second that one core carries under gunicorn, and turns that one Redis does"
SERVED = ("bare app", "convostate, cookie", "convostate, Redis", "Flask + convostate, cookie", "Flask + convostate, Redis")  # fmt: skip
TICK_S = 0.01


def run(scale: Scale) -> Result:
    """Load each app under each kind of worker, and look at what its processes have spent."""
    if not processor.is_known():
        return Result(TITLE, [Figure("one core", 0, "", 0, 0, missing="measured on Linux alone")])
    figures: list[Figure] = []
    shard: list[float] = []
    with redis_server() as server:
        for worker in scale.workers:
            rates: dict[str, list[float]] = {label: [] for label in SERVED[: scale.served]}
            with ExitStack() as stack:
                served = {
                    label: stack.enter_context(gunicorn(apps(server.url)[label], WORKERS[worker]))
                    for label in rates
                }
                for counts in [False] + [True] * scale.load_rounds:
                    for label, (port, pid) in served.items():
                        workers = processor.children(pid)
                        before = processor.seconds(*workers), processor.seconds(server.pid)
                        duration_s = scale.load_s if counts else WARM_S
                        tally = load(port, duration_s, cookies=label.endswith("cookie"))
                        if not counts:
                            continue
                        spent_s = max(TICK_S, processor.seconds(*workers) - before[0])
                        rates[label].append(tally.answered / spent_s)
                        if label == "convostate, Redis":
                            redis_s = max(TICK_S, processor.seconds(server.pid) - before[1])
                            shard.append(tally.answered / redis_s)
            figures += [
                spread(f"{worker}, one core: {label}", each, "1/s") for label, each in rates.items()
            ]
        if shard:
            figures.append(spread("redis-server, its one core", shard, "1/s"))
        return Result(TITLE, figures, (server.program,))
