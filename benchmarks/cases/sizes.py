"""How the overhead grows with the state: cookies up to what fits, Redis beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Contender, compare
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, less, over, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "overhead by size of the state, over the bare app"
IN_COOKIE = ("5 keys", "1 kB", "2.8 kB")
ON_REDIS = (*IN_COOKIE, "100 kB")


def _ours(label: str, store: str, size: str) -> Contender:
    options = {"app": "wrapped", "store": store, "size": size}
    return Contender(label, "benchmarks.apps:contender", options)


def run(scale: Scale) -> Result:
    """Measure both stores."""
    app = "benchmarks.apps:contender"
    with redis_server() as server:
        contenders = [
            Contender("bare", app, {"app": "bare"}),
            Contender("validator", "benchmarks.rivals.validator:contender"),
            *(_ours(f"cookie, {size}", "cookie", size) for size in IN_COOKIE),
            # the conversations are the same: each size has a database of its own
            *(_ours(f"Redis, {size}", server.database(i), size) for i, size in enumerate(ON_REDIS)),
        ]
        us, _ = compare(contenders, scale.effort._replace(wall=True))
    figures: list[Figure] = []
    for label in list(us)[2:]:
        overhead = less(us[label], us["bare"])
        figures.append(spread(label, overhead, "µs"))
        figures.append(spread(f"{label} ÷ RequestValidator", over(overhead, us["validator"]), "×"))
    return Result(TITLE, figures, ("the app reads a counter and writes it back",))
