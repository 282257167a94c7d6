"""A state as rows for the page, and the changes between two states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from convostate.sealing.codec import MAX_DEPTH

Row = dict[str, Any]
"""path, depth, key, text, type; after `compare` also mark (same, added, changed, removed) and was."""

MAX_ROWS = 300
MAX_CHARS = 400  # of one value


def rows(state: dict[Any, Any]) -> list[Row]:
    """The rows of a state, one for each value; a longer state ends with a row that says so."""
    result: list[Row] = []
    _add(result, state, "", 0)
    if len(result) > MAX_ROWS:
        del result[MAX_ROWS:]
        result.append({"path": "…", "depth": 0, "key": "…", "text": "and more", "type": ""})
    return result


def _add(result: list[Row], container: Any, path: str, depth: int) -> None:
    if isinstance(container, dict):
        items = [(str(key), value) for key, value in container.items()]
    elif isinstance(container, set):
        items = [("·", value) for value in sorted(container, key=repr)]
    else:
        items = [(str(index), value) for index, value in enumerate(container)]
    for index, (key, value) in enumerate(items):
        # the members of a set have no keys: their values identify them
        here = f"{path}/{_text(value) if key == '·' else key}"
        if len(result) > MAX_ROWS or depth > MAX_DEPTH:
            return
        kind = "None" if value is None else type(value).__name__
        result.append(
            {"path": here, "depth": depth, "key": key, "text": _text(value), "type": kind}
        )
        if isinstance(value, dict | list | tuple | set):
            _add(result, value, f"{here}#{index}" if key == "·" else here, depth + 1)


def _text(value: object) -> str:
    if isinstance(value, dict | list | tuple | set):
        return "1 item" if len(value) == 1 else f"{len(value)} items"
    if isinstance(value, datetime):
        text = value.isoformat(" ")
    else:
        text = value.hex(" ") if isinstance(value, bytes) else str(value)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def compare(before: list[Row], after: list[Row]) -> list[Row]:
    """Mark the changes in `after`, and append the rows that were removed."""
    old = {row["path"]: row for row in before}
    new = {row["path"] for row in after}
    marked = [_marked(row, old.get(row["path"])) for row in after]
    for row in before:
        parent = row["path"].rpartition("/")[0]
        if row["path"] not in new and (not parent or parent in new):
            key = ".".join(row["path"][1:].split("/"))
            marked.append({**row, "key": key, "depth": 0, "mark": "removed", "was": ""})
    return marked


def _marked(row: Row, was: Row | None) -> Row:
    if was is None:
        return {**row, "mark": "added", "was": ""}
    if (was["text"], was["type"]) != (row["text"], row["type"]):
        return {**row, "mark": "changed", "was": was["text"]}
    return {**row, "mark": "same", "was": ""}
