"""What a webhook costs more in a wrapped app than in the bare one, beside RequestValidator alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, less, over, spread
from benchmarks.measure import APP, Contender, Scale, compare

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "processor time per webhook over the bare app, beside RequestValidator alone"
KINDS = {"sms": "SMS, 20 fields", "whatsapp": "WhatsApp, 40 fields", "json": "JSON, 1 kB"}
# × RequestValidator alone
BOUNDS = {("sms", "cookie"): 1.0, ("sms", "not guarded"): 0.05}


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each kind of webhook."""
    for kind, name in KINDS.items():
        wrapped: dict[str, dict[str, object]] = {"verified only": {"app": "passing"}}
        if kind != "json":  # which has no pair, so no state
            wrapped |= {store: {"app": "wrapped", "store": store} for store in ("cookie", "memory")}
        if kind == "sms":
            wrapped["not guarded"] = {"app": "passing", "paths": ["/voice/*", "/texts"]}
        contenders = [
            Contender("bare", APP, {"app": "bare", "kind": kind}),
            Contender("validator", "benchmarks.rivals:validator", {"kind": kind}),
            *(Contender(mode, APP, {"kind": kind, **options}) for mode, options in wrapped.items()),
        ]
        us, _ = compare(contenders, scale)
        yield spread(f"{name}: RequestValidator alone", us["validator"], "µs")
        for mode in wrapped:
            overhead = less(us[mode], us["bare"])
            ratio = over(overhead, us["validator"])
            yield spread(f"{name}: {mode}", overhead, "µs")
            label = f"{name}: {mode} ÷ RequestValidator"
            yield spread(label, ratio, "×", BOUNDS.get((kind, mode)))
