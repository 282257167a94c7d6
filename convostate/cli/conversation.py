"""``convostate show``, ``end`` and ``forget``: one conversation of a server-side store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convostate.conversations import Conversations

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.core.state import State

NONE = "no conversation goes on between these two, on this account"


def _names_a_conversation(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which conversation is meant."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a JSON object."),
        click.option("--account", metavar="SID", help="The account; else TWILIO_ACCOUNT_SID."),
        click.argument("theirs"),
        click.argument("ours"),
    ):
        command = option(command)
    return command


@click.command(short_help="Print the state of a conversation.")
@_names_a_conversation
@click.pass_context
def show(
    context: click.Context, ours: str, theirs: str, account: str | None, as_json: bool
) -> None:
    """Print the state of the conversation between OURS and THEIRS, without waiting for its turn.

    Exit status 0: it goes on, 1: there is none.
    """
    state = Conversations().peek(ours=ours, theirs=theirs, account_sid=account)
    if as_json:
        click.echo(json.dumps(None if state is None else as_dict(state), default=repr))
    else:
        click.echo(NONE if state is None else as_text(state))
    context.exit(1 if state is None else 0)


@click.command(short_help="End a conversation: the next text begins a new one.")
@_names_a_conversation
def end(ours: str, theirs: str, account: str | None, as_json: bool) -> None:
    """End the conversation between OURS and THEIRS: the next text begins a new one.

    A turn in flight cannot write any more: its webhook is answered 503.
    """
    conversations = Conversations()
    goes_on = conversations.peek(ours=ours, theirs=theirs, account_sid=account) is not None
    conversations.end(ours=ours, theirs=theirs, account_sid=account)
    click.echo(json.dumps({"ended": goes_on}) if as_json else "ended" if goes_on else NONE)


@click.command(short_help="Erase what is kept of a conversation, recorded replies too.")
@_names_a_conversation
def forget(ours: str, theirs: str, account: str | None, as_json: bool) -> None:
    """Erase what is kept of the conversation between OURS and THEIRS: its state and recorded replies.

    A turn in flight cannot write any more. That a STOP stands is still known, by a keyed name.
    """
    conversations = Conversations()
    goes_on = conversations.peek(ours=ours, theirs=theirs, account_sid=account) is not None
    conversations.forget(ours=ours, theirs=theirs, account_sid=account)
    if as_json:
        click.echo(json.dumps({"state": goes_on, "forgotten": True}))
    else:
        click.echo(
            "forgotten" if goes_on else f"{NONE}; replies, if any were recorded, are forgotten"
        )


def as_dict(state: State) -> dict[str, Any]:
    """A state for JSON; what JSON does not know stands as Python writes it."""
    return {
        "started_at": state.started_at.isoformat(timespec="seconds"),
        "expires_at": state.expires_at.isoformat(timespec="seconds"),
        "state": {str(key): value for key, value in state.items()},
    }


def as_text(state: State) -> str:
    """A state for people, a line for each key."""
    lines = [
        f"started  {state.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"expires  {state.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        *(f"{key!s}: {value!r}" for key, value in state.items()),
    ]
    return "\n".join(lines if state else [*lines, "(empty)"])
