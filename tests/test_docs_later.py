"""What the page on long answers shows runs as it is written; only ports and paths are the test's own."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from convostate.testing import TwilioSimulator
from tests.documentation import PAGES, blocks, python_files
from tests.sending import sent_here
from tests.serving import BIN, PATIENCE_S, ROOT
from tests.test_docs_deploy import SETTINGS, TOKEN, block, served

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.sending import Sent

pytestmark = pytest.mark.slow

PAGE = PAGES / "guides" / "long-answers.md"
ADA, US = "+15550100001", "+15550100099"
HELLO = [(ADA, "Question 1 was: Hello\nAnybody there?"), (ADA, "Question 2 was: And now?")]


def shown(language: str, containing: str = "") -> str:
    """The first block of the page in a language."""
    return next(
        one.text for one in blocks(PAGE) if one.language == language and containing in one.text
    )


def procfile() -> dict[str, str]:
    """The commands of the page's processes, by name."""
    return dict(re.findall(r"^(\w+): (.*)$", shown("text", "worker:"), re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with the files that the pages show; their clients send to this process."""
    for name, text in python_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    here = "from tests.sending import redirect_clients\n\nredirect_clients()\n"
    (tmp_path / "thinker.py").write_text(here + python_files()["thinker.py"], encoding="utf-8")
    return tmp_path


def environ(sent: Sent, store: str) -> dict[str, str]:
    """The settings of a deployed app, with those that the page adds."""
    rows = re.findall(r"^\| `(CONVOSTATE_\w+)` \| `([^`]+)`", PAGE.read_text("utf-8"), re.MULTILINE)
    own = {**dict(rows), "CONVOSTATE_STORE": store, "PYTHONPATH": str(ROOT)}
    assert len(rows) == 4
    return {**SETTINGS, **own, **sent.environ}


def texts_and_answers(url: str, sent: Sent) -> list[tuple[str, str]]:
    """Two texts in a row, and one after they are answered."""
    phone = TwilioSimulator(url, TOKEN, f"{SETTINGS['CONVOSTATE_PUBLIC_URL']}/sms").phone(ADA, US)
    for body in ("Hello", "Anybody there?"):
        assert (phone.text(body).status, phone.inbox) == (200, [])
    answers = [sent.next()]
    phone.text("And now?")
    return [*answers, sent.next()]


def test_the_app_and_its_worker_answer_from_a_redis(folder: Path, redis: Redis) -> None:
    redis.flushall()
    store = f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"
    web, worker = (shlex.split(procfile()[name]) for name in ("web", "worker"))
    web = [word.replace("$PORT", "8000") for word in web]

    with sent_here(US, TOKEN) as sent:
        settings = environ(sent, store)
        with (
            subprocess.Popen(
                [str(BIN / worker[0]), *worker[1:]],
                cwd=folder,
                env={"PATH": os.environ["PATH"], **settings},
            ) as working,
            served([str(BIN / web[0]), *web[1:]], folder, settings) as server,
        ):
            assert texts_and_answers(server.url, sent) == HELLO
            working.terminate()
            assert working.wait(PATIENCE_S) == 0
        assert sent.is_empty


def test_one_process_answers_in_itself(folder: Path) -> None:
    [command] = re.findall(r"^\$ (gunicorn .*)$", shown("console", "gunicorn"), re.MULTILINE)
    words = shlex.split(command.replace("--check-config", "--bind 127.0.0.1:8000"))

    with sent_here(US, TOKEN) as sent:
        settings = environ(sent, "memory")
        with served([str(BIN / words[0]), *words[1:]], folder, settings) as server:
            assert texts_and_answers(server.url, sent) == HELLO


def test_systemd_compose_and_the_procfile_run_the_same_commands() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read_string(shown("systemd"))
    service = dict(unit["Service"])
    web = configparser.ConfigParser(interpolation=None)
    web.optionxform = str  # type: ignore[assignment,method-assign]
    web.read_string(block("servers", "systemd"))
    worker = procfile()["worker"]
    composed = re.findall(r"^    command: (.*)$", shown("yaml"), re.MULTILINE)

    assert service["ExecStart"] == f"/srv/bot/.venv/bin/{worker}"
    for name in ("User", "WorkingDirectory", "EnvironmentFile"):
        assert service[name] == web["Service"][name]
    assert composed[:2] == [procfile()["web"].replace("$PORT", "8000"), worker]
    assert shown("sh", "convostate work").splitlines()[-1].startswith(f"{worker} ")
