"""An app in this process runs between two WSGI validators, and its errors are heard."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from convostate import ConversationMiddleware, Keyring, Settings, UsageError, state_from
from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from convostate.testing.reply import Reply

US, ADA = "+15550100099", "+15550100001"
TOKEN = "the-token"


def wrapped(app: Any) -> ConversationMiddleware:
    return ConversationMiddleware(app, Settings(auth_token=TOKEN, keys=Keyring.generate()))


def text_to(app: WSGIApplication, text: str = "hello", **options: Any) -> Reply:
    return TwilioSimulator(app, TOKEN, **options).phone(ADA, texting=US).text(text)


def with_headers(*headers: Any) -> Any:
    """An app that answers 200 with these headers."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", list(headers))
        return [b"<Response/>"]

    return app


XML = ("Content-Type", "text/xml")


@pytest.mark.parametrize("wrap", [wrapped, lambda app: app], ids=["wrapped", "bare"])
@pytest.mark.parametrize("header", [("Status", "200"), ("X-Bad-", "1"), ("X-Two", "a\r\nb: c")])
def test_an_app_that_breaks_wsgi_fails_the_test(wrap: Any, header: tuple[str, str]) -> None:
    with pytest.raises(AssertionError):
        text_to(wrap(with_headers(XML, header)))


@pytest.mark.parametrize("wrap", [wrapped, lambda app: app], ids=["wrapped", "bare"])
def test_an_app_that_keeps_to_wsgi_does_not(wrap: Any) -> None:
    assert text_to(wrap(with_headers(XML, ("X-Good", "1")))).error is None


