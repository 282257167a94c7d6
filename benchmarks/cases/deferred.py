"""Answers that take a minute: how many one worker process makes at once on Redis, and what webhooks take meanwhile.

The function waits as for a language model, and what it sends is counted instead. Its workers are those of
`convostate work`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.apps import answer, settings, texting
from benchmarks.figures import Figure, figure, p99
from benchmarks.measure import Contender, Scale, Work, fresh, memory_mib
from benchmarks.webhooks import PATH
from convostate import Answering, AsyncConversations, ConversationMiddleware, Conversations
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

AT_ONCE = {"threads": 200, "event loop": 5000}
PATIENCE_S = 60  # beside the time of an answer


def contender(kind: str, most: int, seconds: float, store: str) -> Work:
    """The factory of a worker process: a call returns how many answers run, and how many texts were answered.

    The number of texts comes twice: without those that were answered again, and with them.
    """
    workers: list[Any] = []
    answered: list[str] = []

    def reply(turn: Answering) -> None:
        turn.reply(" ".join(text.params["MessageSid"] for text in turn.texts))

    def in_thread(turn: Answering) -> None:
        threading.Event().wait(seconds)
        reply(turn)

    async def in_loop(turn: Answering) -> None:
        await asyncio.sleep(seconds)
        reply(turn)

    def create(**message: Any) -> None:
        answered.extend(message["body"].split())

    async def create_async(**message: Any) -> None:
        create(**message)

    messages = SimpleNamespace(create=create, create_async=create_async)
    options: dict[str, Any] = {
        "settings": settings(store=store, defer_paths=PATH),
        "client": SimpleNamespace(messages=messages),
    }

    async def work() -> None:
        looped = AsyncConversations(**options)
        looped.answers(in_loop)
        workers.append(looped.start_workers(most))
        await workers[0].wait()

    if kind == "threads":
        threaded = Conversations(**options)
        threaded.answers(in_thread)
        workers.append(threaded.start_workers(most))
    else:
        threading.Thread(target=asyncio.run, args=(work(),), daemon=True).start()

    def counts(_: int) -> tuple[int, int, int]:
        running = sum(len(each.running) for each in workers)
        return running, len(set(answered)), len(answered)

    return Work(range, counts)


def peak_mib(_: Work) -> float:
    """The most memory that this process had."""
    return memory_mib(os.getpid(), "VmHWM")


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

        webhooks = texting(ConversationMiddleware(app, owner.settings, store=owner.store))
        webhooks.us(most)
        options = {"kind": kind, "most": most, "seconds": scale.answer_s, "store": server.url}
        with fresh(Contender(kind, options, f"{__name__}:contender")) as ask:
            at_once, _, _ = _wait(ask, 0, most, PATIENCE_S)
            more = min(most, scale.served)
            took_us = webhooks.us(more, "wall")
            rounds = 1 + -(-(most + more) // most)
            patience_s = PATIENCE_S + rounds * scale.answer_s
            _, answered, replies = _wait(ask, 1, most + more, patience_s)
            peak = ask(peak_mib)
    yield figure(f"{kind}: answers at once", "", at_once)
    yield figure(f"{kind}: not answered in the end", "", most + more - answered)
    yield figure(f"{kind}: answered again", "", replies - answered)
    yield figure(f"{kind}: most memory of the process", "MiB", peak)
    yield figure(f"{kind}: a webhook meanwhile, p99", "ms", p99(took_us) / 1000)


def _wait(ask: Callable[..., Any], which: int, wanted: int, patience_s: float) -> list[int]:
    """What was counted, once that is as many as wanted or patience has ended."""
    pause, ends = threading.Event(), monotonic() + patience_s
    while (counts := ask(Work.do)[0])[which] < wanted and monotonic() < ends:
        pause.wait(0.05)
    found: list[int] = counts
    return found
