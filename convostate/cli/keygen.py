"""``convostate keygen``."""

from __future__ import annotations

import json

import click

from convostate.sealing.keys import Keyring


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def keygen(as_json: bool) -> None:
    """Print a new sealing key, for CONVOSTATE_KEYS."""
    key = Keyring.generate()
    click.echo(json.dumps({"key": key}) if as_json else key)
