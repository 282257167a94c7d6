"""Reload: the state that is passed to the new process when the app's code has changed."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from convostate.testing.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

    from convostate.phone.session import PhoneSession


class Reload:
    """The state that one process passes to the next, in a file that only this user can read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @property
    def is_first(self) -> bool:
        """Whether no process has run before this one."""
        return not self._path.exists()

    def mark(self) -> None:
        """Record that a process has run, even if it has no state to pass on."""
        self._path.touch(mode=0o600)

    def text(self) -> str:
        """The saved state as JSON, or "" if there is none."""
        return self._path.read_text(encoding="utf-8") if self._path.exists() else ""

    def clock(self) -> Clock:
        """A ticking clock with the same offset from the real time as the one before."""
        text = self.text()
        ahead_s = float(json.loads(text)["ahead_s"]) if text else 0.0
        return Clock(time.time() + ahead_s, ticking=True)

    def save(self, session: PhoneSession) -> None:
        """Save the current state."""
        with self._lock:  # also for reading the state: an older state must not replace a newer one
            state = {
                "ahead_s": session.simulator.clock.now() - time.time(),
                "twilio": session.simulator.export(),
                "phones": session.transcript.export(),
            }
            new = self._path.with_suffix(".new")
            new.touch(mode=0o600)
            new.write_text(json.dumps(state), encoding="utf-8")
            new.replace(self._path)

    def resume(self, session: PhoneSession) -> bool:
        """Restore the saved state, and return whether there was one."""
        text = self.text()
        if not text:
            return False
        state = json.loads(text)
        session.simulator.restore(state["twilio"])
        session.transcript.restore(state["phones"])
        return True
