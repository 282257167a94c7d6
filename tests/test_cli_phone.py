"""`convostate phone` as a command: how it starts, and what it refuses to start."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from convostate import Keyring
from convostate.cli import main
from tests.chatting import unset
from tests.phoning import ask, phone_server
from tests.redis_servers import wait_until

if TYPE_CHECKING:
    from pathlib import Path

BARE = """
def app(environ, start_response):
    state = environ.get("convostate.state", {})
    state["n"] = state.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(state["n"]).encode()]
"""


def run(*words: str, folder: Path | None = None, **environ: str) -> tuple[int, str]:
    """Run the command where it does not get as far as to serve: exit status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "convostate", "phone", *words],
        env={**unset(), **environ},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,  # seconds; it takes two
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hello?"], "APP is written as module:name"),
        (["http://127.0.0.1:8000/sms"], "convostate chat"),
        (["--port", "70000"], "70000"),
    ],
)
def test_what_is_not_an_app_or_a_port_is_refused_in_a_line(words: list[str], says: str) -> None:
    result = CliRunner().invoke(main, ["phone", *words])

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("convostate: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("hello", "Cannot import hello: No module named 'hello'"),
        ("convostate.demo.counter:nothing", "There is no nothing in convostate.demo.counter"),
    ],
)
def test_what_cannot_start_says_so_in_a_line(app: str, says: str) -> None:
    status, said = run("--port", "0", app)

    assert status == 2
    assert said.startswith("convostate: ")
    assert said.count("\n") == 1
    assert says in said


def test_wrong_settings_do_not_start() -> None:
    status, said = run("--port", "0", CONVOSTATE_LIFETIME="5h")

    assert (status, said.count("\n")) == (2, 1)
    assert "CONVOSTATE_LIFETIME" in said


def test_a_port_that_is_taken_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        status, said = run("--port", str(taken.getsockname()[1]))

    assert (status, said.count("\n")) == (2, 1)
    assert "Choose another one: --port 8001" in said


@pytest.mark.slow
def test_wrap_wraps_temporarily_and_without_it_there_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(BARE, encoding="utf-8")
    text = {"phone": 0, "body": "hi"}
    with phone_server("bare:app", folder=tmp_path) as url:
        ask(url, "/do/text", text)
        plain = ask(url, "/look")
    with phone_server("--wrap", "bare:app", folder=tmp_path) as url:
        ask(url, "/do/text", text)
        ask(url, "/do/text", text)
        wrapped = ask(url, "/look")

    assert (plain["wrapped"], plain["store"], plain["stored"][0]["in_progress"]) == (
        False,
        "",
        False,
    )
    assert (wrapped["wrapped"], wrapped["store"]) == (True, "cookie")
    assert wrapped["phones"][0]["entries"][-1]["body"] == "2"


def test_an_app_whose_code_is_broken_is_shown_and_waited_for(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("def app(:", encoding="utf-8")
    with phone_server("bare:app", folder=tmp_path) as url:
        seen = ask(url, "/look")
        refused = ask(url, "/do/text", {"phone": 0, "body": "hi"})

        assert seen["broken"].startswith(f'  File "{tmp_path / "bare.py"}", line 1')
        assert "SyntaxError" in seen["broken"]
        assert "does not load" in refused["error"]
        (tmp_path / "bare.py").write_text(BARE, encoding="utf-8")
        wait_until(lambda: len(ask(url, "/look").get("phones", [])) == 2, "the second start")


@pytest.mark.slow
def test_open_opens_the_page_once_it_can_be_asked_for(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n', encoding="utf-8")
    browser.chmod(0o700)
    with phone_server("--open", BROWSER=f"{browser} %s") as url:
        wait_until(lambda: opened.read_text(encoding="utf-8") == f"{url}\n", "the browser")


def test_the_apps_number_cannot_be_a_persons() -> None:
    with phone_server("--texting", "+15550100001") as url:
        phones = ask(url, "/look")["phones"]

    assert [(phone["number"], phone["texting"]) for phone in phones] == [
        ("+15550100002", "+15550100001")
    ]


TELLING = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"long/passw@rd long%2Fpassw%40rd the-sentinels-own shown"]
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("store", "shown"),
    [
        (
            "redis+sentinel://u:long%2Fpassw%40rd@h/s?sentinel_password=the-sentinels-own",
            "••• ••• ••• shown",
        ),
        ("redis://[", "long/passw@rd long%2Fpassw%40rd the-sentinels-own shown"),
    ],
)
def test_the_page_shows_no_password_of_a_store(store: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "telling.py").write_text(TELLING, encoding="utf-8")
    valid = {"TWILIO_AUTH_TOKEN": "the-token", "CONVOSTATE_KEYS": Keyring.generate()}
    with phone_server("telling:app", folder=tmp_path, **valid, CONVOSTATE_STORE=store) as url:
        ask(url, "/do/text", {"phone": 0, "body": "hi"})
        assert ask(url, "/look")["phones"][0]["entries"][-1]["body"] == shown


@pytest.mark.slow
def test_when_it_ends_nothing_is_left_behind(tmp_path: Path) -> None:
    with phone_server(TMPDIR=str(tmp_path)) as url:
        ask(url, "/do/text", {"phone": 0, "body": "hi"})
        (folder,) = tmp_path.iterdir()
        (file,) = folder.iterdir()
        assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)

    assert list(tmp_path.iterdir()) == []
