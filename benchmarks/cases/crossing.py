"""How much of the package one turn crosses, and how much of it a process then has loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures import Figure, counted
from benchmarks.measure import APP, Contender, Process, Scale
from tests.redis_servers import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "code of the package that a text of 20 fields crosses; comprehensions count as functions"
BOUNDS = {"cookie": (50, 12), "Redis": (70, 16)}  # functions, files
BOUND_LINES = 6000


def run(scale: Scale) -> Iterator[Figure]:
    """Count for both stores."""
    with redis_server() as server:
        for name, store in (("cookie", "cookie"), ("Redis", server.url)):
            contender = Contender(name, APP, {"app": "wrapped", "store": store})
            with Process(contender) as process:
                process.ask("cpu", scale.calls)  # warm
                found = process.ask("crossed", 1)
            functions, files = BOUNDS[name]
            yield counted(f"{name} turn: functions", found["functions"], "", functions)
            yield counted(f"{name} turn: files", found["files"], "", files)
            yield counted(f"{name} turn: calls of these functions", found["calls"])
            yield counted(f"{name} turn: lines loaded", found["lines"], "", BOUND_LINES)
