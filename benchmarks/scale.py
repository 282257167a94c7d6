"""How much is measured: in full, quickly, or once, so that a test sees that every case still runs."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.measure import Effort


class Scale(NamedTuple):
    """The counts of all cases.

    Attributes:
        effort: Of comparisons in processor time.
        processes: Fresh ones for what only the first moments of a process tell.
    """

    effort: Effort
    processes: int


FULL = Scale(effort=Effort(rounds=30, calls=400), processes=25)
QUICK = Scale(effort=Effort(rounds=7, calls=100), processes=5)
ONCE = Scale(effort=Effort(rounds=1, calls=2, chunk=1), processes=1)
