"""What a case gives: figures with their spread, and the bounds they are held against."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


INSTALL = 'pip install -e ".[bench]"'


class Figure(NamedTuple):
    """One number of the table.

    Attributes:
        label: What was measured.
        value: The median.
        unit: ``µs``, ``ms``, ``×``, ``1/s``, ``bytes`` and the like.
        low: The lower quartile; the value itself for what was counted.
        high: The upper quartile.
        bound: What it must not exceed, or None.
        missing: What to install, where it could not be measured; the numbers are then 0.
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
        """Whether the bound is met; None where there is none."""
        return None if self.bound is None or self.missing else self.value <= self.bound


class Result(NamedTuple):
    """What one case came to.

    Attributes:
        title: One line: what was measured.
        figures: In the order of the table.
        notes: What a reader has to know to read them.
    """

    title: str
    figures: list[Figure]
    notes: tuple[str, ...] = ()


def spread(label: str, values: Sequence[float], unit: str, bound: float | None = None) -> Figure:
    """The median and the quartiles of what the rounds gave."""
    low, value, high = (
        statistics.quantiles(values, method="inclusive") if len(values) > 1 else [values[0]] * 3
    )
    return Figure(label, value, unit, low, high, bound)


def counted(label: str, value: float, unit: str, bound: float | None = None) -> Figure:
    """A number that has no spread."""
    return Figure(label, value, unit, value, value, bound)


def absent(label: str, package: str) -> Figure:
    """A row of what could not be measured, because `package` is not there."""
    return Figure(label, 0, "", 0, 0, None, f"not installed ({package}): {INSTALL}")


def beside(
    ours: str,
    rivals: Mapping[str, str],
    overhead: Mapping[str, Sequence[float]],
    missing: Mapping[str, str],
    bounds: Mapping[str, float],
) -> list[Figure]:
    """The rows of rivals that check signatures with RequestValidator: what each costs, and us over it.

    Args:
        ours: Our label in `overhead`.
        rivals: What each is called in the table, by its label in `overhead`.
        overhead: Microseconds, round by round.
        missing: The package that a rival lacks.
        bounds: What the ratio to a rival must not exceed.
    """
    figures: list[Figure] = []
    for rival, name in rivals.items():
        if rival in missing:
            figures.append(absent(f"RequestValidator + {name}", missing[rival]))
            continue
        figures.append(spread(f"RequestValidator + {name}", overhead[rival], "µs"))
        ratio = over(overhead[ours], overhead[rival])
        figures.append(spread(f"convostate ÷ {name}", ratio, "×", bounds.get(rival)))
    return figures


def less(first: Iterable[float], second: Iterable[float]) -> list[float]:
    """The difference, round by round."""
    return [a - b for a, b in zip(first, second, strict=True)]


def over(first: Iterable[float], second: Iterable[float]) -> list[float]:
    """The ratio, round by round."""
    return [a / b for a, b in zip(first, second, strict=True)]


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
