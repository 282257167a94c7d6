"""What the middleware costs a cold process in time and memory over `import werkzeug`, which most apps have.

`import convostate` by itself loads its names on first use, so what counts is an import that uses them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, less, spread
from benchmarks.measure import ROOT, Scale

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "cold import in processor time and memory, files in the page cache, bytecode compiled"
BOUND_MS = 25  # over `import werkzeug`
PROGRAM = """
from time import process_time
begun = process_time()
{}
spent = process_time() - begun
print(spent, *(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
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


def measured(statement: str, cache: str) -> tuple[float, float]:
    """Run an import in a fresh process; ms, and the most memory that the process had, in MB."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    # A process that writes no bytecode would measure its own compiler.
    environ = os.environ | {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        command, capture_output=True, check=True, text=True, cwd=ROOT, env=environ
    )
    seconds, kib = done.stdout.split()
    return float(seconds) * 1000, int(kib) * 1024 / 1e6


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, in turns."""
    found: dict[str, list[tuple[float, float]]] = {statement: [] for statement in STATEMENTS}
    with tempfile.TemporaryDirectory() as cache:
        for statement in STATEMENTS:
            measured(statement, cache)  # compiles
        for _ in range(scale.repeats * 3):
            for statement, each in found.items():
                each.append(measured(statement, cache))
    ms = {statement: [time for time, _ in each] for statement, each in found.items()}
    for statement, each in found.items():
        yield spread(statement, ms[statement], "ms")
        yield spread(f"{statement}: memory of the process", [mb for _, mb in each], "MB")
    over_werkzeug = less(ms[MIDDLEWARE], ms[WERKZEUG])
    yield spread("the middleware over werkzeug", over_werkzeug, "ms", BOUND_MS)
