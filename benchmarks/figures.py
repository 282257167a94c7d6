"""What a case gives: figures with their range, and the bounds that they are held against."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INSTALL = 'pip install -e ".[bench]"'
_VERDICT = {None: "", True: "within", False: "OVER"}


class Figure(NamedTuple):
    """One number of the table."""

    label: str
    value: float  # the median of the repetitions
    unit: str
    low: float
    high: float
    bound: float | None = None  # what it must not exceed
    missing: str = ""  # why it could not be measured; the numbers are then 0

    @property
    def within(self) -> bool | None:
        """Whether the bound is met; None if there is none."""
        return None if self.bound is None or self.missing else self.value <= self.bound


class Result(NamedTuple):
    """The title of a case and its figures, in the order of the table."""

    title: str
    figures: list[Figure]


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


def table(name: str, result: Result) -> str:
    """One result as text."""
    width = max(len(figure.label) for figure in result.figures)
    lines = [f"  {figure.label:{width}}  {_value(figure)}".rstrip() for figure in result.figures]
    return "\n".join([f"{name}: {result.title}", *lines])


def _value(figure: Figure) -> str:
    if figure.missing:
        return figure.missing
    text = f"{_number(figure.value):>9} {figure.unit:6} {_range(figure):22}"
    return (
        text
        if figure.bound is None
        else f"{text} bound {_number(figure.bound)}: {_VERDICT[figure.within]}"
    )


def _range(figure: Figure) -> str:
    return f"{_number(figure.low)} to {_number(figure.high)}" if figure.low != figure.high else ""


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def as_json(result: Result) -> dict[str, Any]:
    """One result for programs."""
    figures = [{**figure._asdict(), "within": figure.within} for figure in result.figures]
    return {"title": result.title, "figures": figures}
