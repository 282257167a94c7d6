"""Which paths are guarded: the patterns of CONVOSTATE_PATHS against PATH_INFO."""

from __future__ import annotations

import re
import sys
from fnmatch import translate
from functools import lru_cache
from posixpath import normpath
from string import punctuation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_KEPT_CHARS = (
    256  # of a path in the cache; longer ones come from attackers and would fill the memory
)
_MOST_CHARS = 16_384  # of a path that is read, in 5 ms; gunicorn accepts half as much
# A $ at the end of Pyramid's route patterns matches before a newline, and its traversal accepts a view's
# name after @@. No app has a route with any of these.
_skipped = re.compile(r"[\x00-\x20\x7f-\xa0]|(?<=/)@@").sub
# TurboGears and Django REST framework route /sms.json to the view of /sms, and TurboGears /sms. too; CherryPy
# and TurboGears route /voice/index, and what no other method takes, to methods of these names.
_suffix = re.compile(r"\.[^./]*(?=/?\Z)").sub
_default_view = re.compile(r"(?<=/)(?:index|default)/?\Z").sub
# They route /voice to the index of what is under /voice/.
_CALLING_INDEX = frozenset({"cherrypy", "tg"})
# CherryPy's dispatcher reads any punctuation as an underscore.
_FOLDED = str.maketrans(dict.fromkeys(set(punctuation) - {"/"}, "_"))
_FOLDED_OF_PATTERN = {char: into for char, into in _FOLDED.items() if chr(char) not in "*?"}


def guard(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Make the test whether a path is guarded.

    Args:
        patterns: As `fnmatch.fnmatchcase` reads them. One with ``!`` in front excludes what it matches; of
            several that match, the last one counts. If all exclude, all other paths are guarded.

    Returns:
        A function of PATH_INFO as the server sets it. It is true if any reading of the path is guarded, so
        that a lenient router is no way around the guard. Paths of more than 16,384 characters are guarded,
        because reading one would take longer than refusing it. In an app of CherryPy or TurboGears ``/voice/*``
        guards ``/voice`` too, unless another pattern matches that.
    """
    if all(pattern[0] == "!" for pattern in patterns):
        patterns = ("*", *patterns)
    if patterns[-1] == "*":
        return everything
    has_index = not _CALLING_INDEX.isdisjoint(sys.modules)
    rules = _rules(patterns)
    folded_rules = _rules([_folded(pattern) for pattern in patterns])

    def guarded(path: str) -> bool:
        if len(path) > _MOST_CHARS:
            return True
        readings = dict.fromkeys(_readings(path))
        if has_index and not any(matches(each) for each in readings for _, matches in rules):
            readings |= dict.fromkeys(f"{each.rstrip('/')}/" for each in readings)
        folded = dict.fromkeys(reading.translate(_FOLDED) for reading in readings)
        return any(_decides(rules, each) for each in readings) or any(
            _decides(folded_rules, each) for each in folded
        )

    kept = lru_cache(maxsize=1024)(guarded)
    return lambda path: (kept if len(path) <= _KEPT_CHARS else guarded)(path)


def everything(_path: str) -> bool:
    """The test of patterns that guard all paths."""
    return True


def _rules(patterns: Iterable[str]) -> list[tuple[bool, Callable[[str], object]]]:
    """Whether each pattern guards, and what it matches; the last one first."""
    rules: list[tuple[bool, Callable[[str], object]]] = []
    for pattern in patterns:
        path = pattern.removeprefix("!")
        # Exclude a reading with a slash at its end as well: otherwise no path with one would be excluded.
        spellings = _with_and_without_slash(_collapsed(path), path if path == pattern else "/")
        matches = re.compile("|".join(translate(spelled) for spelled in spellings)).match
        rules.append((path == pattern, matches))
    return rules[::-1]


def _decides(rules: list[tuple[bool, Callable[[str], object]]], reading: str) -> bool:
    return next((guards for guards, matches in rules if matches(reading)), False)


def _folded(pattern: str) -> str:
    """A pattern with its punctuation folded, but for what is in brackets."""
    sign = "!" if pattern[0] == "!" else ""
    parts = re.split(r"(\[[^\]]*\])", pattern.removeprefix("!"))
    parts[::2] = [part.translate(_FOLDED_OF_PATTERN) for part in parts[::2]]
    return sign + "".join(parts)


def _readings(path: str) -> Iterator[str]:
    """A path as routers read it: in one case, slashes collapsed, with and without what comes at its end."""
    raw = path.encode("latin-1", "replace")
    for errors in ("replace", "ignore"):  # as Werkzeug decodes it, and as Bottle does
        text = raw.decode("utf-8", errors)
        for spelled in dict.fromkeys((text, _skipped("", text))):
            collapsed = _collapsed(spelled)
            for whole in dict.fromkeys((collapsed, normpath(collapsed))):
                for bare in dict.fromkeys((whole, _suffix("", whole))):
                    for short in dict.fromkeys((bare, _default_view("", bare))):
                        yield from _with_and_without_slash(short, spelled)


def _with_and_without_slash(collapsed: str, spelled: str) -> Iterator[str]:
    bare = collapsed.rstrip("/")
    yield bare or "/"
    if bare and spelled.endswith("/"):
        yield f"{bare}/"


def _collapsed(path: str) -> str:
    # Werkzeug puts a slash before a path that has none.
    return re.sub("/+", "/", f"/{path}").casefold()
