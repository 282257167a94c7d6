"""The fresh process of one contender: `python -m benchmarks.worker MODULE:FUNCTION OPTIONS`.

It reads a line of JSON for each request and answers with one:

    ["do", n]       what each of n calls returns
    ["cpu", n]      the µs of processor time of each of n calls
    ["wall", n]     the same by the clock on the wall, which waiting needs
    ["crossed", n]  what a call runs of the package, see `crossed`
    ["collect", n, function]  n calls, counted by callgrind, see `collect`
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial, reduce
from importlib import import_module
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any, NamedTuple


class Work(NamedTuple):
    """What a contender does, as its factory in the fresh process gives it.

    `inputs` makes the arguments of so many calls, which is not measured.
    """

    inputs: Callable[[int], Sequence[Any]]
    call: Callable[[Any], Any]


def do(work: Work, calls: int) -> list[Any]:
    """Make calls; what they return."""
    return [work.call(item) for item in work.inputs(calls)]


def time_us(clock: Callable[[], int], work: Work, calls: int) -> list[float]:
    """Time each of some calls, in µs."""
    times = []
    call = work.call
    for item in work.inputs(calls):
        begun = clock()
        call(item)
        times.append((clock() - begun) / 1000)
    return times


def crossed(work: Work, calls: int) -> dict[str, int]:
    """Count the distinct functions of the package that a call runs, their files, and the lines that are loaded.

    Of some calls the one with the fewest counts: others may do what is due once in a while.
    """
    import convostate  # a rival's process need not have it

    package = str(Path(convostate.__file__).parent)
    seen: list[set[Any]] = []

    def look(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            seen[-1].add(frame.f_code)

    for item in work.inputs(calls):
        seen.append(set())
        sys.setprofile(look)
        work.call(item)
        sys.setprofile(None)
    fewest = min(seen, key=len)
    loaded = [
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "convostate" and module.__file__
    ]
    return {
        "functions": len(fewest),
        "files": len({code.co_filename for code in fewest}),
        "lines loaded": sum(len(path.read_bytes().splitlines()) for path in loaded),
    }


def collect(work: Work, calls: int, inside: str = "") -> None:
    """Make calls while callgrind counts them; or, if `inside` names a function, that function alone."""
    collector = import_module("benchmarks.callgrind").Collector()  # for processes under valgrind
    items = work.inputs(calls)
    if not inside:
        collector.toggle()
        for item in items:
            work.call(item)
        collector.toggle()
    else:
        module, _, path = inside.partition(":")
        *outer, name = path.split(".")
        owner = reduce(getattr, outer, import_module(module))
        function = getattr(owner, name)
        setattr(owner, name, collector.around(function))
        for item in items:
            nothing()
            work.call(item)
        setattr(owner, name, function)
    collector.dump()


def nothing() -> None:
    """What counting a function costs by itself."""


ANSWERS: dict[str, Callable[..., object]] = {
    "do": do,
    "cpu": partial(time_us, thread_time_ns),
    "wall": partial(time_us, perf_counter_ns),
    "crossed": crossed,
    "collect": collect,
}


def main(factory: str, options: str) -> None:
    """Make the contender, then answer the lines of standard input."""
    logging.basicConfig(filename=os.devnull)  # log lines are made, and read by nobody
    module, _, function = factory.partition(":")
    work: Work = getattr(import_module(module), function)(**json.loads(options))
    print("null", flush=True)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        what, *asked = json.loads(line)
        print(json.dumps(ANSWERS[what](work, *asked)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
