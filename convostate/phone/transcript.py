"""Transcript: what was said and seen since the start, as JSON, for every page that looks.

entries   what the phone shows, in order: texts, messages, notes of what was done
turns     what came of each delivery, and the state after it, numbered from 1 on each phone
"""

from __future__ import annotations

import json
import secrets
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Entry = dict[str, Any]
Turn = dict[str, Any]
MOST_TURNS = 200  # of one phone; older ones go


class Transcript:
    """Phones, each with its entries and turns; several threads may use it.

    Args:
        masked: What must not be shown, whatever an app puts into its state, replies and errors. What
            is shorter than eight characters is shown: it would blot out ordinary words.
    """

    def __init__(self, masked: Iterable[str] = ()) -> None:
        self.run = secrets.token_hex(4)
        self.version = 0
        self.phones: list[dict[str, Any]] = []
        self._masked = [json.dumps(secret)[1:-1] for secret in masked if len(secret) >= 8]
        self._changed = threading.Condition()

    def add_phone(self, number: str, texting: str) -> int:
        """Add a phone, unless it is there; which one it is."""
        with self._changed:
            for phone in self.phones:
                if (phone["number"], phone["texting"]) == (number, texting):
                    return int(phone["id"])
            made = {
                "id": len(self.phones),
                "number": number,
                "texting": texting,
                "entries": [],
                "turns": [],
                "next": 1,
            }
            self.phones.append(made)
            self._tell()
            return len(self.phones) - 1

    def add_entry(self, phone: int, kind: str, at: float, **facts: Any) -> Entry:
        """Add what the phone shows: ``sent``, ``received`` or ``note``."""
        with self._changed:
            entries = self.phones[phone]["entries"]
            entry: Entry = {"n": entries[-1]["n"] + 1 if entries else 0, "kind": kind, "at": at}
            entries.append(entry | facts)
            del entries[: -4 * MOST_TURNS]
            self._tell()
            return entries[-1]  # type: ignore[no-any-return]

    def change_entry(self, entry: Entry, **facts: Any) -> None:
        """Change what an entry says, such as whether it was delivered."""
        with self._changed:
            entry |= facts
            self._tell()

    def add_turn(self, phone: int, turn: Turn) -> int:
        """Add a turn; its number."""
        with self._changed:
            kept = self.phones[phone]
            number = turn["number"] = kept["next"]
            kept["next"] += 1
            kept["turns"].append(turn)
            del kept["turns"][:-MOST_TURNS]
            self._tell()
            return int(number)

    def last_rows(self, phone: int) -> list[dict[str, Any]]:
        """The state after the last turn, as rows that are still there."""
        with self._changed:
            turns = self.phones[phone]["turns"]
            rows = turns[-1]["rows"] if turns else []
            return [row for row in rows if row.get("mark") != "removed"]

    def touch(self) -> None:
        """Have every page look again."""
        with self._changed:
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.notify_all()

    def wait(self, seen: str, seconds: float, stirred: Callable[[], bool]) -> None:
        """Wait until there is something that a page has not seen.

        Args:
            seen: The `mark` of what it has seen.
            seconds: At most so long.
            stirred: Asked twice a second: whether something has happened that nobody told of.
        """
        with self._changed:
            for _ in range(int(seconds * 2)):
                if seen != self.mark or stirred():
                    return
                self._changed.wait(0.5)

    @property
    def mark(self) -> str:
        """Names what there is to see."""
        return f"{self.run}-{self.version}"

    def to_json(self, **facts: Any) -> str:
        """All of it, and `facts`; without what must not be shown."""
        with self._changed:
            text = json.dumps({**facts, "mark": self.mark, "phones": self.phones}, default=str)
        return self.mask(text)

    def mask(self, text: str) -> str:
        """Blot out what must not be shown."""
        for secret in self._masked:
            text = text.replace(secret, "•••")
        return text

    def export(self) -> list[dict[str, Any]]:
        """The phones, for `restore` in another process."""
        with self._changed:
            copied: list[dict[str, Any]] = json.loads(json.dumps(self.phones, default=str))
            return copied

    def restore(self, phones: list[dict[str, Any]]) -> None:
        """Go on with what `export` gave; what was on its way then never arrived."""
        for phone in phones:
            for entry in phone["entries"]:
                if entry.get("delivery") == "sending":
                    entry |= {"delivery": "failed", "label": "Interrupted by a reload"}
        with self._changed:
            self.phones = phones
            self._tell()
