"""The pytest plugin gives the fixture `twilio`, and costs nothing when nobody asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from tests.answering import Answering, message

if TYPE_CHECKING:
    from pathlib import Path

    from convostate.testing import TwilioSimulator

TESTS = """
import os, sys

def test_nothing_is_loaded_and_nothing_is_set():
    assert not {"convostate.testing.simulator", "twilio"} & sys.modules.keys()
    assert not [name for name in os.environ if name.startswith(("TWILIO_", "CONVOSTATE_"))]

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hi"]

def test_an_app(twilio):
    from convostate.testing import TwilioSimulator

    assert isinstance(twilio(app, "token"), TwilioSimulator)
    assert twilio(app, auth_token="token").phone("+15550100001").text("hello").messages == ["hi"]
"""


def test_the_plugin_is_registered_with_pytest() -> None:
    [plugin] = [point for point in entry_points(group="pytest11") if point.name == "convostate"]

    assert plugin.value == "convostate.testing.plugin"


def test_a_test_anywhere_may_ask_for_twilio_and_nothing_is_loaded_or_set_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    unset = ("TWILIO_", "CONVOSTATE_")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith(unset)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout


def test_here_too(twilio: type[TwilioSimulator]) -> None:
    phone = twilio(Answering(message("hi")), "the-token").phone("+15550100001")

    assert phone.text("hello").messages == ["hi"]
