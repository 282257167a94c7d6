"""Every case of the benchmarks runs. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks import callgrind
from benchmarks.__main__ import CASES
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
def run(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of two runs, which have all cases together."""
    halves = [WAITING, [name for name in CASES if name not in WAITING]]
    files = [tmp_path_factory.mktemp("run") / "run.json" for _ in halves]
    running = [
        benchmarks("--json", str(file), *half) for file, half in zip(files, halves, strict=True)
    ]
    for process in running:
        _, err = process.communicate()
        assert process.returncode == 0, err
    return files


@pytest.fixture(scope="module")
def cases(run: list[Path]) -> dict[str, list[Figure]]:
    read = [json.loads(file.read_text())[1] for file in run]
    return {name: [Figure(*row) for row in rows] for each in read for name, rows in each.items()}


def figures_of(cases: dict[str, list[Figure]], *names: str) -> dict[str, Figure]:
    return {figure.label: figure for name in names or cases for figure in cases[name]}


def test_every_case_gives_figures(cases: dict[str, list[Figure]]) -> None:
    assert set(cases) == set(CASES)
    for figures in cases.values():
        assert figures
        assert len({figure.label for figure in figures}) == len(figures)
        assert all(figure.low <= figure.value <= figure.high for figure in figures)


def test_what_is_not_installed_is_a_row_that_says_what_to_install(
    cases: dict[str, list[Figure]],
) -> None:
    said = {figure.missing for figure in figures_of(cases).values()} - {""}
    packages = {name for name in RIVALS_OF_THE_BENCH_EXTRA if find_spec(name) is None}
    lacking = {f'not installed ({name}): pip install -e ".[bench]"' for name in packages}
    assert said == lacking | ({callgrind.lacks()} - {""})


def test_valgrind_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert callgrind.lacks() == "not installed: apt-get install valgrind"


def test_what_must_be_right_is_right_in_a_tiny_run_too(cases: dict[str, list[Figure]]) -> None:
    assert figures_of(cases, "redis")["reads of its socket a turn"].value == 2
    counts = [figure for figure in figures_of(cases).values() if figure.bound == 0]
    assert len(counts) == 3 * 4 + 2  # three ways to write at once, two to answer later
    for figure in counts:
        assert figure.value == 0 or figure.label.endswith("overtaken"), figure


def test_what_a_turn_crosses_is_counted(cases: dict[str, list[Figure]]) -> None:
    crossed = figures_of(cases, "counts")
    for turn in ("cookie turn", "Redis turn"):
        functions, files, lines = (
            crossed[f"{turn}: {what}"].value for what in ("functions", "files", "lines loaded")
        )
        assert 10 < files < functions < lines


def test_a_contender_runs_in_a_process_of_its_own() -> None:
    us, missing = compare(
        [
            Contender("ours", {"app": "apps.plain"}),
            Contender("theirs", {}, "no_such_package.module:contender"),
        ],
        SCALES["once"],
    )
    assert [len(times) for times in us.values()] == [1]
    assert missing == {"theirs": "no_such_package"}
    with pytest.raises(RuntimeError, match="ended early"):
        Process(Contender("broken", {}, "benchmarks.no_such_module:contender"))


def test_callgrinds_lines_are_read_without_what_was_called(tmp_path: Path) -> None:
    (tmp_path / "out").write_text(
        "events: Ir\nfn=(1) a\n0x1000 5 40\n0x103f 6 2\ncalls=1 0x9000 1\n0x1040 7 500\n0x2000 0 8\n"
    )
    assert callgrind.read(tmp_path / "out") == callgrind.Footprint(50, 0.128, 2)


def test_a_stage_is_a_part_of_the_turn_and_counted_without_what_counts_it(
    cases: dict[str, list[Figure]],
) -> None:
    if callgrind.lacks():
        return
    k = {label: each.value for label, each in figures_of(cases, "counts").items()}
    for turn in ("cookie", "Redis"):
        names = ("parsing the form", "the proof", "all")
        form, proof, whole = (k[f"of a {turn} turn: {name}"] for name in names)
        assert 0 < form < proof < whole
        assert k[f"of a {turn} turn: the middleware itself"] > 0


def test_a_run_that_is_kept_is_shown_and_drawn_again(run: list[Path], tmp_path: Path) -> None:
    drawn = tmp_path / "cost.svg"
    process = benchmarks("--from", str(run[1]), "times", f"--plot={drawn}")
    out, err = process.communicate()
    if find_spec("matplotlib") is None:
        assert process.returncode == 2
        assert err.endswith('pip install -e ".[bench]"\n')
    else:
        assert process.returncode == 0, err
        assert "SMS, 20 fields: cookie ÷ RequestValidator" in out
        assert "cookie ÷ RequestValidator" in drawn.read_text(encoding="utf-8")


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
