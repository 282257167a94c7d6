"""``convostate show``, ``end`` and ``forget``: one conversation of a server-side store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from convostate.cli.addresses import account_or_default, read_address
from convostate.conversations import Conversations
from convostate.errors import UsageError
from convostate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.state import State

NONE = "no conversation is in progress between these two on this account"
_SWAPPED = "one is with OURS and THEIRS swapped: give the app's own address first"
_CHECK = "check that OURS is the app's own address, THEIRS the person's, and the account the one that owns OURS"


def _names_a_conversation(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which conversation is meant."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a JSON object."),
        click.option("--account", metavar="SID", help="The account; else TWILIO_ACCOUNT_SID."),
        click.argument("theirs", callback=read_address),
        click.argument("ours", callback=read_address),
    ):
        command = option(command)
    return command


missing_ok_option = click.option(
    "--missing-ok", is_flag=True, help="Exit with 0 if there is no such conversation."
)


class _Conversation(NamedTuple):
    """One conversation, and where it is."""

    conversations: Conversations
    ours: str
    theirs: str
    account_sid: str

    @classmethod
    def of(cls, ours: str, theirs: str, account: str | None) -> _Conversation:
        """The conversation that a command line names.

        Raises:
            UsageError: The settings are wrong, the store cannot be reached from here, or there is no
                account.
        """
        settings = Settings.from_environ()
        if settings.store == "cookie":
            raise UsageError(
                "The states are in Twilio's cookies; convostate open shows one. "
                "To have them here, set CONVOSTATE_STORE=redis://…, for the app too"
            )
        if settings.store == "memory":
            raise UsageError(
                "Conversations in memory can be reached from the app's own process only. "
                "Set CONVOSTATE_STORE=redis://…, for the app too"
            )
        return cls(Conversations(settings), ours, theirs, account_or_default(account, settings))

    @property
    def _where(self) -> dict[str, str]:
        return {"ours": self.ours, "theirs": self.theirs, "account_sid": self.account_sid}

    def peek(self) -> State | None:
        return self.conversations.peek(**self._where)

    def end(self) -> None:
        self.conversations.end(**self._where)

    def forget(self) -> None:
        self.conversations.forget(**self._where)

    def missing(self) -> str:
        """What to say if there is none: what may be wrong as well."""
        swapped = self._replace(ours=self.theirs, theirs=self.ours)
        return f"{NONE}: {_CHECK if swapped.peek() is None else _SWAPPED}"


@click.command(short_help="Print the state of a conversation.")
@_names_a_conversation
@click.pass_context
def show(
    context: click.Context, ours: str, theirs: str, account: str | None, as_json: bool
) -> None:
    """Print the state of the conversation between OURS and THEIRS, without waiting for its turn.

    Exit status 0: it is in progress, 1: there is none.
    """
    conversation = _Conversation.of(ours, theirs, account)
    state = conversation.peek()
    if as_json:
        click.echo(json.dumps(None if state is None else as_dict(state), default=repr))
    else:
        click.echo(conversation.missing() if state is None else as_text(state))
    context.exit(1 if state is None else 0)


@click.command(short_help="End a conversation: the next text begins a new one.")
@_names_a_conversation
@missing_ok_option
@click.pass_context
def end(
    context: click.Context,
    ours: str,
    theirs: str,
    account: str | None,
    as_json: bool,
    missing_ok: bool,
) -> None:
    """End the conversation between OURS and THEIRS: the next text begins a new one.

    A turn in flight cannot write any more: its webhook is answered 503. Exit status 0: it is ended,
    1: there was none.
    """
    conversation = _Conversation.of(ours, theirs, account)
    existed = conversation.peek() is not None
    conversation.end()
    if as_json:
        click.echo(json.dumps({"ended": existed}))
    else:
        click.echo("ended" if existed else conversation.missing())
    context.exit(0 if existed or missing_ok else 1)


@click.command(short_help="Erase what is kept of a conversation, recorded replies too.")
@_names_a_conversation
@missing_ok_option
@click.pass_context
def forget(
    context: click.Context,
    ours: str,
    theirs: str,
    account: str | None,
    as_json: bool,
    missing_ok: bool,
) -> None:
    """Erase what is kept of the conversation between OURS and THEIRS: its state and recorded replies.

    A turn in flight cannot write any more. A STOP is still known, by a keyed name. Exit status 0: it is
    erased, 1: there was none (recorded replies, if there were any, are erased all the same).
    """
    conversation = _Conversation.of(ours, theirs, account)
    existed = conversation.peek() is not None
    conversation.forget()
    if as_json:
        click.echo(json.dumps({"goes_on": existed, "forgotten": True}))
    else:
        click.echo("forgotten" if existed else conversation.missing())
    context.exit(0 if existed or missing_ok else 1)


def as_dict(state: State) -> dict[str, Any]:
    """A state for JSON; what JSON does not know is written as Python does.

    Of its keys see `for_json`.
    """
    return {
        "started_at": state.started_at.isoformat(timespec="seconds"),
        "expires_at": state.expires_at.isoformat(timespec="seconds"),
        "state": for_json(state),
    }


def for_json(value: Any) -> Any:
    """A state, or a part of one, without what `json` would change or refuse.

    A key that is an int becomes a string, because JSON has no others. If that string is a key as well,
    the int is followed by its type: ``1 (int)``.
    """
    if isinstance(value, dict):
        return {_name(key, value): for_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [for_json(item) for item in value]
    return value


def _name(key: Any, container: dict[Any, Any]) -> str:
    if isinstance(key, str):
        return key
    name = str(key)
    while name in container:
        name += " (int)"
    return name


def as_text(state: State) -> str:
    """A state for people, a line for each key."""
    lines = [
        f"started  {state.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"expires  {state.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        *(f"{key!s}: {value!r}" for key, value in state.items()),
    ]
    return "\n".join(lines if state else [*lines, "(empty)"])
