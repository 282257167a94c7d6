"""A small history of texts that are answered later; `python -m tests.later_history` runs it longer."""

from __future__ import annotations

import pytest

from tests.later_history import THREADS, run


@pytest.mark.slow
def test_killed_workers_and_a_redis_that_stands_still_lose_and_double_nothing() -> None:
    verdict = run(texts=600, conversations=20, workers=2, seconds=20)

    assert verdict.kills
    assert (verdict.lost, verdict.doubled, verdict.disordered, verdict.unsent) == (0, 0, 0, 0)
    # Between Twilio's answer and its being noted; each thread of a worker sends one reply at a time.
    assert verdict.sent_twice <= (verdict.kills + verdict.stops) * THREADS
