"""The webhook's URL that an app is configured for: what Twilio would have been given."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

WEBHOOK_URL = "https://example.com/sms"


class Configured(Protocol):
    """What is read of an app's settings."""

    @property
    def public_url(self) -> str | None:
        """The origin and prefix that Twilio was given."""
        ...

    @property
    def paths(self) -> Sequence[str]:
        """The patterns of the guarded paths."""
        ...


def configured_url(settings: Configured) -> str:
    """``/sms`` where it is guarded, else the first guarded path that is written out."""
    origin = settings.public_url or WEBHOOK_URL.removesuffix("/sms")
    written = [path for path in settings.paths if not set(path) & set("*?[")]
    patterns = [pattern.casefold().rstrip("/") for pattern in settings.paths]
    is_guarded = any(fnmatchcase("/sms", pattern) for pattern in patterns)
    return origin + ("/sms" if is_guarded else next(iter(written), "/sms"))


def configured_prefix(settings: Configured) -> str:
    """What stands behind the host in CONVOSTATE_PUBLIC_URL: a proxy cuts it off."""
    return urlsplit(settings.public_url or "").path
