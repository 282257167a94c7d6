"""The URL and the signing secret of an app's webhooks, from its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from convostate.paths import guard
from convostate.testing.fetch import Secret

WEBHOOK_URL = "https://example.com/sms"
OUR_NUMBER, THEIR_NUMBER = "+15550100099", "+15550100001"
ACCOUNT_SID = "AC" + "0" * 31 + "1"


def configured_url(settings: Any) -> str:
    """``/sms`` if it is guarded, else the first guarded path without a wildcard."""
    origin = settings.public_url or WEBHOOK_URL.removesuffix("/sms")
    literal = [path for path in settings.paths if not set(path) & set("*?[!")]
    return origin + ("/sms" if guard(settings.paths)("/sms") else next(iter(literal), "/sms"))


def configured_prefix(settings: Any) -> str:
    """The path of CONVOSTATE_PUBLIC_URL, which a proxy strips."""
    return urlsplit(settings.public_url or "").path.rstrip("/")


def with_every_path(settings: Any) -> Any:
    """The settings with every path guarded, and without deferred paths."""
    return replace(settings, paths=("*",), defer_paths=())


def signing(settings: Any) -> tuple[str, Secret]:
    """An account and a secret that the app accepts."""
    account_sid = settings.account_sid or ACCOUNT_SID
    if settings.auth_token and (settings.account_sid or not settings.account_tokens):
        return account_sid, Secret(settings.auth_token)
    for owner, tokens in settings.account_tokens.items():
        return owner, Secret(tokens[0])
    for token in settings.auth_tokens:
        return account_sid, Secret(token)
    key_id, value = next(iter(settings.shared_keys.items()))
    return account_sid, Secret(value, key_id)
