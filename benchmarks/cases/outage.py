"""How long a webhook takes with a Redis that dies: before BEGIN, before COMMIT, and while it is known to be dead.

Dead is a stopped process whose sockets still accept, so that only the time-out ends the waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from benchmarks.apps import answer, plain, serve, settings
from benchmarks.figures import Figure, counted, percentile
from benchmarks.measure import Scale
from benchmarks.webhooks import environ_of, sms
from convostate import ConversationMiddleware
from tests.redis_servers import redis_server

UNTIL_BREAKER = 5  # failures in a row
COMMITS = 4  # failures, too: below what opens the breaker


def took_ms(app: Any) -> float:
    """Send a webhook of somebody's."""
    environ = environ_of(sms())
    begun = perf_counter()
    serve(app, environ)
    return (perf_counter() - begun) * 1000


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each with a server of its own."""
    with redis_server() as server:
        app: Any = plain(store=server.url)
        serve(app, environ_of(sms()))
        server.pause()
        first_ms = max(took_ms(app) for _ in range(UNTIL_BREAKER))
        later_ms = [took_ms(app) for _ in range(scale.chunks * scale.calls // 4 + 1)]
    yield counted("at BEGIN: longest", first_ms, "ms")
    yield counted("breaker open: p99", percentile(later_ms, 99), "ms")
    with redis_server() as server:

        def stopping(environ: Any, start_response: Any) -> Any:
            environ["convostate.state"]["texts"] = 1
            server.pause()
            return answer(environ, start_response)

        app = ConversationMiddleware(stopping, settings(store=server.url))
        longest_ms = 0.0
        for _ in range(min(scale.repeats, COMMITS)):
            server.go_on()
            longest_ms = max(longest_ms, took_ms(app))
    yield counted("at COMMIT: longest", longest_ms, "ms")
