"""States of several sizes: what a conversation begins with."""

from __future__ import annotations

import random
from typing import Any

_random = random.Random(20250701)


def _text(size_bytes: int) -> str:
    """Text that compresses about as well as words do."""
    words = ("table", "nine", "two", "street", "yes", "Thursday", "order", "tea", "number", "name")
    text = ""
    while len(text) < size_bytes:
        text += f"{_random.choice(words)} {_random.randrange(100_000)} "
    return text[:size_bytes]


STATES: dict[str, dict[str, Any]] = {
    "count": {},
    "5 keys": {
        "step": "confirm",
        "name": "Ada Lovelace",
        "appointment": 42,
        "answers": ["yes", "nine", "two"],
        "consent": True,
    },
    "1 kB": {"notes": _text(1000)},
    "2.8 kB": {"notes": _text(2800)},
    "100 kB": {"notes": _text(100_000)},
}
"""By name. 2.8 kB is about what fits a cookie of 4096 bytes, sealed and in base64."""
