"""The middleware in a stack of others: wrapped once, mounted, behind a proxy."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Request, Response

from convostate import ConversationMiddleware, UsageError, asgi, state_from
from tests.answering import Answering
from tests.served import counting, serve, settings, signed, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Around:
    """Any middleware that calls its app `app`."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.app(environ, start_response)


def flask_app() -> Any:
    app = Flask(__name__)
    app.wsgi_app = ConversationMiddleware(app.wsgi_app, settings())  # type: ignore[method-assign]
    return app


@pytest.mark.parametrize("app", [
    pytest.param(lambda: wrapped(counting), id="the middleware"),
    pytest.param(flask_app, id="a Flask app that is wrapped"),
    pytest.param(lambda: flask_app().wsgi_app, id="its wsgi_app"),
    pytest.param(lambda: ProxyFix(wrapped(counting)), id="within ProxyFix"),
    pytest.param(lambda: Around(Around(wrapped(counting))), id="two deep"),
    pytest.param(lambda: Around(flask_app()), id="a Flask app within another"),
])  # fmt: skip
def test_w15_a_wrapped_app_is_not_wrapped_again(app: Any) -> None:
    with pytest.raises(UsageError, match=r"wrapped already\. Wrap it once"):
        ConversationMiddleware(app(), settings())


def test_w15_an_app_that_is_not_wrapped_is() -> None:
    assert (
        serve(ConversationMiddleware(Around(Around(counting)), settings()), signed()).body == b"1"
    )


def test_w15_a_stack_without_an_end_is_not_walked_for_ever() -> None:
    around = Around(counting)
    around.app = around

    assert ConversationMiddleware(around, settings()).app is around


@pytest.mark.parametrize("app", [None, "app:app", object()])
def test_w15_what_is_not_an_app_is_not_wrapped(app: Any) -> None:
    with pytest.raises(UsageError, match="takes a WSGI app"):
        ConversationMiddleware(app, settings())


