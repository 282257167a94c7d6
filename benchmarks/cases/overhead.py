"""What a webhook costs more in a wrapped app than in the bare one, beside RequestValidator alone.

design: at most 0.75 of what `RequestValidator.validate` alone takes for the same request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Contender, compare
from benchmarks.result import Figure, Result, less, over, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "overhead per webhook, over the bare app, beside RequestValidator alone"
BOUND = 0.75  # × RequestValidator alone, cookie mode

APP = "benchmarks.apps:contender"
VALIDATOR = "benchmarks.rivals.validator:contender"
KINDS = {"sms": "SMS, 20 fields", "whatsapp": "WhatsApp, 40 fields", "json": "JSON, 1 kB"}


def run(scale: Scale) -> Result:
    """Measure each kind of webhook."""
    figures: list[Figure] = []
    for kind, name in KINDS.items():
        modes = ("cookie",) if kind == "json" else ("cookie", "memory")
        app = "passing" if kind == "json" else "wrapped"
        contenders = [
            Contender("bare", APP, {"app": "bare", "kind": kind}),
            Contender("validator", VALIDATOR, {"kind": kind}),
            *(Contender(mode, APP, {"app": app, "kind": kind, "store": mode}) for mode in modes),
        ]
        us, _ = compare(contenders, scale.effort)
        figures.append(spread(f"{name}: RequestValidator alone", us["validator"], "µs"))
        for mode in modes:
            what = f"{name}: {'verified only' if kind == 'json' else mode}"
            overhead = less(us[mode], us["bare"])
            figures.append(spread(what, overhead, "µs"))
            bound = BOUND if mode == "cookie" else None
            ratio = over(overhead, us["validator"])
            figures.append(spread(f"{what} ÷ RequestValidator", ratio, "×", bound))
    return Result(TITLE, figures)
