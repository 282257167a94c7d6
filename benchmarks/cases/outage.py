"""How long a webhook takes with a Redis that dies: before BEGIN, before COMMIT, and while it is known to be dead.

Dead is a stopped process whose sockets still accept, so that only the time-out ends the waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.apps import answer, contender, settings, texting
from benchmarks.figures import Figure, figure, p99
from benchmarks.measure import Scale
from convostate import ConversationMiddleware
from tests.redis_servers import redis_server

UNTIL_BREAKER = 5  # failures in a row
COMMITS = 4  # failures, too: below what opens the breaker


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each with a server of its own."""
    with redis_server() as server:
        work = contender("apps.plain", store=server.url)
        server.pause()
        first_us = work.us(UNTIL_BREAKER, "wall")
        later_us = work.us(scale.chunks * scale.calls // 4 + 1, "wall")
    yield figure("at BEGIN: longest", "ms", max(first_us) / 1000)
    yield figure("breaker open: p99", "ms", p99(later_us) / 1000)
    with redis_server() as server:

        def stopping(environ: Any, start_response: Any) -> Iterable[bytes]:
            environ["convostate.state"]["texts"] = 1
            server.pause()
            return answer(environ, start_response)

        work = texting(ConversationMiddleware(stopping, settings(store=server.url)))
        us = []
        for _ in range(min(scale.repeats, COMMITS)):
            server.go_on()
            us += work.us(1, "wall")
    yield figure("at COMMIT: longest", "ms", max(us) / 1000)
