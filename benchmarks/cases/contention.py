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

    from benchmarks.measure import Scale

BOUND_WAKE_MS = 5  # p99
BOUND_SERIAL = 1.25  # × the same texts, one after the other
HANDLER_S = 0.002  # a short query
MARGIN_S = 0.02  # between asking and being in the queue: a thread may have to wait for its turn
PROCESSES = 4


class Text(NamedTuple):
    """What became of one text; monotonic times in s, the same in every process, or 0."""

    number: int  # the text's own, unique in a run
    asked: float
    status: int = 0
    began: float = 0.0  # the app
    ended: float = 0.0


class Writers:
    """Writers in this process, as threads or as tasks of one event loop; `texts` has the numbers of each one's."""

    def __init__(self, store: str, texts: list[range], ready: Any) -> None:
        self.texts, self.ready = texts, ready
        self.options = settings(store=store, max_waiting=64)
        self.times: dict[int, tuple[float, float]] = {}

    def keep(self, environ: Any, began: float) -> None:
        """Append the text's number to the conversation's list."""
        number = int(webhook_from(environ).params["Body"])
        state_from(environ).setdefault("texts", []).append(number)
        self.times[number] = began, monotonic()

    def in_threads(self) -> list[Text]:
        """Text from threads, once all have sent a text to another conversation."""

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            began = monotonic()
            threading.Event().wait(HANDLER_S)
            self.keep(environ, began)
            return answer(environ, start_response)

        wrapped = ConversationMiddleware(app, self.options)

        def text(person: int, number: int) -> Text:
            environ, asked = environ_of(sms(person, str(number))), monotonic()
            status, _ = serve(wrapped, environ)
            return Text(number, asked, int(status[:3]), *self.times.get(number, ()))

        def writer(numbers: range) -> list[Text]:
            text(numbers[0] + 2, -1)
            self.ready.wait()
            return [text(1, number) for number in numbers]

        with ThreadPoolExecutor(len(self.texts)) as pool:
            return [text for each in pool.map(writer, self.texts) for text in each]

    async def in_loop(self) -> list[Text]:
        """Text from tasks, likewise."""

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
            return Text(number, asked, sent.status, *self.times.get(number, ()))

        async def writer(numbers: range) -> list[Text]:
            return [await text(1, number) for number in numbers]

        await asyncio.gather(*(text(numbers[0] + 2, -1) for numbers in self.texts))
        ran = await asyncio.gather(*map(writer, self.texts))
        await wrapped.store.close()
        return [text for each in ran for text in each]


def write(texts: list[range], store: str, loop: bool, ready: Any, results: Any) -> None:
    """Be one process of writers."""
    writers = Writers(store, texts, ready)
    results.put(asyncio.run(writers.in_loop()) if loop else writers.in_threads())


def gather(store: str, processes: int, writers: int, turns: int, loop: bool = False) -> list[Text]:
    """Let all writers text at once; what became of their texts, in the order in which they ran."""
    context = multiprocessing.get_context("spawn")
    more = store, loop, context.Barrier(writers), (results := context.Queue())
    texts = [range(start, start + turns) for start in range(0, writers * turns, turns)]
    for one in range(processes):
        context.Process(target=write, args=(texts[one::processes], *more), daemon=True).start()
    ran = [text for _ in range(processes) for text in results.get(timeout=120)]
    return sorted(ran, key=lambda text: text.began)


def run(scale: Scale) -> Iterator[Figure]:
    """Let one writer text, then all writers as many texts, each on an empty server."""
    with redis_server() as server:
        serial_s = duration_s(gather(server.url, 1, 1, scale.writers * scale.turns))
    for way, processes, loop in (
        ("threads", 1, False),
        (f"threads of {PROCESSES} processes", PROCESSES, False),
        ("tasks of one event loop", 1, True),
    ):
        name = f"{scale.writers} {way}"
        with redis_server() as server:
            texts = gather(server.url, processes, scale.writers, scale.turns, loop)
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
