"""``convostate show``, ``end`` and ``forget``: one conversation of a server-side store."""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from convostate.cli.arguments import account_option, account_or_default, json_option, read_address
from convostate.conversations import Conversations
from convostate.errors import StoreError, UsageError
from convostate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.state import State

NO_CALL = "no call with that SID has a state on this account"
NONE = "no conversation is in progress between these two on this account"
_SWAPPED = "there is one with OURS and THEIRS swapped: give the app's own address first"
_CHECK = "check that OURS is the app's own address, THEIRS the person's, and the account the owner of OURS"


def reachable_settings() -> Settings:
    """The settings, if their store is accessible from this process."""
    settings = Settings.from_environ()
    if settings.store == "cookie":
        raise UsageError(
            "The states are in Twilio's cookies; convostate open shows one. "
            "To have them here, set CONVOSTATE_STORE=redis://…, for the app too"
        )
    if settings.store == "memory":
        raise UsageError(
            "Conversations in memory are accessible in the app's own process only. "
            "Set CONVOSTATE_STORE=redis://…, for the app too"
        )
    return settings


class _Conversation(NamedTuple):
    """One conversation of the store, or one call."""

    conversations: Conversations
    names: dict[str, str]

    @classmethod
    def of(cls, ours: str, theirs: str, call: str | None, account: str | None) -> _Conversation:
        """The conversation that the arguments name."""
        if not (ours and theirs) and (ours or not call):
            raise UsageError("Give OURS and THEIRS, or a call: --call CA…")
        settings = reachable_settings()
        account_sid = account_or_default(account, settings)
        names = {"ours": ours, "theirs": theirs, "account_sid": account_sid, "call_sid": call or ""}
        conversations = Conversations(settings)
        click.get_current_context().call_on_close(conversations.store.close)
        return cls(conversations, names)

    def peek(self) -> State | None:
        return self.conversations.peek(**self.names)

    def calls(self) -> list[State]:
        """The states of the pair's calls."""
        names = dict(self.names)
        return [] if names.pop("call_sid") else self.conversations.calls(**names)

    def has_work(self) -> bool:
        """Whether texts of the pair wait for an answer, or replies are not sent."""
        names = dict(self.names)
        if names.pop("call_sid"):
            return False
        try:
            return any(self.conversations.backlog(**names))
        except StoreError:  # a user of Redis without a worker's rights
            return False

    def exists(self) -> bool:
        """Whether there is anything that `forget` erases, apart from recorded replies."""
        return self.peek() is not None or bool(self.calls()) or self.has_work()

    def missing(self) -> str:
        """The message for a conversation that does not exist, with a possible reason."""
        if self.names["call_sid"]:
            return NO_CALL
        swapped = {"ours": self.names["theirs"], "theirs": self.names["ours"]}
        found = self._replace(names=self.names | swapped).exists()
        return f"{NONE}: {_SWAPPED if found else _CHECK}"

    def report(self, done: str, result: dict[str, bool], *, existed: bool, **how: bool) -> NoReturn:
        """Print what was done, and exit."""
        click.echo(json.dumps(result) if how["as_json"] else done if existed else self.missing())
        click.get_current_context().exit(0 if existed or how["missing_ok"] else 1)


def _read_optional(context: click.Context, argument: click.Parameter, value: str | None) -> str:
    return "" if value is None else read_address(context, argument, value)


def _names_conversation(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the arguments that name a conversation, as a `_Conversation`."""

    @wraps(command)
    def with_conversation(
        ours: str, theirs: str, call: str | None, account: str | None, **options: Any
    ) -> None:
        command(conversation=_Conversation.of(ours, theirs, call, account), **options)

    for option in (
        json_option,
        account_option,
        click.option(
            "--call", metavar="SID", help="The SID of a call; OURS and THEIRS may be left out."
        ),
        click.argument("theirs", callback=_read_optional, required=False, metavar="THEIRS"),
        click.argument("ours", callback=_read_optional, required=False, metavar="OURS"),
    ):
        with_conversation = option(with_conversation)
    return with_conversation


_missing_ok = click.option(
    "--missing-ok", is_flag=True, help="Exit with 0 if there is no such conversation."
)


@click.command(short_help="Print the state of a conversation.")
@_names_conversation
@click.pass_context
def show(context: click.Context, conversation: _Conversation, as_json: bool) -> None:
    """Print the state of the conversation between OURS and THEIRS, and of their calls, without waiting.

    Exit status 0: one is in progress, 1: there is none.
    """
    state, calls = conversation.peek(), conversation.calls()
    if as_json:
        shown = None if state is None else as_dict(state)
        if calls:
            shown = {**(shown or {}), "calls": list(map(as_dict, calls))}
        click.echo(json.dumps(shown, default=repr))
    else:
        texts = [] if state is None else [as_text(state)]
        texts += [f"a call\n{as_text(each)}" for each in calls]
        click.echo("\n\n".join(texts) or conversation.missing())
    context.exit(0 if state is not None or calls else 1)


@click.command(short_help="End a conversation: the next text begins a new one.")
@_names_conversation
@_missing_ok
def end(conversation: _Conversation, **how: bool) -> None:
    """End the conversation between OURS and THEIRS: the next text begins a new one.

    A running turn can no longer write: its webhook is answered 503. Exit status 0: it is ended,
    1: there was none.
    """
    existed = conversation.peek() is not None or conversation.has_work()
    conversation.conversations.end(**conversation.names)
    conversation.report("ended", {"ended": existed}, existed=existed, **how)


@click.command(short_help="Erase a conversation, including recorded replies.")
@_names_conversation
@_missing_ok
def forget(conversation: _Conversation, **how: bool) -> None:
    """Erase the conversation between OURS and THEIRS: state, calls, texts that wait, recorded replies.

    A running turn can no longer write. A STOP stays known, under a keyed name. Exit status 0: it is
    erased, 1: there was none (recorded replies, if there were any, are erased anyway).
    """
    existed = conversation.exists()
    conversation.conversations.forget(**conversation.names)
    result = {"goes_on": existed, "forgotten": True}
    conversation.report("forgotten", result, existed=existed, **how)


def as_dict(state: State) -> dict[str, Any]:
    """A state for JSON; values without a JSON form are written as their `repr`."""
    return {
        "started_at": state.started_at.isoformat(timespec="seconds"),
        "expires_at": state.expires_at.isoformat(timespec="seconds"),
        "state": for_json(state),
    }


def for_json(value: Any) -> Any:
    """A state, or a part of one, without keys that `json` would change or refuse.

    An int key becomes a string, because JSON has no other keys. If that string is a key as well, the
    type follows the int: ``1 (int)``.
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
    """A state for people, one line for each key."""
    lines = [
        f"started  {state.started_at:%Y-%m-%d %H:%M:%S} UTC",
        f"expires  {state.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        *(f"{key!s}: {value!r}" for key, value in state.items()),
    ]
    return "\n".join(lines if state else [*lines, "(empty)"])
