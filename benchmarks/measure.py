"""Measuring: each contender in a fresh process, and all of them in turns on one core.

Each contender is asked for a chunk of calls, one contender after the other, again and again, so that
whatever else the machine does hits all of them alike. Noise only ever adds: the time of a contender
is the mean of its fastest chunks, 2 % of them. That is repeated with fresh processes, because where a
process's code and data lie moves its time by some percent. What is reported is the median of the
repetitions, with the lowest and the highest; ratios are taken within a repetition.
"""

from __future__ import annotations

import gc
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from statistics import fmean
from time import clock_gettime, perf_counter, thread_time
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
FASTEST = 0.02
EXTRAS = ("flask_session", "starsessions")
CLOCKS = {"cpu": thread_time, "wall": perf_counter}  # processor time, or also what waiting takes


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


class Work(NamedTuple):
    """What a contender does: `inputs` makes the arguments of so many calls, which is not measured."""

    inputs: Callable[[int], Iterable[Any]]
    call: Callable[[Any], Any]

    def us(self, calls: int, clock: str = "cpu") -> list[float]:
        """The time of each of some calls, in µs."""
        now, call, times = CLOCKS[clock], self.call, []
        for item in self.inputs(calls):
            begun = now()
            call(item)
            times.append((now() - begun) * 1e6)
        return times

    def do(self, calls: int = 1) -> list[Any]:
        """What each of some calls returns."""
        return [self.call(item) for item in self.inputs(calls)]


_MADE: list[Work] = []  # in a contender's process, its own


class Contender(NamedTuple):
    """One row of a comparison: a label, and ``module:function`` that makes its `Work` of these options.

    It is made in another process, so the options are such as JSON can carry.
    """

    label: str
    options: Mapping[str, Any] = {}
    factory: str = "benchmarks.apps:contender"

    @property
    def is_installed(self) -> bool:
        """Whether it can run: an app that is named after a package needs it."""
        name = self.options.get("app", "").partition(".")[2]
        return name not in EXTRAS or find_spec(name) is not None

    def make(self) -> Work:
        """Make it, and keep what there is out of the garbage collection of its calls."""
        logging.basicConfig(filename=os.devnull)  # log lines are made, and read by nobody
        work: Work = resolve_name(self.factory)(**self.options)
        gc.collect()
        gc.freeze()
        return work


@contextmanager
def fresh(contender: Contender) -> Iterator[Callable[..., Any]]:
    """Make a contender in a process of its own, which ends with the block.

    The block gets a function that asks that process for what ``function(work, *arguments)`` returns.
    """
    from concurrent.futures import ProcessPoolExecutor  # memory, for an app that is served
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        pool.submit(_begin, contender).result()
        yield lambda function, *arguments: pool.submit(_ask, function, *arguments).result()


def _begin(contender: Contender) -> None:
    _MADE.append(contender.make())


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*_MADE, *arguments)


def pin(_: Work) -> None:
    """Keep this process on one core, if the system can."""
    with suppress(AttributeError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def by_label(rounds: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """The values of each label, round by round."""
    return {label: [each[label] for each in rounds] for label in rounds[0]}


def fastest(chunks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of the fastest 2 % of each label's chunks, of one chunk at least."""
    some = max(1, round(len(chunks) * FASTEST))
    return {label: fmean(sorted(us)[:some]) for label, us in by_label(chunks).items()}


def compare(
    contenders: Sequence[Contender], scale: Scale, clock: str = "cpu"
) -> dict[str, list[float]]:
    """Measure contenders in turns: for each label the µs of one call in each repetition."""
    repetitions = []
    for _ in range(scale.repeats):
        with ExitStack() as stack:
            asked = {one.label: stack.enter_context(fresh(one)) for one in contenders}
            for ask in asked.values():
                ask(pin)
            chunks = [
                {label: fmean(ask(Work.us, scale.calls, clock)) for label, ask in asked.items()}
                for _ in range(scale.chunks)
            ]
        repetitions.append(fastest(chunks))
    return by_label(repetitions)


def cpu_us(pids: Iterable[int], calls: int, call: Callable[[], object]) -> list[float]:
    """What one of some calls takes of the processor time of each of these processes, on Linux."""
    # clock_getcpuclockid(3): the process in the upper bits, 2 for "all its threads".
    clocks = [~pid << 3 | 2 for pid in pids]
    begun = [clock_gettime(clock) for clock in clocks]
    for _ in range(calls):
        call()
    ended = [clock_gettime(clock) for clock in clocks]
    return [(end - begin) / calls * 1e6 for begin, end in zip(begun, ended, strict=True)]


def memory_mib(pid: int, which: str = "VmRSS") -> float:
    """The memory of a process on Linux, or the most that it had (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.findall(rf"{which}:\s*(\d+) kB", status)[0]) / 1024
