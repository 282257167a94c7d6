"""The rules of the house that no linter knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    path
    for folder in ("convostate", "tests", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".lua", ".js", ".css", ".html"}
]
VAGUE = {"common", "helpers", "manager", "misc", "utils"}


def test_a_file_is_named_after_what_is_in_it() -> None:
    assert SOURCES
    assert [str(path) for path in SOURCES if VAGUE & set(path.stem.split("_"))] == []


SKIPS = {
    "in a test": "import pytest\ndef test_it():\n    pytest.skip('no server')\n",
    "by a mark": "import pytest\n@pytest.mark.skip\ndef test_it():\n    pass\n",
    "of a module": "import pytest\npytest.importorskip('not_there')\ndef test_it():\n    pass\n",
}
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"


def exit_status(folder: Path, test: str, ci: str) -> int:
    """Run one test file beside this folder's conftest.py, and return pytest's exit status."""
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    (folder / "test_it.py").write_text(test, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", folder],
        env={**os.environ, "CI": ci},
        capture_output=True,
        check=False,
    )
    return done.returncode


@pytest.mark.parametrize("test", SKIPS.values(), ids=SKIPS)
def test_in_ci_a_skip_is_a_failure(test: str, tmp_path: Path) -> None:
    assert exit_status(tmp_path, test, ci="true") != pytest.ExitCode.OK


def test_outside_ci_a_skip_is_allowed(tmp_path: Path) -> None:
    assert exit_status(tmp_path, SKIPS["in a test"], ci="") == pytest.ExitCode.OK


def test_in_ci_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    assert exit_status(tmp_path, EXPECTED_FAILURE, ci="true") == pytest.ExitCode.OK
