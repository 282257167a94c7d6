"""Faults: what can go wrong between Twilio and an app, and time that passes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from convostate.errors import UsageError
from convostate.phone.messages import span
from convostate.phone.session import Faults

if TYPE_CHECKING:
    from convostate.phone.session import PhoneSession

BEFORE_S, AFTER_S = 60.0, 1.0  # how near to the expiry the clock is put; it goes on ticking


class FaultMaker:
    """Makes faults happen to the phones of a session."""

    def __init__(self, board: PhoneSession) -> None:
        self._board = board

    def lose_cookie(self, phone: int) -> None:
        """Have Twilio forget the cookies of this pair."""
        self._board.phone(phone).lose_cookie()
        self._board.note(phone, "Twilio has lost this phone's cookie.")

    def stale_cookie(self, phone: int) -> None:
        """Have Twilio send the cookies from before the last reply."""
        self._board.phone(phone).stale_cookie()
        self._board.note(phone, "Twilio holds the cookie from before the last reply again.")

    def swap_cookie(self, phone: int, other: int) -> None:
        """Swap the cookies of two phones."""
        mine, theirs = self._board.phone(phone), self._board.phone(other)
        if mine is theirs:
            raise UsageError("That is the same phone. Choose another one")
        held = mine.jar.cookies()
        mine.borrow_cookie(theirs)
        theirs.jar.fill(held)
        self._board.note(phone, f"Twilio has swapped this phone's cookie with {theirs.number}'s.")
        self._board.note(other, f"Twilio has swapped this phone's cookie with {mine.number}'s.")

    def break_signature(self, phone: int) -> None:
        """Sign the next text wrongly."""
        self._board.phone(phone).break_signature()
        self._board.faults.setdefault(phone, Faults()).signature = True
        self._board.note(phone, "The next text will carry a wrong signature.")

    def drop_reply(self, phone: int) -> None:
        """Lose the next reply."""
        self._board.phone(phone).drop_reply()
        self._board.faults.setdefault(phone, Faults()).reply = True
        self._board.note(phone, "The app's next reply will be lost on its way to Twilio.")

    def move_clock(self, seconds: float) -> None:
        """Move the clock."""
        if not abs(seconds) <= 400 * 86_400:
            raise UsageError("That is too far. Move the clock by 400 days at most")
        self._board.simulator.clock.advance(seconds=seconds)
        for phone in range(len(self._board.transcript.phones)):
            self._board.note(phone, f"Clock moved {span(seconds)}", clock=True)

    def move_clock_to(self, phone: int, edge: str) -> None:
        """Move the clock to ``before`` or ``after`` a conversation's expiry, or ``now``, the real time."""
        now = self._board.simulator.clock.now()
        if edge == "now":
            self.move_clock(time.time() - now)
            return
        expires_at = self._board.inspector.kept(self._board.phone(phone))["expires_at"]
        if expires_at is None:
            raise UsageError("Nothing is kept of this conversation, so nothing expires")
        self.move_clock(expires_at - now + (AFTER_S if edge == "after" else -BEFORE_S))
