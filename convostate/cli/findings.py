"""The findings of ``convostate doctor`` about settings; a fault comes with advice."""

from __future__ import annotations

import os
import re
from inspect import iscoroutinefunction
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from convostate.stores.base import MAX_WAITING
from convostate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import AsyncStore

Level = Literal["ok", "note", "fault"]
RETRY_SUFFIX = (
    "#rc=3&rp=5xx"  # https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
)

_is_usual_token = re.compile("[0-9a-f]{32}").fullmatch  # Twilio documents no form

_GUNICORN = (r"(?:-w|--workers)[= ]*([0-9]+)", r"--threads[= ]*([0-9]+)")


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        level: ``ok``; ``note``: worth knowing; ``fault``: it does not work.
        what: The result, in one line.
        advice: What to do, or "".
    """

    level: Level
    what: str
    advice: str = ""

    @classmethod
    def fault(cls, error: Exception) -> Finding:
        """The message of an error, whose last sentence is the advice."""
        what, _, advice = str(error).rpartition(". ")
        return cls("fault", what, advice) if what else cls("fault", advice)


def examine_settings(settings: Settings, store: Store | AsyncStore) -> Iterator[Finding]:
    """Find risks in valid settings; the store may be the app's own."""
    if settings.public_url is None:
        yield Finding(
            "note",
            "the Host header is trusted; that is safe only without a proxy, or with ProxyFix around the middleware",
            "Behind a proxy set CONVOSTATE_PUBLIC_URL=https://<the host in the webhook's URL at Twilio>",
        )
    elif settings.public_url.startswith("http:"):
        yield Finding(
            "note",
            "webhooks arrive over plain http, so others on the network can read their cookies and texts",
            "Give Twilio an https URL, and set CONVOSTATE_PUBLIC_URL to it",
        )
    yield from examine_prefix(settings, settings.paths)
    tokens = {
        "TWILIO_AUTH_TOKEN": (settings.auth_token,) if settings.auth_token else (),
        "CONVOSTATE_AUTH_TOKENS": settings.auth_tokens,
    }
    owned = {"CONVOSTATE_ACCOUNT_TOKENS": tuple(chain(*settings.account_tokens.values()))}
    for name, given in (tokens | owned).items():
        if not all(map(_is_usual_token, given)):
            yield Finding(
                "note",
                f"{name} holds a token that does not look like Twilio's (32 hexadecimal digits)",
                "Copy the auth token from the Twilio console; only one made up for tests may look different",
            )
    unowned = [name for name, given in tokens.items() if given]
    if settings.account_tokens and unowned and settings.account_sid is None:
        several = len(unowned) > 1
        yield Finding(
            "fault",
            f"{' and '.join(unowned)} belong{'' if several else 's'} to no account: with "
            f"CONVOSTATE_ACCOUNT_TOKENS set, {'they are' if several else 'it is'} tried only for "
            "requests that name no account",
            f"Set TWILIO_ACCOUNT_SID=AC…, the account of {'these tokens' if several else 'that token'}",
        )
    if settings.store == "memory" or isinstance(store, MemoryStore):
        yield Finding(
            "note",
            "conversations are kept in this process's memory: another worker does not see them",
            "Set CONVOSTATE_STORE=redis://…, or run one process",
        )
    if store.server_side:
        if not iscoroutinefunction(store.begin):  # else a waiting text does not occupy a worker
            yield _capacity(settings, os.environ)
        yield Finding(
            "note",
            "Twilio does not repeat a text that was answered 503",
            f"Append {RETRY_SUFFIX} to the webhook's URL in the Twilio console",
        )


def _capacity(settings: Settings, environ: Mapping[str, str]) -> Finding:
    """How many workers one conversation can occupy."""
    waiting = MAX_WAITING if settings.max_waiting is None else settings.max_waiting
    busy = waiting + 1
    options = environ.get("GUNICORN_CMD_ARGS", "")
    workers, threads = (re.search(option, options) for option in _GUNICORN)
    count = workers[1] if workers else environ.get("WEB_CONCURRENCY", "")
    rest = ""
    has_greenlets = re.search("gevent|eventlet", options)  # 1,000 for each worker
    if count.isdecimal() and not has_greenlets:
        total = int(count) * int(threads[1] if threads else 1)
        rest = f" of your {total}; {max(total - busy, 0)} {'is' if total - busy == 1 else 'are'} left for everyone else"
    places = "worker or thread" if busy == 1 else "workers or threads"
    return Finding(
        "note",
        f"one person's texts can keep {busy} {places} busy{rest}: 1 runs, {waiting} wait "
        "(CONVOSTATE_MAX_WAITING)",
        f"Run more than {busy} (workers times threads), such as gunicorn --workers 2 --threads {busy}",
    )


def examine_prefix(settings: Settings, paths: Iterable[str]) -> Iterator[Finding]:
    """Find guarded paths whose prefix is in the public URL as well, so that it counts twice."""
    url = settings.public_url or ""
    prefix = urlsplit(url).path
    for path in paths:
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            yield Finding(
                "note",
                f"{path} is checked as {url}{path}: CONVOSTATE_PUBLIC_URL has its prefix as well",
                f"Set CONVOSTATE_PUBLIC_URL={url.removesuffix(prefix)}, without {prefix}, unless a proxy strips it",
            )
