"""`convostate chat` texts an app from a terminal, a script or a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner

from convostate import UsageError
from convostate.cli import main
from convostate.cli.chat import _enter
from tests.chatting import BOB, FIRST, SECOND, THIRD, chat, unset

if TYPE_CHECKING:
    from convostate.cli.chat import ChatSession


def test_with_nothing_set_it_prints_the_transcript_of_the_counter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "chat", "hello", "again"],
        env=unset(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"> hello\n{FIRST}> again\n{SECOND}"


def test_the_first_word_is_an_app_if_it_looks_like_one() -> None:
    named = chat("convostate.demo.profile:app", "name Ada")
    message = chat("at 9: ok?", "note:", "a:b c")

    assert named.stdout == "> name Ada\n< Hello Ada.\n"
    assert message.stdout == f"> at 9: ok?\n{FIRST}> note:\n{SECOND}> a:b c\n{THIRD}"


def test_it_reads_a_pipe_and_skips_blank_lines() -> None:
    result = chat(stdin="hello\n\nagain")

    assert (result.exit_code, result.stdout) == (0, f"> hello\n{FIRST}> again\n{SECOND}")


def test_a_pipe_without_a_line_is_a_chat_without_a_word() -> None:
    assert (chat().exit_code, chat().stdout) == (0, "")


def test_without_standard_input_it_is_a_chat_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", unset())
    monkeypatch.setattr(sys, "stdin", None)

    assert main(["chat"], standalone_mode=False) == 0
    assert capsys.readouterr().out == ""


def test_time_can_pass() -> None:
    before = chat("hello", "/wait 239m", "again")
    after = chat("hello", "/wait 4h", "again")

    assert before.stdout == f"> hello\n{FIRST}-- 239m later\n> again\n{SECOND}"
    assert after.stdout == f"> hello\n{FIRST}-- 4h later\n> again\n{FIRST}"


@pytest.mark.parametrize("line", ["/wait 401d", "/wait 999999d", "/wait 9601h"])
def test_more_than_400_days_cannot_pass_at_once(line: str) -> None:
    result = chat(line)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "convostate: That is too long. Write /wait 400d at most\n"


def test_400_days_can_pass_more_than_once() -> None:
    result = chat(*["/wait 400d"] * 4, "hello")

    assert result.stdout == "-- 400d later\n" * 4 + "> hello\n" + FIRST


def test_a_pipe_with_binary_input_is_refused_at_that_line() -> None:
    result = CliRunner().invoke(main, ["chat"], input=b"h\xc3\xa9llo\n\xff\n")

    assert (result.exit_code, result.stdout) == (2, f"> h\u00e9llo\n{FIRST}")
    assert (
        result.stderr == "convostate: A line of the input is not valid UTF-8. Write it in UTF-8\n"
    )


@pytest.mark.parametrize("forgiving", [False, True])
def test_a_typed_line_that_is_no_text_is_not_sent(
    forgiving: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = []

    class Session:
        enter = sent.append

    session = cast("ChatSession", Session())
    with nullcontext() if forgiving else pytest.raises(UsageError, match="Write it in UTF-8"):
        _enter(session, "\udcff", interactive=forgiving)
    _enter(session, "ÿ", interactive=forgiving)

    assert sent == ["ÿ"]
    assert ("This line is not valid UTF-8" in capsys.readouterr().err) == forgiving


def test_several_people_can_write_and_do_not_see_each_other() -> None:
    result = chat("hello", f"/as {BOB}", "hello", "/as +15550100001", "again")

    assert result.stdout == (
        f"> hello\n{FIRST}-- texting as {BOB}\n> hello\n{FIRST}"
        f"-- texting as +15550100001\n> again\n{SECOND}"
    )


def test_a_text_can_be_resent_and_stopped() -> None:
    assert chat("hello", "/resend").stdout == f"> hello\n{FIRST}> /resend\n{SECOND}"
    # STOP ends the conversation once it is answered, and Twilio delivers no answer until START.
    stopped = chat("hello", "/stop", "hello", "START")
    lines = stopped.stdout.splitlines()

    assert (stopped.exit_code, [lines[i] for i in (0, 2, 4, 5)]) == (
        0,
        ["> hello", "> STOP", "> hello", "> START"],
    )
    assert lines[3].startswith("-- Twilio answers: You have successfully been unsubscribed")
    assert lines[6] == SECOND.strip()


def test_the_state_can_be_looked_at() -> None:
    assert chat("/state").stdout == "-- no conversation is in progress\n"
    assert chat("hello", "/state").stdout == f"> hello\n{FIRST}-- {{'messagecount': 1}}\n"


def test_the_state_is_the_one_that_is_kept_now_and_of_the_one_who_texts() -> None:
    result = chat(
        "hello", f"/as {BOB}", "/state", "/as +15550100001", "/state", "/wait 4h", "/state"
    )

    shown = [line for line in result.stdout.splitlines() if line.startswith("-- ")]
    assert shown == [
        f"-- texting as {BOB}",
        "-- no conversation is in progress",
        "-- texting as +15550100001",
        "-- {'messagecount': 1}",
        "-- 4h later",
        "-- no conversation is in progress",
    ]


def test_after_a_stop_the_state_says_that_it_stands_until_start() -> None:
    result = chat("hello", "/stop", "/state", "hello", "/state", "START", "/state")
    as_json = chat("--json", "/stop", "/state").stdout.splitlines()[-1]

    shown = [line for line in result.stdout.splitlines() if line.startswith("-- ")]
    assert [line for line in shown if "Twilio answers" not in line] == [
        "-- no conversation is in progress; opted out until START",
        "-- {'messagecount': 1}; opted out until START",
        "-- {'messagecount': 2}",
    ]
    assert json.loads(as_json) == {"command": "/state", "state": None, "opted_out": True}


def test_a_stop_that_ends_no_conversation_leaves_its_state_to_be_seen() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "chat", "hello", "/stop", "/state"],
        env={**unset(), "CONVOSTATE_ON_OPT_OUT": "keep"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.endswith("-- {'messagecount': 2}; opted out until START\n")


def test_help_and_quit() -> None:
    result = chat("/help", "/quit", "never said")

    assert "/wait 4h" in result.stdout
    assert "never said" not in result.stdout
    assert result.exit_code == 0


def test_json_is_one_object_a_line() -> None:
    result = chat("--json", "hello", "/wait 1h", "/state", "/resend")
    turn, wait, state, resent = (json.loads(line) for line in result.stdout.splitlines())

    assert turn == {
        "from": "+15550100001",
        "to": "+15550100099",
        "text": "hello",
        "messages": ["You've sent 1 message in this conversation so far"],
        "media": [],
        "status": 200,
        "error": None,
    }
    assert wait == {"command": "/wait 1h", "waited": "1h later"}
    assert state == {"command": "/state", "state": {"messagecount": 1}, "opted_out": False}
    assert resent["text"] == "/resend"


def test_at_a_terminal_it_prompts_and_forgives_mistakes() -> None:
    terminal, behind = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "convostate", "chat"],
        env={**unset(), "TERM": "dumb"},
        stdin=behind,
        stdout=behind,
        stderr=behind,
    ) as process:
        os.close(behind)
        shown = b""
        for waits_for, line in [
            (b"> ", b"/bogus\n"),
            (b"slash\r\n> ", b"\n"),
            (b"> \r\n> ", b"hello\n"),
            (b"so far\r\n> ", b"\x04"),
        ]:
            while not shown.endswith(waits_for):
                shown += os.read(terminal, 1024)
            os.write(terminal, line)
        status = process.wait(timeout=30)  # seconds
    os.close(terminal)

    assert status == 0
    assert b"convostate: There is no command /bogus" in shown
    assert FIRST.strip().encode() in shown
