"""The import contracts hold, and each of them is broken by what it forbids."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = "Six floors, arrows only down"
BREAKS = {
    "twilio imports stores": ("twilio/form.py", "import convostate.stores", FLOORS),
    "stores import turns": ("stores/base.py", "import convostate.turns", FLOORS),
    "turns import a door": ("turns.py", "import convostate.wsgi", FLOORS),
    "a door imports testing": ("asgi/middleware.py", "import convostate.testing", FLOORS),
    "testing imports the command line": ("testing/phone.py", "import convostate.cli", FLOORS),
    "a module on no floor": ("strays.py", "", FLOORS),
    "a clock on the lowest floor": ("sealing/token.py", "import time", "gets its clock"),
    "I/O on the lowest floor": ("state.py", "import socket", "gets its clock"),
    "randomness on the lowest floor": ("twilio/form.py", "import secrets", "draws randomness"),
    "testing looks inside": ("testing/jar.py", "import convostate.sealing.token", "from outside"),
    "pickle": ("stores/cookie.py", "import pickle", "no pickle"),
}


def check(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PATH": "", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(
        ROOT / "convostate", tmp_path / "convostate", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("case", BREAKS)
def test_a_contract_is_broken_by_what_it_forbids(case: str, copy: Path) -> None:
    file, line, contract = BREAKS[case]
    with (copy / "convostate" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")

    status, said = check(copy)

    assert status == 1, said
    assert contract in said.partition("Broken contracts")[2] or "strays" in said


@pytest.mark.slow
def test_without_a_break_the_contracts_are_kept(copy: Path) -> None:
    status, said = check(copy)

    assert status == 0, said
