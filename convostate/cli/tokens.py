"""``convostate keygen`` and ``convostate open``: sealing keys, and the states that they seal."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import click

from convostate.cli.arguments import account_option, account_or_default, json_option, read_address
from convostate.cli.conversation import as_dict, as_text
from convostate.errors import SealError
from convostate.sealing.codec import decode, from_base64url
from convostate.sealing.keys import Keyring
from convostate.sealing.token import Opened, Sealer, conversation_context
from convostate.settings import LONGEST_AT_SERVER, Settings
from convostate.state import OVER, State
from convostate.twilio.webhook import PhonePair


@click.command()
@json_option
def keygen(as_json: bool) -> None:
    """Print a new sealing key, for CONVOSTATE_KEYS."""
    key = Keyring.generate()
    click.echo(json.dumps({"key": key}) if as_json else key)


@click.command(name="open", short_help="Open a sealed token and print the state in it.")
@click.argument("token")
@click.option("--ours", required=True, callback=read_address, help="The app's address.")
@click.option("--theirs", required=True, callback=read_address, help="The person's address.")
@account_option
@json_option
@click.pass_context
def open_token(
    context: click.Context, token: str, ours: str, theirs: str, account: str | None, as_json: bool
) -> None:
    """Open TOKEN: a cookie's value or the whole `name=value`, or a stored state in base64url.

    It opens with a key of CONVOSTATE_KEYS, and only for the conversation that it was sealed for.
    Exit status 0: it opens, 1: it does not.
    """
    settings = Settings.from_environ()
    pair = PhonePair(account_or_default(account, settings), ours, theirs)
    raw = from_base64url(token.partition(";")[0].rpartition("=")[2].strip())
    try:
        opened = _open(b"" if raw is None else raw, pair, settings)
        content = decode(opened.data)
    except SealError as error:
        fault = {"opens": False, "reason": error.reason}
        click.echo(json.dumps(fault) if as_json else f"does not open: {error.reason}: {error}")
        context.exit(1)
    state = State(
        content,
        pair=pair,
        started_ms=opened.started_ms,
        expires_ms=opened.expires_ms,
        lifetime_ms=opened.expires_ms - opened.issued_ms,
        locked=OVER,
    )
    if as_json:
        shown = {"opens": True, "ended": content is None, **as_dict(state)}
        click.echo(json.dumps(shown, default=repr))
    else:
        click.echo("the conversation was ended" if content is None else as_text(state))


def _open(raw: bytes, pair: PhonePair, settings: Settings) -> Opened:
    """Open a token as a cookie, else as a stored state; an error is that of the cookie."""
    longest_ms = int(LONGEST_AT_SERVER / timedelta(milliseconds=1))
    now_ms = int(time.time() * 1000)
    context = conversation_context(pair)
    try:
        return Sealer(settings.keys, "cookie", longest_ms).open(raw, context, now_ms)
    except SealError as error:
        if error.reason != "forged":
            raise
    return Sealer(settings.keys, "state", longest_ms).open(raw, context, now_ms)
