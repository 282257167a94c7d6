"""The web framework of an app, for ``convostate doctor``: which it is, its routes, its adapter."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from convostate.cli.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DJANGO_ADAPTER = "convostate.frameworks.django.ConversationSessionMiddleware"
# Of each framework: what the app does without the adapter, and how it gets it.
_WITHOUT_ADAPTER = {
    "Flask": (
        "flask.session stays Flask's own in webhooks: the state is state_from(request.environ)",
        "To have flask.session be the state: ConvoState(app), from convostate.frameworks.flask",
    ),
    "Bottle": (
        "no handler gets the state as an argument: it is state_from(request.environ)",
        "To have one named conversation: install ConversationPlugin(), from convostate.frameworks.bottle",
    ),
    "Pyramid": (
        "there is no request.conversation: the state is state_from(request.environ)",
        'To have it, and request.session: config.include("convostate.frameworks.pyramid")',
    ),
    "Django": (
        "request.session stays Django's own in webhooks: the state is state_from(request.environ)",
        f"To have request.session be the state: {_DJANGO_ADAPTER}, right after SessionMiddleware",
    ),
}


class Framework(NamedTuple):
    """A framework, and the object of it that knows the routes."""

    name: Literal["Flask", "Bottle", "Pyramid", "Django"]
    app: Any

    def routes(self) -> Iterable[str]:
        """The routes, with placeholders as the framework spells them."""
        if self.name == "Flask":
            rules = self.app.url_map.iter_rules()
            return [rule.rule for rule in rules if rule.endpoint != "static"]
        if self.name == "Bottle":
            return [route.rule for route in self.app.routes]
        if self.name == "Pyramid":
            kept = self.app.registry.introspector.get_category("routes", ())
            return [item["introspectable"]["pattern"] for item in kept]
        return _django_routes(sys.modules["django.urls"].get_resolver(), "/")

    def has_adapter(self) -> bool:
        """Whether the adapter of `convostate.frameworks` is in use."""
        if self.name == "Flask":
            return "convostate" in self.app.extensions
        if self.name == "Bottle":
            return any(type(one).__name__ == "ConversationPlugin" for one in self.app.plugins)
        if self.name == "Pyramid":
            kept = self.app.registry.introspector.get_category("request extensions", ())
            return any(item["introspectable"].discriminator == "conversation" for item in kept)
        return _DJANGO_ADAPTER in sys.modules["django.conf"].settings.MIDDLEWARE


def find_framework(app: Any, inner: object) -> Framework | None:
    """Find the framework of an app, or None where it has none that is known.

    Args:
        app: What the server calls, or the framework's object.
        inner: What the middleware calls.
    """
    for holder in (app, inner, getattr(inner, "__self__", None)):
        if hasattr(holder, "url_map"):
            return Framework("Flask", holder)
        if isinstance(getattr(holder, "routes", None), list):
            return Framework("Bottle", holder)
        if hasattr(getattr(holder, "registry", None), "introspector"):
            return Framework("Pyramid", holder)
        if type(holder).__module__.startswith("django.core.handlers"):
            return Framework("Django", holder)
    return None


def examine_adapter(framework: Framework | None) -> Iterator[Finding]:
    """Tell what the framework's adapter would add, where it is not in use."""
    if framework is not None and not framework.has_adapter():
        yield Finding("note", *_WITHOUT_ADAPTER[framework.name])


def _django_routes(resolver: Any, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern).lstrip("^/").rstrip("$")
        if hasattr(pattern, "url_patterns"):
            yield from _django_routes(pattern, path)
        else:
            yield path
