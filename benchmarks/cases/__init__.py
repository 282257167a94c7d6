"""The cases, in the order in which they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.cases import (
    capacity,
    contention,
    conversations,
    crossing,
    flask,
    imports,
    outage,
    overhead,
    primitives,
    redis,
    sizes,
    throughput,
    unguarded,
    worst,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.result import Result
    from benchmarks.scale import Scale

CASES: dict[str, Callable[[Scale], Result]] = {
    "overhead": overhead.run,
    "crossing": crossing.run,
    "primitives": primitives.run,
    "flask": flask.run,
    "unguarded": unguarded.run,
    "worst": worst.run,
    "imports": imports.run,
    "sizes": sizes.run,
    "redis": redis.run,
    "contention": contention.run,
    "conversations": conversations.run,
    "outage": outage.run,
    "throughput": throughput.run,
    "capacity": capacity.run,
}
