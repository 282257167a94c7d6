"""Texts that wait for one conversation, in memory and on Redis, and the longest turn of the memory store."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from time import process_time, thread_time
from typing import Any

from benchmarks.apps import answer, count, plain, serve, settings
from benchmarks.cases.served import cpu_s
from benchmarks.figures import Figure, counted
from benchmarks.measure import Scale
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware, state_from
from tests.redis_servers import redis_server


def run(scale: Scale) -> Iterator[Figure]:
    """Measure; other programs only ever add to a figure, so the lowest counts."""
    for name in ("memory", "Redis"):
        with nullcontext() if name == "memory" else redis_server() as server:
            # A waiting thread has a connection of its own.
            url = f"{server.url}?max_connections={scale.waiting + 1}" if server else "memory"
            pids = [server.pid] if server else []
            first_us = 0.0
            for waiting in sorted({max(1, scale.waiting // part) for part in (256, 16, 4, 1)}):
                line = Line(url, waiting)
                bursts = scale.waiting // waiting
                line.burst()  # connects
                samples = [line.turn_us(bursts, *pids) for _ in range(scale.repeats)]
                ours_us, redis_us = (min(each) for each in zip(*samples, strict=True))
                first_us = first_us or ours_us
                label = f"{name}, {waiting} waiting"
                yield counted(f"{label}: a turn", ours_us, "µs")
                if server:
                    yield counted(f"{label}: redis-server", redis_us, "µs")
                if waiting > 1:
                    yield counted(f"{label} ÷ 1 waiting", ours_us / first_us, "×")
    pause_ms = min(longest_ms(scale.in_memory) for _ in range(min(scale.repeats, 2)))
    label = f"longest turn on the way to {scale.in_memory:,} conversations in memory"
    yield counted(label, pause_ms, "ms")


class Line:
    """Texts of one conversation at once, the first of which goes on when all others have been sent."""

    def __init__(self, store: str, waiting: int) -> None:
        self.waiting = waiting
        options = settings(store=store, max_waiting=max(2, waiting))
        self.wrapped = ConversationMiddleware(self.app, options)

    def app(self, environ: Any, start_response: Any) -> Any:
        """Count; the first one waits."""
        count(state_from(environ))
        if not self.holding.is_set():
            self.holding.set()
            self.go.wait()
        return answer(environ, start_response)

    def burst(self) -> None:
        """Send one more than wait; an answer that is not 200 raises RuntimeError."""
        self.holding, self.go = threading.Event(), threading.Event()
        said: list[int] = []
        threads = [
            threading.Thread(target=lambda: said.append(serve(self.wrapped, environ_of(sms()))[0]))
            for _ in range(self.waiting + 1)
        ]
        threads[0].start()
        self.holding.wait()
        for thread in threads[1:]:
            thread.start()
        self.go.set()
        for thread in threads:
            thread.join()
        if set(said) != {200}:
            raise RuntimeError(f"the app answered {set(said)}")

    def turn_us(self, bursts: int, *pids: int) -> tuple[float, float]:
        """The processor time of one turn, its thread and its webhook included, and that of other processes."""
        begun, others_begun = process_time(), cpu_s(*pids)
        for _ in range(bursts):
            self.burst()
        spent, others = process_time() - begun, cpu_s(*pids) - others_begun
        turns = bursts * (self.waiting + 1)
        return spent / turns * 1e6, others / turns * 1e6


def longest_ms(conversations: int) -> float:
    """The longest turn of so many people's first texts; Python's garbage collection is not the store's."""
    wrapped = plain(store="memory")
    longest = 0.0
    gc.disable()
    for person in range(conversations):
        environ = environ_of(sms(person))
        begun = thread_time()
        serve(wrapped, environ)
        longest = max(longest, thread_time() - begun)
    gc.enable()
    return longest * 1000