def test_a_middleware_that_breaks_wsgi_fails_the_test() -> None:
    def careless(app: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            return app(environ, lambda *_: start_response("200 OK", [XML, ("Status", "200")]))

        return middleware

    with pytest.raises(AssertionError, match="Status header"):
        text_to(careless(with_headers(XML)))


@pytest.mark.parametrize("wrap", [wrapped, lambda app: app], ids=["wrapped", "bare"])
def test_a_fault_with_a_twilio_error_code_is_not_an_assertion(wrap: Any) -> None:
    assert text_to(wrap(with_headers())).error == 12300
    assert text_to(wrap(Answering(Answer("", "text/xml")))).error == 11770


def test_a_204_may_have_a_content_type_as_frameworks_give_it_one() -> None:
    reply = text_to(wrapped(Answering(Answer("", "text/html", "204 No Content"))))

    assert (reply.status, reply.error) == (204, None)
    assert reply.headers["Content-Type"] == "text/html"


def test_a_body_may_be_read_without_a_size() -> None:
    bodies = []

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        bodies.extend([body.read(4), body.readline(), body.read(), body.read(), *body])
        start_response("200 OK", [XML])
        return [b"<Response/>"]

    text_to(wrapped(reading))

    assert bodies[0] == b"ToCo"
    assert bodies[1].endswith(b"&ApiVersion=2010-04-01")
    assert bodies[2:] == [b"", b""]


def test_a_middleware_is_found_behind_flask_and_proxy_fix() -> None:
    middleware = wrapped(Answering(message("hi")))

    class Flasky:
        """An app object whose WSGI app is an attribute, as Flask's."""

        wsgi_app = middleware

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self.wsgi_app(environ, start_response)

    for _ in range(2):
        assert text_to(ProxyFix(Flasky())).messages == ["hi"]


def test_an_app_is_the_same_before_a_text_and_after_it_and_checked_meanwhile() -> None:
    inside: list[str] = []

    def looking(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        inside.append(type(middleware.app).__name__)
        start_response("200 OK", [XML])
        return [b"<Response/>"]

    middleware = wrapped(looking)
    twilio = TwilioSimulator(middleware, TOKEN)
    assert middleware.app is looking

    twilio.phone(ADA, texting=US).text("hello")
    with pytest.raises(ZeroDivisionError):
        text_to(wrapped(failing))

    assert inside == ["Checked"]
    assert middleware.app is looking


def test_an_app_is_given_back_when_the_last_of_several_texts_is_answered() -> None:
    app = Answering(message("hi"), message("hi"))
    middleware = wrapped(app)

    TwilioSimulator(middleware, TOKEN).phone(ADA, texting=US).overlap("one", "two")

    assert middleware.app is app


def test_a_stack_of_middleware_without_ours_is_looked_through_and_left_alone() -> None:
    class Mirror:
        """Wraps itself, as no sane middleware does."""

        def __init__(self) -> None:
            self.app = self

        def __call__(self, _: Any, start_response: Any) -> Any:
            start_response("200 OK", [XML])
            return [b"<Response/>"]

    mirror = Mirror()

    assert text_to(mirror).error is None
    assert mirror.app is mirror


def failing(_: WSGIEnvironment, __: StartResponse) -> Iterable[bytes]:
    raise ZeroDivisionError("in the app")


@pytest.mark.parametrize("wrap", [wrapped, lambda app: app], ids=["wrapped", "bare"])
def test_what_an_app_raises_comes_out_with_its_traceback(wrap: Any) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        text_to(wrap(failing))

    assert raised.traceback[-1].name == "failing"


@pytest.mark.parametrize("wrap", [wrapped, lambda app: app], ids=["wrapped", "bare"])
def test_what_an_app_raises_can_be_twilios_11200_instead(wrap: Any) -> None:
    reply = text_to(wrap(failing), raise_app_errors=False)

    assert (reply.error, reply.status) == (11200, 500)
    assert isinstance(reply.exception, ZeroDivisionError)


def test_an_exception_leads_to_the_fallback_url_if_it_is_not_raised() -> None:
    def only_the_fallback(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/fallback":
            raise ZeroDivisionError
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"sorry"]

    reply = text_to(
        only_the_fallback, raise_app_errors=False, fallback_url="https://example.com/fallback"
    )

    assert (reply.messages, reply.error) == (["sorry"], 11200)
    assert isinstance(reply.exception, ZeroDivisionError)


def test_an_app_that_answers_without_start_response_is_refused() -> None:
    with pytest.raises(AssertionError, match="start_response"):
        text_to(lambda _, __: [])


def test_a_response_is_closed_when_it_is_read_when_it_fails_and_when_it_is_too_long() -> None:
    closed: list[str] = []

    class Body:
        """A response that says when it is closed."""

        def __init__(self, name: str, chunks: Iterator[bytes]) -> None:
            self.name, self.chunks = name, chunks

        def __iter__(self) -> Iterator[bytes]:
            return self.chunks

        def close(self) -> None:
            closed.append(self.name)

    def fail() -> Iterator[bytes]:
        yield b"<Response>"
        raise ZeroDivisionError

    def endless() -> Iterator[bytes]:
        while True:
            yield b" " * 1000

    bodies = {"read": iter([b"<Response/>"]), "failing": fail(), "endless": endless()}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [XML])
        name = environ["PATH_INFO"][1:]
        return Body(name, bodies[name])

    replies = [
        text_to(app, webhook_url=f"https://example.com/{name}", raise_app_errors=False)
        for name in bodies
    ]

    assert closed == ["read", "failing", "endless"]
    assert [reply.error for reply in replies] == [None, 11200, 11750]


def test_what_is_written_comes_before_what_is_returned() -> None:
    def writing(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"one ")
        return [b"two"]

    assert text_to(writing).messages == ["one two"]


def test_an_error_page_may_replace_a_response_until_it_has_begun() -> None:
    def changing_its_mind(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        start_response("500 Oops", [("Content-Type", "text/plain")], (None, None, None))
        return [b""]

    def too_late(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"begun")
        try:
            int("too late")
        except ValueError:
            start_response("500 Oops", [XML], sys.exc_info())
        return []

    assert text_to(changing_its_mind).status == 500
    with pytest.raises(ValueError, match="too late"):
        text_to(too_late)


def test_the_app_gets_the_simulators_clock_and_the_url_as_a_server_hands_it_over() -> None:
    app = Answering()
    twilio = TwilioSimulator(app, TOKEN, "https://example.com:8443/a%2Fb/%C3%A4?q='x'&r=a%20b")
    twilio.phone(ADA, texting=US).text("hello")
    environ = app.asked[0].environ
    before = environ["convostate.clock"]()
    twilio.clock.advance(hours=1)

    assert environ["convostate.clock"]() - before == 3600
    assert environ["PATH_INFO"] == "/a/b/ä".encode().decode("latin-1")
    assert environ["QUERY_STRING"] == "q='x'&r=a%20b"
    assert environ["REQUEST_URI"] == environ["RAW_URI"] == "/a%2Fb/%C3%A4?q='x'&r=a%20b"
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("https", "example.com:8443")
    assert environ["SERVER_PORT"] == "8443"


def test_the_state_is_shown_as_the_app_left_it() -> None:
    def remembering(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state = state_from(environ)
        state["texts"] = state.get("texts", 0) + 1
        start_response("200 OK", [XML])
        return [b"<Response/>"]

    phone = TwilioSimulator(wrapped(remembering), TOKEN).phone(ADA, texting=US)

    assert [phone.text("hello").state for _ in range(2)] == [{"texts": 1}, {"texts": 2}]


def test_no_state_is_shown_if_the_app_was_not_called() -> None:
    phone = TwilioSimulator(wrapped(Answering()), "another-token").phone(ADA, texting=US)
    reply = phone.text("hello")

    assert (reply.status, reply.state) == (403, None)


def test_what_a_test_sends_the_same_app_by_other_means_is_not_judged() -> None:
    def careless(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("1-Odd", "2")])
        return iter([b"ok"])

    app = ConversationMiddleware(
        careless, Settings(auth_token=TOKEN, keys=Keyring.generate(), paths="/sms")
    )
    with pytest.raises(AssertionError, match="1-Odd"):
        text_to(app)
    assert Client(app).get("/page").text == "ok"


@pytest.mark.parametrize("app", [None, 5, lambda: wrapped, "app:app"])
def test_what_is_neither_an_app_nor_a_url_is_refused_at_once(app: Any) -> None:
    with pytest.raises(UsageError, match=r"takes a WSGI or ASGI app|not the URL"):
        TwilioSimulator(app, TOKEN)
