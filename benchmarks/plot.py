"""Drawing ratios as bars: what convostate costs, with what it is compared with as 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from benchmarks.figures import Figure

# Mid-tones: readable on a white page and on a black one. Within its bound, over it, without one.
COLOURS, TEXT = {True: "#2f8f6b", False: "#c2603a", None: "#6d7fa3"}, "#808080"
NOTE = (
    "1 is what convostate is compared with. An upright line is a bound: green is within it, red over it, "
    "blue has none."
)
LEFT, WIDTH, ROW = 500, 960, 24  # px: of the axis, of the picture, of a bar


def draw(figures: Iterable[Figure], where: Mapping[str, str], path: Path) -> None:
    """Draw every ratio as a bar with its range, and its bound as a line, in an SVG file.

    Args:
        figures: Of all cases; those that are not ratios are left out.
        where: The environment, for the line below.
        path: The file.
    """
    bars = [figure for figure in figures if figure.unit == "×"]
    scale = (WIDTH - LEFT - 60) / max([1, *(bar.high for bar in bars)])
    axis_end = len(bars) * ROW + 10
    drawn = [_line(LEFT + scale, 4, LEFT + scale, axis_end, 'stroke-dasharray="2 3" opacity="0.5"')]
    for place, bar in enumerate(bars):
        top, middle = place * ROW + 10, place * ROW + 18
        drawn += [
            f'<rect x="{LEFT}" y="{top}" width="{bar.value * scale:.1f}" height="16" fill="{COLOURS[bar.within]}"/>',
            _line(LEFT + bar.low * scale, middle, LEFT + bar.high * scale, middle),
            _text(LEFT - 8, middle + 4, bar.label, 'text-anchor="end"'),
            _text(LEFT + max(bar.high, bar.bound or 0) * scale + 8, middle + 4, f"{bar.value:.2f}"),
        ]
        if bar.bound is not None:
            bound = LEFT + bar.bound * scale
            drawn.append(_line(bound, top - 3, bound, top + 19, 'stroke-width="2"'))
    drawn.append(_text(8, axis_end + 24, NOTE))
    drawn.append(_text(8, axis_end + 42, f"{where['date']}, {where['python']}"))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {axis_end + 54}" font-family="sans-serif" font-size="12">'
    path.write_text("\n".join([head, *drawn, "</svg>"]) + "\n", encoding="utf-8")


def _line(x1: float, y1: float, x2: float, y2: float, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{TEXT}" {more}/>'


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{TEXT}" {more}>{escape(words)}</text>'
