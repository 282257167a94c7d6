"""What ``convostate doctor`` finds: each finding says what is, and a fault what to do."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from convostate.errors import UsageError
from convostate.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Level = Literal["ok", "note", "fault"]
RETRY_SUFFIX = (
    "#rc=3&rp=5xx"  # https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
)


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        level: ``ok``; ``note``: worth knowing; ``fault``: it does not work so.
        what: What was found, in one line.
        advice: What to do about it, or "".
    """

    level: Level
    what: str
    advice: str = ""

    @classmethod
    def fault(cls, error: Exception) -> Finding:
        """What an error says; its last sentence is what to do."""
        what, _, advice = str(error).rpartition(". ")
        return cls("fault", what, advice) if what else cls("fault", advice)


def read_settings(environ: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Read the settings, and tell what is wrong with them."""
    found = list(_misspelt(environ))
    try:
        settings = Settings.from_environ(environ)
    except UsageError as error:
        return None, [*found, Finding.fault(error)]
    return settings, [*found, Finding("ok", "the settings can be read"), *_notes(settings)]


def _misspelt(environ: Mapping[str, str]) -> Iterator[Finding]:
    known = [declared.metadata["variable"] for declared in fields(Settings)]
    for variable in environ:
        if variable.startswith("CONVOSTATE_") and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
            advice = f"Rename it to {near[0]}" if near else "Remove it"
            yield Finding("fault", f"{variable} is no setting, and nobody reads it", advice)


def _notes(settings: Settings) -> Iterator[Finding]:
    if settings.public_url is None:
        yield Finding(
            "note",
            "the Host header of a request is believed, which is right only without a proxy or inside ProxyFix",
            "Behind a proxy set CONVOSTATE_PUBLIC_URL=https://<the host Twilio was given>",
        )
    elif settings.public_url.startswith("http:"):
        yield Finding(
            "note",
            "webhooks come over plain http, so their cookies and texts can be read on the way",
            "Give Twilio an https URL, and set CONVOSTATE_PUBLIC_URL to it",
        )
    yield from examine_prefix(settings, settings.paths)
    if settings.account_tokens and settings.auth_token and settings.account_sid is None:
        yield Finding(
            "fault",
            "TWILIO_AUTH_TOKEN belongs to no account: beside CONVOSTATE_ACCOUNT_TOKENS it is never tried",
            "Set TWILIO_ACCOUNT_SID=AC…, the account of that token",
        )
    if settings.store == "memory":
        yield Finding(
            "note",
            "conversations are kept in this process's memory: another worker does not know them",
            "Set CONVOSTATE_STORE=redis://…, or run one process",
        )
    if settings.store != "cookie":
        yield Finding(
            "note",
            "Twilio does not repeat a text that was answered 503",
            f"Put {RETRY_SUFFIX} behind the webhook's URL in the Twilio console",
        )


def examine_prefix(settings: Settings, paths: Iterable[str]) -> Iterator[Finding]:
    """Tell which paths stand in the public URL as well, so that they are checked as doubled ones.

    Args:
        settings: Whose public URL.
        paths: Guarded ones as the app has them.
    """
    url = settings.public_url or ""
    prefix = urlsplit(url).path
    for path in paths:
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            yield Finding(
                "note",
                f"{path} is checked as {url}{path}: its beginning is in CONVOSTATE_PUBLIC_URL too",
                f"Set CONVOSTATE_PUBLIC_URL={url.removesuffix(prefix)}, without {prefix}, unless a proxy cuts that off",
            )
