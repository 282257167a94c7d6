"""Words that a person wrote, on the command line or into a pipe."""

from __future__ import annotations


def is_text(word: str) -> bool:
    """Whether it has characters only: a byte that Python could not read stands as half of a pair."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
