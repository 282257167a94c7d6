"""Every case of the benchmarks runs. Nothing here is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import filter as filter_names
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import callgrind
from benchmarks.__main__ import CASES, environment
from benchmarks.cases.counts import crossed, turns
from benchmarks.figures import BOUNDS, Figure, bounded, figure, p99
from benchmarks.measure import EXTRAS, SCALES, Contender, Work, compare, fastest, fresh

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer

ROOT = Path(__file__).parent.parent
# They mostly wait for others, so the rest runs meanwhile.
WAITING = ("outage", "served", "contention", "deferred", "imports")

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
    for name, figures in cases.items():
        assert figures or (name == "growth" and callgrind.lacks())
        assert len({figure.label for figure in figures}) == len(figures)
        assert all(figure.low <= figure.value <= figure.high for figure in figures)


def test_what_is_not_installed_is_left_out_and_said_with_what_installs_it(
    cases: dict[str, list[Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = environment()["missing"]
    for name, label in (("flask_session", "Flask-Session"), ("starsessions", "starsessions")):
        is_there = find_spec(name) is not None
        assert any(label in figure for figure in figures_of(cases)) == is_there
        assert (f'{name}: pip install -e ".[bench]"' in said) != is_there
    monkeypatch.setattr("benchmarks.measure.find_spec", lambda _: None)
    assert not Contender("", {"app": "flask_apps.flask_session"}).is_installed
    assert Contender("", {"app": "flask_apps.signed_cookie"}).is_installed


def test_valgrind_is_named_if_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert callgrind.lacks() == "not installed: apt-get install valgrind"


def test_what_must_be_right_is_right_in_a_tiny_run_too(cases: dict[str, list[Figure]]) -> None:
    assert figures_of(cases, "redis")["reads of its socket a turn"].value == 2
    counts = [figure for figure in figures_of(cases).values() if figure.bound == 0]
    assert len(counts) == 3 * 4 + 2 * 2  # three ways to write at once, two to answer later
    for each in counts:
        assert each.value == 0 or each.label.endswith("overtaken"), each


@pytest.mark.parametrize(("way", "functions", "files"), [("cookie", 50, 12), ("Redis", 70, 16)])
def test_a_turn_crosses_no_more_functions_and_files_than_its_bound(
    way: str, functions: int, files: int, server: RedisServer
) -> None:
    [turn] = [one for one in turns(server.url) if one.label == way]
    with fresh(turn) as ask:
        ask(Work.us, 10)
        found = ask(crossed, 40)
    assert 10 < found["files"] <= files, found
    assert found["files"] < found["functions"] <= functions, found
    assert found["functions"] < found["lines loaded"]


def test_a_contender_runs_in_a_process_of_its_own() -> None:
    us = compare([Contender("ours", {"app": "apps.plain"})], SCALES["once"])
    assert [len(times) for times in us.values()] == [1]
    broken = Contender("broken", {}, "benchmarks.no_such_module:contender")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), fresh(broken):
        pass


def test_callgrinds_lines_are_read_without_what_was_called(tmp_path: Path) -> None:
    (tmp_path / "out").write_text(
        "events: Ir\nfn=(1) a\n0x1000 5 40\n0x103f 6 2\ncalls=1 0x9000 1\n0x1040 7 500\n0x2000 0 8\n"
    )
    assert callgrind.read(tmp_path / "out") == callgrind.Footprint(50, 0.128)


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
        # What is left over: of the single calls of a tiny run it may be less than nothing.
        assert f"of a {turn} turn: the middleware itself" in k


def test_a_run_that_is_kept_is_shown_and_drawn_again(run: list[Path], tmp_path: Path) -> None:
    drawn = tmp_path / "cost.svg"
    process = benchmarks("--from", str(run[1]), "times", f"--plot={drawn}")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "SMS, 20 fields: cookie ÷ RequestValidator" in out
    ratios = [row for row in json.loads(run[1].read_text())[1]["times"] if row[2] == "\u00d7"]
    assert ratios
    svg = drawn.read_text(encoding="utf-8")
    assert svg.count("<rect ") == len(ratios)
    assert "cookie ÷ RequestValidator" in svg


def test_a_bound_is_that_of_the_first_pattern_that_fits_the_case_and_the_label() -> None:
    figures = (figure("64 threads: lost", "", 1), figure("64 threads: wake-up p99", "ms", 4.5))
    assert [bounded("contention", each).bound for each in figures] == [0, 5]
    assert [bounded("served", each).bound for each in figures] == [None, None]


def test_every_bound_is_one_of_a_figure(cases: dict[str, list[Figure]]) -> None:
    found = [f"{case}: {each.label}" for case, figures in cases.items() for each in figures]
    missing = {pattern for pattern in BOUNDS if not filter_names(found, pattern)}
    rivals = {name for name in BOUNDS if "Flask-Session" in name or "starsessions" in name}
    missing -= {name for name in BOUNDS if name.startswith("counts: SMS")}  # not in a tiny run
    if callgrind.lacks():
        missing -= {name for name in BOUNDS if name.startswith("growth")}
    assert missing <= (set() if all(map(find_spec, EXTRAS)) else rivals)


def test_a_figure_is_compared_with_its_bound() -> None:
    assert figure("a", "µs", 1.0, 9.0, 2.0) == Figure("a", 2.0, "µs", 1.0, 9.0)
    assert figure("a", "", 2)._replace(bound=2).within
    assert not figure("a", "", 3)._replace(bound=2).within
    assert figure("a", "", 3).within is None


def test_the_fastest_and_the_percentiles_are_some_of_the_values() -> None:
    chunks = [{"a": number, "b": 7} for number in range(100, 0, -1)]
    assert fastest(chunks) == {"a": 1.5, "b": 7}
    assert fastest([{"a": 7}]) == {"a": 7}
    assert [p99(range(1, 101)), p99([7])] == [99, 7]
