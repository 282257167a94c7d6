"""`convostate chat` where the app's own code raises: its traceback, and a line that says what to do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.chatting import FIRST, chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNTER = "from convostate.demo.counter import app\n"
APPS = {
    "unfinished": "def app(:\n",
    "unset": "import os\nos.environ['NOT_SET']\n",
    "writing": f"{COUNTER}def start(client, *, to, from_):\n    raise KeyError('client')\n",
    "waiting": f"{COUNTER}def start(client, *, to, from_):\n    pass\n",
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory that holds the apps; what a test imports from it is forgotten after."""
    for name, code in APPS.items():
        (tmp_path / f"own_{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("words", "shows", "says"),
    [
        (
            ["own_unfinished:app", "hello"],
            "SyntaxError: ",
            "loading own_unfinished:app raises SyntaxError. Fix the error in the traceback",
        ),
        (
            ["own_unset:app", "hello"],
            "KeyError: 'NOT_SET'",
            "loading own_unset:app raises KeyError. Fix the error in the traceback",
        ),
        (
            ["own_writing:app", "--start", "hello"],
            "KeyError: 'client'",
            "start() of own_writing raises KeyError. Fix the error in the traceback",
        ),
    ],
)
def test_what_the_app_s_code_raises_is_shown_and_status_2(
    words: list[str], shows: str, says: str
) -> None:
    result = chat(*words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert shows in result.stderr
    assert result.stderr.endswith(f"convostate: {says}\n")


def test_code_that_raises_nothing_is_texted() -> None:
    result = chat("own_waiting:app", "--start", "hello")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"> hello\n{FIRST}"


def test_a_module_that_is_missing_says_what_to_do() -> None:
    assert chat("own_missing:app", "hello").stderr == (
        "convostate: Cannot import own_missing: No module named 'own_missing'. "
        "Check the name and the directory, or install what is missing\n"
    )
