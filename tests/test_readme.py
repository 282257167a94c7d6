"""Every python and console block of the README runs, and prints what it shows.

A python block starts with a comment that names its file; a console block holds commands after
``$`` and their output. All of them share one directory and what they export.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from convostate import ConversationMiddleware, Settings
from convostate.demo import counter
from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

README = Path(__file__).parent.parent / "README.md"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SECONDS = re.compile(r"\bin \d+\.\d+s\b")


class Block(NamedTuple):
    line: int
    language: str
    text: str


def blocks() -> list[Block]:
    readme = README.read_text(encoding="utf-8")
    return [
        Block(readme.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in BLOCK.finditer(readme)
    ]


def run(command: str, directory: Path) -> str:
    """Run one command in bash with what earlier ones exported; return what it printed, and a failure."""
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"[ ! -f .exports ] || . ./.exports\nset -e\n{command}\nexport -p > .exports",
        ],
        cwd=directory,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("CONVOSTATE_", "TWILIO_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",  # the width that pytest fills
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,  # seconds; the slowest takes about two
        check=False,
    )
    return done.stdout + (f"exit status {done.returncode}\n" if done.returncode else "")


@pytest.mark.slow
def test_every_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    shown, printed = [], []

    for block in blocks():
        if block.language == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name, f"README.md:{block.line}: the first line of a python block names its file"
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
        else:
            for command, output in COMMAND.findall(block.text):
                shown.append((block.line, command, SECONDS.sub("in TIME", output)))
                printed.append(
                    (block.line, command, SECONDS.sub("in TIME", run(command, tmp_path)))
                )

    assert printed == shown
    assert len(printed) >= 5


def test_every_python_file_of_the_readme_is_used_by_a_command() -> None:
    files = [block.text.split("\n")[0][2:] for block in blocks() if block.language == "python"]
    used = "".join(block.text for block in blocks())

    assert files
    for file in files:
        assert re.search(
            rf"^\$ .*({file}|{Path(file).stem}:)|^from {Path(file).stem} import", used, re.MULTILINE
        ), file


def default_shown(value: object) -> str:
    """Spell a default as its variable would hold it."""
    if isinstance(value, timedelta):
        return f"`{value // timedelta(hours=1)}h`"
    if isinstance(value, tuple):
        value = ",".join(value)
    return "" if value in (None, "", dataclasses.MISSING) else f"`{value}`"


def test_the_table_of_settings_is_their_declaration() -> None:
    rows = [
        f"| `{field.name}` | `{field.metadata['variable']}` | {default_shown(field.default)} "
        f"| {field.metadata['meaning']} |"
        for field in dataclasses.fields(Settings)
    ]
    table = ["| setting | environment variable | default | meaning |", "|---|---|---|---|", *rows]

    assert "\n".join(table) in README.read_text(encoding="utf-8")


def test_the_log_line_behind_a_proxy_is_the_shown_one(caplog: pytest.LogCaptureFixture) -> None:
    app = ConversationMiddleware(counter.count)  # another one may have logged a minute ago

    def behind_a_proxy(environ: WSGIEnvironment, respond: StartResponse) -> Iterable[bytes]:
        environ |= {
            "HTTP_HOST": "10.0.0.7:8000",
            "HTTP_X_FORWARDED_HOST": environ["HTTP_HOST"],
            "wsgi.url_scheme": "http",
        }
        return app(environ, respond)

    reply = TwilioSimulator(behind_a_proxy).phone("+15550100001").text("hello")

    assert reply.status == 403
    (line,) = caplog.messages
    assert f"```text\n{line}\n```" in README.read_text(encoding="utf-8")
