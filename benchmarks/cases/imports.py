"""A cold import in processor time and memory over `import werkzeug`, which most apps have.

Files are in the page cache, and bytecode is compiled. `import convostate` by itself loads its names on first
use, so what counts is an import that uses them.
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
    f"{MIDDLEWARE}; import convostate.stores.redis",
    "import convostate",
    "from twilio.request_validator import RequestValidator",
    "import redis",
    "import flask",
)


def measured(statement: str, cache: str) -> tuple[float, float]:
    """Run an import in a fresh process; ms, and the most memory that the process had, in MiB."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    # A process that writes no bytecode would measure its own compiler.
    environ = os.environ | {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    said = subprocess.check_output(command, text=True, cwd=ROOT, env=environ)
    seconds, kib = said.split()
    return float(seconds) * 1000, int(kib) / 1024


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, in turns."""
    with tempfile.TemporaryDirectory() as cache:
        rounds = [
            {statement: measured(statement, cache) for statement in STATEMENTS}
            for _ in range(scale.repeats * 3 + 1)
        ][1:]  # the first one compiles
    ms = {statement: [each[statement][0] for each in rounds] for statement in STATEMENTS}
    for statement in STATEMENTS:
        yield spread(statement, ms[statement], "ms")
        memory = [each[statement][1] for each in rounds]
        yield spread(f"{statement}: memory of the process", memory, "MiB")
    over_werkzeug = less(ms[MIDDLEWARE], ms[WERKZEUG])
    yield spread("the middleware over werkzeug", over_werkzeug, "ms", BOUND_MS)
