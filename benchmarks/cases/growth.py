"""What a text runs more if there is more of one thing: nothing superlinear (callgrind, plain app, cookie)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import apps
from benchmarks.callgrind import WARM, collected, lacks
from benchmarks.figures import Figure, figure
from benchmarks.measure import Contender, Scale, Work
from benchmarks.webhooks import ACCOUNT, TOKEN
from convostate import Keyring

TIMES = 10


def more_of(n: int) -> dict[str, dict[str, Any]]:
    """The app's options with so much of each thing."""
    accounts = {f"AC{number:032x}": f"{TOKEN}{number}" for number in range(2, n + 1)}
    return {
        "accounts": {"auth_token": None, "account_tokens": accounts | {ACCOUNT: TOKEN}},
        "tokens of one account": {"auth_tokens": [f"{TOKEN}{number}" for number in range(n)]},
        "keys": {"keys": [Keyring.generate() for _ in range(n)]},
        "patterns of paths": {"paths": [*(f"/{number}/*" for number in range(n)), "/sms"]},
        "parameters": {"fields": n},
        "bytes of state": {"filling_bytes": 25 * n},
    }


def contender(amounts: Sequence[int]) -> Work:
    """All apps in one process: each list of inputs is the next one's, which is warm."""
    options = [{}, {}, *(each for amount in amounts for each in more_of(amount).values())]
    works = iter([apps.contender("apps.plain", **each) for each in options])

    def inputs(calls: int) -> list[tuple[Work, Any]]:
        work = next(works)
        for item in work.inputs(WARM):
            work.call(item)
        return [(work, item) for item in work.inputs(calls)]

    return Work(inputs, lambda item: item[0].call(item[1]))


def run(scale: Scale) -> Iterator[Figure]:
    """Count with a tenth and with all of each; what is within 5 % of the usual text is Python's own noise."""
    if lacks():
        return
    few, many = amounts = max(1, scale.growth // TIMES), scale.growth
    names = list(more_of(1))
    every = Contender("growth", {"amounts": amounts}, f"{__name__}:contender")
    found = collected(every, *[(scale.calls,)] * (1 + 2 * len(names)))
    usual_k, *k = (each.instructions / scale.calls / 1000 for each in found)
    yield figure("the usual text", "k", usual_k)
    halves = k[: len(names)], k[len(names) :]
    for name, few_k, many_k in zip(names, *halves, strict=True):
        more_k = many_k - usual_k
        yield figure(f"{name}: {few} of it", "k more", few_k - usual_k)
        yield figure(f"{name}: {many} of it", "k more", more_k)
        proportional = max(TIMES * (few_k - usual_k), usual_k / 20)
        yield figure(f"{name}: what {many} take ÷ {TIMES} × {few}", "×", more_k / proportional)
