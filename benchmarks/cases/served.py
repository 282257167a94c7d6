"""A webhook by the processor time of gunicorn's worker or of uvicorn, what one core carries, and the memory.

Requests per second of a machine that also makes the load say little about another one. The time that
a process spends on a webhook does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from operator import truediv
from pathlib import Path

from benchmarks.apps import cookie_from
from benchmarks.figures import Figure, figure
from benchmarks.measure import Contender, Scale, by_label, cpu_us, fastest, memory_mib
from benchmarks.webhooks import PATH, headers_of, sms
from tests.redis_servers import redis_server
from tests.serving import serving

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
# Their connections stay open.
GUNICORN = ("gunicorn gthread", "benchmarks.apps:served()", "--threads=1", "--keep-alive=3600")
UVICORN = (
    "uvicorn factory", "benchmarks.apps:served", "--no-access-log", "--timeout-keep-alive=3600",
)  # fmt: skip
CHUNKS = 25  # of the webhooks of a repetition


@contextmanager
def answering(contender: Contender, store: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """Serve an app until the block ends: the worker's process id, and what texts it, of one conversation."""
    name, *words = UVICORN if contender.label.startswith("FastAPI") else GUNICORN
    options = {**contender.options, **({"store": store} if "Redis" in contender.label else {})}
    with (
        serving(name, *words, BENCHMARKS_APP=json.dumps(options)) as server,
        closing(HTTPConnection(*server.address, timeout=30)) as connection,
    ):
        cookie = ""

        def send() -> None:
            nonlocal cookie
            webhook = sms(server.process.pid)
            # The server has to see the scheme that was signed.
            headers = headers_of(webhook, cookie) | {"X-Forwarded-Proto": "https"}
            connection.request("POST", PATH, webhook.body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"{contender.label} answered {response.status}")
            cookie = cookie_from(response.getheaders())

        send()  # then gunicorn has a worker
        pid = server.process.pid
        workers = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        yield int(workers or pid), send


def repetition(apps: Sequence[Contender], texts: int) -> tuple[dict[str, float], dict[str, float]]:
    """Serve all apps, and text them in turns: the µs of a webhook, and the MiB of the workers."""
    calls = max(1, texts // CHUNKS)
    with redis_server() as redis, ExitStack() as stack:
        workers = {one.label: stack.enter_context(answering(one, redis.url)) for one in apps}
        chunks: list[dict[str, float]] = []
        for _ in range(texts // calls):
            chunks.append({})
            for label, (worker, send) in workers.items():
                us, redis_us = cpu_us((worker, redis.pid), calls, send)
                chunks[-1] |= {label: us, f"redis-server for {label}": redis_us}
        memory = {label: memory_mib(worker) for label, (worker, _) in workers.items()}
    return fastest(chunks), memory


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, on Linux, with servers of their own in each repetition."""
    contenders = [Contender(label, {"app": app}) for label, app in APPS.items()]
    apps = [one for one in contenders if one.is_installed]
    found = zip(*(repetition(apps, scale.served) for _ in range(scale.repeats)), strict=True)
    us, memory = map(by_label, found)
    for label in [*memory, "redis-server for plain, Redis"]:
        yield figure(f"{label}: one core", "1/s", *(1e6 / each for each in us[label]))
    for label, mib in memory.items():
        yield figure(f"{label}: memory of the worker", "MiB", *mib)
    for ours, theirs in RATIOS:
        if theirs in us:
            yield figure(f"{ours} ÷ {theirs}", "×", *map(truediv, us[ours], us[theirs]))
