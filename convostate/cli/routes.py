"""Which routes of an app are guarded, for ``convostate doctor``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostate.cli.findings import Finding, examine_prefix
from convostate.paths import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.cli.framework import Framework
    from convostate.settings import Settings

# Words that people name their webhooks by, whole: /callback is one, /callbacks-admin is none.
_WEBHOOK = re.compile(
    r"(?:^|[/_.-])(sms|mms|twilio|twiml|voice|calls?|whatsapp|texts?|messages?|message-status|"
    r"incoming|inbound|webhooks?|callback|reply)(?=[/_.-]|$)",
    re.IGNORECASE,
)


def examine_routes(framework: Framework | None, settings: Settings) -> Iterator[Finding]:
    """Tell which routes are guarded, and which look like webhooks and are not.

    Args:
        framework: Whose routes; None where it is not known, and tells none.
        settings: The middleware's.
    """
    routes = [] if framework is None else sorted(set(framework.routes()))
    guarded = guard(settings.paths)
    patterns = ", ".join(settings.paths)
    if not routes:
        yield Finding("note", f"guarded paths: {patterns} (this app does not tell its routes)")
        return
    inside = [route for route in routes if guarded(_example(route))]
    yield Finding("ok", f"guarded by {patterns}: {', '.join(inside) or 'no route'}")
    # What the patterns say by themselves is a finding of the settings.
    yield from examine_prefix(settings, [route for route in inside if route not in settings.paths])
    for route in routes:
        if route not in inside and _WEBHOOK.search(route):
            also = ",".join((*settings.paths, _pattern(route)))
            yield Finding(
                "fault",
                f"{route} looks like a webhook and is not guarded",
                f"Set CONVOSTATE_PATHS={also}, or rename the route if browsers use it",
            )
    if not inside and not any(_WEBHOOK.search(route) for route in routes):
        yield Finding(
            "fault", "no route is guarded", "Set CONVOSTATE_PATHS=/sms, the webhook's path"
        )


def _example(route: str) -> str:
    """A path that the route takes: its placeholders filled."""
    return "/" + re.sub(r"<[^>]*>|\{[^}]*\}", "x", route).lstrip("/")


def _pattern(route: str) -> str:
    return "/" + re.sub(r"<[^>]*>|\{[^}]*\}", "*", route).lstrip("/")
