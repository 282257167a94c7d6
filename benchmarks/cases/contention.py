"""Many texts of one conversation at once: each has to count, once, in its order.

lost       answered 200, and not in the state
doubled    in the state more than once
overtaken  ran before a text that had asked 20 ms earlier
wake-up    from the end of one turn's app to the start of the next one's, while that one waited
"""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import serve, settings
from benchmarks.figures import Figure, counted, percentile
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware, state_from
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.measure import Scale

TITLE = "writers on one conversation on Redis; the app takes 2 ms"
BOUND_WAKE_MS = 5  # p99
BOUND_SERIAL = 1.25  # × the same texts, one after the other
HANDLER_S = 0.002  # a short query
MARGIN_S = 0.02  # between asking and being in the queue: a thread may have to wait for its turn
PROCESSES = 4


class Text(NamedTuple):
    """What became of one text.

    Attributes:
        number: The text's own, unique in a run.
        asked: When the request arrived; monotonic time in s, the same in every process.
        began: When the app was called, or 0.
        ended: When the app was done, or 0.
        status: Of the answer.
    """

    number: int
    asked: float
    began: float
    ended: float
    status: int


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Append the text's number to the conversation's list, slowly; give the times and the list."""
    began = monotonic()
    state = state_from(environ)
    threading.Event().wait(HANDLER_S)
    state.setdefault("texts", []).append(environ["benchmarks.number"])
    environ["benchmarks.seen"][:] = [began, monotonic(), list(state["texts"])]
    start_response("200 OK", [])
    return [b"<Response/>"]


def write(store: str, threads: int, turns: int, first: int, ready: Any, results: Any) -> None:
    """Text from some threads of this process, once all threads of all processes are ready."""
    wrapped = ConversationMiddleware(app, settings(store=store, max_waiting=64))
    connected = threading.Barrier(threads)

    def text(number: int, environ: dict[str, Any]) -> Text:
        seen: list[Any] = []
        asked = monotonic()
        environ |= {"benchmarks.number": number, "benchmarks.seen": seen}
        status, _ = serve(wrapped, environ)
        began, ended, _ = seen or (0.0, 0.0, None)
        return Text(number, asked, began, ended, int(status[:3]))

    def writer(numbers: range) -> None:
        environs = [environ_of(sms(1, f"text {number}")) for number in numbers]
        text(-1, environ_of(sms(numbers[0] + 2)))  # opens a connection, beside those of the others
        connected.wait()
        ready.wait()
        for number, environ in zip(numbers, environs, strict=True):
            results.put(text(number, environ))

    starts = range(first, first + threads * turns, turns)
    with ThreadPoolExecutor(threads) as pool:  # what is put after the end of `write` may be lost
        list(pool.map(lambda start: writer(range(start, start + turns)), starts))


def gather(store: str, processes: int, threads: int, turns: int) -> list[Text]:
    """Let all writers text at once; what became of their texts, in the order in which they ran."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes * threads), context.Queue()
    each = threads * turns
    for process in range(processes):
        orders = (store, threads, turns, process * each, ready, results)
        context.Process(target=write, args=orders, daemon=True).start()
    texts = [results.get(timeout=120) for _ in range(processes * each)]
    return sorted(texts, key=lambda text: text.began)


def run(scale: Scale) -> Iterator[Figure]:
    """Let all writers text, and one writer as many texts, each on an empty server."""
    processes = min(PROCESSES, scale.writers)
    with redis_server() as server:
        texts = gather(server.url, processes, scale.writers // processes, scale.turns)
        seen: list[Any] = []
        more: dict[str, Any] = {"benchmarks.number": -1, "benchmarks.seen": seen}
        serve(ConversationMiddleware(app, settings(store=server.url)), environ_of(sms(1), **more))
        kept = seen[2][:-1]
    with redis_server() as server:
        alone = gather(server.url, 1, 1, len(texts))
    name = f"{scale.writers} writers × {scale.turns}"
    ran = [text for text in texts if text.began]
    overtaken = sum(
        any(later.asked < text.asked - MARGIN_S for later in ran[place + 1 :])
        for place, text in enumerate(ran)
    )
    gaps_ms = [
        (after.began - before.ended) * 1000
        for before, after in pairwise(ran)
        if after.asked < before.ended
    ]
    answered = {text.number for text in texts if text.status == 200}
    yield counted(f"{name}: not answered 200", len(texts) - len(answered), "", 0)
    yield counted(f"{name}: lost", len(answered - set(kept)), "", 0)
    yield counted(f"{name}: doubled", len(kept) - len(set(kept)), "", 0)
    yield counted(f"{name}: overtaken", overtaken, "", 0)
    if gaps_ms:
        yield counted(f"{name}: wake-up p50", percentile(gaps_ms, 50), "ms")
        yield counted(f"{name}: wake-up p99", percentile(gaps_ms, 99), "ms", BOUND_WAKE_MS)
    ratio = duration_s(texts) / duration_s(alone)
    yield counted(f"{name}: total ÷ one after the other", ratio, "×", BOUND_SERIAL)


def duration_s(texts: list[Text]) -> float:
    """From the first request to the end of the last turn."""
    return max(text.ended for text in texts) - min(text.asked for text in texts)
