"""The survey behind ProxyFix, under a prefix, and mounted by DispatcherMiddleware."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from convostate import ConversationMiddleware, Settings
from convostate.testing import TwilioSimulator
from tests.apps import survey, survey_flask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANSWERS = ("Ada", "36", "yes")
# Bottle makes no URLs of its own accord, so its redirects know no prefix.
with_urls = pytest.mark.parametrize("name", ["flask", "pyramid", "django"])


def make_app(name: str, **settings: Any) -> Any:
    given = Settings.from_environ(paths=survey.PATHS, **settings)
    return import_module(f"tests.apps.survey_{name}").make_app(given)


def behind_a_proxy(app: WSGIApplication, prefix: str = "") -> WSGIApplication:
    """A proxy that ends TLS, asks another host, cuts off the prefix, and says so."""

    def proxy(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        inner = environ["RAW_URI"].removeprefix(prefix)
        environ |= {
            "HTTP_X_FORWARDED_HOST": environ["HTTP_HOST"],
            "HTTP_X_FORWARDED_PROTO": environ["wsgi.url_scheme"],
            "HTTP_X_FORWARDED_PREFIX": prefix,
            "HTTP_HOST": "10.0.0.7:8000",
            "wsgi.url_scheme": "http",
            "PATH_INFO": environ["PATH_INFO"].removeprefix(prefix),
            "RAW_URI": inner,
            "REQUEST_URI": inner,
        }
        return app(environ, start_response)

    return proxy


def transcript(app: WSGIApplication, prefix: str = "") -> list[list[str]]:
    twilio = TwilioSimulator(app, webhook_url=f"https://example.com{prefix}/sms")
    return survey.converse(twilio.phone("+15550100001"), ANSWERS)


@with_urls
@pytest.mark.parametrize("prefix", ["", "/bots"])
def test_behind_a_proxy_with_proxyfix_around_the_middleware(name: str, prefix: str) -> None:
    app = ProxyFix(make_app(name), x_host=1, x_proto=1, x_prefix=1)

    assert transcript(behind_a_proxy(app, prefix), prefix) == survey.transcript(ANSWERS)


@with_urls
def test_behind_a_proxy_with_a_public_url(name: str) -> None:
    app = make_app(name, public_url="https://example.com")

    assert transcript(behind_a_proxy(app)) == survey.transcript(ANSWERS)


def test_proxyfix_in_the_usual_place_of_a_flask_app() -> None:
    app = make_app("flask")
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)

    assert transcript(behind_a_proxy(app)) == survey.transcript(ANSWERS)


def test_proxyfix_inside_the_middleware_comes_too_late() -> None:
    app = survey_flask.make_flask()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)  # type: ignore[method-assign]  # Flask's own way
    wrapped = ConversationMiddleware(app, Settings.from_environ())

    phone = TwilioSimulator(behind_a_proxy(wrapped)).phone("+15550100001")

    assert phone.text("hi").status == 403


@with_urls
def test_mounted_by_a_dispatcher(name: str) -> None:
    app = DispatcherMiddleware(survey_flask.make_bare(), {"/bots": make_app(name)})

    assert transcript(app, "/bots") == survey.transcript(ANSWERS)


@with_urls
def test_mounted_in_a_stack_that_is_wrapped_as_a_whole(name: str) -> None:
    mounted = DispatcherMiddleware(survey_flask.make_bare(), {"/bots": make_app(name)})
    app = ConversationMiddleware(mounted, Settings.from_environ(paths=("/bots/*",)))

    assert transcript(app, "/bots") == survey.transcript(ANSWERS)


def test_a_forged_text_is_refused_wherever_the_app_is_mounted() -> None:
    app = DispatcherMiddleware(survey_flask.make_bare(), {"/bots": make_app("flask")})
    phone = TwilioSimulator(app, webhook_url="https://example.com/bots/sms").phone("+15550100001")
    phone.break_signature()

    assert phone.text("hi").status == 403
