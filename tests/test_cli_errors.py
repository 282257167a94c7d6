"""The command line as a whole: help, errors, the module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from convostate import Keyring, UsageError
from convostate.cli import main


def test_without_a_command_it_prints_its_help() -> None:
    for words in ([], ["--help"], ["-h"]):
        result = CliRunner().invoke(main, words)

        assert (result.exit_code, result.stderr) == (0, "")
        assert "Conversation state for apps that answer Twilio texts and calls." in result.stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_has_a_help_and_a_summary_in_one_line(name: str) -> None:
    command = main.commands[name]

    assert not command.get_short_help_str(limit=200).endswith("...")
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bogus"], "No such command 'bogus'."),
        (["keygen", "extra"], "Got unexpected extra argument (extra)"),
        (["chat", "--bogus"], "No such option '--bogus'."),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(words: list[str], says: str) -> None:
    result = CliRunner().invoke(main, words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"convostate: {says}\n"


@pytest.mark.parametrize(
    "words",
    [["chat", "\udcff"], ["sign", "https://a.example/", "Body=\udcff"], ["doctor", "\udcff:app"]],
)
def test_an_argument_that_is_not_utf_8_is_one_line_and_status_2(words: list[str]) -> None:
    result = CliRunner(env={"TWILIO_AUTH_TOKEN": "the-token"}).invoke(main, words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == ("convostate: An argument is not valid UTF-8. Write it in UTF-8\n")


@pytest.mark.parametrize(
    "words",
    [
        ["sign", "http://[::1/sms"],
        ["sign", "http://ada:hunter2@127.0.0.1:99999/sms"],
        ["explain", "http://[::1/sms", "signature"],
        ["chat", "http://127.0.0.1:abc/sms", "hi"],
        ["chat", "http://ada:hunter2@127.0.0.1:99999/sms", "hi"],
    ],
)
def test_a_url_that_names_no_host_is_one_line_that_does_not_show_it(words: list[str]) -> None:
    result = CliRunner(env={"TWILIO_AUTH_TOKEN": "the-token"}).invoke(main, words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("convostate: This is not ")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_a_url_that_names_one_is_signed() -> None:
    words = ["sign", "http://ada:hunter2@[::1]:8000/sms"]
    result = CliRunner(env={"TWILIO_AUTH_TOKEN": "the-token"}).invoke(main, words)

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_caller_in_python_gets_the_exceptions_themselves() -> None:
    with pytest.raises(UsageError, match="name=value"):
        main(["sign", "https://example.com/", "From"], standalone_mode=False)


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keyring, "generate", interrupted)

    assert CliRunner().invoke(main, ["keygen"]).exit_code == 130


@pytest.mark.parametrize(("charset", "arrow"), [("utf-8", "\u2192"), ("cp1252", r"\u2192")])
def test_output_that_the_terminals_charset_lacks_is_escaped(charset: str, arrow: str) -> None:
    environ = {"TWILIO_AUTH_TOKEN": "the-token", "CONVOSTATE_KEYS": Keyring.generate()}
    result = CliRunner(charset, environ).invoke(main, ["doctor"])

    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{arrow} Behind a proxy set" in result.stdout


def test_a_command_runs_in_a_directory_that_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()

    assert CliRunner().invoke(main, ["keygen"]).exit_code == 0


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("convostate, version ")


@pytest.mark.parametrize("words", [["keygen"], ["--help"], ["chat", "hello"]])
def test_a_full_disk_under_standard_output_is_one_line_and_status_2(words: list[str]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convostate", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (2, "convostate: No space left on device\n")


def test_an_app_that_cannot_open_a_file_is_not_taken_for_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("without_file.py").write_text("open('/nowhere/config.toml')", encoding="utf-8")

    result = CliRunner().invoke(main, ["work", "without_file:conversations"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "'/nowhere/config.toml'" in result.stderr
    assert result.stderr.endswith(
        "convostate: loading without_file:conversations raises FileNotFoundError. Fix the error in the traceback\n"
    )


def test_an_error_of_the_system_that_is_not_standard_outputs_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> str:
        raise PermissionError(13, "not allowed", "/somewhere")

    monkeypatch.setattr(Keyring, "generate", unreadable)

    assert isinstance(CliRunner().invoke(main, ["keygen"]).exception, PermissionError)
