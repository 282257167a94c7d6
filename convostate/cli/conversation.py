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

NO_CALL = "no call with that SID has a state on this account"
NONE = "no conversation is in progress between these two on this account"
_SWAPPED = "one is with OURS and THEIRS swapped: give the app's own address first"
_CHECK = "check that OURS is the app's own address, THEIRS the person's, and the account the one that owns OURS"


def _read_end(context: click.Context, argument: click.Parameter, value: str | None) -> str:
    return "" if value is None else read_address(context, argument, value)


def _names_a_conversation(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say which conversation is meant."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a JSON object."),
        click.option("--account", metavar="SID", help="The account; else TWILIO_ACCOUNT_SID."),
        click.option("--call", metavar="SID", help="A call's; OURS and THEIRS may be left out."),
        click.argument("theirs", callback=_read_end, required=False, metavar="THEIRS"),
        click.argument("ours", callback=_read_end, required=False, metavar="OURS"),
    ):
        command = option(command)
    return command


missing_ok_option = click.option(
    "--missing-ok", is_flag=True, help="Exit with 0 if there is no such conversation."
)


def reachable_settings() -> Settings:
    """The settings, if their store can be reached from here.

    Raises:
        UsageError: They are wrong, or it cannot.
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
    return settings


class _Conversation(NamedTuple):
    """One conversation, and where it is."""

    conversations: Conversations
    ours: str
    theirs: str
    call_sid: str
    account_sid: str

    @classmethod
    def of(cls, ours: str, theirs: str, call: str | None, account: str | None) -> _Conversation:
        """The conversation that a command line names.

        Raises:
            UsageError: The settings are wrong, the store cannot be reached from here, or no conversation
                or account is named.
        """
        if not (ours and theirs) and (ours or not call):
            raise UsageError("Give OURS and THEIRS, or a call: --call CA…")
        settings = reachable_settings()
        account_sid = account_or_default(account, settings)
        return cls(Conversations(settings), ours, theirs, call or "", account_sid)

    @property
    def _where(self) -> dict[str, str]:
        ends = {"ours": self.ours, "theirs": self.theirs, "account_sid": self.account_sid}
        return {**ends, "call_sid": self.call_sid}

    def peek(self) -> State | None:
        return self.conversations.peek(**self._where)

    def calls(self) -> list[State]:
        """The states of the pair's calls."""
        if self.call_sid:
            return []
        return self.conversations.calls(
            ours=self.ours, theirs=self.theirs, account_sid=self.account_sid
        )

    def end(self) -> None:
        self.conversations.end(**self._where)

    def forget(self) -> None:
        self.conversations.forget(**self._where)

    def missing(self) -> str:
        """What to say if there is none: what may be wrong as well."""
        if self.call_sid:
            return NO_CALL
        swapped = self._replace(ours=self.theirs, theirs=self.ours)
        return f"{NONE}: {_CHECK if swapped.peek() is None else _SWAPPED}"


@click.command(short_help="Print the state of a conversation.")
@_names_a_conversation
@click.pass_context
def show(
    context: click.Context,
    ours: str,
    theirs: str,
    call: str | None,
    account: str | None,
    as_json: bool,
) -> None:
    """Print the state of the conversation between OURS and THEIRS, and of their calls, without waiting.

    Exit status 0: one is in progress, 1: there is none.
    """
    conversation = _Conversation.of(ours, theirs, call, account)
    state, calls = conversation.peek(), conversation.calls()
    if as_json:
        found = None if state is None else as_dict(state)
        if calls:
            found = {**(found or {}), "calls": [as_dict(each) for each in calls]}
        click.echo(json.dumps(found, default=repr))
    else:
        shown = [] if state is None else [as_text(state)]
        shown += [f"a call\n{as_text(each)}" for each in calls]
        click.echo("\n\n".join(shown) or conversation.missing())
    context.exit(0 if state is not None or calls else 1)


@click.command(short_help="End a conversation: the next text begins a new one.")
@_names_a_conversation
@missing_ok_option
@click.pass_context
def end(
    context: click.Context,
    ours: str,
    theirs: str,
    call: str | None,
    account: str | None,
    as_json: bool,
    missing_ok: bool,
) -> None:
    """End the conversation between OURS and THEIRS: the next text begins a new one.

    A turn in flight cannot write any more: its webhook is answered 503. Exit status 0: it is ended,
    1: there was none.
    """
    conversation = _Conversation.of(ours, theirs, call, account)
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
    call: str | None,
    account: str | None,
    as_json: bool,
    missing_ok: bool,
) -> None:
    """Erase what is kept of the conversation between OURS and THEIRS: state, calls, recorded replies.

    A turn in flight cannot write any more. A STOP is still known, by a keyed name. Exit status 0: it is
    erased, 1: there was none (recorded replies, if there were any, are erased all the same).
    """
    conversation = _Conversation.of(ours, theirs, call, account)
    existed = conversation.peek() is not None or bool(conversation.calls())
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
