"""The fresh process of one contender: `python -m benchmarks.worker MODULE:FUNCTION OPTIONS`.

It reads a line of JSON for each request and answers with one:

    ["cpu", n]      the µs of processor time of each of n calls
    ["wall", n]     the same by the clock on the wall, which waiting needs
    ["crossed", n]  what a call runs of the package, see `crossed`
    ["collect", n]  n calls, of which callgrind sees nothing else, see `benchmarks.callgrind`
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CLOCKS = {"cpu": thread_time_ns, "wall": perf_counter_ns}


class Work(NamedTuple):
    """What a contender does, as its factory in the fresh process gives it.

    Attributes:
        inputs: Makes the arguments of so many calls; its time is not counted.
        call: One call, the only thing that is measured.
    """

    inputs: Callable[[int], Sequence[Any]]
    call: Callable[[Any], object]


def build(factory: str, options: Mapping[str, Any]) -> Work | str:
    """Make a contender, or give the import name of the package that it lacks."""
    module, _, function = factory.partition(":")
    try:
        work: Work = getattr(import_module(module), function)(**options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("benchmarks", "convostate")):
            raise
        return error.name
    return work


def time_us(work: Work, clock: Callable[[], int], calls: int) -> list[float]:
    """Time each of some calls, in µs."""
    times = []
    call = work.call
    for item in work.inputs(calls):
        begun = clock()
        call(item)
        times.append((clock() - begun) / 1000)
    return times


def crossed(work: Work, calls: int) -> dict[str, float]:
    """Count what calls run of the package.

    Returns:
        functions: Distinct ones.
        files: That these are in.
        calls: Python calls of them in one call of the work.
        lines: Of all files of the package that the process has loaded.
    """
    import convostate  # noqa: PLC0415  # a rival's process need not have it

    package = str(Path(convostate.__file__).parent)
    seen: list[Any] = []

    def look(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            seen.append(frame.f_code)

    for item in work.inputs(calls):
        sys.setprofile(look)
        work.call(item)
        sys.setprofile(None)
    loaded = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "convostate" and module.__file__
    ]
    return {
        "functions": len(set(seen)),
        "files": len({code.co_filename for code in seen}),
        "calls": len(seen) / calls,
        "lines": sum(len(path.read_bytes().splitlines()) for path in loaded),
    }


def collect(work: Work, calls: int) -> None:
    """Make calls while callgrind collects."""
    from benchmarks.callgrind import collecting  # noqa: PLC0415  # for processes under valgrind

    for item in work.inputs(3):  # warm
        work.call(item)
    items = work.inputs(calls)
    with collecting():
        for item in items:
            work.call(item)


def main() -> None:
    """Answer the lines of standard input."""
    logging.basicConfig(filename=os.devnull)  # log lines are made, and read by nobody
    work = build(sys.argv[1], json.loads(sys.argv[2]))
    if isinstance(work, str):
        print(json.dumps({"missing": work}), flush=True)
        return
    print(json.dumps({}), flush=True)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        what, calls = json.loads(line)
        clock = CLOCKS.get(what)
        answer: object
        if clock is not None:
            answer = time_us(work, clock, calls)
        else:
            answer = {"crossed": crossed, "collect": collect}[what](work, calls)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
