"""The findings of ``convostate doctor`` about routes: which are guarded, and their URLs for Twilio."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from convostate.cli.findings import Finding, examine_prefix
from convostate.paths import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from convostate.settings import Settings

# Typical words in the paths of webhooks, as whole words: /callback, but not /callbacks-admin.
_WEBHOOK = re.compile(
    r"(?:^|[/_.-])(sms|mms|twilio|twiml|voice|calls?|whatsapp|texts?|messages?|message-status|"
    r"incoming|inbound|webhooks?|callback|reply)(?=[/_.-]|$)",
    re.IGNORECASE,
)
# Typical words in the paths that browsers and load balancers request.
_BROWSER = re.compile(
    r"^/?$|(?:^|[/_.-])(log-?in|log-?out|sign-?in|sign-?up|admin|accounts?|health|healthz|healthcheck|livez|"
    r"readyz|ready|alive|ping|metrics|docs|redoc|openapi|static|assets|favicon|robots|about)(?=[/_.-]|$)",
    re.IGNORECASE,
)

Kind = Literal["post", "page", "socket"]
"""What a route takes: POST (or its methods are unknown), other methods only, or WebSockets."""

_DJANGO_ADAPTER = "convostate.frameworks.django.ConversationSessionMiddleware"


def _kind(methods: Container[str] | None) -> Kind:
    return "post" if not methods or "POST" in methods else "page"


def _flask_routes(app: Any) -> Iterator[tuple[str, Kind]]:
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            yield rule.rule, "socket" if rule.websocket else _kind(rule.methods)


def _bottle_routes(app: Any) -> Iterator[tuple[str, Kind]]:
    for route in app.routes:
        mounted = route.config.get("mountpoint.target")
        if hasattr(mounted, "routes"):
            prefix = "/" + route.config["mountpoint.prefix"].strip("/")
            yield from ((prefix + path, kind) for path, kind in _bottle_routes(mounted))
        else:
            yield route.rule, "post" if route.method in ("POST", "ANY", "PROXY") else "page"


def _pyramid_routes(app: Any) -> Iterator[tuple[str, Kind]]:
    for item in app.registry.introspector.get_category("routes", ()):
        methods = item["introspectable"]["request_methods"]
        yield item["introspectable"]["pattern"], _kind(methods)


def _django_routes(_app: Any) -> Iterator[tuple[str, Kind]]:
    def walk(resolver: Any, prefix: str) -> Iterator[tuple[str, Kind]]:
        for pattern in resolver.url_patterns:
            path = prefix + str(pattern.pattern).lstrip("^/").rstrip("$")
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern, path)
            else:
                yield path, "post"

    return walk(sys.modules["django.urls"].get_resolver(), "/")


def _starlette_routes(app: Any) -> Iterator[tuple[str, Kind]]:
    # FastAPI keeps an included router whole, and lists the routes in it with a function.
    listed = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", iter)

    def walk(routes: Any, prefix: str) -> Iterator[tuple[str, Kind]]:
        for route in listed(routes):
            path = getattr(route, "path", None)
            mounted = getattr(route, "routes", None)
            if mounted:
                yield from walk(mounted, prefix + (path or ""))
            elif path is not None:
                of = type(getattr(route, "original_route", route))
                is_socket = "WebSocket" in of.__name__
                kind = _kind(getattr(route, "methods", None))
                yield prefix + path, "socket" if is_socket else kind

    return walk(app.routes, "")


def _examine_django(settings: Settings) -> Iterator[Finding]:
    """Find a webhook's host that Django answers with 400."""
    allowed = sys.modules["django.conf"].settings.ALLOWED_HOSTS
    host = urlsplit(settings.public_url or "").hostname
    is_allowed = sys.modules["django.http.request"].validate_host
    if host and not is_allowed(host, allowed):
        yield Finding(
            "note",
            f"Django answers 400 to webhooks for {host}: ALLOWED_HOSTS does not have it",
            f"Add {host!r} to ALLOWED_HOSTS, unless a proxy sends another Host header",
        )


def _has_pyramid_adapter(app: Any) -> bool:
    items = app.registry.introspector.get_category("request extensions", ())
    return any(item["introspectable"].discriminator == "conversation" for item in items)


class Framework(NamedTuple):
    """A web framework.

    Attributes:
        routes: Returns each route of an app, with the framework's placeholders, and what it takes.
        has_adapter: Whether the app uses the adapter of `convostate.frameworks`.
        without: The difference without the adapter, and how to add it.
        examine: Finds what in the framework's own settings refuses webhooks.
    """

    routes: Callable[[Any], Iterator[tuple[str, Kind]]]
    has_adapter: Callable[[Any], bool]
    without: tuple[str, str] = ("", "")
    examine: Callable[[Settings], Iterator[Finding]] = lambda _settings: iter(())


