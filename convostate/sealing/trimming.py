"""Trimming: a state that is too large loses the oldest items of its lists."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from convostate.sealing.codec import encode, encoded_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Trimmed:
    """A list that loses items from its beginning, and how many it has lost.

    Each item is measured once, and only if it is dropped: the time depends on what is dropped.
    """

    __slots__ = ("_items", "_unit", "dropped", "size")

    def __init__(self, items: list[Any], unit: int) -> None:
        self._items = items
        self._unit = unit
        self.dropped = 0
        self.size = encoded_bytes(items)

    @property
    def has_more(self) -> bool:
        """Whether items would be left after the next drop; the newest always stay."""
        return self.dropped + self._unit < len(self._items)

    def drop(self) -> int:
        """Drop the oldest items; returns the bytes that this frees."""
        start, self.dropped = self.dropped, self.dropped + self._unit
        freed = sum(map(encoded_bytes, self._items[start : self.dropped]))
        length = len(self._items)
        # In CBOR the length of a list takes as many bytes as the same number.
        freed += encoded_bytes(length - start) - encoded_bytes(length - self.dropped)
        self.size -= freed
        return freed

    def finish(self) -> None:
        """Remove the dropped items from the list."""
        del self._items[: self.dropped]


def trim(content: dict[Any, Any], units: Mapping[str, int], most_bytes: int) -> bool:
    """Drop the oldest items of top-level lists, always of the longest in bytes, until the state fits.

    The newest items of each list stay: as many as are dropped at once, or those of an incomplete unit.

    Args:
        content: A state as it was decoded; its lists are changed.
        units: The keys that it may trim, and how many items of each are dropped at once. A key that
            is an int is named by its digits.
        most_bytes: The longest encoding that is wanted.

    Returns:
        Whether anything was dropped. The state may still be too large.
    """
    lists = [
        _Trimmed(value, units[name])
        for key, value in content.items()
        if type(value) is list and (name := name_of(key)) in units
    ]
    excess = len(encode(content)) - most_bytes
    while excess > 0:
        longest = max(
            (each for each in lists if each.has_more), key=attrgetter("size"), default=None
        )
        if longest is None:
            break
        excess -= longest.drop()
    for each in lists:
        each.finish()
    return any(each.dropped for each in lists)


def name_of(key: str | int) -> str:
    """The name of a key in CONVOSTATE_TRIM, or ""."""
    if isinstance(key, str):
        return key
    return str(key) if key.bit_length() <= 64 else ""  # str() of a huge one raises
