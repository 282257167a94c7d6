"""What the middleware costs a request that is none of its business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Contender, compare
from benchmarks.result import Result, less, over, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "a request to an unguarded path (CONVOSTATE_PATHS=/voice/*,/texts), over the bare app"
BOUND = 0.05  # × RequestValidator alone


def run(scale: Scale) -> Result:
    """Measure."""
    app = "benchmarks.apps:contender"
    us, _ = compare(
        [
            Contender("bare", app, {"app": "bare"}),
            Contender("unguarded", app, {"app": "unguarded"}),
            Contender("validator", "benchmarks.rivals.validator:contender"),
        ],
        scale.effort,
    )
    overhead = less(us["unguarded"], us["bare"])
    ratio = over(overhead, us["validator"])
    return Result(
        TITLE,
        [
            spread("unguarded path", overhead, "µs"),
            spread("unguarded path ÷ RequestValidator", ratio, "×", BOUND),
        ],
    )
