"""`convostate keygen` makes sealing keys."""

from __future__ import annotations

import json

from click.testing import CliRunner

from convostate import Keyring
from convostate.cli import main


def keygen(*options: str) -> str:
    result = CliRunner().invoke(main, ["keygen", *options])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def test_it_prints_one_key_that_can_be_used() -> None:
    printed = keygen()

    assert len(printed) == 44
    assert len(Keyring.parse(printed.strip()).keys) == 1


def test_every_key_is_another_one() -> None:
    assert len({keygen() for _ in range(5)}) == 5


def test_it_prints_json() -> None:
    assert len(json.loads(keygen("--json"))["key"]) == 43
