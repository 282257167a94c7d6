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


def run(scale: Scale) -> Result:
    """Measure both stores."""
    app = "benchmarks.apps:contender"
    with redis_server() as server:
        stores = {"cookie": ("cookie", IN_COOKIE), "Redis": (server.url, ON_REDIS)}
        contenders = [
            Contender("bare", app, {"app": "bare"}),
            Contender("validator", "benchmarks.rivals.validator:contender"),
        ] + [
            Contender(f"{name}, {size}", app, {"app": "wrapped", "store": store, "size": size})
            for name, (store, sizes) in stores.items()
            for size in sizes
        ]
        us, _ = compare(contenders, scale.effort)
    figures: list[Figure] = []
    for label in list(us)[2:]:
        overhead = less(us[label], us["bare"])
        figures.append(spread(label, overhead, "µs"))
        figures.append(spread(f"{label} ÷ RequestValidator", over(overhead, us["validator"]), "×"))
    return Result(TITLE, figures, ("the app reads a counter and writes it back",))
