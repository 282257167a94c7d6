"""What a case gives: figures with their range, and the bounds that they are held against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from statistics import median
from typing import NamedTuple

# What the values must not exceed, by case and label; the first pattern that fits counts.
BOUNDS = {
    "counts: cookie turn: functions": 50,
    "counts: cookie turn: files": 12,
    "counts: Redis turn: functions": 70,
    "counts: Redis turn: files": 16,
    "counts: * turn: lines loaded": 6000,
    "counts: SMS, 20 fields: cookie over bare: instructions": 385,
    "counts: SMS, 20 fields: cookie: code touched": 190,
    "growth: *: what * take ÷ *": 1.2,
    "times: SMS, 20 fields: cookie ÷ RequestValidator": 1,
    "times: SMS, 20 fields: path not guarded ÷ RequestValidator": 0.05,
    "times: Flask: Redis ÷ RequestValidator + Flask-Session": 0.65,
    "times: FastAPI: Redis ÷ RequestValidator + starsessions": 0.7,
    "served: Flask, cookie ÷ Flask, RequestValidator, no state": 0.95,
    "served: Flask, cookie ÷ Flask, RequestValidator, flask.session": 0.8,
    "contention: *: wake-up p99": 5,
    "contention: *: total ÷ one after the other": 1.25,
    "contention: *": 0,  # not answered, lost, doubled, overtaken
    "deferred: *: not answered in the end": 0,
    "deferred: *: answered again": 0,
    "deferred: *: most memory of the process": 512,
    "deferred: *: a webhook meanwhile, p99": 50,
    "redis: reads of its socket a turn": 2,
    "redis: a conversation at rest": 400,
    "redis: more, while a reply is recorded": 490,
    "outage: at BEGIN: longest": 600,
    "outage: at COMMIT: longest": 1100,
    "outage: breaker open: p99": 5,
    "waiting: * ÷ 1 waiting": 2,
    "waiting: longest turn on the way to * conversations in memory": 10,
    "worst: *": 20,
    "imports: the middleware over werkzeug": 25,
}


class Figure(NamedTuple):
    """One number of a table: the median of its repetitions, with the lowest and the highest.

    Its label is unique within its case.
    """

    label: str
    value: float
    unit: str
    low: float
    high: float
    bound: float | None = None

    @property
    def within(self) -> bool | None:
        """Whether the bound is met; None without one."""
        return None if self.bound is None else self.value <= self.bound

    def __str__(self) -> str:
        low, high = _number(self.low), _number(self.high)
        spread = f"{low} to {high}" if low != high else ""
        held = "" if self.bound is None else f"bound {_number(self.bound)}"
        verdict = {None: "", True: ": within", False: ": OVER"}[self.within]
        return f"{_number(self.value):>9} {self.unit:6} {spread:22}{held}{verdict}".rstrip()


def figure(label: str, unit: str, *values: float) -> Figure:
    """The figure of some repetitions, or of one number."""
    return Figure(label, median(values), unit, min(values), max(values))


def bounded(case: str, one: Figure) -> Figure:
    """A figure of a case with its bound."""
    name = f"{case}: {one.label}"
    fitting = (bound for pattern, bound in BOUNDS.items() if fnmatchcase(name, pattern))
    return one._replace(bound=next(fitting, None))


def p99(values: Sequence[float]) -> float:
    """The smallest value that 99 % of all do not exceed."""
    return sorted(values)[math.ceil(len(values) * 99 / 100) - 1]


def table(figures: Sequence[Figure]) -> str:
    """Figures as text."""
    width = max((len(figure.label) for figure in figures), default=0)
    return "\n".join(f"  {figure.label:{width}}  {figure}" for figure in figures)


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
