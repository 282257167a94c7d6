"""Reload: the state that is handed to the new process when the app's code has changed."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convostate.testing.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.phone.session import PhoneSession


@contextmanager
def place() -> Iterator[Path]:
    """A file of this user's own, for as long as the phone runs."""
    with tempfile.TemporaryDirectory(prefix="convostate-phone-") as folder:
        yield Path(folder) / "handover.json"


class Reload:
    """What one process leaves to the next, in a file that only this user can read.

    Args:
        path: The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    @property
    def is_first(self) -> bool:
        """Whether no process has run before this one."""
        return not self._path.exists()

    def hold(self) -> None:
        """Note that a process has run, where it has nothing to leave."""
        if self.is_first:
            self._path.touch(mode=0o600)

    def text(self) -> str:
        """What was left, or "" where nothing was."""
        return self._path.read_text(encoding="utf-8") if self._path.exists() else ""

    def clock(self) -> Clock:
        """A ticking clock, as far ahead of the real time as the one before."""
        left = self.text()
        ahead_s = float(json.loads(left)["ahead_s"]) if left else 0.0
        return Clock(time.time() + ahead_s, ticking=True)

    def save(self, board: PhoneSession) -> None:
        """Leave what there is."""
        with self._lock:
            # Collected in here: what another thread collected before must not be written after it.
            left = {
                "ahead_s": board.simulator.clock.now() - time.time(),
                "twilio": board.simulator.export(),
                "phones": board.transcript.export(),
            }
            written = self._path.with_suffix(".new")
            written.touch(mode=0o600)
            written.write_text(json.dumps(left), encoding="utf-8")
            written.replace(self._path)

    def resume(self, board: PhoneSession) -> bool:
        """Go on with what was left; whether anything was."""
        text = self.text()
        if not text:
            return False
        left = json.loads(text)
        board.simulator.restore(left["twilio"])
        board.transcript.restore(left["phones"])
        return True
