"""How much is measured: in full, quickly, or once, so that a test sees that every case still runs."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.measure import Effort


class Scale(NamedTuple):
    """The counts of all cases.

    Attributes:
        effort: Of comparisons in processor time.
    """

    effort: Effort


FULL = Scale(effort=Effort(rounds=30, calls=400))
QUICK = Scale(effort=Effort(rounds=7, calls=100))
ONCE = Scale(effort=Effort(rounds=1, calls=2, chunk=1))
