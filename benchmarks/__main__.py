"""`python -m benchmarks [CASE …]`: measure, and print the tables."""

from __future__ import annotations

import json
import logging
import os
import platform
import re
import sys
import sysconfig
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from benchmarks.callgrind import lacks
from benchmarks.figures import Figure, bounded, table
from benchmarks.measure import SCALES
from benchmarks.plot import draw

CASES = (
    "counts", "growth", "times", "served", "contention", "deferred", "redis", "outage", "waiting", "worst", "imports",
)  # fmt: skip
PACKAGES = (
    "convostate", "cryptography", "cbor2", "werkzeug", "flask", "twilio", "redis", "hiredis", "flask_session",
    "fastapi", "starsessions", "gunicorn", "uvicorn",
)  # fmt: skip
FILE = click.Path(dir_okay=False, path_type=Path)


def environment() -> dict[str, str]:
    """Where the figures come from: the machine, and how this Python was compiled, which moves its speed by a third."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    found = [name for name in ("--enable-optimizations", "--with-lto") if name in options]
    built = " ".join(found) or "no optimizations configured"
    place = "a distribution's" if sys.base_prefix == "/usr" else "compiled"
    cpu = Path("/proc/cpuinfo")
    model = re.search(
        r"^model name\s*: (.*)$", cpu.read_text() if cpu.exists() else "", re.MULTILINE
    )
    missing = [f'{name}: pip install -e ".[bench]"' for name in PACKAGES if not find_spec(name)]
    return {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "python": f"{platform.python_implementation()} {platform.python_version()} "
        f"({place}, {platform.python_compiler()}, {built})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": f"{os.cpu_count()} × {model[1] if model else platform.processor()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name)),
        "missing": ", ".join(filter(None, [*missing, lacks()])),
    }


@click.command(help=f"{__doc__}\n\nCases: {', '.join(CASES)}; without one, all of them.")
@click.argument("cases", nargs=-1, type=click.Choice(CASES), metavar="[CASE]...")
@click.option("--quick", "scale", flag_value="quick", help="Smaller counts: seconds a case.")
@click.option("--once", "scale", flag_value="once", help="Tiny counts: does every case run?")
@click.option("--json", "kept", type=FILE, help="Also write the figures to this file.")
@click.option("--from", "given", type=FILE, help="Measure nothing: read what --json wrote.")
@click.option("--plot", type=FILE, help="Also draw the ratios as an SVG.")
def main(
    cases: tuple[str, ...],
    scale: str | None,
    kept: Path | None,
    given: Path | None,
    plot: Path | None,
) -> None:
    """Run the command."""
    logging.basicConfig(filename=os.devnull)  # log lines are made, and read by nobody
    os.environ["PYTHONHASHSEED"] = "0"  # for the processes of the contenders
    where, found = (environment(), {}) if given is None else json.loads(given.read_text())
    print("\n".join(f"{name:10} {value}" for name, value in where.items()), flush=True)
    results: dict[str, list[Figure]] = {}
    for name in cases or tuple(found) or CASES:
        case: Any = import_module(f"benchmarks.cases.{name}")
        rows = case.run(SCALES[scale or "full"]) if given is None else found[name]
        results[name] = [bounded(name, Figure(*row)) for row in rows]
        title = case.__doc__.splitlines()[0]
        print(f"\n{name}: {title}\n{table(results[name])}", flush=True)
        if kept is not None:  # a line for each figure, also of a run that is broken off
            text = json.dumps([where, results], ensure_ascii=False)
            kept.write_text(text.replace("], ", "],\n") + "\n")
    if plot is not None:
        draw([figure for figures in results.values() for figure in figures], where, plot)


if __name__ == "__main__":
    main()
