"""What a webhook runs and touches: figures that noise does not touch (callgrind, user space).

Comprehensions count as functions. The instructions of a stage include those of what it calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.callgrind import footprint, lacks
from benchmarks.cases.times import comparisons
from benchmarks.figures import Figure, absent, counted, lacking, spread
from benchmarks.measure import Contender, Process, Scale
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUNDS = {"cookie": (50, 12), "Redis": (70, 16)}  # functions, files
BOUND_LINES = 6000
BOUND_K, BOUND_KB = 385, 190  # of a cookie turn
DOOR, PROOF = "convostate.wsgi.middleware", "convostate.twilio.authenticate"
STAGES = {
    "reading the request": f"{DOOR}:read_request",
    "the proof": f"{DOOR}:authenticate",
    "making the turn": f"{DOOR}:webhook_turn",
    "store: begin": "{}.begin",
    "opening": f"{DOOR}:open_turn",
    "the app, and collecting its response": f"{DOOR}:collect",
    "sealing, and checking the app's headers": f"{DOOR}:finish_response",
    "store: commit": "{}.commit",
}
PARTS = {  # of these
    "parsing the form": f"{PROOF}:parse_form",
    "the signature": f"{PROOF}:verify",
    "the re-split guard": f"{PROOF}:check_split",
    "sealing": "convostate.turns:finish",
}
STORES = {
    "cookie": "convostate.stores.cookie:CookieStore",
    "Redis": "convostate.stores.redis:RedisStore",
}


def run(scale: Scale) -> Iterator[Figure]:
    """Count; a tiny run counts the stages and the shortest comparison."""
    with redis_server() as server:
        for way, store in (("cookie", "cookie"), ("Redis", server.url)):
            turn = Contender(way, {"app": "apps.plain", "store": store})
            yield from _crossed(turn, scale.calls)
            if not lacks():
                yield from _stages(turn, scale.calls // 2)
        if lacks():
            yield absent("instructions, code touched", lacks())
            return
        tiny = slice(2, 3) if scale.repeats == 1 else slice(None)
        for each in list(comparisons(server.url))[tiny]:
            found = {}
            for one in (each.bare, each.rival, *each.ours):
                label = f"{each.name}: {one.label}"
                try:
                    found[one.label], _ = footprint(one, scale.calls // 2)
                except ModuleNotFoundError as error:
                    yield lacking(label, str(error.name))
                    continue
                yield counted(f"{label}: instructions", found[one.label].instructions / 1000, "k")
                bound = BOUND_KB if label == "SMS, 20 fields: cookie" else None
                yield counted(f"{label}: code touched", found[one.label].code_kb, "kB", bound)
            if each.rival.label not in found:
                continue
            k = {label: [one.instructions / 1000] for label, one in found.items()}
            for label, added, ratio in each.ratios(k):
                bound = BOUND_K if label.startswith("SMS, 20 fields: cookie") else None
                name = label.partition(" ÷")[0]
                yield spread(f"{name} over bare: instructions", added, "k", bound)
                yield spread(f"{label}: instructions", ratio, "×")


def _crossed(turn: Contender, calls: int) -> Iterator[Figure]:
    with Process(turn) as process:
        process.ask("cpu", calls)  # warm
        found = process.ask("crossed", 1)
    functions, files = BOUNDS[turn.label]
    yield counted(f"{turn.label} turn: functions", found["functions"], "", functions)
    yield counted(f"{turn.label} turn: files", found["files"], "", files)
    yield counted(f"{turn.label} turn: lines loaded", found["lines"], "", BOUND_LINES)


def _stages(turn: Contender, calls: int) -> Iterator[Figure]:
    stages = STAGES | PARTS
    functions = [each.format(STORES[turn.label]) for each in stages.values()]
    whole, each = footprint(turn, calls, functions)
    k = {name: one / 1000 for name, one in zip(stages, each, strict=True)}
    rest = whole.instructions / 1000 - sum(k[name] for name in STAGES)
    for name, one in {"all": whole.instructions / 1000, **k, "the middleware itself": rest}.items():
        yield counted(f"of a {turn.label} turn: {name}", one, "k")
