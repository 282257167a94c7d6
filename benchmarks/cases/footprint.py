"""Instructions and distinct code of a webhook, by callgrind: figures without noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.callgrind import footprint, lacks
from benchmarks.figures import Figure, absent, counted
from benchmarks.measure import APP, Contender, Scale
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "what a text of 20 fields runs and touches (user space, plain app)"
BOUND_K, BOUND_KB = 385, 190  # of a cookie turn
DOOR, PROOF = "convostate.wsgi.middleware", "convostate.twilio.authenticate"
STAGES = {
    "reading the request": f"{DOOR}:read_request",
    "parsing the form": f"{PROOF}:parse_form",
    "the signature": f"{PROOF}:verify",
    "the re-split guard": f"{PROOF}:check_split",
    "the whole proof": f"{DOOR}:authenticate",
    "making the turn": f"{DOOR}:webhook_turn",
    "store: begin": "convostate.stores.cookie:CookieStore.begin",
    "opening": f"{DOOR}:open_turn",
    "app, and collecting its response": f"{DOOR}:collect",
    "sealing": "convostate.turns:finish",
    "sealing, and checking the app's headers": f"{DOOR}:finish_response",
    "store: commit": "convostate.stores.cookie:CookieStore.commit",
}


def run(scale: Scale) -> Iterator[Figure]:
    """Count, beside RequestValidator and the bare app."""
    if why := lacks():
        yield absent("instructions, code touched", why)
        return
    calls = scale.calls // 2
    turn = Contender("cookie", APP, {"app": "wrapped"})
    bare, _ = footprint(Contender("bare", APP, {"app": "bare"}), calls)
    theirs, _ = footprint(Contender("validator", "benchmarks.rivals:validator"), calls)
    cookie, stages = footprint(turn, calls, list(STAGES.values()))
    with redis_server() as server:
        options = {"app": "wrapped", "store": server.url}
        redis, _ = footprint(Contender("Redis", APP, options), calls)
    over_bare_k = (cookie.instructions - bare.instructions) / 1000
    theirs_k = theirs.instructions / 1000
    redis_k = (redis.instructions - bare.instructions) / 1000
    yield counted("cookie turn over the bare app: instructions", over_bare_k, "k", BOUND_K)
    yield counted("Redis turn over the bare app: instructions", redis_k, "k")
    yield counted("RequestValidator alone: instructions", theirs_k, "k")
    yield counted("cookie turn ÷ RequestValidator: instructions", over_bare_k / theirs_k, "×")
    yield counted("cookie turn: code touched", cookie.code_kb, "kB", BOUND_KB)
    yield counted("Redis turn: code touched", redis.code_kb, "kB")
    yield counted("RequestValidator alone: code touched", theirs.code_kb, "kB")
    yield counted("cookie turn: pages of code", cookie.pages)
    for name, instructions in zip(STAGES, stages, strict=True):
        yield counted(f"of a cookie turn: {name}", instructions / 1000, "k")
