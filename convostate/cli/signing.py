"""What `sign` and `explain` share: the secrets of the environment, URLs and parameters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from convostate.cli.words import is_text
from convostate.errors import RequestError, UsageError
from convostate.sealing.keys import Keyring
from convostate.settings import Settings
from convostate.testing.fetch import Url
from convostate.twilio.diagnosis import Arrival
from convostate.twilio.form import parse_query

if TYPE_CHECKING:
    import click

_VARIABLES = (
    "TWILIO_AUTH_TOKEN",
    "TWILIO_ACCOUNT_SID",
    "CONVOSTATE_AUTH_TOKENS",
    "CONVOSTATE_ACCOUNT_TOKENS",
    "CONVOSTATE_SHARED_KEYS",
    "CONVOSTATE_OWN_PARAMS",
)


def signing_settings() -> Settings:
    """The settings that signatures need; others are not read.

    Raises:
        UsageError: There is no token, or one is invalid.
    """
    known = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return Settings.from_environ({**known, "CONVOSTATE_KEYS": Keyring.generate()})


def signing_secret(settings: Settings, account_sid: str, key_id: str = "") -> tuple[str, str]:
    """The secret and the algorithm that Twilio signs with.

    Args:
        settings: Where the secrets are.
        account_sid: The account that the webhook names, or "".
        key_id: The shared key to sign with, or "" for an auth token.

    Raises:
        UsageError: There is no secret for this account or key.
    """
    if key_id:
        if key_id not in settings.shared_keys:
            raise UsageError(
                "There is no such shared key. Set CONVOSTATE_SHARED_KEYS=<key_id>=<secret>"
            )
        return settings.shared_keys[key_id], "HMAC_SHA256"
    named = settings.account_tokens.get(account_sid, ())
    tokens = [*named, *filter(None, [settings.auth_token]), *settings.auth_tokens]
    if not tokens:
        raise UsageError(
            "There is no auth token for this account. Set TWILIO_AUTH_TOKEN=<the account's auth token>"
        )
    return tokens[0], "HMAC_SHA1"


def arrival_at(url: str) -> Arrival | None:
    """How a request for this URL arrives at an app with CONVOSTATE_PUBLIC_URL; None without that."""
    public_url = os.environ.get("CONVOSTATE_PUBLIC_URL", "").strip().rstrip("/")
    target = url.removeprefix(public_url)
    if target == url or target[:1] not in ("", "/", "?"):
        return None
    return Arrival(target, public_url)


def account_in(url: str, params: list[tuple[str, str]]) -> str:
    """The account that a request names, in its form or, of a GET, in its query; or ""."""
    if params:
        return next((value for name, value in params if name == "AccountSid"), "")
    try:
        return parse_query(url.partition("?")[2]).first.get("AccountSid", "")
    except RequestError:
        return ""


def read_url(_: click.Context, __: click.Parameter, text: str) -> str:
    """A URL as Twilio signs it: without user name, password and fragment."""
    return Url.parse(text).sent


def read_params(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Parameters written as ``name=value``.

    Raises:
        UsageError: One has no ``=``, or is not valid UTF-8.
    """
    if not all(is_text(text) for text in texts):
        raise UsageError("A parameter is not valid UTF-8. Write it in UTF-8")
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        raise UsageError(
            "A parameter has no name or no =. Write name=value, such as From=+15550100001"
        )
    return [(name, value) for name, _, value in pairs]
