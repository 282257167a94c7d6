"""Arguments of the commands: addresses, accounts, URLs and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from convostate.errors import UsageError
from convostate.testing.fetch import Url
from convostate.twilio.webhook import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.settings import Settings


def check_utf8(text: str, what: str) -> None:
    """Refuse a text that is not UTF-8; Python represents an invalid byte by a lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid UTF-8. Write it in UTF-8") from None


def read_address(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """An address of a conversation; an error does not show it."""
    if not is_address(text):
        what = parameter.get_error_hint(context)
        raise UsageError(f"{what} is not an address. Write it in E.164: +1555…")
    return text


def number_option(name: str, default: str, help: str, *variable: str) -> Callable[[Any], Any]:  # noqa: A002
    """An option that takes an address."""
    return click.option(
        name, *variable, default=default, show_default=True, callback=read_address, help=help
    )


account_option = click.option(
    "--account", metavar="SID", help="The account; else TWILIO_ACCOUNT_SID."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: an object per line."
)


def account_or_default(account: str | None, settings: Settings) -> str:
    """The account of a conversation: the argument, else that of the settings."""
    account_sid = account or settings.account_sid
    if account_sid is None or not is_address(account_sid):
        raise UsageError(
            "A conversation belongs to an account. Set TWILIO_ACCOUNT_SID=AC…, or give --account AC…"
        )
    return account_sid


def read_url(_: click.Context, __: click.Parameter, text: str) -> str:
    """A URL as Twilio signs it: without user name, password and fragment."""
    return Url.parse(text).sent


def read_params(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Parameters of the form ``name=value``."""
    parts = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in parts):
        raise UsageError(
            "A parameter has no name or no =. Write name=value, such as From=+15550100001"
        )
    return [(name, value) for name, _, value in parts]
