"""Addresses and accounts on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostate.errors import UsageError
from convostate.twilio.webhook import is_address

if TYPE_CHECKING:
    import click

    from convostate.settings import Settings


def read_address(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """One end of a conversation.

    Raises:
        UsageError: It is not an address; the message does not show it.
    """
    if not is_address(text):
        what = parameter.get_error_hint(context)
        raise UsageError(f"{what} is not an address. Write it in E.164: +1555…")
    return text


def account_or_default(given: str | None, settings: Settings) -> str:
    """The account that owns a conversation: the one given, else that of the settings.

    Raises:
        UsageError: There is neither, or it is not an account.
    """
    account_sid = given or settings.account_sid
    if account_sid is None or not is_address(account_sid):
        raise UsageError(
            "A conversation belongs to an account. Set TWILIO_ACCOUNT_SID=AC…, or give --account AC…"
        )
    return account_sid
