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
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
FASTEST = 0.02
EXTRAS = ("flask_session", "starsessions")


class Scale(NamedTuple):
    """How much is measured."""

    repeats: int  # fresh processes of each contender
    chunks: int  # of each process
    calls: int  # in a chunk
    served: int  # webhooks that a web server answers in a repetition
    writers: int  # at once on one conversation
    turns: int  # of each writer
    waiting: int  # texts that wait for one conversation
    conversations: int  # on one Redis
    in_memory: int  # conversations
    growth: int  # what settings and parameters are multiplied with
    answer_s: float  # that an answer to a deferred text takes


SCALES = {
    "full": Scale(5, 200, 20, 2500, 64, 20, 256, 50_000, 50_000, 100, 60),
    "quick": Scale(3, 60, 20, 1000, 64, 20, 256, 10_000, 50_000, 100, 20),
    "once": Scale(1, 1, 2, 10, 4, 1, 4, 20, 20, 2, 1),
}


class Contender(NamedTuple):
    """One row of a comparison: a label, and a factory ``module:function`` with what it is called with.

    The factory is called in the fresh process and returns a `benchmarks.worker.Work`. The options are
    such as JSON can carry.
    """

    label: str
    options: Mapping[str, Any] = {}
    factory: str = "benchmarks.apps:contender"

    @property
    def is_installed(self) -> bool:
        """Whether it can run: an app that is named after a package needs it."""
        name = self.options.get("app", "").partition(".")[2]
        return name not in EXTRAS or find_spec(name) is not None


class Process:
    """A contender in a fresh process, which ends with the block; `under` is a program that runs it."""

    def __init__(self, contender: Contender, *under: str) -> None:
        words = [contender.factory, json.dumps(contender.options)]
        self._process = subprocess.Popen(
            [*under, sys.executable, "-m", "benchmarks.worker", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
        self.pid = self._process.pid
        self._answer()  # it is ready

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *failure: object) -> None:
        self._process.communicate()  # the end of its input ends it

    def ask(self, what: str, calls: int = 1, *more: str) -> Any:
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
) -> dict[str, list[float]]:
    """Measure contenders in turns: for each label the µs of one call in each repetition."""
    us: dict[str, list[float]] = {one.label: [] for one in contenders}
    for _ in range(scale.repeats):
        with ExitStack() as stack:
            running = {one.label: stack.enter_context(Process(one)) for one in contenders}
            with suppress(AttributeError):  # not everywhere
                for process in running.values():
                    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
            chunks: dict[str, list[float]] = {label: [] for label in running}
            for _ in range(scale.chunks):
                for label, process in running.items():
                    chunks[label].append(fmean(process.ask(clock, scale.calls)))
        for label, times in chunks.items():
            us[label].append(fastest(times))
    return us
