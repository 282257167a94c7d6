"""What a text runs more if there is more of one thing: nothing superlinear (callgrind, plain app, cookie)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import apps
from benchmarks.callgrind import WARM, collected, lacks
from benchmarks.figures import Figure, absent, counted
from benchmarks.measure import Contender
from benchmarks.webhooks import ACCOUNT, TOKEN
from benchmarks.worker import Work
from convostate import Keyring

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.measure import Scale

TIMES = 10
BOUND = 12  # × what a tenth of it takes: in proportion, but for noise of Python's own


def more_of(n: int) -> dict[str, dict[str, Any]]:
    """The app's options with so much of each thing."""
    accounts = {f"AC{number:032x}": f"{TOKEN}{number}" for number in range(2, n + 1)}
    return {
        f"{n} accounts": {"auth_token": None, "account_tokens": accounts | {ACCOUNT: TOKEN}},
        f"{n} tokens of one account": {"auth_tokens": [f"{TOKEN}{number}" for number in range(n)]},
        f"{n} keys": {"keys": [Keyring.generate() for _ in range(n)]},
        f"{n} patterns of paths": {"paths": [*(f"/{number}/*" for number in range(n)), "/sms"]},
        f"{n} parameters": {"fields": n},
        f"{25 * n} bytes of state": {"filling_bytes": 25 * n},
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
    """Count with a tenth and with all of each."""
    if why := lacks():
        yield absent("instructions", why)
        return
    amounts = [max(1, scale.growth // TIMES), scale.growth]
    few, many = (list(more_of(amount)) for amount in amounts)
    every = Contender("growth", {"amounts": amounts}, f"{__name__}:contender")
    found = collected(every, *[(scale.calls,)] * (1 + 2 * len(few)))
    usual_k, *k = (each.instructions / scale.calls / 1000 for each in found)
    yield counted("the usual text", usual_k, "k")
    for place, (less, more) in enumerate(zip(few, many, strict=True)):
        less_k, more_k = k[place] - usual_k, k[len(few) + place] - usual_k
        yield counted(less, less_k, "k more")
        yield counted(more, more_k, "k more", max(BOUND * less_k, usual_k / 20))
