"""What a webhook runs and touches: figures that noise does not touch (callgrind, user space).

Comprehensions count as functions. The instructions of a stage include those of what it calls.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import convostate
from benchmarks.callgrind import footprint, lacks, parts
from benchmarks.cases.times import comparisons
from benchmarks.figures import Figure, figure
from benchmarks.measure import Contender, Scale, Work, fresh
from tests.redis_servers import redis_server

DOOR, PROOF = "convostate.wsgi.middleware", "convostate.twilio.authenticate"
STAGES = {
    "reading the request": f"{DOOR}.read_request",
    "the proof": f"{DOOR}.authenticate",
    "making the turn": f"{DOOR}.webhook_turn",
    "store: begin": "{}.begin",
    "opening": f"{DOOR}.open_turn",
    "the app, and collecting its response": f"{DOOR}.collect",
    "sealing, and checking the app's headers": f"{DOOR}.finish_response",
    "store: commit": "{}.commit",
}
PARTS = {  # of these
    "parsing the form": f"{PROOF}.parse_form",
    "the signature": f"{PROOF}.verify",
    "the re-split guard": f"{PROOF}.check_split",
    "sealing": "convostate.turns.finish",
}
STORES = {
    "cookie": "convostate.stores.cookie.CookieStore",
    "Redis": "convostate.stores.redis.RedisStore",
}


def turns(store: str) -> list[Contender]:
    """A turn in plain WSGI with each store."""
    return [
        Contender("cookie", {"app": "apps.plain", "store": "cookie"}),
        Contender("Redis", {"app": "apps.plain", "store": store}),
    ]


def crossed(work: Work, calls: int) -> dict[str, int]:
    """Count the distinct functions of the package that a call runs, their files, and the lines that are loaded.

    Of some calls the one with the fewest counts: others may do what is due once in a while.
    """
    package = str(Path(convostate.__file__).parent)
    seen: list[set[Any]] = []

    def look(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            seen[-1].add(frame.f_code)

    for item in work.inputs(calls):
        seen.append(set())
        sys.setprofile(look)
        work.call(item)
        sys.setprofile(None)
    fewest = min(seen, key=len)
    loaded = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "convostate" and module.__file__
    ]
    return {
        "functions": len(fewest),
        "files": len({code.co_filename for code in fewest}),
        "lines loaded": sum(len(path.read_bytes().splitlines()) for path in loaded),
    }


def run(scale: Scale) -> Iterator[Figure]:
    """Count; a tiny run counts the stages and the shortest comparison."""
    calls = scale.calls // 2
    with redis_server() as server:
        for turn in turns(server.url):
            with fresh(turn) as ask:
                ask(Work.us, 10)
                for what, number in ask(crossed, 40).items():
                    yield figure(f"{turn.label} turn: {what}", "", number)
        if lacks():
            return
        for turn in turns(server.url):
            yield from _stages(turn, calls)
        tiny = slice(2, 3) if scale.repeats == 1 else slice(None)
        for each in list(comparisons(server.url))[tiny]:
            k = {}
            for one in (each.bare, each.rival, *each.ours):
                found = footprint(one, calls)
                k[one.label] = [found.instructions / 1000]
                yield figure(f"{each.name}: {one.label}: code touched", "kB", found.code_kb)
            for label, added, ratio in each.ratios(k):
                name = label.partition(" ÷")[0]
                yield figure(f"{name} over bare: instructions", "k", *added)
                yield figure(f"{label}: instructions", "×", *ratio)


def _stages(turn: Contender, calls: int) -> Iterator[Figure]:
    stages = STAGES | PARTS
    functions = [each.format(STORES[turn.label]) for each in stages.values()]
    all_k = footprint(turn, calls).instructions / 1000
    each = parts(turn, calls, functions)
    k = {name: one / 1000 for name, one in zip(stages, each, strict=True)}
    rest = all_k - sum(k[name] for name in STAGES)
    for name, one in {"all": all_k, **k, "the middleware itself": rest}.items():
        yield figure(f"of a {turn.label} turn: {name}", "k", one)
