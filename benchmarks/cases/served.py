"""A webhook by the processor time of gunicorn's worker or of uvicorn, what one core carries, and the memory.

Requests per second of a machine that also makes the load say little about another one. The time that
a process spends on a webhook does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import cookie_from
from benchmarks.figures import Figure, absent, lacking, over, spread
from benchmarks.measure import ROOT, Scale, fastest
from benchmarks.webhooks import PATH, headers_of, sms
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

APPS = {
    "plain": "apps.bare",
    "plain, cookie": "apps.plain",
    "plain, Redis": "apps.plain",
    "Flask": "flask_apps.bare",
    "Flask, cookie": "flask_apps.wrapped",
    "Flask, Redis": "flask_apps.wrapped",
    "Flask, RequestValidator, no state": "flask_apps.stateless",
    "Flask, RequestValidator, flask.session": "flask_apps.signed_cookie",
    "Flask, RequestValidator, Flask-Session on Redis": "flask_apps.flask_session",
    "FastAPI": "fastapi_apps.bare",
    "FastAPI, Redis": "fastapi_apps.wrapped",
    "FastAPI, RequestValidator, starsessions on Redis": "fastapi_apps.starsessions",
}
PACKAGES = {
    "flask_apps.flask_session": "flask_session",
    "fastapi_apps.starsessions": "starsessions",
}
# × the time of another app
BOUNDS = {
    ("Flask, cookie", "Flask, RequestValidator, no state"): 0.95,
    ("Flask, cookie", "Flask, RequestValidator, flask.session"): 0.8,
    ("Flask, Redis", "Flask, RequestValidator, Flask-Session on Redis"): None,
    ("FastAPI, Redis", "FastAPI, RequestValidator, starsessions on Redis"): None,
}
SERVERS = {
    "gunicorn": "--workers=1 --threads=1 --worker-class=gthread --keep-alive=60 --bind=127.0.0.1:0 benchmarks.apps:served()",
    "uvicorn": "--no-access-log --timeout-keep-alive=60 --host=127.0.0.1 --port=0 --factory benchmarks.apps:served",
}
CHUNKS = 25  # of the webhooks of a repetition


def cpu_s(*pids: int) -> float:
    """The processor time that processes have used so far.

    A clock of Linux, clock_getcpuclockid(3): the process in the upper bits, 2 for "all its threads".
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


class Worker(NamedTuple):
    """The one worker of a server."""

    pid: int
    connection: HTTPConnection
    cookies: list[str]  # the conversation's, one

    def send(self) -> None:
        """Send a text of one conversation; an answer that is not 200 raises RuntimeError."""
        webhook = sms(self.pid)
        # The server has to see the scheme that was signed.
        headers = headers_of(webhook, self.cookies[0]) | {"X-Forwarded-Proto": "https"}
        self.connection.request("POST", PATH, webhook.body, headers)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}")
        self.cookies[0] = cookie_from(answer.getheaders())

    def mib(self) -> tuple[float, float]:
        """The memory of the process, and what of it no other process shares."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        kib = {
            name: int(size)
            for name, size in re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)
        }
        return kib["Rss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024


@contextmanager
def serving(app: str, **options: Any) -> Iterator[Worker]:
    """Serve an app until the block ends, from the first answer on."""
    name = "uvicorn" if app.startswith("fastapi") else "gunicorn"
    environ = {**os.environ, "BENCHMARKS_APP": json.dumps({"app": app, **options})}
    command = [sys.executable, "-m", name, *SERVERS[name].split()]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)
            port = int(next(filter(None, found))[1])
            connection = HTTPConnection("127.0.0.1", port, timeout=30)
            first = Worker(server.pid, connection, [""])
            first.send()
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            yield first._replace(pid=int(*children)) if children else first
            connection.close()
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers


def repetition(
    apps: Mapping[str, str], texts: int
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Serve all apps, and text them in turns: the µs of a webhook, and the MiB of the workers."""
    a_chunk = max(1, texts // CHUNKS)
    with redis_server() as redis, ExitStack() as stack:
        workers = {}
        for label, app in apps.items():
            options = {"store": redis.url} if "Redis" in label else {}
            workers[label] = stack.enter_context(serving(app, **options))
        chunks: dict[str, list[float]] = {}
        for _ in range(texts // a_chunk):
            for label, worker in workers.items():
                begun, redis_begun = cpu_s(worker.pid), cpu_s(redis.pid)
                for _ in range(a_chunk):
                    worker.send()
                used_s = {label: cpu_s(worker.pid) - begun}
                if label == "plain, Redis":
                    used_s["redis-server"] = cpu_s(redis.pid) - redis_begun
                for name, seconds in used_s.items():
                    chunks.setdefault(name, []).append(seconds / a_chunk * 1e6)
        memory = {label: worker.mib() for label, worker in workers.items()}
    return {label: fastest(times) for label, times in chunks.items()}, memory


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, with servers of their own in each repetition."""
    if not Path("/proc/self/smaps_rollup").exists():
        yield absent("one core", "measured on Linux only")
        return
    missing = {app: name for app, name in PACKAGES.items() if find_spec(name) is None}
    apps = {label: app for label, app in APPS.items() if app not in missing}
    found = [repetition(apps, scale.served) for _ in range(scale.repeats)]
    us = {label: [each[label] for each, _ in found] for label in found[0][0]}
    for label in APPS.keys() - apps.keys():
        yield lacking(label, missing[APPS[label]])
    for label, times in us.items():
        yield spread(f"{label}: one core", [1e6 / each for each in times], "1/s")
    for label in apps:
        for place, name in enumerate(("memory of the worker", "its own of that")):
            yield spread(f"{label}: {name}", [each[label][place] for _, each in found], "MiB")
    for (ours, theirs), bound in BOUNDS.items():
        if theirs in us:
            yield spread(f"{ours} ÷ {theirs}", over(us[ours], us[theirs]), "×", bound)
