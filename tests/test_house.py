"""The rules of the house that no linter knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


HERE = Path(__file__).parent
FILES = {
    "test_skip.py": "import pytest\ndef test_it():\n    pytest.skip('no server')\n",
    "test_mark.py": "import pytest\n@pytest.mark.skip\ndef test_it():\n    pass\n",
    "test_module.py": "import pytest\npytest.importorskip('not_there')\ndef test_it():\n    pass\n",
    "test_xfail.py": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
    "test_slow.py": "import pytest\n@pytest.mark.slow\ndef test_it():\n    pass\n",
}


def outcomes(folder: Path, ci: str) -> str:
    """Run one test of each kind under this folder's conftest.py; return pytest's last line."""
    conftest = (HERE / "conftest.py").read_text(encoding="utf-8")
    for name, text in {**FILES, "conftest.py": conftest}.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
         *("-c", ROOT / "setup.cfg", "--rootdir", folder, "--continue-on-collection-errors", folder)],
        # Without the plugins of other packages, which take seconds to import.
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def test_in_ci_a_skip_is_a_failure_and_slow_tests_run(tmp_path: Path) -> None:
    assert outcomes(tmp_path, ci="true").startswith("1 failed, 1 passed, 1 xfailed, 2 errors in ")


def test_outside_ci_a_skip_is_allowed_and_slow_tests_are_left_out(tmp_path: Path) -> None:
    assert outcomes(tmp_path, ci="").startswith("3 skipped, 1 deselected, 1 xfailed in ")
