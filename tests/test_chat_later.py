"""`convostate chat` prints answers that come later: at the end, after /wait, and above the prompt."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.chatting import unset

if TYPE_CHECKING:
    from pathlib import Path

DEMOS = ["assistant", pytest.param("assistant_fastapi", marks=pytest.mark.slow)]
APP = "convostate.demo.assistant:app"
CHAT = [sys.executable, "-m", "convostate", "chat"]
FAILING = """
from convostate.demo.assistant import app, conversations

async def fail(turn):
    raise ZeroDivisionError("in the answer")

conversations.deferred._call = fail
"""


def environ(**more: str) -> dict[str, str]:
    fast = {"ASSISTANT_SECONDS": "0.1", "CONVOSTATE_BURST": "0.5s"}
    return {**unset(), **fast, **more}


def chat(
    *words: str, folder: Path | None = None, burst: str = "0.5s"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHAT, *words],
        env=environ(CONVOSTATE_BURST=burst),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


@pytest.mark.parametrize("demo", DEMOS)
def test_texts_of_a_script_are_answered_together_at_its_end(demo: str) -> None:
    done = chat(f"convostate.demo.{demo}:app", "one", "two", "three", burst="3s")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "> one\n> two\n> three\n< You asked: one / two / three\n"


def test_wait_prints_what_arrives_meanwhile() -> None:
    done = chat(APP, "one", "/wait 1s", "two")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "> one\n< You asked: one\n-- 1s later\n> two\n< You asked: two Before that: one\n"
    )


def test_an_answer_that_fails_shows_its_traceback_and_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    done = chat("failing:app", "one", folder=tmp_path)

    assert (done.returncode, done.stdout) == (1, "> one\n")
    assert "ZeroDivisionError: in the answer\n" in done.stderr
    assert "an answer failed, and it is tried again in 1 s" in done.stderr


def test_a_pipe_that_stays_open_gets_the_answer() -> None:
    with subprocess.Popen(
        [*CHAT, "--json", APP],
        env=environ(PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("one\n")
        process.stdin.flush()
        taken, answered = (json.loads(process.stdout.readline()) for _ in range(2))
        process.stdin.close()
        assert process.wait(30) == 0  # seconds

    assert (taken["text"], taken["messages"]) == ("one", [])
    assert answered == {
        "from": "+15550100099",
        "to": "+15550100001",
        "messages": ["You asked: one"],
    }


def test_at_a_terminal_an_answer_appears_above_what_is_being_typed() -> None:
    terminal, behind = pty.openpty()
    with subprocess.Popen(
        [*CHAT, APP],
        env=environ(TERM="dumb"),
        stdin=behind,
        stdout=behind,
        stderr=behind,
    ) as process:
        os.close(behind)
        shown = b""
        for waits_for, typed in [
            (b"> ", b"one\n"),
            (b"one\r\n> ", b"half a"),
            (b"< You asked: one\r\n> half a", b" text\n"),
            (b"< You asked: half a text Before that: one\r\n> ", b"\x04"),
        ]:
            while not shown.endswith(waits_for):
                shown += os.read(terminal, 1024)
            os.write(terminal, typed)
        status = process.wait(timeout=30)  # seconds
    os.close(terminal)

    assert status == 0
