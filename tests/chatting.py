"""A chat with the counter, as a person without settings and as a test has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from click.testing import CliRunner

from convostate.cli import main

if TYPE_CHECKING:
    from click.testing import Result

BOB = "+15550100002"
FIRST, SECOND, THIRD = (
    f"< You've sent {count} in this conversation so far\n"
    for count in ("1 message", "2 messages", "3 messages")
)


def chat(*words: str, stdin: str = "", **environ: str | None) -> Result:
    return CliRunner(env=environ).invoke(main, ["chat", *words], input=stdin)


def unset() -> dict[str, str]:
    """The environment of a person who has set nothing."""
    ours = ("TWILIO_", "CONVOSTATE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}
