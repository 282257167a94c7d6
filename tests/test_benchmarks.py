"""Every case of the benchmarks still runs. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cases import CASES
from benchmarks.measure import Contender, Effort, compare
from benchmarks.report import markdown
from benchmarks.result import Figure, Result, counted, percentile, spread

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
RIVALS_OF_THE_BENCH_EXTRA = {"beaker", "flask_session"}


WAITING = (
    "outage",
    "throughput",
    "capacity",
)  # for time-outs and servers, so the others run meanwhile


def benchmarks(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--once", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    halves = [WAITING, [name for name in CASES if name not in WAITING]]
    running = [benchmarks("--json", *half) for half in halves]
    found: dict[str, Any] = {}
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, err
        shown = json.loads(out)
        assert {"date", "python", "processor", "packages"} <= shown["environment"].keys()
        found |= shown["cases"]
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_figures(cases: dict[str, Any], name: str) -> None:
    figures = cases[name]["figures"]
    assert figures
    assert all(figure["missing"] or figure["unit"] or figure["value"] >= 0 for figure in figures)


def test_a_rival_that_is_not_installed_is_a_row_that_says_what_to_install(
    cases: dict[str, Any],
) -> None:
    said = {
        figure["missing"]
        for case in cases.values()
        for figure in case["figures"]
        if figure["missing"]
    }
    lacking = {name for name in RIVALS_OF_THE_BENCH_EXTRA if find_spec(name) is None}
    assert said == {f'not installed ({name}): pip install -e ".[bench]"' for name in lacking}


def test_what_redis_mode_must_count_is_right_in_a_tiny_run_too(cases: dict[str, Any]) -> None:
    counts = {figure["label"]: figure["value"] for figure in cases["redis"]["figures"]}
    assert counts["convostate, Redis: EVALSHA a request"] == 2
    for figure in cases["contention"]["figures"]:
        if figure["label"].endswith(("lost", "doubled", "not answered 200")):
            assert figure["value"] == 0, figure


def test_a_contender_runs_in_a_process_of_its_own() -> None:
    contenders = [
        Contender("ours", "benchmarks.apps:contender", {"app": "wrapped"}),
        Contender("lacking", "benchmarks.no_such_module_of_another.package:contender"),
    ]
    us, missing = compare(contenders[:1], Effort(rounds=2, calls=2, chunk=1))
    assert [len(times) for times in us.values()] == [2]
    assert missing == {}
    with pytest.raises(RuntimeError, match="ended early"):
        compare(contenders[1:], Effort(rounds=1, calls=1))


def test_a_package_that_is_missing_is_named() -> None:
    lacking = Contender("lacking", "no_such_package.module:contender")
    for fresh in (True, False):
        effort = Effort(rounds=1, calls=1, fresh=fresh)
        assert compare([lacking], effort) == ({}, {"lacking": "no_such_package"})


def test_a_plot_is_drawn_or_the_package_for_it_is_named(tmp_path: Path) -> None:
    drawn = tmp_path / "cost.svg"
    process = benchmarks("unguarded", f"--plot={drawn}")
    _, err = process.communicate()
    if find_spec("matplotlib") is None:
        assert process.returncode == 2
        assert err.endswith('pip install -e ".[bench]"\n')
    else:
        assert process.returncode == 0, err
        assert drawn.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_a_figure_is_held_against_its_bound() -> None:
    assert spread("a", [1.0, 2.0, 9.0], "µs") == Figure("a", 2.0, "µs", 1.5, 5.5)
    assert counted("a", 2, "", bound=2).within
    assert not counted("a", 3, "", bound=2).within
    assert counted("a", 3, "").within is None


def test_the_readmes_table_holds_what_has_a_bound() -> None:
    figures = [
        spread("ours ÷ theirs", [0.5, 0.6, 0.7], "µs", bound=0.75),
        counted("lost", 0, "", bound=0),
        counted("nothing to be held against", 7, "µs"),
    ]
    where = {
        "date": "2025-07-01",
        "python": "CPython 3.12",
        "processor": "2 P",
        "packages": "a 1",
    }
    table = markdown({"overhead": Result("a title", figures)}, where).splitlines()
    assert table[0] == "`python -m benchmarks` on 2025-07-01, CPython 3.12, 2 P; a 1"
    assert table[4:] == [
        "| `overhead` | ours ÷ theirs | 0.60 µs | 0.55 to 0.65 | 0.75 µs |",
        "| `overhead` | lost | 0 |  | 0 |",
    ]


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile(range(1, 101), percent) for percent in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7], 99) == 7
