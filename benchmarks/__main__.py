"""`python -m benchmarks [CASE …]`: measure, and print the tables."""

from __future__ import annotations

import json
import logging
import os
from importlib.util import find_spec
from pathlib import Path

import click

from benchmarks.cases import CASES, run
from benchmarks.environment import environment
from benchmarks.figures import INSTALL, as_json, table
from benchmarks.measure import SCALES


@click.command(help=f"{__doc__}\n\nCases: {', '.join(CASES)}; without one, all of them.")
@click.argument("cases", nargs=-1, type=click.Choice(CASES), metavar="[CASE]...")
@click.option("--json", "only_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw FILE.svg.")
@click.option("--quick", "scale", flag_value="quick", help="Smaller counts: seconds a case.")
@click.option("--once", "scale", flag_value="once", help="Tiny counts: does every case run?")
def main(
    cases: tuple[str, ...],
    only_json: bool,
    plot: Path | None,
    scale: str | None,
) -> None:
    """Run the command."""
    if plot is not None and find_spec("matplotlib") is None:
        raise click.UsageError(f"--plot needs matplotlib. Run: {INSTALL}")
    logging.basicConfig(filename=os.devnull)  # log lines are made, and read by nobody
    where = environment()
    if not only_json:
        print("\n".join(f"{name:10} {value}" for name, value in where.items()), flush=True)
    results = {}
    for name in cases or CASES:
        results[name] = run(name, SCALES[scale or "full"])
        if not only_json:
            print(f"\n{table(name, results[name])}", flush=True)
    if only_json:
        shown = {name: as_json(result) for name, result in results.items()}
        print(json.dumps({"environment": where, "cases": shown}, ensure_ascii=False, indent=1))
    if plot is not None:
        from benchmarks.plot import draw  # noqa: PLC0415  # matplotlib is heavy, and an extra

        draw(results, where, plot)


if __name__ == "__main__":
    main()
