"""Breaker: after a few failures in a row, a dead server is asked once a second instead of by everyone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES = 5  # in a row; fewer can be one connection's bad luck
PAUSE_S = 1.0  # between two probes of a dead server: what a recovered one is kept waiting at most


class Breaker:
    """Counts failures, and tells who may try.

    It has no lock, so that nothing can be left locked by a fork, a signal or a greenlet's timeout: the
    worst that a race does is a second probe.

    Args:
        failures: How many in a row open it.
        pause_s: Seconds from one probe to the next while it is open.
        clock: Gives monotonic seconds.
    """

    def __init__(
        self,
        failures: int = FAILURES,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the server is believed to be well."""
        return self._opened is None

    def admits(self) -> bool:
        """Whether the caller may try: always while closed, once per pause while open."""
        if self._opened is None:
            return True
        now = self._clock()
        if now - self._opened < self._pause_s:
            return False
        self._opened = now  # the caller is the probe; everyone else waits for another pause
        return True

    def succeeded(self) -> None:
        """The server has answered."""
        self._failures = 0
        self._opened = None

    def failed(self) -> None:
        """The server has not answered."""
        self._failures += 1
        if self._failures >= self._limit:
            self._opened = self._clock()
