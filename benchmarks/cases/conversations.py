"""Many conversations on one Redis: what each weighs, and whether a turn takes longer among many.

One turn is run by the middleware, so that its keys are what they are; then those keys are copied
(DUMP, RESTORE) under other names of the same length until there are enough.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.apps import make, serve
from benchmarks.measure import Contender, compare
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, counted, less, over, spread
from benchmarks.webhooks import environ_of, sms

if TYPE_CHECKING:
    from benchmarks.redis_server import Server
    from benchmarks.scale import Scale

TITLE = "conversations on one redis-server: bytes each (state of 5 keys), and a turn among them"
BOUND_BYTES = 400  # a small state at rest, at 10⁶ conversations
BOUND_REPLY_BYTES = 490  # more, while a reply is recorded
BATCH = 2000  # copies sent at once
REST_MS = (
    3_600_000  # keys that outlive this are the conversation's at rest; replies live 10 minutes
)


def run(scale: Scale) -> Result:
    """Weigh each population, then compare a turn in all of them, and in an empty server."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        server = stack.enter_context(redis_server())
        program = server.program
        places = {"the first": server.url}
        for count in scale.conversations:
            crowded = stack.enter_context(redis_server())
            rest, live = keys_of_a_turn(crowded)
            each = weigh(crowded, rest, count)
            figures.append(counted(f"{count:,} at rest, bytes each", each, "", BOUND_BYTES))
            if count <= scale.conversations_with_reply:
                more = weigh(crowded, live, count)
                label = f"{count:,}: more, while a reply is recorded"
                figures.append(counted(label, more, "", BOUND_REPLY_BYTES))
            places[f"one of {count:,}"] = crowded.url
        app = "benchmarks.apps:contender"
        contenders = [Contender("bare", app, {"app": "bare"})]
        contenders += [
            Contender(label, app, {"app": "wrapped", "store": url, "size": "5 keys"})
            for label, url in places.items()
        ]
        us, _ = compare(contenders, scale.effort._replace(wall=True))
    turns = {label: less(times, us["bare"]) for label, times in us.items() if label != "bare"}
    for label, times in turns.items():
        figures.append(spread(f"a turn of {label}", times, "µs"))
        if label != "the first":
            ratio = over(times, turns["the first"])
            figures.append(spread(f"a turn of {label} ÷ the first", ratio, "×"))
    return Result(TITLE, figures, (program,))


def keys_of_a_turn(server: Server) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run one turn; its keys at rest, and those that last as long as a recorded reply: name to (dump, ms).

    The server is empty again afterwards.
    """
    status, _ = serve(make("wrapped", store=server.url, size="5 keys"), environ_of(sms()))
    if not status.startswith("200"):
        raise RuntimeError(f"the app answered {status}")
    found: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    client: Any = server.client  # its types know too many answers
    for key in client.scan_iter():
        left_ms = client.pttl(key)
        found[left_ms < REST_MS][key.decode()] = (client.dump(key), left_ms)
    client.flushall()
    return found


def weigh(server: Server, keys: dict[str, Any], count: int) -> float:
    """Add `count` copies of some keys under other names; the bytes that each copy takes."""
    client: Any = server.client
    before = client.info("memory")["used_memory"]
    for start in range(0, count, BATCH):
        batch = client.pipeline(transaction=False)
        for _ in range(min(BATCH, count - start)):
            name = urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
            for key, (dump, left_ms) in keys.items():
                head, _, tail = key.partition("}")
                batch.restore(head[: head.index("{") + 1] + name + "}" + tail, left_ms, dump)
        batch.execute()
    grown: int = client.info("memory")["used_memory"] - before
    return grown / count
