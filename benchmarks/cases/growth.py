"""How a turn's time grows with what is configured, what is sent and what is kept: nothing superlinear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, over, spread
from benchmarks.measure import APP, Contender, Scale, compare
from benchmarks.webhooks import ACCOUNT, TOKEN
from convostate import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

TITLE = "a text in processor time with more of one thing, over the usual text (plain app)"


def run(scale: Scale) -> Iterator[Figure]:
    """Measure each."""
    n = scale.growth
    keys = [Keyring.generate() for _ in range(n)]
    accounts = {f"AC{number:032x}": f"{TOKEN}{number}" for number in range(2, n + 1)}
    more: dict[str, dict[str, Any]] = {
        f"{n} accounts": {"auth_token": None, "account_tokens": accounts | {ACCOUNT: TOKEN}},
        f"{n} tokens": {"auth_tokens": [f"{TOKEN}{number}" for number in range(n)]},
        f"{n} keys": {"keys": keys},
        f"{n} patterns": {"paths": [*(f"/{number}/*" for number in range(n)), "/sms"]},
        f"{n} more parameters": {"fields": n},
        "a state of 2.6 kB": {"filling_bytes": 2600},
        "memory, a state of 100 kB": {"filling_bytes": 100_000, "store": "memory"},
    }
    contenders = [
        Contender("usual", APP, {"app": "wrapped"}),
        *(Contender(name, APP, {"app": "wrapped", **options}) for name, options in more.items()),
    ]
    us, _ = compare(contenders, scale)
    yield spread("the usual text", us["usual"], "µs")
    for name in more:
        yield spread(f"{name} ÷ the usual text", over(us[name], us["usual"]), "×")
