"""Which paths are guarded: the patterns of CONVOSTATE_PATHS against PATH_INFO."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from posixpath import normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_CHARS = 16_384  # of a path that is read, in 5 ms; gunicorn takes half as much
_KEPT_CHARS = 256  # of a path; longer ones are an attacker's, and would fill the memory
# A $ at the end of Pyramid's route patterns matches before a newline, and its traversal takes a view's
# name behind @@. No route of an app's is spelled with any of these.
_skipped = re.compile(r"[\x00-\x20\x7f-\xa0]|(?<=/)@@").sub


def guard(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Make the test whether a path is guarded.

    Args:
        patterns: As `fnmatch.fnmatchcase` reads them.

    Returns:
        A function of PATH_INFO as the server gives it, which is true where any way to read it is
        guarded: a router that is more generous than another finds no way around. So is a path of more
        than 16,384 characters, because reading it would take longer than refusing it.
    """
    if "*" in patterns:
        return lambda _path: True
    matches = [
        re.compile(translate(spelled)).match
        for pattern in patterns
        for spelled in _with_and_without_slash(_collapsed(pattern), pattern)
    ]

    def guarded(path: str) -> bool:
        return any(match(reading) for reading in _readings(path) for match in matches)

    kept = lru_cache(maxsize=1024)(guarded)
    return lambda path: (
        (kept if len(path) <= _KEPT_CHARS else guarded)(path) if len(path) <= _MOST_CHARS else True
    )


def _readings(path: str) -> Iterator[str]:
    """A path as routers read it: its slashes collapsed, with and without one at its end, in one case."""
    raw = path.encode("latin-1", "replace")
    for errors in ("replace", "ignore"):  # as Werkzeug decodes it, and as Bottle does
        text = raw.decode("utf-8", errors)
        for spelled in dict.fromkeys((text, _skipped("", text))):
            collapsed = _collapsed(spelled)
            yield from _with_and_without_slash(collapsed, spelled)
            yield from _with_and_without_slash(normpath(collapsed), spelled)


def _with_and_without_slash(collapsed: str, spelled: str) -> Iterator[str]:
    bare = collapsed.rstrip("/")
    yield bare or "/"
    if bare and spelled.endswith("/"):
        yield f"{bare}/"


def _collapsed(path: str) -> str:
    # Werkzeug puts a slash before a path that has none.
    return re.sub("/+", "/", f"/{path}").casefold()
