"""How much is measured: in full, quickly, or once, so that a test sees that every case still runs."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.measure import Effort


class Scale(NamedTuple):
    """The counts of all cases.

    Attributes:
        effort: Of comparisons in processor time.
        processes: Fresh ones for what only the first moments of a process tell.
        writers: How many at once on one conversation.
        turns: Of each of them.
    """

    effort: Effort
    processes: int
    writers: tuple[int, ...]
    turns: int


FULL = Scale(
    effort=Effort(rounds=30, calls=400),
    processes=25,
    writers=(1, 4, 16, 64),
    turns=20,
)
QUICK = Scale(
    effort=Effort(rounds=7, calls=100),
    processes=5,
    writers=(1, 16, 64),
    turns=5,
)
ONCE = Scale(
    effort=Effort(rounds=1, calls=2, chunk=1),
    processes=1,
    writers=(2,),
    turns=1,
)
