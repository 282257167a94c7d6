"""The table of a result, and its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.result import Figure, Result

_VERDICT = {None: "", True: "within", False: "OVER"}


def table(name: str, result: Result) -> str:
    """One result as text."""
    lines = [f"{name}: {result.title}"]
    width = max(len(figure.label) for figure in result.figures)
    lines += [f"  {figure.label:{width}}  {_value(figure)}".rstrip() for figure in result.figures]
    lines += [f"  ({note})" for note in result.notes]
    return "\n".join(lines)


def _value(figure: Figure) -> str:
    if figure.missing:
        return figure.missing
    text = f"{_number(figure.value):>9} {figure.unit:6}"
    if (figure.low, figure.high) != (figure.value, figure.value):
        text += f" {_number(figure.low)} to {_number(figure.high)}".ljust(22)
    if figure.bound is not None:
        text = f"{text:40} bound {_number(figure.bound)}: {_VERDICT[figure.within]}"
    return text


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(results: Mapping[str, Result], where: Mapping[str, str]) -> str:
    """What has a bound, as the page on costs shows it."""
    lines = [
        f"`python -m benchmarks` on {where['date']}, {where['python']}, {where['processor']}; {where['packages']}",
        "",
        "| case | what | measured | quartiles | bound |",
        "|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for figure in result.figures:
            if figure.bound is None or figure.missing:
                continue
            low, high = _number(figure.low), _number(figure.high)
            quartiles = f"{low} to {high}" if figure.low != figure.high else ""
            cells = (f"`{name}`", figure.label, _with_unit(figure.value, figure.unit), quartiles)
            lines.append(f"| {' | '.join(cells)} | {_with_unit(figure.bound, figure.unit)} |")
    return "\n".join(lines)


def _with_unit(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}".rstrip()


def as_json(result: Result) -> dict[str, Any]:
    """One result for programs."""
    return {
        "title": result.title,
        "figures": [{**figure._asdict(), "within": figure.within} for figure in result.figures],
        "notes": list(result.notes),
    }
