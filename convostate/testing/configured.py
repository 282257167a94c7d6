"""The URL and the signing secret of an app's webhooks, from its settings."""

from __future__ import annotations

from dataclasses import fields, replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from convostate.testing.fetch import Secret

WEBHOOK_URL = "https://example.com/sms"
OUR_NUMBER, THEIR_NUMBER = "+15550100099", "+15550100001"
ACCOUNT_SID = "AC" + "0" * 31 + "1"


def configured_url(settings: Any) -> str:
    """``/sms`` if it is guarded, else the first guarded path without a wildcard."""
    origin = settings.public_url or WEBHOOK_URL.removesuffix("/sms")
    literal = [path for path in settings.paths if not set(path) & set("*?[!")]
    return origin + ("/sms" if guards(settings, "/sms") else next(iter(literal), "/sms"))


def guards(settings: Any, path: str) -> bool:
    """Whether a normalized path is guarded: the last matching pattern decides."""
    guarded = all(pattern.startswith("!") for pattern in settings.paths)
    for pattern in settings.paths:
        plain = pattern.removeprefix("!").casefold()
        if any(fnmatchcase(path.casefold(), each) for each in (plain, plain.rstrip("/"))):
            guarded = not pattern.startswith("!")
    return guarded


def configured_prefix(settings: Any) -> str:
    """The path of CONVOSTATE_PUBLIC_URL, which a proxy strips."""
    return urlsplit(settings.public_url or "").path.rstrip("/")


def with_every_path(settings: Any) -> Any:
    """The settings with every path guarded, and without deferred paths."""
    changes = {"paths": ("*",), "defer_paths": ()}
    names = {declared.name for declared in fields(settings)}
    return replace(settings, **{name: changes[name] for name in changes if name in names})


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
