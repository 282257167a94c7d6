"""Measuring: each contender in a fresh process, and all of them in turns on one core.

Each contender is asked for a chunk of calls, one contender after the other, again and again, so that
whatever else the machine does hits all of them alike. Noise only ever adds: the time of a contender
is the mean of its fastest chunks, 2 % of them. That is repeated with fresh processes, because where a
process's code and data lie moves its time by some percent. What is reported is the median of the
repetitions, with the lowest and the highest; ratios are taken within a repetition.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parent.parent
FASTEST = 0.02


class Scale(NamedTuple):
    """How much is measured."""

    repeats: int  # fresh processes of each contender
    chunks: int  # of each process
    calls: int  # in a chunk
    served: int  # webhooks that a web server answers in a repetition
    writers: int  # at once on one conversation
    turns: int  # of each writer
    waiting: int  # texts that wait for one conversation
    conversations: int  # on one Redis, and in memory
    growth: int  # what settings and parameters are multiplied with
    answer_s: float  # that an answer to a deferred text takes


SCALES = {
    "full": Scale(5, 200, 20, 2500, 64, 20, 256, 50_000, 100, 60),
    "quick": Scale(3, 60, 20, 1000, 64, 20, 256, 10_000, 100, 20),
    "once": Scale(1, 1, 2, 10, 4, 1, 4, 20, 2, 2),
}


class Contender(NamedTuple):
    """One row of a comparison.

    Attributes:
        label: For the table, unique within a comparison.
        options: The factory's keyword arguments, as JSON can carry them.
        factory: ``module:function``, called in the fresh process; returns a `Work`.
    """

    label: str
    options: Mapping[str, Any] = {}
    factory: str = "benchmarks.apps:contender"


class Process:
    """A contender in a fresh process, which ends with the block.

    Args:
        contender: Which.
        *under: A program, with its arguments, that runs the process.

    Attributes:
        missing: The package that the contender lacks, or "".
    """

    def __init__(self, contender: Contender, *under: str) -> None:
        words = [contender.factory, json.dumps(contender.options)]
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", "benchmarks.worker", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        with suppress(AttributeError):  # not everywhere
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self.missing: str = self._answer().get("missing", "")

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.communicate()  # the end of its input ends it

    def ask(self, what: str, calls: int, *more: str) -> Any:
        """Ask for one of the answers that `benchmarks.worker` lists."""
        assert self._process.stdin is not None
        print(json.dumps([what, calls, *more]), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise RuntimeError("a contender's process ended early; its error is above")
        return json.loads(line)


def fastest(values: Sequence[float]) -> float:
    """The mean of the fastest 2 %, of one value at least."""
    return fmean(sorted(values)[: max(1, round(len(values) * FASTEST))])


def compare(
    contenders: Sequence[Contender], scale: Scale, clock: str = "cpu"
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Measure contenders in turns.

    Returns:
        For each label the µs of one call in each repetition; and for each contender that could not
        run the package that it lacks.
    """
    us: dict[str, list[float]] = {}
    missing: dict[str, str] = {}
    for _ in range(scale.repeats):
        with ExitStack() as stack:
            running = {one.label: stack.enter_context(Process(one)) for one in contenders}
            missing |= {label: one.missing for label, one in running.items() if one.missing}
            chunks: dict[str, list[float]] = {one: [] for one in running if one not in missing}
            for _ in range(scale.chunks):
                for label, times in chunks.items():
                    times.append(fmean(running[label].ask(clock, scale.calls)))
        for label, times in chunks.items():
            us.setdefault(label, []).append(fastest(times))
    return us, missing
