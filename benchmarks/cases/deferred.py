"""Answers that take a minute: how many one worker process makes at once on Redis, and what webhooks take meanwhile.

The function waits as for a language model, and what it sends is counted instead. Its workers are those of
`convostate work`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from time import monotonic, perf_counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.apps import answer, serve, settings
from benchmarks.cases.served import resident_mib
from benchmarks.figures import Figure, counted, percentile
from benchmarks.measure import Contender, Process, Scale
from benchmarks.webhooks import PATH, environ_of, sms
from benchmarks.worker import Work
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

    def in_thread(turn: Answering) -> None:
        threading.Event().wait(seconds)
        turn.reply(" ".join(text.params["MessageSid"] for text in turn.texts))

    async def in_loop(turn: Answering) -> None:
        await asyncio.sleep(seconds)
        turn.reply(" ".join(text.params["MessageSid"] for text in turn.texts))

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

        wrapped = ConversationMiddleware(app, owner.settings, store=owner.store)

        def text(person: int) -> float:
            environ = environ_of(sms(person))
            begun = perf_counter()
            status, _ = serve(wrapped, environ)
            if status != 200:
                raise RuntimeError(f"the app answered {status}")
            return (perf_counter() - begun) * 1000

        for person in range(most):
            text(person)
        options = {"kind": kind, "most": most, "seconds": scale.answer_s, "store": server.url}
        with Process(Contender(kind, options, f"{__name__}:contender")) as process:
            at_once, _, _ = _wait(process, 0, most, PATIENCE_S)
            more = min(most, scale.served)
            took_ms = [text(most + number) for number in range(more)]
            rounds = 1 + -(-(most + more) // most)
            patience_s = PATIENCE_S + rounds * scale.answer_s
            _, answered, replies = _wait(process, 1, most + more, patience_s)
            peak_mib = resident_mib(process.pid, "VmHWM")
    yield counted(f"{kind}: answers at once", at_once)
    yield counted(f"{kind}: not answered in the end", most + more - answered)
    yield counted(f"{kind}: answered again", replies - answered)
    yield counted(f"{kind}: most memory of the process", peak_mib, "MiB")
    yield counted(f"{kind}: a webhook meanwhile, p99", percentile(took_ms, 99), "ms")


def _wait(process: Process, which: int, wanted: int, patience_s: float) -> list[int]:
    """What was counted, once that is as many as wanted or patience has ended."""
    pause, ends = threading.Event(), monotonic() + patience_s
    while (counts := process.ask("do")[0])[which] < wanted and monotonic() < ends:
        pause.wait(0.05)
    found: list[int] = counts
    return found
