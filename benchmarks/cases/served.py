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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.apps import cookie_from
from benchmarks.figures import Figure, over, spread
from benchmarks.measure import ROOT, Contender, Scale, fastest
from benchmarks.webhooks import PATH, headers_of, sms
from tests.redis_servers import redis_server

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
RATIOS = (
    ("Flask, cookie", "Flask, RequestValidator, no state"),
    ("Flask, cookie", "Flask, RequestValidator, flask.session"),
    ("Flask, Redis", "Flask, RequestValidator, Flask-Session on Redis"),
    ("FastAPI, Redis", "FastAPI, RequestValidator, starsessions on Redis"),
)
SERVERS = {
    "gunicorn": "--workers=1 --threads=1 --worker-class=gthread --keep-alive=3600 --bind=127.0.0.1:0 benchmarks.apps:served()",
    "uvicorn": "--no-access-log --timeout-keep-alive=3600 --host=127.0.0.1 --port=0 --factory benchmarks.apps:served",
}
CHUNKS = 25  # of the webhooks of a repetition


def cpu_s(*pids: int) -> float:
    """The processor time that processes have used so far.

    A clock of Linux, clock_getcpuclockid(3): the process in the upper bits, 2 for "all its threads".
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def resident_mib(pid: int, which: str = "VmRSS") -> float:
    """The memory of a process on Linux, or the most that it had (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(rf"{which}:\s*(\d+) kB", status)[0]) / 1024


@contextmanager
def serving(contender: Contender, store: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """Serve an app until the block ends: the worker's process id, and what texts it, of one conversation."""
    name = "uvicorn" if contender.label.startswith("FastAPI") else "gunicorn"
    options = {**contender.options, **({"store": store} if "Redis" in contender.label else {})}
    environ = {**os.environ, "BENCHMARKS_APP": json.dumps(options)}
    command = [sys.executable, "-m", name, *SERVERS[name].split()]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)
            port = int(next(filter(None, found))[1])
            with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
                cookies = [""]

                def send() -> None:
                    webhook = sms(server.pid)
                    # The server has to see the scheme that was signed.
                    headers = headers_of(webhook, cookies.pop()) | {"X-Forwarded-Proto": "https"}
                    connection.request("POST", PATH, webhook.body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"the server answered {answer.status}")
                    cookies.append(cookie_from(answer.getheaders()))

                send()  # then gunicorn has a worker
                children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
                yield int(children or server.pid), send
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers


def repetition(apps: Sequence[Contender], texts: int) -> tuple[dict[str, float], dict[str, float]]:
    """Serve all apps, and text them in turns: the µs of a webhook, and the MiB of the workers."""
    a_chunk = max(1, texts // CHUNKS)
    with redis_server() as redis, ExitStack() as stack:
        workers = {one.label: stack.enter_context(serving(one, redis.url)) for one in apps}
        chunks: dict[str, list[float]] = {}
        for _ in range(texts // a_chunk):
            for label, (worker, send) in workers.items():
                pids = {label: worker, f"redis-server for {label}": redis.pid}
                begun = {name: cpu_s(pid) for name, pid in pids.items()}
                for _ in range(a_chunk):
                    send()
                for name, pid in pids.items():
                    used_s = cpu_s(pid) - begun[name]
                    chunks.setdefault(name, []).append(used_s / a_chunk * 1e6)
        memory = {label: resident_mib(worker) for label, (worker, _) in workers.items()}
    return {label: fastest(times) for label, times in chunks.items()}, memory


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, on Linux, with servers of their own in each repetition."""
    contenders = [Contender(label, {"app": app}) for label, app in APPS.items()]
    apps = [one for one in contenders if one.is_installed]
    found = [repetition(apps, scale.served) for _ in range(scale.repeats)]
    us = {label: [each[label] for each, _ in found] for label in found[0][0]}
    for label in [*(one.label for one in apps), "redis-server for plain, Redis"]:
        yield spread(f"{label}: one core", [1e6 / each for each in us[label]], "1/s")
    for one in apps:
        yield spread(
            f"{one.label}: memory of the worker", [mib[one.label] for _, mib in found], "MiB"
        )
    for ours, theirs in RATIOS:
        if theirs in us:
            yield spread(f"{ours} ÷ {theirs}", over(us[ours], us[theirs]), "×")
