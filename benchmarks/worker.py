"""The fresh process of one contender: `python -m benchmarks.worker MODULE:FUNCTION OPTIONS`.

Reads a line of JSON ``[calls, chunk, wall]`` for each turn and answers with a line of JSON: the µs of one
call in each chunk. It ends with its input.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from importlib import import_module
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OURS = ("benchmarks", "convostate")


class Work(NamedTuple):
    """What a contender does, as its factory in the fresh process gives it.

    Attributes:
        inputs: Makes the arguments of so many calls; its time is not counted.
        call: One call, the only thing that is timed.
    """

    inputs: Callable[[int], Sequence[Any]]
    call: Callable[[Any], object]


def build(factory: str, options: Mapping[str, Any]) -> Work | str:
    """Make a contender; or the import name of the package that it lacks."""
    module, _, function = factory.partition(":")
    try:
        work: Work = getattr(import_module(module), function)(**options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(OURS):
            raise
        return error.name
    return work


def turn(work: Work, calls: int, chunk: int, wall: bool) -> list[float]:
    """Time `calls` calls: for each chunk the µs of one call.

    Args:
        work: Whose.
        calls: How many.
        chunk: How many are timed together.
        wall: By the clock on the wall, which waiting needs; else processor time of this thread, which
            other programs on the same machine disturb less.
    """
    clock = perf_counter_ns if wall else thread_time_ns
    inputs = work.inputs(calls)
    call = work.call
    times = []
    gc.collect()
    for start in range(0, calls, chunk):
        part = inputs[start : start + chunk]
        begun = clock()
        for item in part:
            call(item)
        times.append((clock() - begun) / len(part) / 1000)
    return times


def main() -> None:
    """Answer the lines of standard input."""
    # Log lines are made, as in production, and read by nobody.
    logging.basicConfig(filename=os.devnull)
    work = build(sys.argv[1], json.loads(sys.argv[2]))
    if isinstance(work, str):
        print(json.dumps({"missing": work}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"us": turn(work, *json.loads(line))}), flush=True)


if __name__ == "__main__":
    main()
