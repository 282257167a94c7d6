"""``python -m convostate``: the command line."""

from __future__ import annotations

from convostate.cli import main

main(prog_name="convostate")
