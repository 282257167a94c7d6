"""A cold import in processor time and memory over `import werkzeug`, which most apps have.

Files are in the page cache, and bytecode is compiled. `import convostate` by itself loads its names on first
use, so what counts is an import that uses them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from operator import sub

from benchmarks.figures import Figure, figure
from benchmarks.measure import ROOT, Scale

PROGRAM = """
from time import process_time
begun = process_time()
{}
spent = process_time() - begun
print(spent, *(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
MIDDLEWARE = "from convostate import ConversationMiddleware, state_from"
STATEMENTS = {
    "werkzeug": "import werkzeug",
    "the middleware": MIDDLEWARE,
    "the middleware and its Redis store": f"{MIDDLEWARE}; import convostate.stores.redis",
    "RequestValidator": "from twilio.request_validator import RequestValidator",
}


def measured(statement: str, cache: str) -> tuple[float, float]:
    """Run an import in a fresh process; ms, and the most memory that the process had, in MiB."""
    command = [sys.executable, "-c", PROGRAM.format(statement)]
    # A process that writes no bytecode would measure its own compiler.
    environ = os.environ | {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
    said = subprocess.check_output(command, text=True, cwd=ROOT, env=environ)
    seconds, kib = said.split()
    return float(seconds) * 1000, int(kib) / 1024


def run(scale: Scale) -> Iterator[Figure]:
    """Measure, in turns; the first round compiles."""
    with tempfile.TemporaryDirectory() as cache:
        rounds = [
            {name: measured(statement, cache) for name, statement in STATEMENTS.items()}
            for _ in range(scale.repeats * 3 + 1)
        ][1:]
    ms = {}
    for name in STATEMENTS:
        ms[name], mib = zip(*(each[name] for each in rounds), strict=True)
        yield figure(name, "ms", *ms[name])
        yield figure(f"{name}: memory of the process", "MiB", *mib)
    over_werkzeug = map(sub, ms["the middleware"], ms["werkzeug"])
    yield figure("the middleware over werkzeug", "ms", *over_werkzeug)
