"""Apps that answer with the parameters as their framework reads them, and as they were verified."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import bottle
import flask
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from pyramid.config import Configurator
from pyramid.response import Response

from convostate import webhook_from
from tests.apps import django_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from pyramid.request import Request

    Pairs = Iterable[tuple[str, str]]


def shown(environ: WSGIEnvironment, query: Pairs, form: Pairs) -> str:
    """What the framework read, and what was verified, as JSON."""
    webhook = webhook_from(environ)
    return json.dumps([sorted(query), sorted(form), dict(webhook.params), webhook.body])


def flask_mirror() -> WSGIApplication:
    app = flask.Flask(__name__)

    @app.route("/sms", methods=["GET", "POST"])
    def sms() -> str:
        request = flask.request
        return shown(
            request.environ, request.args.items(multi=True), request.form.items(multi=True)
        )

    return app.wsgi_app


def bottle_mirror() -> Any:
    app = bottle.Bottle()

    @app.route("/sms", method=["GET", "POST"])
    def sms() -> str:
        request = bottle.request
        return shown(
            request.environ,
            request.query.decode().allitems(),
            request.forms.decode().allitems(),
        )

    return app


def pyramid_mirror() -> Any:
    def sms(request: Request) -> Response:
        return Response(shown(request.environ, request.GET.items(), request.POST.items()))

    config = Configurator()
    config.add_route("sms", "/sms")
    config.add_view(sms, route_name="sms")
    return config.make_wsgi_app()


@csrf_exempt
def django_view(request: HttpRequest) -> HttpResponse:
    def pairs(fields: Any) -> Pairs:
        return [(name, value) for name, values in fields.lists() for value in values]

    return HttpResponse(shown(request.META, pairs(request.GET), pairs(request.POST)))


def django_mirror() -> Any:
    django_project.configure()
    return get_wsgi_application()


MIRRORS = {
    "flask": flask_mirror,
    "bottle": bottle_mirror,
    "pyramid": pyramid_mirror,
    "django": django_mirror,
}