# By the package of the app's class or of one of its bases.
_FRAMEWORKS = {
    "flask": Framework(
        _flask_routes,
        lambda app: "convostate" in app.extensions,
        (
            "flask.session stays Flask's own in webhooks: the state is state_from(request.environ)",
            "To have flask.session be the state: ConvoState(app), from convostate.frameworks.flask",
        ),
    ),
    "bottle": Framework(
        _bottle_routes,
        lambda app: any(type(each).__name__ == "ConversationPlugin" for each in app.plugins),
        (
            "no handler gets the state as an argument: it is state_from(request.environ)",
            "To have one named conversation: install ConversationPlugin(), from convostate.frameworks.bottle",
        ),
    ),
    "pyramid": Framework(
        _pyramid_routes,
        _has_pyramid_adapter,
        (
            "there is no request.conversation: the state is state_from(request.environ)",
            'To have it, and request.session: config.include("convostate.frameworks.pyramid")',
        ),
    ),
    "django": Framework(
        _django_routes,
        lambda _app: _DJANGO_ADAPTER in sys.modules["django.conf"].settings.MIDDLEWARE,
        (
            "request.session stays Django's own in webhooks: the state is state_from(request.environ)",
            f"To have request.session be the state: {_DJANGO_ADAPTER}, right after SessionMiddleware",
        ),
        _examine_django,
    ),
    "starlette": Framework(_starlette_routes, lambda _app: True),
    "litestar": Framework(_starlette_routes, lambda _app: True),
    "quart": Framework(_flask_routes, lambda _app: True),
}


def examine_routes(
    app: object, inner: object, settings: Settings, *, suffix: str
) -> Iterator[Finding]:
    """Find guarded routes and their URLs for Twilio, and routes that look like webhooks but are not guarded.

    The app is what the server calls; `inner` is inside the middleware; each URL gets the suffix.
    """
    framework, holder = _find_framework(app, inner)
    try:
        routes = {} if framework is None else dict(sorted(framework.routes(holder)))
    except Exception as error:  # noqa: BLE001  # Django imports the app's URLs here, and runs its code
        yield Finding(
            "fault",
            f"listing the app's routes raises {type(error).__name__}",
            "Fix the error in the module of the routes, such as urls.py",
        )
        return
    if routes:
        yield from _examine_guards(routes, settings, suffix)
    else:
        patterns = ", ".join(settings.paths)
        yield Finding("note", f"guarded paths: {patterns} (the routes of this app are not known)")
    if framework is not None:
        if not framework.has_adapter(holder):
            yield Finding("note", *framework.without)
        yield from framework.examine(settings)


def _find_framework(*holders: Any) -> tuple[Framework | None, Any]:
    for holder in (*holders, *(getattr(each, "__self__", None) for each in holders)):
        packages = {cls.__module__.partition(".")[0] for cls in type(holder).__mro__}
        for name in ("quart", *_FRAMEWORKS):  # Quart derives from Flask
            if name in packages:
                return _FRAMEWORKS[name], holder
    return None, None


def _examine_guards(
    routes: Mapping[str, Kind], settings: Settings, suffix: str
) -> Iterator[Finding]:
    is_guarded = guard(settings.paths)
    patterns = ", ".join(settings.paths)
    guarded = [route for route in routes if is_guarded(_example(route))]
    webhooks = [route for route in routes if _WEBHOOK.search(route)]
    sockets = [route for route in guarded if routes[route] == "socket"]
    # A route without POST may still be a webhook, if its name says so.
    pages = [
        route
        for route in guarded
        if route not in (*webhooks, *sockets)
        and (_BROWSER.search(route) or routes[route] == "page")
    ]
    yield Finding("ok", f"guarded by {patterns}: {', '.join(guarded) or 'no route'}")
    origin = settings.public_url or "https://<your host>"
    for route in guarded:
        if route in sockets:
            url = f"wss://{origin.partition('://')[2]}{_path(route)}"
            yield Finding("ok", f"the URL of {route} for a stream in your TwiML: {url}")
        elif route not in pages:
            url = f"{origin}{_path(route)}{suffix}"
            yield Finding("ok", f"the URL of {route} to enter at Twilio: {url}")
    # The patterns themselves are examined with the settings.
    yield from examine_prefix(settings, [route for route in guarded if route not in settings.paths])
    if pages:
        patterns_to_set = [_pattern(route) for route in guarded if route not in pages]
        advice = f"Set CONVOSTATE_PATHS={','.join(patterns_to_set) or '/sms'}"
        yield Finding(
            "note",
            f"guarded as well: {', '.join(pages)}. Browsers and health checks get 403 there",
            f"{advice}, the paths that Twilio calls",
        )
    missing = [route for route in webhooks if route not in guarded]
    extended = ",".join((*settings.paths, *dict.fromkeys(map(_pattern, missing))))
    for route in missing:
        yield Finding(
            "fault",
            f"{route} looks like a webhook and is not guarded",
            f"Set CONVOSTATE_PATHS={extended}, or rename the route if browsers use it",
        )
    if not guarded and not webhooks:
        advice = "Set CONVOSTATE_PATHS=/sms, the path that Twilio calls"
        yield Finding("fault", "no route is guarded", advice)


def _path(route: str) -> str:
    return "/" + route.lstrip("/")


def _example(route: str) -> str:
    """A path that the route matches."""
    return _path(re.sub(r"<[^>]*>|\{[^}]*\}", "x", route))


def _pattern(route: str) -> str:
    return _path(re.sub(r"<[^>]*>|\{[^}]*\}", "*", route))
