"""What a case gives: figures with their range, and the bounds that they are held against."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INSTALL = 'pip install -e ".[bench]"'


class Figure(NamedTuple):
    """One number of the table.

    Attributes:
        label: What it is, unique within its case.
        value: The median of the repetitions.
        unit: Of the numbers.
        low: The lowest of the repetitions.
        high: The highest.
        bound: What the value must not exceed.
        missing: Why it could not be measured; the numbers are then 0.
    """

    label: str
    value: float
    unit: str
    low: float
    high: float
    bound: float | None = None
    missing: str = ""

    @property
    def within(self) -> bool | None:
        """Whether the bound is met; None without one."""
        return None if self.bound is None or self.missing else self.value <= self.bound

    def __str__(self) -> str:
        if self.missing:
            return self.missing
        low, high = _number(self.low), _number(self.high)
        spread = f"{low} to {high}" if low != high else ""
        held = "" if self.bound is None else f"bound {_number(self.bound)}"
        verdict = {None: "", True: ": within", False: ": OVER"}[self.within]
        return f"{_number(self.value):>9} {self.unit:6} {spread:22}{held}{verdict}".rstrip()


def spread(label: str, values: Sequence[float], unit: str, bound: float | None = None) -> Figure:
    """The figure of some repetitions."""
    return Figure(label, median(values), unit, min(values), max(values), bound)


def counted(label: str, value: float, unit: str = "", bound: float | None = None) -> Figure:
    """A number that has no range."""
    return Figure(label, value, unit, value, value, bound)


def absent(label: str, why: str) -> Figure:
    """A row of what could not be measured."""
    return Figure(label, 0, "", 0, 0, missing=why)


def lacking(label: str, package: str) -> Figure:
    """A row of a contender whose package is not installed."""
    return absent(label, f"not installed ({package}): {INSTALL}")


def less(first: Iterable[float], second: Iterable[float]) -> list[float]:
    """The difference, repetition by repetition."""
    return [a - b for a, b in zip(first, second, strict=True)]


def over(first: Iterable[float], second: Iterable[float]) -> list[float]:
    """The ratio, repetition by repetition."""
    return [a / b for a, b in zip(first, second, strict=True)]


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Figures as text."""
    width = max(len(figure.label) for figure in figures)
    return "\n".join(f"  {figure.label:{width}}  {figure}" for figure in figures)


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
