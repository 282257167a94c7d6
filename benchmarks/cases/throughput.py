"""Requests per second under gunicorn with its three kinds of workers; the load runs on the same machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.load import Orders, Tally, wrk
from benchmarks.measure import ROOT
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, absent, spread
from benchmarks.rivals import rival

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scale

TITLE = "webhooks a second under gunicorn, 2 workers, the load on the same machine"
WORKERS = {
    "sync": ["--worker-class=sync"],
    "gthread": ["--worker-class=gthread", "--threads=8"],
    "gevent": ["--worker-class=gevent"],
}
CONNECTIONS = 8
CONVERSATIONS = 500
WARM_S = 0.2  # long enough for both workers to have begun
MOST_PER_S = 8000  # more than two workers answer; so many are signed beforehand


class Served(NamedTuple):
    """A running gunicorn.

    Attributes:
        port: On this machine.
        pid: Of the process that started the workers.
    """

    port: int
    pid: int


def apps(redis_url: str) -> dict[str, dict[str, Any]]:
    """What is served, by the label of its row."""
    return {
        "bare app": {"app": "bare"},
        "convostate, cookie": {"app": "wrapped"},
        "convostate, Redis": {"app": "wrapped", "store": redis_url},
        "bare Flask": {"app": "flask"},
        "Flask + convostate, cookie": {"app": "flask wrapped"},
        "Flask + convostate, Redis": {"app": "flask wrapped", "store": redis_url},
        "Flask + RequestValidator + flask.session": {"rival": "flask_cookie", "redis_url": ""},
        "Flask + RequestValidator + Flask-Session on Redis": {
            "rival": "flask_session_redis",
            "redis_url": redis_url,
        },
    }


def run(scale: Scale) -> Result:
    """Run all apps under one kind of worker after the other, and load them in turns."""
    figures: list[Figure] = []
    program = ""
    for worker in scale.workers:
        with ExitStack() as stack:
            server = stack.enter_context(redis_server())
            program = server.program
            served: dict[str, Served] = {}
            rates: dict[str, list[float]] = {}
            for label, app in list(apps(server.url).items())[: scale.served]:
                if lacks := missing(app):
                    figures.append(absent(f"{worker}: {label}", lacks))
                else:
                    served[label] = stack.enter_context(gunicorn(app, WORKERS[worker]))
                    rates[label] = []
            for counts in [False] + [True] * scale.load_rounds:
                for label, (port, _) in served.items():
                    in_cookie = "redis://" not in json.dumps(apps(server.url)[label])
                    tally = load(port, scale.load_s if counts else WARM_S, cookies=in_cookie)
                    if counts:
                        rates[label].append(tally.answered / tally.seconds)
        figures += [spread(f"{worker}: {label}", times, "1/s") for label, times in rates.items()]
    driver = "wrk" if wrk() and scale.load_s >= 1 else "benchmarks/load.py, in Python"
    notes = (program, f"{CONNECTIONS} connections; the load comes from {driver}")
    return Result(TITLE, figures, notes)


def missing(app: dict[str, Any]) -> str:
    """The package that an app lacks, or ""."""
    try:
        if "rival" in app:
            rival(app["rival"])
    except ModuleNotFoundError as error:
        return error.name or ""
    return ""


def load(port: int, duration_s: float, *, cookies: bool) -> Tally:
    """Load a server for a while.

    Raises:
        RuntimeError: One was not 200.
    """
    texts = max(20, int(MOST_PER_S * duration_s))
    orders = Orders(port, CONNECTIONS, CONVERSATIONS, texts, duration_s, cookies)
    command = [sys.executable, "-m", "benchmarks.load", json.dumps(orders._asdict())]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT)
    tally = Tally(*json.loads(done.stdout))
    if tally.refused:
        raise RuntimeError(f"{tally.refused} answers were not 200, {tally.answered} were")
    return tally


@contextmanager
def gunicorn(app: dict[str, Any], options: list[str]) -> Iterator[Served]:
    """Run gunicorn on a free port."""
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:0"),
        *("--keep-alive=30", *options, "benchmarks.served:app"),
    ]
    environ = {**os.environ, "BENCHMARKS_APP": json.dumps(app)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)
            # From here on a connection waits until a worker serves it.
            yield Served(int(next(filter(None, found))[1]), server.pid)
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers
