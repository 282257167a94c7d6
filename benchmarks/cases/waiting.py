"""Texts that wait for one conversation, in memory and on Redis, and the longest turn of the memory store."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from benchmarks.apps import answer, count, plain, serve, settings, texting
from benchmarks.figures import Figure, figure
from benchmarks.measure import Scale, cpu_us
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware, state_from
from tests.redis_servers import redis_server


def run(scale: Scale) -> Iterator[Figure]:
    """Measure: a turn, its thread and its webhook included.

    Other programs only ever add to a figure, so the lowest counts.
    """
    for name in ("memory", "Redis"):
        with nullcontext() if name == "memory" else redis_server() as server:
            # A waiting thread has a connection of its own.
            url = f"{server.url}?max_connections={scale.waiting + 1}" if server else "memory"
            pids = {"a turn": os.getpid()} | ({"redis-server": server.pid} if server else {})
            first_us = 0.0
            for waiting in sorted({max(1, scale.waiting // part) for part in (256, 16, 4, 1)}):
                line = Line(url, waiting)
                line.burst()  # connects
                bursts = scale.waiting // waiting
                bursts_us = [
                    cpu_us(pids.values(), bursts, line.burst) for _ in range(scale.repeats)
                ]
                us = [min(each) / (1 + waiting) for each in zip(*bursts_us, strict=True)]
                first_us = first_us or us[0]
                label = f"{name}, {waiting} waiting"
                for what, turn_us in zip(pids, us, strict=True):
                    yield figure(f"{label}: {what}", "µs", turn_us)
                if waiting > 1:
                    yield figure(f"{label} ÷ 1 waiting", "×", us[0] / first_us)
    pause_us = min(longest_us(scale.in_memory) for _ in range(min(scale.repeats, 2)))
    label = f"longest turn on the way to {scale.in_memory:,} conversations in memory"
    yield figure(label, "ms", pause_us / 1000)


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

    def text(self) -> int:
        """Send a text; the status of its answer."""
        return serve(self.wrapped, environ_of(sms()))[0]

    def burst(self) -> None:
        """Send one more than wait; an answer that is not 200 raises RuntimeError."""
        self.holding, self.go = threading.Event(), threading.Event()
        with ThreadPoolExecutor(1 + self.waiting) as pool:
            sent = [pool.submit(self.text)]
            self.holding.wait()
            sent += [pool.submit(self.text) for _ in range(self.waiting)]
            self.go.set()
        said = {each.result() for each in sent}
        if said != {200}:
            raise RuntimeError(f"the app answered {said}")


def longest_us(conversations: int) -> float:
    """The longest turn of so many people's first texts; Python's garbage collection is not the store's."""
    gc.disable()
    us = texting(plain(store="memory")).us(conversations)
    gc.enable()
    return max(us)
