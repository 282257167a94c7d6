"""How much code one turn crosses: functions and files of the package, for a cookie and a Redis turn."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import convostate
from benchmarks.apps import contender
from benchmarks.redis_server import redis_server
from benchmarks.result import Figure, Result, counted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

    from benchmarks.scale import Scale

TITLE = "code of the package that one turn crosses"
PACKAGE = str(Path(convostate.__file__).parent)
WARM_TURNS = 3  # until what is made once has been made


def crossed(work: Callable[[], object]) -> set[CodeType]:
    """The functions of the package that are entered while `work` runs, each counted once."""
    found: set[CodeType] = set()

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        work()
    finally:
        sys.setprofile(before)
    return found


def run(scale: Scale) -> Result:  # noqa: ARG001  # a count is the same at any scale
    """Count for both stores."""
    figures: list[Figure] = []
    with redis_server() as server:
        for name, store, functions, files in (
            ("cookie", "cookie", 50, 12),
            ("Redis", server.url, 70, 16),
        ):
            work = contender(app="wrapped", store=store)
            *warm, last = work.inputs(WARM_TURNS + 1)
            for given in warm:
                work.call(given)
            found = crossed(partial(work.call, last))
            paths = {code.co_filename for code in found}
            figures.append(counted(f"{name} turn", len(found), "functions", functions))
            figures.append(counted(f"{name} turn", len(paths), "files", files))
    return Result(TITLE, figures, ("a message of 20 fields; comprehensions count as functions",))
