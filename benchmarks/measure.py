"""Measuring: each contender in a fresh process, warm, and all of them in turns.

A round asks every contender once, one after the other, so that whatever else the machine does hits
all of them alike; which one begins changes from round to round. Ratios are taken within a round. What
is reported is the median over the rounds, with the quartiles beside it. Work that waits for nobody is
measured in processor time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from benchmarks.worker import build, turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent


class Contender(NamedTuple):
    """One row of a comparison.

    Attributes:
        label: For the table, unique within a comparison.
        factory: ``module:function``, called in the fresh process; returns a `Work`.
        options: The function's keyword arguments, as JSON can carry them.
    """

    label: str
    factory: str
    options: Mapping[str, Any] = {}


class Effort(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: How often every contender has its turn; one more, before them, is not counted.
        calls: Calls in one turn.
        chunk: Calls that are timed together. A turn counts as the median of its chunks, which an
            interrupted chunk does not move.
        wall: The clock on the wall counts, because the contenders wait for a server; else processor
            time.
        fresh: Each contender in a process of its own; else all in this one, where only "does it
            run" is asked.
    """

    rounds: int
    calls: int
    chunk: int = 20
    wall: bool = False
    fresh: bool = True


class Running(Protocol):
    """A contender that can be asked, from entering to leaving."""

    def __enter__(self) -> Running: ...

    def __exit__(self, *failure: object) -> None: ...

    def ready(self) -> str:
        """Wait until the contender is made; the package that it lacks, or ""."""
        ...

    def time(self, calls: int, chunk: int, *, wall: bool) -> list[float]:
        """Time so many calls: for each chunk the µs of one call; see `turn`."""
        ...


def started(contender: Contender, effort: Effort) -> Running:
    """What runs a contender."""
    return _Process(contender) if effort.fresh else _Here(contender)


class _Here:
    """A contender in this process."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender

    def __enter__(self) -> _Here:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def ready(self) -> str:
        self._work = build(self._contender.factory, self._contender.options)
        return self._work if isinstance(self._work, str) else ""

    def time(self, calls: int, chunk: int, *, wall: bool) -> list[float]:
        assert not isinstance(self._work, str)
        return turn(self._work, calls, chunk, wall)


class _Process:
    """A contender in a fresh process."""

    def __init__(self, contender: Contender) -> None:
        self._command = [
            *(sys.executable, "-m", "benchmarks.worker"),
            *(contender.factory, json.dumps(dict(contender.options))),
        ]

    def __enter__(self) -> _Process:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.communicate()  # the end of its input ends it

    def ready(self) -> str:
        missing: str = self._answer().get("missing", "")
        return missing

    def time(self, calls: int, chunk: int, *, wall: bool) -> list[float]:
        assert self._process.stdin is not None
        print(json.dumps([calls, chunk, wall]), file=self._process.stdin, flush=True)
        times: list[float] = self._answer()["us"]
        return times

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._command[-2]} ended early; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Rounds(NamedTuple):
    """What a comparison came to.

    Attributes:
        us: For each contender's label the µs of one call in each round.
        missing: For each contender that could not run the package that it lacks.
    """

    us: dict[str, list[float]]
    missing: dict[str, str]


def compare(contenders: Sequence[Contender], effort: Effort) -> Rounds:
    """Measure contenders in turns."""
    us: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        processes = {
            contender.label: stack.enter_context(started(contender, effort))
            for contender in contenders
        }
        for label, process in processes.items():
            if lacks := process.ready():
                missing[label] = lacks
            else:
                us[label] = []
        labels = list(us)
        for counts in [False] + [True] * effort.rounds:
            for label in labels:
                times = processes[label].time(effort.calls, effort.chunk, wall=effort.wall)
                if counts:
                    us[label].append(statistics.median(times))
            labels = labels[1:] + labels[:1]
    return Rounds(us, missing)
