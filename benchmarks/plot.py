"""Drawing ratios as bars: what convostate costs, with what it is compared with as 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from benchmarks.figures import Figure

# Mid-tones: readable on a white page and on a black one. Within its bound, over it, without one.
COLOURS, TEXT = {True: "#2f8f6b", False: "#c2603a", None: "#6d7fa3"}, "#808080"
NOTE = (
    "1 is what convostate is compared with. An upright line is a bound: green is within it, red over it, "
    "blue has none."
)


def draw(figures: Iterable[Figure], where: Mapping[str, str], path: Path) -> None:
    """Draw every ratio as a bar with its spread, and its bound as a line.

    Args:
        figures: Of all cases; those that are no ratios are left out.
        where: The environment, for the line below.
        path: The SVG file.
    """
    bars = [figure for figure in figures if figure.unit == "×" and not figure.missing]
    canvas = Canvas(figsize=(11, 1.4 + 0.34 * len(bars)), layout="constrained")
    FigureCanvasSVG(canvas)
    axes = canvas.add_subplot()
    for place, bar in enumerate(bars):
        spread = [[max(bar.value - bar.low, 0)], [max(bar.high - bar.value, 0)]]
        axes.barh(place, bar.value, xerr=spread, color=COLOURS[bar.within], ecolor=TEXT)
        axes.text(bar.high, place, f"  {bar.value:.2f}", va="center", color=TEXT, fontsize=9)
        if bar.bound is not None:
            axes.plot([bar.bound] * 2, [place - 0.45, place + 0.45], color=TEXT, linewidth=1.5)
    axes.axvline(1, color=TEXT, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars], color=TEXT, fontsize=9)
    axes.invert_yaxis()
    axes.tick_params(colors=TEXT)
    axes.margins(x=0.12)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "left")
        spine.set_color(TEXT)
    note = f"{NOTE}\n{where['date']}, {where['python']}"
    canvas.supxlabel(note, x=0.01, ha="left", color=TEXT, fontsize=9)
    canvas.savefig(path, format="svg", transparent=True)
