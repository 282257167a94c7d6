"""The cases, in the order in which they run: each a module with a `TITLE` and a `run` that gives figures."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Result

if TYPE_CHECKING:
    from benchmarks.measure import Scale

CASES = (
    "crossing", "footprint", "overhead", "flask", "served", "redis", "asgi", "conversations", "contention", "deferred",
    "memory", "outage", "worst", "growth", "imports",
)  # fmt: skip


def run(name: str, scale: Scale) -> Result:
    """Run one case."""
    case: Any = import_module(f"benchmarks.cases.{name}")
    return Result(case.TITLE, list(case.run(scale)))
