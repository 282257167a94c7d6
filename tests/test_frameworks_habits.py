"""Apps written as Twilio's published examples are: wrapped, they go on as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from flask import Blueprint, Flask, Response, make_response, request, session
from flask.views import MethodView
from twilio.twiml.messaging_response import MessagingResponse

from convostate import ConversationMiddleware, Settings
from convostate.frameworks.flask import ConvoState
from convostate.testing import TwilioSimulator
from tests.apps import django_project

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

django_project.configure()


def phone_of(app: Any, method: Any = "POST") -> Phone:
    return TwilioSimulator(app, method=method).phone("+15550100001")


def wrapped(app: Flask, **settings: Any) -> Flask:
    ConvoState(app, Settings.from_environ(**settings))
    return app


def twiml(text: str) -> str:
    response = MessagingResponse()
    response.message(text)
    return str(response)


def count() -> int:
    session["counter"] = session.get("counter", 0) + 1
    return int(session["counter"])


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_request_values_and_no_content_type(method: str) -> None:
    app = Flask(__name__)

    @app.route("/sms", methods=["GET", "POST"])
    def sms() -> str:
        return twiml(f"{request.values.get('Body')} {request.values.get('From')} {count()}")

    phone = phone_of(wrapped(app), method)
    replies = [phone.text("hi"), phone.text("again")]

    assert [reply.messages for reply in replies] == [
        ["hi +15550100001 1"],
        ["again +15550100001 2"],
    ]
    assert replies[0].headers["Content-Type"] == "text/html; charset=utf-8"


def test_request_form_in_a_blueprint() -> None:
    bot = Blueprint("bot", __name__)

    @bot.route("/sms", methods=["POST"])
    def sms() -> Response:
        text = twiml(f"{request.form['Body']} {count()}")
        return Response(text, mimetype="application/xml")

    app = Flask(__name__)
    app.register_blueprint(bot)

    phone = phone_of(wrapped(app))
    assert [phone.text("hi").messages for _ in range(2)] == [["hi 1"], ["hi 2"]]


def test_a_class_based_view() -> None:
    class Sms(MethodView):
        def post(self) -> str:
            return twiml(f"post {count()}")

    app = Flask(__name__)
    app.add_url_rule("/sms", view_func=Sms.as_view("sms"))

    phone = phone_of(wrapped(app))
    assert [phone.text("hi").messages for _ in range(2)] == [["post 1"], ["post 2"]]


@pytest.mark.parametrize("store", ["memory", "cookie"])
def test_an_app_that_counts_in_a_cookie_of_its_own(store: str) -> None:
    app = Flask(__name__)

    @app.route("/sms", methods=["GET", "POST"])
    def sms() -> Response:
        n = int(request.cookies.get("messagecount", 0)) + 1
        response = make_response(twiml(f"{n} {count()}"))
        response.set_cookie("messagecount", str(n))
        return response

    phone = phone_of(wrapped(app, store=store))
    replies = [phone.text("hi") for _ in range(3)]

    set_cookies = replies[-1].headers.getlist("Set-Cookie")
    assert set_cookies[0] == "messagecount=3; Path=/"
    assert [cookie.partition("=")[0] for cookie in set_cookies[1:]] == (
        ["convostate"] if store == "cookie" else []
    )
    assert [reply.messages for reply in replies] == [["1 1"], ["2 2"], ["3 3"]]


def test_an_app_that_wraps_flasks_session_in_a_decorated_view_and_hooks() -> None:
    app = Flask(__name__)

    @app.before_request
    def load() -> None:
        session.setdefault("seen", []).append(request.path)

    @app.teardown_request
    def unload(_error: BaseException | None) -> None:
        assert "seen" in session

    @app.route("/sms", methods=["POST"])
    def sms() -> str:
        return twiml(str(len(session["seen"])))

    phone = phone_of(wrapped(app))
    assert [phone.text("hi").messages for _ in range(2)] == [["1"], ["2"]]


def test_a_view_that_fails_leaves_the_session_as_it_was_and_goes_to_the_fallback() -> None:
    app = Flask(__name__)

    @app.route("/sms", methods=["POST"])
    def sms() -> str:
        n = count()
        if request.form["Body"] == "boom":
            raise RuntimeError("boom")
        return twiml(str(n))

    phone = phone_of(wrapped(app))
    assert phone.text("hi").messages == ["1"]
    assert (phone.text("boom").status, phone.text("hi").messages) == (500, ["2"])


def django_count(request: HttpRequest) -> HttpResponse:
    request.session["counter"] = request.session.get("counter", 0) + 1
    body = request.POST.get("Body") or request.GET.get("Body")
    return HttpResponse(twiml(f"{body} {request.session['counter']}"))


class DjangoUrls:
    urlpatterns = (path("sms", csrf_exempt(django_count)), path("protected", django_count))


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_csrf_exempt_view_of_django(method: str) -> None:
    with override_settings(ROOT_URLCONF=DjangoUrls):
        app = ConversationMiddleware(get_wsgi_application(), Settings.from_environ())
        phone = phone_of(app, method)

        assert [phone.text("hi").messages for _ in range(2)] == [["hi 1"], ["hi 2"]]


def test_a_view_of_django_that_is_not_csrf_exempt_is_refused_by_django() -> None:
    with override_settings(ROOT_URLCONF=DjangoUrls):
        app = ConversationMiddleware(get_wsgi_application(), Settings.from_environ(store="memory"))
        twilio = TwilioSimulator(app, webhook_url="https://example.com/protected")
        reply = twilio.phone("+15550100001").text("hi")

        assert (reply.status, reply.state) == (403, {})
