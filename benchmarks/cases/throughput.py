"""Requests per second under gunicorn with its three kinds of workers; the load runs on the same machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.load import Orders, Tally
from benchmarks.measure import ROOT
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, counted

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
MOST_PER_S = 6000  # more than two workers answer; so many are signed beforehand


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
    """Serve each app with each kind of worker."""
    figures: list[Figure] = []
    with redis_server() as server:
        for worker, options in WORKERS.items():
            if worker not in scale.workers:
                continue
            for label, app in apps(server.url).items():
                figures.append(_serve(f"{worker}: {label}", app, options, scale.load_s))
        program = server.program
    notes = (program, f"{CONNECTIONS} connections; driver: benchmarks/load.py, in Python")
    return Result(TITLE, figures, notes)


def _serve(label: str, app: dict[str, Any], options: list[str], duration_s: float) -> Figure:
    with gunicorn(app, options) as port:
        if port is None:
            return Figure(label, 0, "", 0, 0, None, 'not installed: pip install -e ".[bench]"')
        in_cookie = "redis" not in json.dumps(app)
        texts = max(20, int(MOST_PER_S * duration_s))
        orders = Orders(port, CONNECTIONS, CONVERSATIONS, texts, duration_s, in_cookie)
        command = [sys.executable, "-m", "benchmarks.load", json.dumps(orders._asdict())]
        done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT)
    tally = Tally(*json.loads(done.stdout))
    if tally.refused:
        raise RuntimeError(f"{label}: {tally.refused} of {tally} were not answered 200")
    return counted(label, tally.answered / tally.seconds, "1/s")


@contextmanager
def gunicorn(app: dict[str, Any], options: list[str]) -> Iterator[int | None]:
    """Run gunicorn on a free port; None where what it serves is not installed."""
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers=2", "--bind=127.0.0.1:0"),
        *("--keep-alive=30", *options, "benchmarks.served:app"),
    ]
    environ = {**os.environ, "BENCHMARKS_APP": json.dumps(app)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as server:
        try:
            yield _port(server)
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers


def _port(server: subprocess.Popen[str]) -> int | None:
    assert server.stderr is not None
    port = None
    said = []
    for line in server.stderr:
        said.append(line)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
        if "ModuleNotFoundError" in line:
            return None
        if port is not None and line.count("Booting worker"):
            return port
    raise RuntimeError("gunicorn ended early:\n" + "".join(said))
