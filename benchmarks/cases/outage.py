"""How long a webhook takes with a Redis that is healthy, gone, or dead, and at what moment it dies.

Dead is worse than gone: a stopped process whose sockets still accept, so that only the time-out ends
the waiting.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from benchmarks.apps import answering, bare, make, serve, settings
from benchmarks.figures import Figure, counted, percentile
from benchmarks.measure import APP, Contender, Process, Scale
from benchmarks.webhooks import environ_of, sms
from benchmarks.worker import Work
from convostate import ConversationMiddleware, state_from
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TITLE = "a webhook with a Redis that is healthy, gone, or dead (whole request, plain app)"
BOUND_BEGIN_MS = 600
BOUND_COMMIT_MS = 1100
BOUND_BREAKER_MS = 5
UNTIL_BREAKER = 5  # failures in a row
COMMITS = 4  # failures, too: below what opens the breaker


def dying(store: str, pid: int) -> Work:
    """A contender whose app stops the server while its turn runs; each call wakes it up before."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state_from(environ)["texts"] = 1
        os.kill(pid, signal.SIGSTOP)
        return bare(environ, start_response)

    wrapped = ConversationMiddleware(app, settings(store=store))
    serve(make("wrapped", store=store), environ_of(sms()))  # imports what Redis needs

    def call(environ: dict[str, Any]) -> None:
        os.kill(pid, signal.SIGCONT)
        serve(wrapped, environ)

    return Work(lambda calls: [environ_of(sms(number + 2)) for number in range(calls)], call)


def stopped(store: str, pid: int, signal_number: int) -> Work:
    """A contender whose server is sent a signal before the first call."""
    work = answering(make("wrapped", store=store), people=20)
    pending = [signal_number]

    def inputs(calls: int) -> list[Any]:
        made = list(work.inputs(calls))
        while pending:
            os.kill(pid, pending.pop())
        return made

    return Work(inputs, work.call)


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each in a fresh process with a server of its own."""
    calls = max(1, scale.chunks * scale.calls // 4)
    me = "benchmarks.cases.outage"
    with redis_server() as server:
        options = {"app": "wrapped", "store": server.url, "people": 20}
        yield from _percentiles("healthy", _ms(Contender("healthy", APP, options), calls + 1)[1:])
    for name, how in (("dead", signal.SIGSTOP), ("gone", signal.SIGKILL)):
        with redis_server() as server:
            options = {"store": server.url, "pid": server.pid, "signal_number": int(how)}
            times = _ms(Contender(name, f"{me}:stopped", options), UNTIL_BREAKER + calls + 1)
        first, later = times[:UNTIL_BREAKER], times[UNTIL_BREAKER:]
        yield counted(f"{name}, at BEGIN: longest", max(first), "ms", BOUND_BEGIN_MS)
        yield from _percentiles(f"{name}, breaker open", later, BOUND_BREAKER_MS)
    with redis_server() as server:
        contender = Contender("dying", f"{me}:dying", {"store": server.url, "pid": server.pid})
        times = _ms(contender, min(scale.repeats, COMMITS))
    yield counted("dead, at COMMIT: longest", max(times), "ms", BOUND_COMMIT_MS)


def _ms(contender: Contender, calls: int) -> list[float]:
    """The time of each call."""
    with Process(contender) as process:
        return [us / 1000 for us in process.ask("wall", calls)]


def _percentiles(name: str, ms: list[float], bound: float | None = None) -> Iterator[Figure]:
    yield counted(f"{name}: p50", percentile(ms, 50), "ms")
    yield counted(f"{name}: p99", percentile(ms, 99), "ms", bound)
