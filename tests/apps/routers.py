"""The routers of seven frameworks behind one guard: /sms, /incoming_sms and what is under /voice/ are guarded, /page is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import bottle
import cherrypy
from flask import Flask
from pyramid.config import Configurator
from pyramid.response import Response

from convostate import ConversationMiddleware, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

RAN = b"the handler ran"
PATHS = ("/sms", "/incoming_sms", "/voice/", "/page")


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


def _rest_framework() -> WSGIApplication:
    import django
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests.apps.routers", SECRET_KEY="x", REST_FRAMEWORK={"UNAUTHENTICATED_USER": None}
    )  # fmt: skip
    django.setup(set_prefix=False)
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path
    from rest_framework.decorators import api_view
    from rest_framework.urlpatterns import format_suffix_patterns

    @api_view(["GET", "POST"])
    def view(_request: object, format: str = "") -> HttpResponse:  # noqa: A002, ARG001
        return HttpResponse(RAN)

    urlpatterns.extend(format_suffix_patterns([path(each[1:], view) for each in PATHS]))
    return WSGIHandler()  # type: ignore[no-any-return]


urlpatterns: list[Any] = []


class _Voice:
    """What is under /voice/, for the two that call methods by the names in the path."""

    def index(self, *_args: str, **_params: str) -> bytes:
        return RAN


class _Root:
    def __init__(self) -> None:
        self.voice = _Voice()

    def sms(self, **_params: str) -> bytes:
        return RAN

    incoming_sms = page = sms


def _cherrypy() -> WSGIApplication:
    for view in (_Voice.index, _Root.sms):
        setattr(view, "exposed", True)  # noqa: B010  # CherryPy's own way, which has no types
    return cherrypy.Application(_Root())  # type: ignore[no-any-return]


def _turbogears() -> WSGIApplication:
    from tg import MinimalApplicationConfigurator, TGController, expose

    class Voice(TGController):
        @expose(content_type="text/plain")
        def index(self, *_args: str, **_params: str) -> bytes:
            return RAN

    class Root(TGController):
        voice = Voice()

        @expose(content_type="text/plain")
        def sms(self, **_params: str) -> bytes:
            return RAN

        incoming_sms = page = sms

    config = MinimalApplicationConfigurator()
    config.update_blueprint({"root_controller": Root()})
    return config.make_wsgi_app()  # type: ignore[no-any-return]


ROUTERS: dict[str, Callable[[], WSGIApplication]] = {
    "rest-framework": _rest_framework,
    "cherrypy": _cherrypy,
    "turbogears": _turbogears,
    "flask": _flask,
    "bottle": _bottle,
    "pyramid": _pyramid_routes,
    "pyramid-views": _pyramid_views,
}


def make_app() -> ConversationMiddleware:
    """All of them, behind one that calls the router that a header names."""
    routers = {name: make() for name, make in ROUTERS.items()}

    def route(environ: WSGIEnvironment, start_response: Any) -> Iterable[bytes]:
        return routers[environ["HTTP_X_ROUTER"]](environ, start_response)

    paths = ("/sms", "/sms/*", "/incoming_sms", "/voice/*")
    return ConversationMiddleware(route, replace(Settings.from_environ(), paths=paths))


def __getattr__(name: str) -> Any:
    # For servers alone: in the tests' own process Django's settings are another app's.
    if name != "app":
        raise AttributeError(name)
    app = globals()["app"] = make_app()
    return app
