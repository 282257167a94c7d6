"""The cases, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cases import overhead

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.result import Result
    from benchmarks.scale import Scale

CASES: dict[str, Callable[[Scale], Result]] = {
    "overhead": overhead.run,
}
