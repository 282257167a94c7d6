"""Every case of the benchmarks runs. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks import callgrind
from benchmarks.cases import CASES
from benchmarks.figures import Figure, counted, percentile, spread
from benchmarks.measure import SCALES, Contender, Process, compare, fastest

ROOT = Path(__file__).parent.parent
RIVALS_OF_THE_BENCH_EXTRA = {"flask_session", "starsessions"}
WAITING = (
    "outage",
    "served",
    "contention",
    "deferred",
    "imports",
)  # mostly for others, so the rest runs meanwhile

pytestmark = pytest.mark.slow


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
    said = [process.communicate() for process in running]
    for process, (out, err) in zip(running, said, strict=True):
        assert process.returncode == 0, err
        found |= json.loads(out)["cases"]
    return found


def figures_of(cases: dict[str, Any], *names: str) -> dict[str, Any]:
    return {figure["label"]: figure for name in names or cases for figure in cases[name]["figures"]}


def test_every_case_gives_figures(cases: dict[str, Any]) -> None:
    assert set(cases) == set(CASES)
    assert all(case["figures"] for case in cases.values())
    assert all(
        figure["missing"] or figure["unit"] or figure["value"] >= 0
        for figure in figures_of(cases).values()
    )


def test_what_is_not_installed_is_a_row_that_says_what_to_install(cases: dict[str, Any]) -> None:
    said = {figure["missing"] for figure in figures_of(cases).values()} - {""}
    packages = {name for name in RIVALS_OF_THE_BENCH_EXTRA if find_spec(name) is None}
    lacking = {f'not installed ({name}): pip install -e ".[bench]"' for name in packages}
    assert said == lacking | ({callgrind.lacks()} - {""})


def test_valgrind_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert callgrind.lacks() == "not installed: apt-get install valgrind"


def test_what_redis_mode_must_count_is_right_in_a_tiny_run_too(cases: dict[str, Any]) -> None:
    assert figures_of(cases, "redis")["convostate, Redis: EVALSHA a turn"]["value"] == 2
    for label, figure in figures_of(cases, "contention").items():
        if label.endswith(("lost", "doubled", "not answered 200")):
            assert figure["value"] == 0, figure
    for label, figure in figures_of(cases, "deferred").items():
        if label.endswith("not answered in the end"):
            assert figure["value"] == 0, figure


def test_what_a_turn_crosses_is_counted(cases: dict[str, Any]) -> None:
    crossed = figures_of(cases, "crossing")
    for turn in ("cookie turn", "Redis turn"):
        functions, files, lines = (
            crossed[f"{turn}: {what}"]["value"] for what in ("functions", "files", "lines loaded")
        )
        assert 10 < files < functions < lines


def test_a_contender_runs_in_a_process_of_its_own() -> None:
    us, missing = compare(
        [
            Contender("ours", "benchmarks.apps:contender", {"app": "wrapped"}),
            Contender("theirs", "no_such_package.module:contender"),
        ],
        SCALES["once"],
    )
    assert [len(times) for times in us.values()] == [1]
    assert missing == {"theirs": "no_such_package"}
    with pytest.raises(RuntimeError, match="ended early"):
        Process(Contender("broken", "benchmarks.no_such_module:contender"))


def test_callgrinds_lines_are_read_without_what_was_called(tmp_path: Path) -> None:
    (tmp_path / "out").write_text(
        "events: Ir\nfn=(1) a\n0x1000 5 40\n0x103f 6 2\ncalls=1 0x9000 1\n0x1040 7 500\n0x2000 0 8\n"
    )
    assert callgrind.read(tmp_path / "out") == callgrind.Footprint(50, 0.128, 2)


def test_a_stage_is_a_part_of_the_turn_and_counted_without_what_counts_it(
    cases: dict[str, Any],
) -> None:
    k = {label: each["value"] for label, each in figures_of(cases, "footprint").items()}
    if callgrind.lacks():
        assert k == {"instructions, code touched": 0}
    else:
        proof, form = (
            k["of a cookie turn: the whole proof"],
            k["of a cookie turn: parsing the form"],
        )
        assert 0 < form < proof < k["cookie turn over the bare app: instructions"]


def test_a_plot_is_drawn_or_the_package_for_it_is_named(tmp_path: Path) -> None:
    drawn = tmp_path / "cost.svg"
    process = benchmarks("flask", f"--plot={drawn}")
    _, err = process.communicate()
    if find_spec("matplotlib") is None:
        assert process.returncode == 2
        assert err.endswith('pip install -e ".[bench]"\n')
    else:
        assert process.returncode == 0, err
        assert drawn.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_a_figure_is_compared_with_its_bound() -> None:
    assert spread("a", [1.0, 9.0, 2.0], "µs") == Figure("a", 2.0, "µs", 1.0, 9.0)
    assert counted("a", 2, bound=2).within
    assert not counted("a", 3, bound=2).within
    assert counted("a", 3).within is None


def test_the_fastest_and_the_percentiles_are_some_of_the_values() -> None:
    assert fastest([*range(100, 0, -1)]) == 1.5
    assert fastest([7]) == 7
    assert [percentile(range(1, 101), percent) for percent in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7], 99) == 7
