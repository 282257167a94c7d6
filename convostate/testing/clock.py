"""The simulator's clock: time passes only when a test moves it."""

from __future__ import annotations

import threading
import time


class Clock:
    """A clock that is moved by hand; calling it returns Unix time in seconds.

    Args:
        start: Unix time in seconds. If absent, the current whole second, so that state which other
            processes have just written is neither expired nor from the future.
        ticking: Whether time also passes by itself, as the web phone and the chat need it. Leave it
            off in tests, so that a test always sees the same times.
    """

    def __init__(self, start: float | None = None, *, ticking: bool = False) -> None:
        self._lock = threading.Lock()
        self._now = float(int(time.time())) if start is None else float(start)
        self._started = time.monotonic() if ticking else None

    def now(self) -> float:
        """The time, in Unix seconds."""
        elapsed = 0.0 if self._started is None else time.monotonic() - self._started
        with self._lock:
            return self._now + elapsed

    __call__ = now

    def advance(
        self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0
    ) -> float:
        """Move the clock; negative amounts move it back.

        Returns:
            The new time, in Unix seconds.
        """
        with self._lock:
            self._now += ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        return self.now()

    def __repr__(self) -> str:
        return f"Clock({self.now():.3f})"
