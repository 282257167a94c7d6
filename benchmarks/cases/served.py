"""What one core carries: the processor time that a worker of gunicorn, and redis-server, spend on a webhook.

Requests per second of a machine that also makes the load say little about another one. The time that
a process spends on a webhook does.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.apps import cookie_from
from benchmarks.figures import Figure, absent, lacking, over, spread
from benchmarks.measure import ROOT, Scale, fastest
from benchmarks.webhooks import PATH, headers_of, sms
from benchmarks.worker import build
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "a webhook by the processor time of gunicorn's worker (gthread), and what one core carries"
ON_REDIS = "convostate, Redis"
CHUNKS = 5  # each of `Scale.served` webhooks
# × the time of another app
BOUNDS = {
    ("Flask + convostate, cookie", "Flask + RequestValidator, no state"): 0.95,
    ("Flask + convostate, cookie", "Flask + RequestValidator + flask.session"): 0.8,
    ("Flask + convostate, Redis", "Flask + RequestValidator + Flask-Session on Redis"): None,
}


def apps(store: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Factories and their options, by the label of their row."""
    ours, theirs = "benchmarks.apps:make", "benchmarks.rivals"
    return {
        "plain app, bare": (ours, {"app": "bare"}),
        "convostate, cookie": (ours, {"app": "wrapped"}),
        ON_REDIS: (ours, {"app": "wrapped", "store": store}),
        "Flask, bare": (ours, {"app": "flask"}),
        "Flask + convostate, cookie": (ours, {"app": "flask wrapped"}),
        "Flask + convostate, Redis": (ours, {"app": "flask wrapped", "store": store}),
        "Flask + RequestValidator, no state": (f"{theirs}:stateless", {}),
        "Flask + RequestValidator + flask.session": (f"{theirs}:flask_session", {}),
        "Flask + RequestValidator + Flask-Session on Redis": (
            f"{theirs}:flask_session_redis", {"store": store},
        ),
    }  # fmt: skip


def cpu_s(*pids: int) -> float:
    """The processor time that processes have used so far.

    A clock of Linux, clock_getcpuclockid(3): the process in the upper bits, 2 for "all its threads".
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


@contextmanager
def gunicorn(factory: str, options: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Run the app of a factory under gunicorn with one worker, from the moment it listens; port and pid."""
    made = f"{factory}({', '.join(f'{name}={value!r}' for name, value in options.items())})"
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers=1", "--threads=1", "--bind=127.0.0.1:0"),
        *("--worker-class=gthread", "--keep-alive=30", made),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)
            yield int(next(filter(None, found))[1]), server.pid
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers


def webhook_us(port: int, pid: int, texts: int) -> float:
    """Send texts of one conversation, one after the other; the worker's time for each, in µs.

    Raises:
        RuntimeError: One was not answered 200.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    cookie = ""

    def send() -> None:
        nonlocal cookie
        webhook = sms(pid)
        # The server has to see the scheme that was signed.
        headers = headers_of(webhook, cookie) | {"X-Forwarded-Proto": "https"}
        connection.request("POST", PATH, webhook.body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}")
        cookie = cookie_from(answer.getheaders())

    send()  # until then the worker may be starting
    workers = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    begun = cpu_s(*workers)
    for _ in range(texts):
        send()
    connection.close()
    return (cpu_s(*workers) - begun) / texts * 1e6


def chunks_us(scale: Scale) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Serve all apps, and text them in turns: µs of each chunk by label, and the packages that are missing."""
    chunks, missing = dict[str, list[float]](), dict[str, str]()
    with redis_server() as redis, ExitStack() as stack:
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
                chunks.setdefault(label, []).append(webhook_us(*server, scale.served))
                if label == ON_REDIS:
                    spent_us = (cpu_s(redis.pid) - begun) / scale.served * 1e6
                    chunks.setdefault("redis-server, of convostate", []).append(spent_us)
    return chunks, missing


def run(scale: Scale) -> Iterator[Figure]:
    """Measure all, with servers of their own in each repetition."""
    if not Path("/proc/self/task").is_dir():
        yield absent("one core", "measured on Linux only")
        return
    us: dict[str, list[float]] = {}
    for _ in range(scale.repeats):
        chunks, missing = chunks_us(scale)
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
