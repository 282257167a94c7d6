"""A state as rows that a page can show, and what has changed from one to another."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from convostate.sealing.codec import MAX_DEPTH

Row = dict[str, Any]
"""path, depth, key, text, type, and once compared: mark (same, added, changed, removed), was."""

MOST_ROWS = 300
MOST_CHARS = 400  # of one value


def rows(state: dict[Any, Any]) -> list[Row]:
    """Spell a state out, one row for each value; after 300 of them one that says there are more."""
    found: list[Row] = []
    _add(found, state, "", 0)
    if len(found) > MOST_ROWS:
        del found[MOST_ROWS:]
        found.append({"path": "…", "depth": 0, "key": "…", "text": "and more", "type": ""})
    return found


def _add(found: list[Row], container: Any, path: str, depth: int) -> None:
    if isinstance(container, dict):
        items = [(str(key), value) for key, value in container.items()]
    elif isinstance(container, set):
        items = [("·", value) for value in sorted(container, key=repr)]
    else:
        items = [(str(index), value) for index, value in enumerate(container)]
    for index, (key, value) in enumerate(items):
        # the members of a set have no names: what they are tells them apart
        here = f"{path}/{_text(value) if key == '·' else key}"
        if len(found) > MOST_ROWS or depth > MAX_DEPTH:
            return
        found.append(
            {"path": here, "depth": depth, "key": key, "text": _text(value), "type": _type(value)}
        )
        if isinstance(value, dict | list | tuple | set):
            _add(found, value, f"{here}#{index}" if key == "·" else here, depth + 1)


def _text(value: object) -> str:
    if isinstance(value, dict | list | tuple | set):
        return "1 item" if len(value) == 1 else f"{len(value)} items"
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat(" ")
    elif isinstance(value, bytes):
        text = value.hex(" ")
    else:
        text = str(value)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}…"


def _type(value: object) -> str:
    return "None" if value is None else type(value).__name__


def compare(before: list[Row], after: list[Row]) -> list[Row]:
    """Mark what is new in `after` and what it was, and list what is gone after it."""
    known = {row["path"]: row for row in before}
    marked = [_marked(row, known.get(row["path"])) for row in after]
    there = {row["path"] for row in after}
    gone: list[Row] = []
    for row in before:
        above = row["path"].rpartition("/")[0]
        if row["path"] not in there and (not above or above in there):
            spelled = ".".join(row["path"][1:].split("/"))
            gone.append({**row, "key": spelled, "depth": 0, "mark": "removed", "was": ""})
    return marked + gone


def _marked(row: Row, was: Row | None) -> Row:
    if was is None:
        return {**row, "mark": "added", "was": ""}
    if (was["text"], was["type"]) != (row["text"], row["type"]):
        return {**row, "mark": "changed", "was": was["text"]}
    return {**row, "mark": "same", "was": ""}
