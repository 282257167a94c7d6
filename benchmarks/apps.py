"""The app that is measured: it counts the texts of a conversation, in plain WSGI and in Flask.

Bare, it answers the same and keeps nothing. The factories in the cases are here and in `rivals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.webhooks import KEY, KINDS, TOKEN, environ_of
from benchmarks.worker import Work
from convostate import ConversationMiddleware, Settings, state_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

CONTENT_TYPE = "text/xml; charset=utf-8"


def twiml(number: int) -> bytes:
    """The answer to a text."""
    return f"<Response><Message>This is text number {number}</Message></Response>".encode()


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:  # noqa: ARG001
    """Answer, and keep nothing."""
    start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
    return [twiml(2)]


def count(state: MutableMapping[Any, Any], filling: str = "") -> int:
    """Count in the conversation's state, which also holds `filling`."""
    if filling:
        state.setdefault("notes", filling)
    number: int = state.get("texts", 0) + 1
    state["texts"] = number
    return number


def counting(filling: str = "") -> WSGIApplication:
    """Make the plain app that counts."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        number = count(state_from(environ), filling)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [twiml(number)]

    return app


def flask_app(answer: Callable[[], int]) -> Flask:
    """A Flask app whose one view answers with the number that `answer` gives."""
    from flask import Flask, Response  # noqa: PLC0415  # what is measured in plain WSGI loads no Flask

    app = Flask(__name__)

    @app.post("/sms")
    def sms() -> Response:
        return Response(twiml(answer()), content_type=CONTENT_TYPE)

    return app


def settings(**changes: Any) -> Settings:
    """The settings of every wrapped app here."""
    return Settings(**{"auth_token": TOKEN, "keys": KEY, **changes})


def make(app: str, filling_bytes: int = 0, **changes: Any) -> WSGIApplication:
    """Make one of the apps.

    Args:
        app: ``bare``, ``flask``, ``wrapped``, ``flask wrapped``, or ``passing``: wrapped, and
            asks for no state.
        filling_bytes: What the state holds beside a number.
        **changes: Settings of a wrapped app.
    """
    if app == "bare":
        return bare
    if app == "flask":
        return flask_app(lambda: 2)
    filling = "table 9 " * (filling_bytes // 8)
    if app == "flask wrapped":
        from flask import request  # noqa: PLC0415

        flask = flask_app(lambda: count(state_from(request.environ), filling))
        flask.wsgi_app = ConversationMiddleware(flask.wsgi_app, settings(**changes))  # type: ignore[method-assign]  # as Flask documents it
        return flask
    inside = bare if app == "passing" else counting(filling)
    return ConversationMiddleware(inside, settings(**changes))


def serve(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]]]:
    """Ask an app as a server would; its status and headers."""
    said: list[Any] = []
    body = app(environ, lambda *what: said.extend(what))  # type: ignore[arg-type]  # nothing here calls write()
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return said[0], said[1]


def cookie_from(headers: list[tuple[str, str]]) -> str:
    """What a client sends back of an answer's cookies."""
    cookies = [value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie"]
    return "; ".join(cookies)


def answering(app: WSGIApplication, kind: str = "sms", people: int = 200, **more: str) -> Work:
    """Make a contender of an app: each call is one webhook of a running conversation.

    Args:
        app: The app. If it sets a cookie, all calls are of one conversation and bring it.
        kind: ``sms``, ``whatsapp`` or ``json``.
        people: How many conversations there are; the calls go round them.
        **more: Parameters of an SMS beside the usual ones.

    Raises:
        RuntimeError: The app does not answer 200.
    """
    webhook = KINDS[kind]
    cookie = ""
    for person in range(people):
        status, headers = serve(app, environ_of(webhook(person, **more)))
        if not status.startswith("200"):
            raise RuntimeError(f"the app answered {status}")
        cookie = cookie_from(headers)
        if cookie:
            people, first = 1, person
            break
    else:
        first = 0

    def inputs(calls: int) -> list[dict[str, Any]]:
        return [
            environ_of(webhook(first + index % people, **more), cookie) for index in range(calls)
        ]

    return Work(inputs, lambda environ: serve(app, environ))


def contender(
    app: str, kind: str = "sms", people: int = 200, fields: int = 0, **options: Any
) -> Work:
    """The factory of the apps above; see `make` and `answering`."""
    more = {f"Field{index}": "value" for index in range(fields)}
    return answering(make(app, **options), kind, people, **more)
