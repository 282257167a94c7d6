"""What `import convostate` costs a cold process over `import werkzeug`, which it needs and most apps have."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.measure import ROOT
from benchmarks.result import Result, less, spread

if TYPE_CHECKING:
    from benchmarks.scale import Scale

TITLE = "cold import, files in the page cache, bytecode compiled"
BOUND_MS = 25  # over `import werkzeug`
PROGRAM = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def import_ms(module: str) -> float:
    """Import a module in a fresh process; ms."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module)],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
    )
    return float(done.stdout) * 1000


def run(scale: Scale) -> Result:
    """Measure, in turns."""
    modules = ("werkzeug", "convostate", "twilio.request_validator")
    ms: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(scale.processes):
        for module, times in ms.items():
            times.append(import_ms(module))
    over_werkzeug = less(ms["convostate"], ms["werkzeug"])
    return Result(
        TITLE,
        [
            *(spread(f"import {module}", times, "ms") for module, times in ms.items()),
            spread("convostate over werkzeug", over_werkzeug, "ms", BOUND_MS),
        ],
    )
