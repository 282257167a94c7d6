"""The routes of an app, as far as its framework tells them, for ``convostate doctor``."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from convostate.cli.findings import Finding
from convostate.guarded_paths import guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convostate.settings import Settings

# Words that people name their webhooks by, whole: /callback is one, /callbacks-admin is none.
_WEBHOOK = re.compile(
    r"(?:^|[/_.-])(sms|mms|twilio|twiml|voice|calls?|whatsapp|texts?|messages?|message-status|"
    r"incoming|inbound|webhooks?|callback|reply)(?=[/_.-]|$)",
    re.IGNORECASE,
)


def examine_routes(app: Any, inner: Any, settings: Settings) -> Iterator[Finding]:
    """Tell which routes are guarded, and which look like webhooks and are not.

    Args:
        app: What the server calls, or the framework's object.
        inner: What the middleware calls, or None where there is none.
        settings: The middleware's.
    """
    routes = sorted(set(_routes(app, inner)))
    guarded = guard(settings.paths)
    patterns = ", ".join(settings.paths)
    if not routes:
        yield Finding("note", f"guarded paths: {patterns} (this app does not tell its routes)")
        return
    inside = [route for route in routes if guarded(_example(route))]
    yield Finding("ok", f"guarded by {patterns}: {', '.join(inside) or 'no route'}")
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


def _routes(app: Any, inner: Any) -> Iterable[str]:
    holders: tuple[Any, ...] = (app, inner, getattr(inner, "__self__", None))
    for holder in holders:
        if hasattr(holder, "url_map"):  # Flask
            return [rule.rule for rule in holder.url_map.iter_rules() if rule.endpoint != "static"]
        if isinstance(getattr(holder, "routes", None), list):  # Bottle
            return [route.rule for route in holder.routes]
        registry: Any = getattr(holder, "registry", None)
        if hasattr(registry, "introspector"):  # Pyramid
            kept = registry.introspector.get_category("routes", ())
            return [item["introspectable"]["pattern"] for item in kept]
        if type(holder).__module__.startswith("django.core.handlers"):
            return _django_routes(sys.modules["django.urls"].get_resolver(), "/")
    return []


def _django_routes(resolver: Any, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern).lstrip("^/").rstrip("$")
        if hasattr(pattern, "url_patterns"):
            yield from _django_routes(pattern, path)
        else:
            yield path


def _example(route: str) -> str:
    """A path that the route takes: its placeholders filled."""
    return "/" + re.sub(r"<[^>]*>|\{[^}]*\}", "x", route).lstrip("/")


def _pattern(route: str) -> str:
    return "/" + re.sub(r"<[^>]*>|\{[^}]*\}", "*", route).lstrip("/")
