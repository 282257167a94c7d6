"""What one core carries: the processor time that a worker of gunicorn, and redis-server, spend on a webhook.

Requests per second of a machine that also makes the load say little about another one. The time that
a process spends on a webhook does.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, absent, lacking, over, spread
from benchmarks.measure import Scale, fastest
from benchmarks.servers import cpu_s, gunicorn
from benchmarks.worker import build
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_servers import RedisServer

TITLE = "a webhook by the processor time of gunicorn's worker (gthread), and what one core carries"
OURS, THEIRS = "benchmarks.apps:make", "benchmarks.rivals"
CHUNKS = 5  # each of `Scale.served` webhooks
# × the time of another app
BOUNDS = {
    ("Flask + convostate, cookie", "Flask + RequestValidator, no state"): 0.95,
    ("Flask + convostate, cookie", "Flask + RequestValidator + flask.session"): 0.8,
    ("Flask + convostate, Redis", "Flask + RequestValidator + Flask-Session on Redis"): None,
}


def apps(redis_url: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Factories and their options, by the label of their row."""
    return {
        "plain app, bare": (OURS, {"app": "bare"}),
        "convostate, cookie": (OURS, {"app": "wrapped"}),
        "convostate, Redis": (OURS, {"app": "wrapped", "store": redis_url}),
        "Flask, bare": (OURS, {"app": "flask"}),
        "Flask + convostate, cookie": (OURS, {"app": "flask wrapped"}),
        "Flask + convostate, Redis": (OURS, {"app": "flask wrapped", "store": redis_url}),
        "Flask + RequestValidator, no state": (f"{THEIRS}:stateless", {}),
        "Flask + RequestValidator + flask.session": (f"{THEIRS}:flask_session", {}),
        "Flask + RequestValidator + Flask-Session on Redis": (
            f"{THEIRS}:flask_session_redis",
            {"store": redis_url},
        ),
    }


def run(scale: Scale) -> Iterator[Figure]:
    """Serve all apps, and text them in turns."""
    if not Path("/proc/self/task").is_dir():
        yield absent("one core", "measured on Linux only")
        return
    us: dict[str, list[float]] = {}
    for _ in range(scale.repeats):
        with redis_server() as redis:
            chunks, missing = served_us(redis, scale)
        for label, times in chunks.items():
            us.setdefault(label, []).append(fastest(times))
    for label, package in missing.items():
        yield lacking(label, package)
    for label, times in us.items():
        yield spread(label, times, "µs")
        yield spread(f"{label}: one core", [1e6 / each for each in times], "1/s")
    for (ours, theirs), bound in BOUNDS.items():
        if theirs in us:
            yield spread(f"{ours} ÷ {theirs}", over(us[ours], us[theirs]), "×", bound)


def served_us(redis: RedisServer, scale: Scale) -> tuple[dict[str, list[float]], dict[str, str]]:
    """The µs of a webhook in each chunk, by label; and the packages that are missing."""
    missing, chunks = dict[str, str](), dict[str, list[float]]()
    with ExitStack() as stack:
        running = {}
        for label, (factory, options) in apps(redis.url).items():
            made = build(factory, options)
            if isinstance(made, str):
                missing[label] = made
            else:
                running[label] = stack.enter_context(gunicorn(factory, options))
        for _ in range(CHUNKS):
            for label, server in running.items():
                begun = cpu_s(redis.pid)
                chunks.setdefault(label, []).append(server.cpu_us(scale.served))
                if label == "convostate, Redis":
                    spent_us = (cpu_s(redis.pid) - begun) / scale.served * 1e6
                    chunks.setdefault("redis-server, of convostate", []).append(spent_us)
    return chunks, missing
