"""The app that is measured: it counts the texts of a conversation, in plain WSGI and in Flask.

Bare, it answers the same without remembering. `factory` names in the cases point here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

from benchmarks.states import STATES
from benchmarks.webhooks import KEY, KINDS, TOKEN, environ_of
from benchmarks.worker import Work
from convostate import ConversationMiddleware, Keyring, Settings, State, state_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTENT_TYPE = "text/xml; charset=utf-8"


def twiml(number: int) -> bytes:
    """The answer to a text."""
    return f"<Response><Message>This is text number {number}</Message></Response>".encode()


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:  # noqa: ARG001
    """Answer without remembering."""
    start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
    return [twiml(2)]


def count(state: State, beginning: dict[str, Any]) -> int:
    """Count in the conversation's state, which begins with `beginning`."""
    if not state:
        state.update(beginning)
    number: int = state.get("texts", 0) + 1
    state["texts"] = number
    return number


def counting(beginning: dict[str, Any]) -> WSGIApplication:
    """Make the plain app that counts."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        number = count(state_from(environ), beginning)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [twiml(number)]

    return app


def flask_app(answer: Callable[[], int], *, reads_form: bool = False) -> Flask:
    """A Flask app whose one view answers with the number that `answer` gives."""
    app = Flask(__name__)

    @app.post("/sms")
    def sms() -> Response:
        if reads_form:
            _ = request.form["Body"]
        return Response(twiml(answer()), content_type=CONTENT_TYPE)

    return app


def settings(store: str = "cookie", **more: Any) -> Settings:
    """The settings of every wrapped app here."""
    return Settings(auth_token=TOKEN, keys=Keyring.parse(KEY), store=store, **more)


def make(
    app: str, *, store: str = "cookie", size: str = "count", reads_form: bool = False
) -> WSGIApplication:
    """Make one of the apps.

    Args:
        app: ``bare``, ``wrapped``, ``passing`` (wrapped, for webhooks without a pair),
            ``unguarded``, ``flask`` or ``flask wrapped``.
        store: As CONVOSTATE_STORE.
        size: One of `STATES`.
        reads_form: The Flask view reads a field of the form, as most do.
    """
    if app == "bare":
        return bare
    if app == "flask":
        return flask_app(lambda: 2, reads_form=reads_form)
    beginning = STATES[size]
    if app == "flask wrapped":
        flask = flask_app(
            lambda: count(state_from(request.environ), beginning), reads_form=reads_form
        )
        flask.wsgi_app = ConversationMiddleware(flask.wsgi_app, settings(store))  # type: ignore[method-assign]  # as Flask documents it
        return flask
    if app == "unguarded":
        return ConversationMiddleware(bare, settings(store, paths=("/voice/*", "/texts")))
    inside = bare if app == "passing" else counting(beginning)
    return ConversationMiddleware(inside, settings(store))


def serve(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]]]:
    """Ask an app as a server would; its status and headers."""
    told: list[Any] = []
    body = app(environ, lambda *said: told.extend(said))  # type: ignore[arg-type]  # nothing here calls write()
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return told[0], told[1]


def cookie_from(headers: list[tuple[str, str]]) -> str:
    """What a client sends back of an answer's cookies."""
    cookies = [value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie"]
    return "; ".join(cookies)


def answering(
    app: WSGIApplication, kind: str = "sms", conversations: int = 200, *, in_cookie: bool = True
) -> Work:
    """Make a contender of an app: each call is one webhook of a running conversation.

    Args:
        app: The app.
        kind: ``sms``, ``whatsapp`` or ``json``.
        conversations: How many there are; the calls go round them.
        in_cookie: All of them are the same conversation, whose cookie each call brings.

    Raises:
        RuntimeError: The app does not answer 200.
    """
    make_webhook = KINDS[kind]
    if in_cookie:
        conversations = 1
    cookies = {}
    for number in range(conversations):
        status, headers = serve(app, environ_of(make_webhook(number)))
        if not status.startswith("200"):
            raise RuntimeError(f"the app answered {status}")
        cookies[number] = cookie_from(headers)

    def inputs(calls: int) -> list[dict[str, Any]]:
        numbers = [index % conversations for index in range(calls)]
        return [environ_of(make_webhook(number), cookies[number]) for number in numbers]

    return Work(inputs, lambda environ: serve(app, environ))


def contender(
    app: str,
    kind: str = "sms",
    store: str = "cookie",
    size: str = "count",
    reads_form: bool = False,
    conversations: int = 200,
) -> Work:
    """The factory of the apps above; see `make` and `answering`."""
    made = make(app, store=store, size=size, reads_form=reads_form)
    return answering(made, kind, conversations, in_cookie=store == "cookie")
