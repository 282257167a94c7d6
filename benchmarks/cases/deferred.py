"""Answers that take a minute: how many one worker process makes at once on Redis, and what webhooks take meanwhile.

A worker is `convostate work`; its function waits as for a language model, and nothing is sent. An answer
runs while its conversation has a worker's lease, so that is counted at the Redis.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.apps import answer, serve, settings
from benchmarks.figures import Figure, counted, percentile
from benchmarks.measure import ROOT
from benchmarks.webhooks import KEY, PATH, TOKEN, environ_of, sms
from convostate import Answering, AsyncConversations, ConversationMiddleware, Conversations
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.measure import Scale
    from tests.redis_servers import RedisServer

AT_ONCE = {"threads": 200, "event loop": 5000}
BOUND_MIB = 512
BOUND_MS = 50  # p99
PATIENCE_S = 60  # beside the time of an answer


def worker(kind: str, seconds: float) -> Conversations | AsyncConversations:
    """What `convostate work` is given: each answer takes so long."""

    def answer_in_thread(turn: Answering) -> None:
        threading.Event().wait(seconds)
        turn.reply("done")

    async def answer_in_loop(turn: Answering) -> None:
        await asyncio.sleep(seconds)
        turn.reply("done")

    async def create(**_: Any) -> None: ...

    messages = SimpleNamespace(create=lambda **_: None, create_async=create)
    client: Any = SimpleNamespace(messages=messages)
    if kind == "threads":
        threaded = Conversations(client=client)
        threaded.answers(answer_in_thread)
        return threaded
    looped = AsyncConversations(client=client)
    looped.answers(answer_in_loop)
    return looped


if "BENCHMARKS_WORKER" in os.environ:
    conversations = worker(*json.loads(os.environ["BENCHMARKS_WORKER"]))


def run(scale: Scale) -> Iterator[Figure]:
    """Measure both kinds, each with an empty server."""
    for kind, most in AT_ONCE.items():
        yield from _measure(kind, min(most, scale.conversations), scale)


def _measure(kind: str, most: int, scale: Scale) -> Iterator[Figure]:
    with redis_server() as server:
        owner = Conversations(settings(store=server.url, defer_paths=PATH))

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            owner.answer_later(environ)
            return answer(environ, start_response)

        wrapped = ConversationMiddleware(app, owner.settings, store=owner.store)

        def text(person: int) -> float:
            environ = environ_of(sms(person))
            begun = perf_counter()
            status, _ = serve(wrapped, environ)
            if not status.startswith("200"):
                raise RuntimeError(f"the app answered {status}")
            return (perf_counter() - begun) * 1000

        for person in range(most):
            text(person)
        with _working(server.url, kind, most, scale.answer_s) as process:
            running = _wait(lambda: _keys(server, "a"), most, PATIENCE_S)
            if process.poll() is not None:
                raise RuntimeError("the worker ended early; its error is above")
            more = min(most, scale.served)
            took_ms = [text(most + number) for number in range(more)]
            texts = most + more
            rounds = 1 + -(-texts // most)
            kept = _wait(
                lambda: texts - _keys(server, "m"), texts, PATIENCE_S + rounds * scale.answer_s
            )
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            peak = int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) / 1024  # resident; on Linux
    yield counted(f"{kind}: answers at once", running)
    yield counted(f"{kind}: not answered in the end", texts - kept, "", 0)
    yield counted(f"{kind}: most memory of the process", peak, "MiB", BOUND_MIB)
    yield counted(f"{kind}: a webhook meanwhile, p50", percentile(took_ms, 50), "ms")
    yield counted(f"{kind}: a webhook meanwhile, p99", percentile(took_ms, 99), "ms", BOUND_MS)


@contextmanager
def _working(url: str, kind: str, most: int, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    environ = {
        **os.environ,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "CONVOSTATE_KEYS": KEY,
        "CONVOSTATE_STORE": url,
        "CONVOSTATE_DEFER_PATHS": PATH,
        "BENCHMARKS_WORKER": json.dumps([kind, seconds]),
    }
    words = ["work", f"{__name__}:conversations", "--threads", str(most)]
    command = [sys.executable, "-m", "convostate", *words]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _keys(server: RedisServer, kind: str) -> int:
    found = server.admin.keys(f"*}}{kind}")
    assert isinstance(found, list)
    return len(found)


def _wait(count: Callable[[], int], wanted: int, patience_s: float) -> int:
    """The most that was counted, until that is as many as wanted or patience ends."""
    most, pause, ends = 0, threading.Event(), monotonic() + patience_s
    while most < wanted and monotonic() < ends:
        pause.wait(0.05)
        most = max(most, count())
    return most
