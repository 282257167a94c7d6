"""Measuring: each contender in a fresh process, warm, and all of them in turns.

A round asks every contender once, one after the other, so that whatever else the machine does hits
all of them alike; which one begins changes from round to round. Ratios are taken within a round. What
is reported is the median over the rounds, with the quartiles beside it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

ROOT = Path(__file__).parent.parent


class Work(NamedTuple):
    """What a contender does, as its factory in the fresh process gives it.

    Attributes:
        inputs: Makes the arguments of so many calls; its time is not counted.
        call: One call, the only thing that is timed.
    """

    inputs: Callable[[int], Sequence[Any]]
    call: Callable[[Any], object]


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
    """

    rounds: int
    calls: int
    chunk: int = 20


class Process:
    """One contender's process, from entering to leaving."""

    def __init__(self, contender: Contender) -> None:
        self._command = [
            *(sys.executable, "-m", "benchmarks.worker"),
            *(contender.factory, json.dumps(dict(contender.options))),
        ]

    def __enter__(self) -> Process:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        return self

    def ready(self) -> str:
        """Wait until the contender is made; the package that it lacks, or ""."""
        missing: str = self._answer().get("missing", "")
        return missing

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        self._process.communicate()  # the end of its input ends it

    def time(self, calls: int, chunk: int) -> list[float]:
        """Time so many calls: for each chunk the µs of one call."""
        assert self._process.stdin is not None
        print(json.dumps([calls, chunk]), file=self._process.stdin, flush=True)
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
            contender.label: stack.enter_context(Process(contender)) for contender in contenders
        }
        for label, process in processes.items():
            if lacks := process.ready():
                missing[label] = lacks
            else:
                us[label] = []
        labels = list(us)
        for label in labels:
            processes[label].time(effort.calls, effort.chunk)
        for _ in range(effort.rounds):
            for label in labels:
                times = processes[label].time(effort.calls, effort.chunk)
                us[label].append(statistics.median(times))
            labels.append(labels.pop(0))
    return Rounds(us, missing)
