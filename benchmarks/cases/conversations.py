"""Many conversations on one Redis: what each weighs.

One turn is run by the middleware, so that its keys are what they are; then those keys are copied
(DUMP, RESTORE) under other names of the same length until there are enough.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from benchmarks.apps import make, serve
from benchmarks.figures import Figure, counted
from benchmarks.webhooks import environ_of, sms
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Scale

TITLE = "conversations on one redis-server: the bytes of each"
BOUND_BYTES = 400  # a small state at rest
BOUND_REPLY_BYTES = 490  # more, while a reply is recorded
REST_MS = 3_600_000  # keys that outlive this are the conversation's; replies live 10 minutes


def run(scale: Scale) -> Iterator[Figure]:
    """Weigh a population at rest, then its recorded replies."""
    count = scale.conversations
    with redis_server() as server:
        rest, reply = keys_of_a_turn(server.url, server.admin)
        at_rest = weigh(server.admin, rest, count)
        yield counted(f"{count:,} at rest: each", at_rest, "bytes", BOUND_BYTES)
        more = weigh(server.admin, reply, count)
        yield counted("more, while a reply is recorded", more, "bytes", BOUND_REPLY_BYTES)


def keys_of_a_turn(url: str, client: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run one turn; its keys at rest, and its recorded reply: name to (dump, ms). The server is empty again."""
    status, _ = serve(make("wrapped", store=url), environ_of(sms()))
    if not status.startswith("200"):
        raise RuntimeError(f"the app answered {status}")
    found: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for key in client.scan_iter():
        left_ms = client.pttl(key)
        found[left_ms < REST_MS][key.decode()] = (client.dump(key), left_ms)
    client.flushall()
    return found


def weigh(client: Any, keys: dict[str, Any], count: int) -> float:
    """Add `count` copies of some keys under other names; the bytes that each copy takes."""
    before = client.info("memory")["used_memory"]
    batch = client.pipeline(transaction=False)
    for number in range(1, count + 1):
        name = urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        for key, (dump, left_ms) in keys.items():
            head, _, tail = key.partition("}")
            batch.restore(head[: head.index("{") + 1] + name + "}" + tail, left_ms, dump)
        if number % 1000 == 0 or number == count:
            batch.execute()
    grown: int = client.info("memory")["used_memory"] - before
    return grown / count
