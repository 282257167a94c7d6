"""The routers of four frameworks behind one guard: /sms and what is under /voice/ are guarded, /page is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bottle
from flask import Flask
from pyramid.config import Configurator
from pyramid.response import Response

from convostate import ConversationMiddleware, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

RAN = b"the handler ran"
PATHS = ("/sms", "/voice/", "/page")


def _flask() -> WSGIApplication:
    app = Flask(__name__)
    for path in PATHS:
        app.add_url_rule(path, path, lambda: RAN, methods=["GET", "POST"])
    return app


def _bottle() -> WSGIApplication:
    app = bottle.Bottle()
    for path in PATHS:
        app.route(path, ["GET", "POST"], lambda: RAN)
    return app  # type: ignore[no-any-return]  # bottle has no types


def _pyramid_routes() -> WSGIApplication:
    with Configurator() as config:
        for path in PATHS:
            config.add_route(path, path)
            config.add_view(lambda _request: Response(RAN), route_name=path)
        app: WSGIApplication = config.make_wsgi_app()
    return app


def _pyramid_views() -> WSGIApplication:
    with Configurator() as config:
        for path in PATHS:
            config.add_view(lambda _context, _request: Response(RAN), name=path.strip("/"))
        app: WSGIApplication = config.make_wsgi_app()
    return app


ROUTERS = {
    "flask": _flask(),
    "bottle": _bottle(),
    "pyramid": _pyramid_routes(),
    "pyramid-views": _pyramid_views(),
}


def route(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
    """Call the router that a header names."""
    return ROUTERS[environ["HTTP_X_ROUTER"]](environ, start_response)


app = ConversationMiddleware(
    route, replace(Settings.from_environ(), paths=("/sms", "/sms/*", "/voice/*"))
)
