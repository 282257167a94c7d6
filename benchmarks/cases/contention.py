"""Many texts of one conversation on Redis at once: each has to count, once, in its order; the app takes 2 ms.

lost       answered 200, and not in the state
doubled    in the state more than once
overtaken  ran before a text that had asked 20 ms earlier
wake-up    from the end of one turn's app to the start of the next one's, while that one waited
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import answer, serve, settings
from benchmarks.figures import Figure, counted, percentile
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware, asgi, state_from, webhook_from
from tests.asgi_served import Sent, receiving, scope_of
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.measure import Scale

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
        status: Of the answer.
        began: When the app was called, or 0.
        ended: When the app was done, or 0.
    """

    number: int
    asked: float
    status: int = 0
    began: float = 0.0
    ended: float = 0.0


class Writers:
    """Writers in this process, as threads or as tasks of one event loop; `texts` has the numbers of each one's."""

    def __init__(self, store: str, texts: list[range]) -> None:
        self.texts = texts
        self.options = settings(store=store, max_waiting=64)
        self.times: dict[int, tuple[float, float]] = {}

    def keep(self, environ: Any, began: float) -> None:
        """Append the text's number to the conversation's list."""
        number = int(webhook_from(environ).params["Body"])
        state_from(environ).setdefault("texts", []).append(number)
        self.times[number] = began, monotonic()

    def done(self, number: int, asked: float, status: int) -> Text:
        """What became of a text that is answered."""
        return Text(number, asked, status, *self.times.get(number, ()))

    def in_threads(self, ready: Any) -> list[Text]:
        """Text from threads, each with a connection before all are ready."""

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            began = monotonic()
            threading.Event().wait(HANDLER_S)
            self.keep(environ, began)
            return answer(environ, start_response)

        wrapped = ConversationMiddleware(app, self.options)
        connected = threading.Barrier(len(self.texts) + 1)

        def writer(numbers: range) -> list[Text]:
            environs = [(number, environ_of(sms(1, str(number)))) for number in numbers]
            serve(wrapped, environ_of(sms(numbers[0] + 2, "-1")))
            connected.wait()
            connected.wait()
            return [
                self.done(number, monotonic(), int(serve(wrapped, environ)[0][:3]))
                for number, environ in environs
            ]

        with ThreadPoolExecutor(len(self.texts)) as pool:
            writers = [pool.submit(writer, numbers) for numbers in self.texts]
            connected.wait()
            ready.wait()
            connected.wait()
            return [text for each in writers for text in each.result()]

    async def in_loop(self, ready: Any) -> list[Text]:
        """Text from tasks."""

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
            began = monotonic()
            await asyncio.sleep(HANDLER_S)
            self.keep(scope, began)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"<Response/>"})

        wrapped = asgi.ConversationMiddleware(app, self.options)

        async def text(person: int, number: int) -> Text:
            scope, body = scope_of(environ_of(sms(person, str(number))))
            sent, asked = Sent(), monotonic()
            await wrapped(scope, receiving(body), sent)
            return self.done(number, asked, sent.status)

        async def writer(numbers: range) -> list[Text]:
            return [await text(1, number) for number in numbers]

        await asyncio.gather(*(text(numbers[0] + 2, -1) for numbers in self.texts))
        ready.wait()
        ran = await asyncio.gather(*map(writer, self.texts))
        await wrapped.store.close()
        return [text for each in ran for text in each]


def write(store: str, texts: list[range], loop: bool, ready: Any, results: Any) -> None:
    """Be one process of writers, once all are ready."""
    writers = Writers(store, texts)
    results.put(asyncio.run(writers.in_loop(ready)) if loop else writers.in_threads(ready))


def gather(store: str, processes: int, writers: int, turns: int, loop: bool = False) -> list[Text]:
    """Let all writers text at once; what became of their texts, in the order in which they ran."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes), context.Queue()
    starts = range(0, writers * turns, turns)
    texts = [range(start, start + turns) for start in starts]
    running = [
        context.Process(
            target=write, args=(store, texts[one::processes], loop, ready, results), daemon=True
        )
        for one in range(processes)
    ]
    for process in running:
        process.start()
    ran = [text for _ in running for text in results.get(timeout=120)]
    return sorted(ran, key=lambda text: text.began)


def run(scale: Scale) -> Iterator[Figure]:
    """Let all writers text, and one writer as many texts, each on an empty server."""
    each = scale.writers, scale.turns
    with redis_server() as server:
        serial_s = duration_s(gather(server.url, 1, 1, scale.writers * scale.turns))
    for way, processes, loop in (
        ("threads", 1, False),
        (f"threads of {PROCESSES} processes", PROCESSES, False),
        ("tasks of one event loop", 1, True),
    ):
        name = f"{scale.writers} {way}"
        with redis_server() as server:
            texts = gather(server.url, processes, *each, loop)
            kept: list[int] = []

            def read(environ: Any, start_response: Any, kept: list[int] = kept) -> Any:
                kept += state_from(environ)["texts"]
                return answer(environ, start_response)

            serve(ConversationMiddleware(read, settings(store=server.url)), environ_of(sms(1)))
        yield from _judged(name, texts, kept)
        ratio = duration_s(texts) / serial_s
        yield counted(f"{name}: total ÷ one after the other", ratio, "×", BOUND_SERIAL)


def _judged(name: str, texts: list[Text], kept: list[int]) -> Iterator[Figure]:
    ran = [text for text in texts if text.began]
    overtaken = sum(
        any(later.asked < text.asked - MARGIN_S for later in ran[place + 1 :])
        for place, text in enumerate(ran)
    )
    answered = {text.number for text in texts if text.status == 200}
    faults = {
        "not answered 200": len(texts) - len(answered),
        "lost": len(answered - set(kept)),
        "doubled": len(kept) - len(set(kept)),
        "overtaken": overtaken,
    }
    for fault, number in faults.items():
        yield counted(f"{name}: {fault}", number, "", 0)
    gaps_ms = [
        (after.began - before.ended) * 1000
        for before, after in pairwise(ran)
        if after.asked < before.ended
    ]
    for percent, bound in ((50, None), (99, BOUND_WAKE_MS)):
        if gaps_ms:
            gap_ms = percentile(gaps_ms, percent)
            yield counted(f"{name}: wake-up p{percent}", gap_ms, "ms", bound)


def duration_s(texts: list[Text]) -> float:
    """From the first request to the end of the last turn."""
    return max(text.ended for text in texts) - min(text.asked for text in texts)
