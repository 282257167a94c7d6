"""How a turn grows with what is configured, what is sent and what is kept: nothing superlinear."""

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

TITLE = "what a text runs more if there is more of one thing, in instructions (plain app, cookie)"
TIMES = 10
BOUND = 12  # × what a tenth of it takes: in proportion, but for noise of Python's own
NAMES = (
    "accounts",
    "tokens of one account",
    "keys",
    "patterns of paths",
    "parameters",
    "× 25 bytes of state",
)


def more_of(n: int) -> list[dict[str, Any]]:
    """The app's options, in the order of `NAMES`."""
    accounts = {f"AC{number:032x}": f"{TOKEN}{number}" for number in range(2, n + 1)}
    return [
        {"auth_token": None, "account_tokens": accounts | {ACCOUNT: TOKEN}},
        {"auth_tokens": [f"{TOKEN}{number}" for number in range(n)]},
        {"keys": [Keyring.generate() for _ in range(n)]},
        {"paths": [*(f"/{number}/*" for number in range(n)), "/sms"]},
        {"fields": n},
        {"filling_bytes": 25 * n},
    ]


def contender(amounts: Sequence[int]) -> Work:
    """All apps in one process: each list of inputs is the next one's, which is warm."""
    options = [{}, {}, *(each for amount in amounts for each in more_of(amount))]
    works = iter([apps.contender("wrapped", **each) for each in options])

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
    all_apps = Contender("growth", "benchmarks.cases.growth:contender", {"amounts": amounts})
    found = collected(all_apps, *[(scale.calls,)] * (1 + 2 * len(NAMES)))
    usual_k, *each_k = (each.instructions / scale.calls / 1000 for each in found)
    yield counted("the usual text", usual_k, "k")
    for name, few_k, many_k in zip(NAMES, each_k, each_k[len(NAMES) :], strict=False):
        few, many = few_k - usual_k, many_k - usual_k
        yield counted(f"{amounts[0]} {name}", few, "k more")
        yield counted(f"{amounts[1]} {name}", many, "k more", max(BOUND * few, usual_k / 20))
