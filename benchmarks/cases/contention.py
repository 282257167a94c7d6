"""Many texts of one conversation on Redis at once: each has to count, once, in its order; the app takes 2 ms.

lost       answered 200, and not in the state
doubled    in the state more than once
overtaken  ran before a text that had asked 20 ms earlier
wake-up    from the end of one turn's app to the start of the next one's, while that one waited
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain, pairwise
from operator import attrgetter
from time import monotonic
from typing import Any, NamedTuple

from benchmarks.apps import answer, serve, serve_asgi, settings
from benchmarks.figures import Figure, figure, p99
from benchmarks.measure import Contender, Scale, Work, fresh
from benchmarks.webhooks import ACCOUNT, OURS, environ_of, sms
from convostate import ConversationMiddleware, Conversations, asgi, state_from, webhook_from
from tests.redis_servers import redis_server

HANDLER_S = 0.002  # a short query
MARGIN_S = 0.02  # between asking and being in the queue: a thread may have to wait for its turn
WAYS = (
    ("threads", 1, False),
    ("threads of 4 processes", 4, False),
    ("tasks of one event loop", 1, True),
)


class Text(NamedTuple):
    """What became of one text; monotonic times in s, the same in every process, or 0."""

    number: int  # the text's own, unique in a run
    asked: float
    status: int
    began: float = 0.0  # the app
    ended: float = 0.0


def contender(store: str, texts: list[list[int]], as_tasks: bool) -> Work:
    """The factory of one process of writers, each with the numbers of its texts; its one call lets them text.

    First they text other conversations. A thread has an event loop of its own, on which its app blocks.
    """
    times: dict[int, tuple[float, float]] = {}

    def keep(environ: Any, began: float) -> None:
        number = int(webhook_from(environ).params["Body"])
        state_from(environ).setdefault("texts", []).append(number)
        times[number] = began, monotonic()

    def blocking(environ: Any, start_response: Any) -> Iterable[bytes]:
        began = monotonic()
        threading.Event().wait(HANDLER_S)
        keep(environ, began)
        return answer(environ, start_response)

    async def awaiting(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        began = monotonic()
        await asyncio.sleep(HANDLER_S)
        keep(scope, began)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"<Response/>"})

    options = settings(store=store, max_waiting=64)
    wsgi = ConversationMiddleware(blocking, options)
    tasks = asgi.ConversationMiddleware(awaiting, options)

    async def text(person: int, number: int) -> Text:
        environ, asked = environ_of(sms(person, str(number))), monotonic()
        status, _ = await serve_asgi(tasks, environ) if as_tasks else serve(wsgi, environ)
        return Text(number, asked, status, *times.get(number, ()))

    async def begin(numbers: list[int]) -> None:
        await text(numbers[0] + 2, -1)

    async def write(numbers: list[int]) -> list[Text]:
        return [await text(1, number) for number in numbers]

    loop = asyncio.new_event_loop()
    pool = ThreadPoolExecutor(len(texts))

    def each(do: Callable[[list[int]], Coroutine[Any, Any, Any]]) -> list[Any]:
        async def together() -> list[Any]:
            return await asyncio.gather(*map(do, texts))

        if as_tasks:
            return loop.run_until_complete(together())
        return list(pool.map(lambda numbers: asyncio.run(do(numbers)), texts))

    each(begin)
    return Work(range, lambda _: [*chain.from_iterable(each(write))])


def gather(
    processes: int, writers: int, turns: int, as_tasks: bool
) -> tuple[list[Text], list[int]]:
    """Let all writers text at once, on an empty server.

    Returns:
        What became of their texts, in the order in which they ran, and the numbers that were kept.
    """
    numbers = [list(range(start, start + turns)) for start in range(0, writers * turns, turns)]
    with redis_server() as server, ThreadPoolExecutor(processes) as pool, ExitStack() as stack:
        asked = []
        for one in range(processes):
            options = {"store": server.url, "texts": numbers[one::processes], "as_tasks": as_tasks}
            process = fresh(Contender("", options, f"{__name__}:contender"))
            asked.append(stack.enter_context(process))
        ran = chain.from_iterable(pool.map(lambda ask: ask(Work.do)[0], asked))
        texts = sorted(ran, key=attrgetter("began"))
        owner = Conversations(settings(store=server.url, account_sid=ACCOUNT))
        state = owner.peek(ours=OURS, theirs=sms(1).params["From"])
    return texts, state["texts"] if state else []


def run(scale: Scale) -> Iterator[Figure]:
    """Let one writer text, then all writers as many texts."""
    serial, _ = gather(1, 1, scale.writers * scale.turns, False)
    for way, processes, as_tasks in WAYS:
        name = f"{scale.writers} {way}"
        texts, kept = gather(processes, scale.writers, scale.turns, as_tasks)
        ran = [text for text in texts if text.began]
        answered = {text.number for text in texts if text.status == 200}
        overtaken = sum(
            any(later.asked < text.asked - MARGIN_S for later in ran[place + 1 :])
            for place, text in enumerate(ran)
        )
        gaps_ms = [
            (after.began - before.ended) * 1000
            for before, after in pairwise(ran)
            if after.asked < before.ended
        ]
        yield figure(f"{name}: not answered 200", "", len(texts) - len(answered))
        yield figure(f"{name}: lost", "", len(answered - set(kept)))
        yield figure(f"{name}: doubled", "", len(kept) - len(set(kept)))
        yield figure(f"{name}: overtaken", "", overtaken)
        yield figure(f"{name}: wake-up p99", "ms", p99(gaps_ms or [0]))
        ratio = duration_s(texts) / duration_s(serial)
        yield figure(f"{name}: total ÷ one after the other", "×", ratio)


def duration_s(texts: list[Text]) -> float:
    """From the first request to the end of the last turn."""
    return max(text.ended for text in texts) - min(text.asked for text in texts)