@pytest.mark.parametrize(("arguments", "message"), [
    ({"settings": {"auth_token": "t"}}, r"settings must be Settings, got dict\. Write Settings\(auth_token"),
    ({"settings": "t"}, r"settings must be Settings, got str\. Write Settings\(auth_token"),
    ({"settings": settings(), "store": "memory"}, r"store must be a convostate store, got str\. .*convostate\.stores\.Store$"),
])  # fmt: skip
def test_other_settings_and_other_stores_do_not_start(arguments: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ConversationMiddleware(counting, **arguments)


async def asgi_function(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI app."""


class AsgiObject:
    """Another."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Not reached."""


class AsgiAround:
    """Middleware that hands the coroutine on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return self.app(scope, receive, send)


@pytest.mark.parametrize(
    "app",
    [asgi_function, AsgiObject(), AsgiAround(AsgiObject()), partial(asgi_function)],
    ids=["function", "object", "around another", "partial"],
)
def test_e1_an_asgi_app_is_refused_at_start_up_and_the_other_class_named(app: Any) -> None:
    with pytest.raises(
        UsageError, match=r"takes a WSGI app, got an ASGI app\. Wrap it with convostate\.asgi\.Conv"
    ):
        ConversationMiddleware(app, settings())


@Request.application
def decorated(request: Request) -> Response:
    return Response(f"{request.method} {state_from(request.environ).is_new}")


class Decorated:
    @Request.application  # type: ignore[arg-type]  # annotated for functions
    def __call__(self, request: Request) -> Response:  # type: ignore[misc]
        return decorated.__wrapped__(request)  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("app", [decorated, Decorated()], ids=["function", "object"])
def test_e1_an_app_that_werkzeug_makes_of_a_function_of_a_request_is_wrapped(app: Any) -> None:
    assert serve(ConversationMiddleware(app, settings()), signed()).body == b"POST True"
    with pytest.raises(UsageError, match=r"takes an ASGI app, got a WSGI app"):
        asgi.ConversationMiddleware(app, settings())


def create_app() -> Any:
    """Makes an app."""
    return counting


async def create_app_later() -> Any:
    """Makes an app."""
    return counting


@pytest.mark.parametrize("wrap", [ConversationMiddleware, asgi.ConversationMiddleware])
@pytest.mark.parametrize(
    "app",
    [create_app, create_app_later, cache(create_app), AsgiObject, len],
    ids=["factory", "async factory", "cached", "class", "too few"],
)
def test_e1_what_makes_the_app_is_refused_at_start_up(wrap: Any, app: Any) -> None:
    with pytest.raises(UsageError, match=r"If it makes the app, call it: \w+\(create_app\(\)\)$"):
        wrap(app, settings())


class WithDefaults:
    """A WSGI app that takes more than it is given."""

    def __call__(self, environ: Any, start_response: Any, _log: Any = None, *_more: Any) -> Any:
        return counting(environ, start_response)


@pytest.mark.parametrize(
    "app", [WithDefaults(), partial(counting), counting], ids=["defaults", "partial", "function"]
)
def test_e1_a_wsgi_app_of_any_shape_is_served(app: Any) -> None:
    assert serve(ConversationMiddleware(app, settings()), signed()).body == b"1"


def test_w15_an_app_mounted_inside_a_wrapped_one_shares_its_turn() -> None:
    """Each was written to be wrapped; the outer one proves, and the inner one believes only it."""
    inner = ConversationMiddleware(
        counting, settings(auth_token="another-token", keys=settings().keys)
    )
    outer = ConversationMiddleware(DispatcherMiddleware(Answering(), {"/bots": inner}), settings())
    url = "https://example.com/bots/sms"

    first = serve(outer, signed(url=url))
    second = serve(outer, signed(url=url, HTTP_COOKIE=f"convostate={first.cookie}"))

    assert (first.body, second.body) == (b"1", b"2")
    assert serve(outer, signed(url=url, token="another-token")).status == 403
    assert serve(inner, signed(url=url)).status == 403


def test_w15_a_path_that_the_outer_one_does_not_guard_is_proven_by_the_inner_one() -> None:
    inner = ConversationMiddleware(counting, settings())
    outer = ConversationMiddleware(
        DispatcherMiddleware(Answering(), {"/bots": inner}), settings(paths="/sms")
    )
    url = "https://example.com/bots/sms"

    assert serve(outer, signed(url=url)).body == b"1"
    assert serve(outer, signed(url=url, token="wrong")).status == 403


PROXIED = {
    "HTTP_HOST": "10.0.0.7:8000",
    "wsgi.url_scheme": "http",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "example.com",
}


def test_w15_behind_a_proxy_with_proxyfix_around_it() -> None:
    app = Answering()
    stack = ProxyFix(wrapped(app), x_proto=1, x_host=1)

    assert serve(stack, signed() | PROXIED).status == 200
    assert serve(wrapped(app), signed() | PROXIED).status == 403
    assert len(app.asked) == 1


def test_w15_proxyfix_inside_comes_too_late() -> None:
    inside = Answering()

    assert serve(wrapped(ProxyFix(inside, x_proto=1, x_host=1)), signed() | PROXIED).status == 403
    assert inside.asked == []


def test_w15_behind_a_proxy_that_cuts_a_prefix_off_and_says_so() -> None:
    url = "https://example.com/bots/sms"
    cut = {"PATH_INFO": "/sms", "REQUEST_URI": "/sms", "HTTP_X_FORWARDED_PREFIX": "/bots"}
    stack = ProxyFix(wrapped(counting), x_proto=1, x_host=1, x_prefix=1)

    assert serve(stack, signed(url=url) | PROXIED | cut).status == 200
    assert serve(stack, signed() | PROXIED | cut).status == 403


@pytest.mark.parametrize(("public_url", "url"), [
    ("https://example.com", "https://example.com/sms"),
    ("https://example.com/", "https://example.com/sms"),
    ("https://example.com:8443", "https://example.com:8443/sms"),
    ("https://example.com/bots", "https://example.com/bots/sms"),
    ("http://example.com", "http://example.com/sms"),
])  # fmt: skip
def test_w15_a_public_url_is_what_twilio_was_given(public_url: str, url: str) -> None:
    arrived = PROXIED | {"PATH_INFO": "/sms", "REQUEST_URI": "/sms"}
    middleware = wrapped(counting, public_url=public_url)

    assert serve(middleware, signed(url=url) | arrived).status == 200
    assert serve(middleware, signed(url="http://10.0.0.7:8000/sms") | arrived).status == 403
    assert serve(wrapped(counting), signed(url=url) | arrived).status == 403


@pytest.mark.parametrize("raw", [True, False], ids=["raw target known", "rebuilt"])
def test_w15_under_a_dispatcher_the_mount_is_part_of_the_url(raw: bool) -> None:
    stack = DispatcherMiddleware(Answering(), {"/bots": wrapped(counting)})
    environ = signed(url="https://example.com/bots/sms")
    if not raw:
        del environ["REQUEST_URI"]

    assert serve(stack, environ).body == b"1"
    assert serve(stack, environ | {"PATH_INFO": "/bots/sms2"}).status == 403


def test_w15_under_a_dispatcher_with_a_public_url() -> None:
    stack = DispatcherMiddleware(
        Answering(), {"/bots": wrapped(counting, public_url="https://example.com")}
    )
    url = "https://example.com/bots/sms"

    assert serve(stack, signed(url=url) | PROXIED).body == b"1"


def test_w15_a_secure_url_makes_a_secure_cookie_whatever_the_server_was_reached_by() -> None:
    middleware = wrapped(counting, public_url="https://example.com")
    plain = wrapped(counting)

    assert "Secure" in serve(middleware, signed() | PROXIED).headers["Set-Cookie"]
    assert "Secure" not in serve(plain, signed(url="http://example.com/sms")).headers["Set-Cookie"]
