"""How long a webhook takes with a Redis that is healthy, slow, gone, or dead, and at what moment it dies.

Dead is worse than gone: a stopped process whose sockets still accept, so that nothing but the time-out
ends the waiting.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from benchmarks.apps import answering, bare, make, serve, settings
from benchmarks.measure import Contender, started
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, counted, percentile
from benchmarks.slow_line import slow_line
from benchmarks.webhooks import environ_of, sms
from benchmarks.worker import Work
from convostate import ConversationMiddleware, state_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.measure import Effort
    from benchmarks.scale import Scale

TITLE = "a webhook with a Redis that is healthy, slow, gone, or dead (whole request, plain app)"
BOUND_BEGIN_MS = 600
BOUND_COMMIT_MS = 1100
BOUND_BREAKER_MS = 5
SLOW_S = 0.005  # each way to the server
UNTIL_BREAKER = 5  # failures in a row
COMMITS = 4  # failures, too: below what opens the breaker

APP = "benchmarks.apps:contender"


def dying(store: str, pid: int) -> Work:
    """A contender whose app stops the server while its turn runs; each call wakes it up before."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state_from(environ)["texts"] = 1
        os.kill(pid, signal.SIGSTOP)
        return bare(environ, start_response)

    wrapped = ConversationMiddleware(app, settings(store))
    serve(make("wrapped", store=store), environ_of(sms()))  # imports what Redis needs

    def call(environ: dict[str, Any]) -> None:
        os.kill(pid, signal.SIGCONT)
        serve(wrapped, environ)

    return Work(lambda calls: [environ_of(sms(number + 2)) for number in range(calls)], call)


def stopped(store: str, pid: int, signal_number: int) -> Work:
    """A contender whose server is sent a signal before the first call."""
    work = answering(make("wrapped", store=store), in_cookie=False, conversations=20)
    pending = [signal_number]

    def inputs(calls: int) -> list[Any]:
        made = list(work.inputs(calls))
        while pending:
            os.kill(pid, pending.pop())
        return made

    return Work(inputs, work.call)


def run(scale: Scale) -> Result:
    """Measure each in a fresh process with a server of its own."""
    effort = scale.effort
    calls, commits = effort.rounds * 20, min(effort.rounds, COMMITS)
    figures: list[Figure] = []
    with redis_server() as server, slow_line(server.port, SLOW_S) as port:
        program = server.program
        lines = {"healthy": server.url, "5 ms away": f"redis://127.0.0.1:{port}/0"}
        for name, url in lines.items():
            contender = Contender(name, APP, {"app": "wrapped", "store": url, "conversations": 20})
            figures += _percentiles(name, _times(contender, effort, calls, warm=True))
    for name, how in (("dead", signal.SIGSTOP), ("gone", signal.SIGKILL)):
        with redis_server() as server:
            options = {"store": server.url, "pid": server.pid, "signal_number": int(how)}
            contender = Contender(name, "benchmarks.cases.outage:stopped", options)
            times = _times(contender, effort, UNTIL_BREAKER + calls)
        first, later = times[:UNTIL_BREAKER], times[UNTIL_BREAKER:]
        figures.append(counted(f"{name}, at BEGIN: longest", max(first), "ms", BOUND_BEGIN_MS))
        figures += _percentiles(f"{name}, breaker open", later, BOUND_BREAKER_MS)
    with redis_server() as server:
        options = {"store": server.url, "pid": server.pid}
        contender = Contender("dying", "benchmarks.cases.outage:dying", options)
        times = _times(contender, effort, commits)
    figures.append(counted("dead, at COMMIT: longest", max(times), "ms", BOUND_COMMIT_MS))
    return Result(TITLE, figures, (program, "all in one thread, one after the other"))


def _times(contender: Contender, effort: Effort, calls: int, *, warm: bool = False) -> list[float]:
    """The time of each call in ms."""
    with started(contender, effort) as running:
        running.ready()
        if warm:
            running.time(min(20, calls), 1, wall=True)
        return [time / 1000 for time in running.time(calls, 1, wall=True)]


def _percentiles(name: str, ms: list[float], bound: float | None = None) -> list[Figure]:
    return [
        counted(f"{name}: p50", percentile(ms, 50), "ms"),
        counted(f"{name}: p99", percentile(ms, 99), "ms", bound),
    ]
