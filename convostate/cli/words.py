"""Words that a person wrote, on the command line or in a pipe."""

from __future__ import annotations


def is_text(word: str) -> bool:
    """Whether it is valid UTF-8; Python represents a byte that is not by a lone surrogate."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
