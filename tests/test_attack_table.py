"""The table in README.md names, for every line of the lists, tests that are really collected."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
IDS = [
    *(f"A{n}" for n in range(1, 46)),
    "A6b",
    "A6c",
    *(f"W{n}" for n in range(1, 23)),
    *(f"P{n}" for n in range(1, 8)),
    *(f"F{n}" for n in range(1, 32)),
]
_ROW = re.compile(r"\| ([AWPF][0-9]+[bc]?) \| ([^|]+) \| ([^|]+) \|")


def rows(heading: str) -> Iterator[tuple[str, str, str]]:
    """Id and the two other cells of each row below a heading."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for line in text.partition(f"### {heading}\n")[2].partition("\n### ")[0].splitlines():
        found = _ROW.fullmatch(line)
        assert found or not re.match(r"\| [AWPF]?[0-9]", line), line
        if found:
            yield found[1], found[2].strip(), found[3].strip()


ROWS = [row for heading in ("Attacks", "WSGI", "Privacy", "Faults") for row in rows(heading)]


def ids_in(name: str) -> set[str]:
    """The ids that a test's name carries: ``a06b`` is A6b."""
    found = re.findall(r"(?<![a-z0-9])([awpf])([0-9]{1,2})([bc]?)(?![a-z0-9])", name)
    return {f"{letter.upper()}{int(number)}{tail}" for letter, number, tail in found}


def collected(files: set[str]) -> dict[str, list[str]]:
    """The names of the tests in some files, slow ones too."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=HERE,
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    found: dict[str, list[str]] = {file: [] for file in files}
    for line in done.stdout.splitlines():
        file, separator, name = line.partition("::")
        if separator:
            found[Path(file).name].append(name)
    return found


def test_every_line_of_the_lists_has_one_row() -> None:
    listed = [name for name, *_ in ROWS]

    assert sorted(listed) == sorted(IDS)


@pytest.mark.slow
def test_every_row_names_tests_that_are_there() -> None:
    named = [
        (row, *each.partition("::")[::2])
        for row, _, tests in ROWS
        for each in re.findall(r"`([^`]+)`", tests)
    ]
    tests = collected({file for _, file, _ in named})
    absent = [
        (row, file, function)
        for row, file, function in named
        if not any(
            test.partition("[")[0] == function if function else row in ids_in(test)
            for test in tests[file]
        )
    ]

    assert {row for row, *_ in named} == set(IDS)
    assert absent == []


def test_what_is_open_is_in_the_lists_and_has_a_reason() -> None:
    for name, missing, why in rows("Open"):
        assert name in IDS or name.startswith("F")
        assert len(missing) > 3
        assert len(why) > 10


def test_an_id_is_read_out_of_a_name() -> None:
    assert ids_in("test_a06b_an_invented_name[a18 two hosts-x]") == {"A6b", "A18"}
    assert ids_in("test_w03_close") == {"W3"}
    assert ids_in("test_alpha[b07 a1b2 w1x]") == set()
