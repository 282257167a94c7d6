"""The memory store with many texts that wait and with many conversations: both have to be flat."""

from __future__ import annotations

import gc
import threading
from time import process_time, thread_time
from typing import TYPE_CHECKING

from benchmarks.apps import counting, serve, settings
from benchmarks.figures import Figure, counted, over, spread
from benchmarks.measure import Scale, fastest
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

TITLE = "the memory store, in processor time"
BOUND_WAITING = 2  # × the time of a turn for which one waits
BOUND_PAUSE_MS = 10
ROUNDS = 3


def run(scale: Scale) -> Iterator[Figure]:
    """Measure both."""
    many: list[float] = []
    few: list[float] = []
    for _ in range(scale.repeats):
        many.append(fastest([_waiting_us(scale.waiting) for _ in range(ROUNDS)]))
        few.append(fastest([_waiting_us(1) for _ in range(ROUNDS * scale.waiting)]))
    yield spread(f"a turn for which {scale.waiting} wait", many, "µs")
    label = f"the same ÷ a turn for which 1 waits, with {scale.waiting} in line"
    yield spread(label, over(many, few), "×", BOUND_WAITING)
    pause_ms = [_worst_pause_ms(scale.conversations) for _ in range(scale.repeats)]
    label = f"the longest turn on the way to {scale.conversations:,} conversations"
    # Other programs only ever add to it.
    yield counted(label, min(pause_ms), "ms", BOUND_PAUSE_MS)


def _waiting_us(waiting: int) -> float:
    """The time of one turn while texts wait behind the one that holds the conversation."""
    holding, go = threading.Event(), threading.Event()
    count = counting()

    def app(environ: Any, start_response: Any) -> Any:
        if not holding.is_set():
            holding.set()
            go.wait()
        return count(environ, start_response)

    wrapped = ConversationMiddleware(app, settings(store="memory", max_waiting=waiting))
    environs = [environ_of(sms()) for _ in range(waiting + 1)]
    threads = [threading.Thread(target=serve, args=(wrapped, each)) for each in environs]
    threads[0].start()
    holding.wait()
    begun = process_time()
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    return (process_time() - begun) / waiting * 1e6


def _worst_pause_ms(conversations: int) -> float:
    """The longest turn of so many people's first texts; Python's garbage collection is not the store's."""
    wrapped = ConversationMiddleware(counting(), settings(store="memory"))
    longest = 0.0
    gc.disable()
    for person in range(conversations):
        environ = environ_of(sms(person))
        begun = thread_time()
        serve(wrapped, environ)
        longest = max(longest, thread_time() - begun)
    gc.enable()
    return longest * 1000
