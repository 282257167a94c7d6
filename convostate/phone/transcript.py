"""Transcript: everything since the start, as JSON for every open page.

entries   what the phone shows, in order: texts, messages, notes
turns     the result of each delivery and the state after it, numbered from 1 on each phone
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
MAX_TURNS = 200  # of one phone; older ones are dropped


class Transcript:
    """Phones, each with its entries and turns; safe to use from several threads.

    Args:
        masked: Secrets that no page may show, wherever an app puts them. A secret of fewer than eight
            characters is shown, because masking it would hide ordinary words.
    """

    def __init__(self, masked: Iterable[str] = ()) -> None:
        self.run = secrets.token_hex(4)
        self.version = 0
        self.phones: list[dict[str, Any]] = []
        self._masked = [json.dumps(secret)[1:-1] for secret in masked if len(secret) >= 8]
        self._changed = threading.Condition()

    def add_phone(self, number: str, texting: str) -> int:
        """Add a phone, unless it exists, and return its id."""
        with self._changed:
            for phone in self.phones:
                if (phone["number"], phone["texting"]) == (number, texting):
                    return int(phone["id"])
            phone = {"id": len(self.phones), "number": number, "texting": texting}
            self.phones.append({**phone, "entries": [], "turns": [], "next": 1})
            self.touch()
            return len(self.phones) - 1

    def add_entry(self, phone: int, kind: str, at: float, **values: Any) -> Entry:
        """Add an entry of the kind ``sent``, ``received`` or ``note``."""
        with self._changed:
            entries: list[Entry] = self.phones[phone]["entries"]
            number = entries[-1]["n"] + 1 if entries else 0
            entries.append({"n": number, "kind": kind, "at": at, **values})
            del entries[: -4 * MAX_TURNS]
            self.touch()
            return entries[-1]

    def change_entry(self, entry: Entry, **values: Any) -> None:
        """Change values of an entry, such as whether it was delivered."""
        with self._changed:
            entry |= values
            self.touch()

    def add_turn(self, phone: int, turn: Turn) -> int:
        """Add a turn, and return its number."""
        with self._changed:
            record = self.phones[phone]
            number = turn["number"] = int(record["next"])
            record["next"] += 1
            record["turns"].append(turn)
            del record["turns"][:-MAX_TURNS]
            self.touch()
            return number

    def last_rows(self, phone: int) -> list[dict[str, Any]]:
        """The rows of the state after the last turn, without removed ones."""
        with self._changed:
            turns = self.phones[phone]["turns"]
            rows = turns[-1]["rows"] if turns else []
            return [row for row in rows if row.get("mark") != "removed"]

    def touch(self) -> None:
        """Make every page load the data again."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def wait(self, seen: str, seconds: float, has_news: Callable[[], bool]) -> None:
        """Wait until there is something that a page has not seen.

        Args:
            seen: The `mark` of the data that the page has.
            seconds: The longest wait.
            has_news: Called twice a second: whether something has happened that is not recorded yet.
        """
        for _ in range(int(seconds * 2)):
            if seen != self.mark or has_news():  # which may ask a store
                return
            with self._changed:
                if seen == self.mark:
                    self._changed.wait(0.5)

    @property
    def mark(self) -> str:
        """The version of the data."""
        return f"{self.run}-{self.version}"

    def to_json(self, **values: Any) -> str:
        """The transcript and `values` as JSON, masked."""
        with self._changed:
            text = json.dumps({**values, "mark": self.mark, "phones": self.phones}, default=str)
        return self.mask(text)

    def mask(self, text: str) -> str:
        """Replace the secrets in a text."""
        for secret in self._masked:
            text = text.replace(secret, "•••")
        return text

    def export(self) -> list[dict[str, Any]]:
        """The phones, for `restore` in another process."""
        with self._changed:
            copied: list[dict[str, Any]] = json.loads(json.dumps(self.phones, default=str))
            return copied

    def restore(self, phones: list[dict[str, Any]]) -> None:
        """Continue with the result of `export`; texts that were on their way have not arrived."""
        for phone in phones:
            for entry in phone["entries"]:
                if entry.get("delivery") == "sending":
                    entry |= {"delivery": "failed", "label": "Interrupted by a reload"}
        with self._changed:
            self.phones = phones
            self.touch()
