"""Which paths are guarded: the patterns of CONVOSTATE_PATHS against PATH_INFO."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from posixpath import normpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def guard(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Make the test whether a path is guarded.

    Args:
        patterns: As `fnmatch.fnmatchcase` reads them.

    Returns:
        A function of PATH_INFO as the server gives it. Slashes are collapsed, one at the end is
        dropped and case is folded first, as the most generous router would; one that also resolves
        ``.`` and ``..`` finds no way around.
    """
    if "*" in patterns:
        return lambda _path: True
    matches = [re.compile(translate(_normal(pattern))).match for pattern in patterns]

    @lru_cache(maxsize=1024)  # paths; an attacker's many paths only push each other out
    def guarded(path: str) -> bool:
        normal = _normal(path.encode("latin-1", "replace").decode("utf-8", "replace"))
        resolved = normpath(normal)
        return any(match(normal) or match(resolved) for match in matches)

    return guarded


def _normal(path: str) -> str:
    collapsed = re.sub("/+", "/", path)
    return (collapsed.rstrip("/") or "/").casefold()
