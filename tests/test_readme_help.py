"""The README quotes every command's help. `python -m tests.test_readme_help` writes it there anew."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from convostate.cli import main

README = Path(__file__).parent.parent / "README.md"
# "Usage: " begins a help text; the closing fence ends it.
QUOTED = re.compile(r"^```text\n(Usage: convostate .*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = ["", *sorted(main.commands)]


def help_of(command: str) -> str:
    """What `convostate COMMAND --help` prints on a terminal of 80 columns."""
    # click leaves two of the 80 columns free
    words = [*command.split(), "--help"]
    result = CliRunner().invoke(main, words, prog_name="convostate", terminal_width=78)
    assert result.exit_code == 0
    return result.stdout


def quoted() -> dict[str, str]:
    """The help texts of the README, by their first line."""
    texts = QUOTED.findall(README.read_text(encoding="utf-8"))
    return {text.partition("\n")[0]: text for text in texts}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_quotes_the_help_of(command: str) -> None:
    help_text = help_of(command)

    assert quoted().get(help_text.partition("\n")[0]) == help_text, (
        "to write it there: python -m tests.test_readme_help"
    )


def test_the_readme_quotes_no_command_that_is_not_there() -> None:
    assert len(quoted()) == len(COMMANDS)


def test_a_help_text_that_has_changed_is_noticed() -> None:
    keygen = help_of("keygen")

    assert keygen.replace("key", "lock") not in quoted().values()
    assert keygen in quoted().values()


def rewrite() -> None:
    """Put the help texts as they are into the README, where those of the same usage stand."""
    texts = {text.partition("\n")[0]: text for text in map(help_of, COMMANDS)}
    readme = README.read_text(encoding="utf-8")

    def renewed(found: re.Match[str]) -> str:
        text = texts.get(found[1].partition("\n")[0], found[1])
        return f"```text\n{text}```"

    README.write_text(QUOTED.sub(renewed, readme), encoding="utf-8")


if __name__ == "__main__":
    rewrite()
