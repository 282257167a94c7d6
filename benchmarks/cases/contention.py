"""Many texts of one conversation at once: each has to count, once, in its order.

lost       answered 200, and not in the state
doubled    in the state more than once
overtaken  ran before a text that had asked 20 ms earlier
wake-up    from the end of one turn's app to the start of the next one's, while that one waited
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmarks.apps import settings
from benchmarks.measure import ROOT
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, counted, percentile
from benchmarks.webhooks import environ_of, sms
from benchmarks.writers import HANDLER_S, Orders, Text
from convostate import ConversationMiddleware, state_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.scale import Scale

TITLE = f"writers on one conversation on Redis, the app takes {HANDLER_S * 1000:.0f} ms"
BOUND_WAKE_MS = 5  # p99
BOUND_SERIAL = 1.25  # × the same texts, one after the other
MARGIN_S = 0.02  # between asking and standing in the queue: a thread may have to wait for its turn
PROCESSES = 4


def run(scale: Scale) -> Result:
    """Run every number of writers, each on an empty server."""
    figures: list[Figure] = []
    program = ""
    for writers in scale.writers:
        processes = min(PROCESSES, writers)
        with redis_server() as server:
            program = server.program
            texts = gather(server.url, processes, writers // processes, scale.turns)
            kept = remembered(server.url)
        with redis_server() as server:
            alone = gather(server.url, 1, 1, len(texts))
        figures += _judge(f"{writers} writers × {scale.turns}", texts, kept, duration_s(alone))
    return Result(TITLE, figures, (program, f"in {PROCESSES} processes or fewer"))


def gather(store: str, processes: int, threads: int, turns: int) -> list[Text]:
    """Let all writers loose at once; what became of their texts, in the order in which they ran."""
    with ExitStack() as stack:
        started = []
        for process in range(processes):
            orders = Orders(store, threads, turns, process * threads * turns, 64)
            command = [sys.executable, "-m", "benchmarks.writers", json.dumps(orders._asdict())]
            pipes = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            started.append(stack.enter_context(pipes))
        for writer in started:
            assert writer.stdout is not None
            if writer.stdout.readline() != "ready\n":
                raise RuntimeError("a process of writers ended early; its error stands above")
        for writer in started:
            assert writer.stdin is not None
            print(file=writer.stdin, flush=True)
        texts = [
            Text(*fields) for writer in started for fields in json.loads(writer.communicate()[0])
        ]
    return sorted(texts, key=lambda text: text.began)


def remembered(store: str) -> list[int]:
    """The numbers of the texts that the conversation's state holds."""
    kept: list[int] = []

    def look(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        kept.extend(state_from(environ).get("texts", []))
        start_response("200 OK", [])
        return []

    app = ConversationMiddleware(look, settings(store))
    list(app(environ_of(sms(1)), lambda *_: lambda _: None))
    return kept


def duration_s(texts: list[Text]) -> float:
    """From the first request to the end of the last turn."""
    return max(text.ended for text in texts) - min(text.asked for text in texts)


def _judge(name: str, texts: list[Text], kept: list[int], serial_s: float) -> list[Figure]:
    ran = [text for text in texts if text.began]
    counted_once = set(kept)
    lost = sum(text.status == 200 and text.number not in counted_once for text in texts)
    overtaken = sum(
        any(later.asked < text.asked - MARGIN_S for later in ran[place + 1 :])
        for place, text in enumerate(ran)
    )
    gaps_ms = [
        (after.began - before.ended) * 1000
        for before, after in pairwise(ran)
        if after.asked < before.ended
    ]
    figures = [
        counted(f"{name}: not answered 200", sum(text.status != 200 for text in texts), "", 0),
        counted(f"{name}: lost", lost, "", 0),
        counted(f"{name}: doubled", len(kept) - len(counted_once), "", 0),
        counted(f"{name}: overtaken", overtaken, "", 0),
    ]
    if gaps_ms:
        figures += [
            counted(f"{name}: wake-up p50", percentile(gaps_ms, 50), "ms"),
            counted(f"{name}: wake-up p99", percentile(gaps_ms, 99), "ms", BOUND_WAKE_MS),
            counted(f"{name}: wake-up max", max(gaps_ms), "ms"),
        ]
    ratio = duration_s(texts) / serial_s
    figures.append(counted(f"{name}: total ÷ one after the other", ratio, "×", BOUND_SERIAL))
    return figures
