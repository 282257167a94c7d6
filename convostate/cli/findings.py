"""What ``convostate doctor`` finds: each finding says what is, and a fault what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from convostate.settings import SETTINGS
from convostate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from convostate.settings import Settings
    from convostate.stores import Store

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


def examine_names(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tell which variables are named like settings and are none."""
    known = [each.variable for each in SETTINGS]
    for variable in environ:
        if variable.startswith("CONVOSTATE_") and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
            advice = f"Rename it to {near[0]}" if near else "Remove it"
            yield Finding("fault", f"{variable} is not a known setting and is ignored", advice)


def examine_settings(settings: Settings, store: Store) -> Iterator[Finding]:
    """Tell what is worth knowing of settings that can be read.

    Args:
        settings: Those of the app.
        store: Its store, which it may have made itself.
    """
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
    tokens = {
        "TWILIO_AUTH_TOKEN": settings.auth_token,
        "CONVOSTATE_AUTH_TOKENS": settings.auth_tokens,
    }
    unowned = [name for name, token in tokens.items() if token]
    if settings.account_tokens and unowned and settings.account_sid is None:
        several = len(unowned) > 1
        yield Finding(
            "fault",
            f"{' and '.join(unowned)} belong{'' if several else 's'} to no account: beside "
            f"CONVOSTATE_ACCOUNT_TOKENS {'they are' if several else 'it is'} tried only for requests "
            "that name no account",
            f"Set TWILIO_ACCOUNT_SID=AC…, the account of {'these tokens' if several else 'that token'}",
        )
    if isinstance(store, MemoryStore):
        yield Finding(
            "note",
            "conversations are kept in this process's memory: another worker does not know them",
            "Set CONVOSTATE_STORE=redis://…, or run one process",
        )
    if store.server_side:
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
