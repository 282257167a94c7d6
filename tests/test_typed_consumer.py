"""A program with types of its own sees those of the installed wheel, with mypy and with pyright."""

from __future__ import annotations

import json
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documentation import blocks, file_name
from tests.packaged import ROOT, Built, Installed, install, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PROGRAM = (ROOT / "tests" / "consumer.py").read_text(encoding="utf-8")
WRONG = [
    "number: int = settings.store",
    "settings.store = 'memory'",
    "Settings(auth_token='an example')",
    "Settings(auth_token='an example', keys='one', lifetyme='4h')",
    "Settings(auth_token='an example', keys='one', lifetime=4.5)",
    "Settings(auth_token='an example', keys='one', on_outage='ignore')",
    "ConversationMiddleware(settings)",
    "ConversationMiddleware(sms, settings, store=Redis())",
    "ConversationMiddleware(sms, settings, on_turn=remind)",
    "state_from(sms)",
    "Conversations(settings, store=object())",
    "Conversations(settings).turn(ours='+15550100099')",
    "Conversations(settings).start(Client(), to=5)",
    "RedisStore(5)",
    "stores[0].begin('claim', '', 0.0)",
    "TwilioSimulator(app).phone('+15550100001').text(5)",
    "TwilioSimulator(app).clock.advance(fortnights=1)",
    "StoreError('gone', 'no such reason')",
    "ConvoState(app, settings, paths='/sms')",
    "convostate.conversation_middleware",
    "from convostate.stores import MongoStore",
    "from convostate.testing import TwilioSimulater",
]


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, and beside it what this environment has, but for the checkout."""
    made = install(built.wheel, tmp_path_factory.mktemp("typed"))
    # A .pth file in a folder that another one names is not read, so nothing leads to the checkout.
    (made.packages / "here.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return made


README = {
    file_name(block): block.text
    for block in blocks(ROOT / "README.md")
    if block.language == "python"
}


PROGRAMS = {
    "consumer.py": PROGRAM,
    "wrong.py": PROGRAM + "\n".join(WRONG),
    **README,
}


def mypy(installed: Installed) -> Iterator[tuple[str, int]]:
    """The errors that mypy finds in the programs: file and line."""
    # Bottle, Pyramid and twilio publish no types.
    words = "-m mypy --strict --disable-error-code import-untyped --python-executable".split()
    said = run(sys.executable, *words, installed.bin / "python", *PROGRAMS, cwd=installed.home)
    found = re.findall(r"^(\w+\.py):(\d+): error: ", said, re.MULTILINE)
    assert f"Found {len(found)} error" in said, said
    assert f"(checked {len(PROGRAMS)} source files)" in said, said
    return ((program, int(line)) for program, line in found)


def pyright(installed: Installed) -> Iterator[tuple[str, int]]:
    """The errors that pyright finds in the programs: file and line."""
    config = {"typeCheckingMode": "standard", "include": list(PROGRAMS)}
    (installed.home / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    command = Path(sys.executable).with_name("basedpyright")
    said = run(
        command, "--pythonpath", installed.bin / "python", "--outputjson", cwd=installed.home
    )
    found = json.loads(said.partition("exit status")[0])
    assert found["summary"]["filesAnalyzed"] == len(PROGRAMS), said
    return (
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    )


@pytest.fixture(scope="module", params=[mypy, pyright])
def errors(request: pytest.FixtureRequest, installed: Installed) -> dict[str, set[int]]:
    """The lines with an error in each program, which are checked together: starting takes longest."""
    for name, text in PROGRAMS.items():
        (installed.home / name).write_text(text, encoding="utf-8")
    lines: dict[str, set[int]] = {name: set() for name in PROGRAMS}
    for program, line in request.param(installed):
        lines[program].add(line)
    return lines


def test_the_checked_package_is_the_installed_one(installed: Installed) -> None:
    where = installed.run("python", "-c", "import convostate; print(convostate.__file__)")

    assert Path(where.strip()).parent.parent == installed.packages


def test_a_program_that_follows_the_readme_has_no_error(errors: dict[str, set[int]]) -> None:
    assert errors["consumer.py"] == set()


@pytest.mark.parametrize("program", README)
def test_e9_a_program_of_the_readme_has_no_error(errors: dict[str, set[int]], program: str) -> None:
    assert errors[program] == set()


def test_every_wrong_use_is_an_error(errors: dict[str, set[int]]) -> None:
    first = PROGRAM.count("\n") + 1

    assert [
        wrong for line, wrong in enumerate(WRONG, first) if line not in errors["wrong.py"]
    ] == []
    assert min(errors["wrong.py"]) == first
