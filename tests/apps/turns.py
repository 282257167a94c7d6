"""Apps whose one view runs what a test hands it: in a turn of a conversation, or on a browser's visit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, session
from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from werkzeug.test import Client

from convostate import ConversationMiddleware, Settings
from convostate.asgi import ConversationMiddleware as AsgiMiddleware
from convostate.frameworks.flask import ConvoState
from convostate.middleware import interface_of
from convostate.testing import TwilioSimulator
from tests.apps import django_project
from tests.asgi_served import serve_asgi

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from pyramid.request import Request
    from starlette.types import ASGIApp

    from convostate.testing.reply import Reply

    View = Callable[[Any], str]
    Step = Callable[[Any], Any]
    MakeApp = Callable[[View, Settings], WSGIApplication | ASGIApp]

BROWSER = ("/visit",)


def flask_app(view: View, settings: Settings, *, own: bool = True) -> WSGIApplication:
    app = Flask(__name__)
    app.secret_key = "an example" if own else None
    app.testing = True  # what a view raises comes out
    for path in ("/turn", *BROWSER):
        app.add_url_rule(path, path, lambda: view(session), methods=["GET", "POST"])
    ConvoState(app, settings)
    return app


def pyramid_app(view: View, settings: Settings, *, own: bool = True) -> WSGIApplication:
    def run(request: Request) -> Response:
        return Response(view(request.session))

    config = Configurator(settings={"convostate.session": "true"})
    config.include("convostate.frameworks.pyramid")
    if own:
        config.set_session_factory(SignedCookieSessionFactory("an example"))
    for path in ("/turn", *BROWSER):
        config.add_route(path, path)
        config.add_view(run, route_name=path)
    return ConversationMiddleware(config.make_wsgi_app(), settings)


def django_app(view: View, settings: Settings) -> WSGIApplication:
    django_project.configure()
    from django.core.wsgi import get_wsgi_application

    app = get_wsgi_application()

    def with_view(environ: Any, start_response: Any) -> Any:
        return app(environ | {django_project.VIEW: view}, start_response)

    return ConversationMiddleware(with_view, settings)


def starlette_app(view: View, settings: Settings, *, own: bool = True) -> ASGIApp:
    async def run(request: Any) -> StarletteResponse:
        return StarletteResponse(view(request.session), media_type="text/xml")

    app = Starlette(
        routes=[Route(path, run, methods=["GET", "POST"]) for path in ("/turn", *BROWSER)]
    )
    app.add_middleware(AsgiMiddleware, settings=settings)
    if own:
        app.add_middleware(SessionMiddleware, secret_key="an example")
    return app


def served(app: ASGIApp, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Serve one request to an ASGI app, for a client that knows WSGI only."""
    status, headers, body = serve_asgi(app, environ)
    start_response(f"{status} ", list(headers))
    return [body]


def django_app_without_sessions(view: View, settings: Settings) -> WSGIApplication:
    django_project.configure()
    from django.test.utils import override_settings

    with override_settings(MIDDLEWARE=[django_project.CONVERSATIONS]):
        return django_app(view, settings)


APPS: dict[str, MakeApp] = {
    "flask": flask_app,
    "pyramid": pyramid_app,
    "django": django_app,
    "starlette": starlette_app,
}
OWN_LESS: dict[str, MakeApp] = {
    "flask": partial(flask_app, own=False),
    "pyramid": partial(pyramid_app, own=False),
    "django": django_app_without_sessions,
    "starlette": partial(starlette_app, own=False),
}
"""The same without sessions of their own."""


class Turns:
    """A conversation with an app of one framework, and a browser that visits it.

    Args:
        make_app: One of `APPS`, or alike.
        **settings: Changes to them.
    """

    def __init__(self, make_app: MakeApp, **settings: Any) -> None:
        given: dict[str, Any] = {"store": "memory", "paths": "/turn", **settings}
        self.app: Any
        self.app = make_app(self._view, Settings.from_environ(**given))
        self.twilio = TwilioSimulator(self.app, webhook_url="https://example.com/turn")
        self.phone = self.twilio.phone("+15550100001")
        is_asgi = interface_of(self.app) == "ASGI"
        self.browser = Client(partial(served, self.app) if is_asgi else self.app)
        self.reply: Reply
        self.browser_cookies: list[tuple[str, str, str]] = []
        self._step: Step = lambda _session: None
        self._result: Any = None

    def _view(self, session: Any) -> str:
        self._result = None
        self._result = self._step(session)
        return "<Response/>"

    def turn(self, step: Step = lambda _session: None, body: str = "hi") -> Any:
        """Run `step` on the session in a webhook; what it returns."""
        self._step = step
        self.reply = self.phone.text(body)
        assert self.reply.errors == []
        return self._result

    def status(self, step: Step) -> Any:
        """Run `step` on the session in a message-status webhook; what it returns."""
        self._step = step
        assert self.phone.deliver_status().status == 200
        return self._result

    def visit(self, step: Step = lambda _session: None) -> Any:
        """Run `step` on the session of a browser's page; what it returns."""
        self._step = step
        page = self.browser.get(BROWSER[0], buffered=True)
        assert page.status_code == 200
        self.browser_cookies = [
            header.partition(";")[0].partition("=") for header in page.headers.getlist("Set-Cookie")
        ]
        return self._result

    @property
    def state(self) -> dict[Any, Any]:
        """What the conversation holds after the last turn."""
        return dict(self.reply.state or {})
