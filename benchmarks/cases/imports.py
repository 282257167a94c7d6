"""What importing the middleware costs a cold process over `import werkzeug`, which it needs and most apps have.

`import convostate` by itself loads its names on first use, so what counts is an import that uses them.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT
from benchmarks.result import Result, less, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "cold import in processor time, files in the page cache, bytecode compiled"
BOUND_MS = 25  # over `import werkzeug`
PROGRAM = """
from time import process_time
begun = process_time()
{}
print(process_time() - begun)
"""

WERKZEUG = "import werkzeug"
MIDDLEWARE = "from convostate import ConversationMiddleware, state_from"
STATEMENTS = (
    WERKZEUG,
    MIDDLEWARE,
    "import convostate",
    "from twilio.request_validator import RequestValidator",
    "import flask",
)


def import_ms(statement: str) -> float:
    """Run an import in a fresh process; ms."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement)],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
    )
    return float(done.stdout) * 1000


def run(scale: Scale) -> Result:
    """Measure, in turns."""
    ms: dict[str, list[float]] = {statement: [] for statement in STATEMENTS}
    for _ in range(scale.processes):
        for statement, times in ms.items():
            times.append(import_ms(statement))
    over_werkzeug = less(ms[MIDDLEWARE], ms[WERKZEUG])
    return Result(
        TITLE,
        [
            *(spread(statement, times, "ms") for statement, times in ms.items()),
            spread("the middleware over werkzeug", over_werkzeug, "ms", BOUND_MS),
        ],
    )
