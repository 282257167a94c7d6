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
        conversations: How many there are on one Redis.
        conversations_with_reply: Up to how many a recorded reply is weighed with each.
        workers: Kinds of gunicorn's.
        served: How many of the apps, the first ones.
        load_rounds: How often each app is under load.
        load_s: For how long at a time, in seconds.
    """

    effort: Effort
    processes: int
    writers: tuple[int, ...]
    turns: int
    conversations: tuple[int, ...]
    conversations_with_reply: int
    workers: tuple[str, ...]
    served: int
    load_rounds: int
    load_s: float


FULL = Scale(
    effort=Effort(rounds=30, calls=400),
    processes=25,
    writers=(1, 4, 16, 64),
    turns=20,
    conversations=(1_000, 10_000, 100_000, 1_000_000),
    conversations_with_reply=100_000,
    workers=("sync", "gthread", "gevent"),
    served=8,
    load_rounds=5,
    load_s=2,
)
QUICK = Scale(
    effort=Effort(rounds=7, calls=100),
    processes=5,
    writers=(1, 16, 64),
    turns=5,
    conversations=(1_000, 100_000),
    conversations_with_reply=100_000,
    workers=("sync", "gthread", "gevent"),
    served=8,
    load_rounds=3,
    load_s=1,
)
ONCE = Scale(
    effort=Effort(rounds=1, calls=2, chunk=1, fresh=False),
    processes=1,
    writers=(2,),
    turns=1,
    conversations=(10,),
    conversations_with_reply=10,
    workers=("sync",),
    served=2,
    load_rounds=1,
    load_s=0.1,
)
