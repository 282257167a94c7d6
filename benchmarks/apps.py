"""The apps that are measured: each counts the texts of a conversation and answers with the number.

Bare, an app answers the same and keeps nothing. Those of Flask and FastAPI are in `flask_apps` and
`fastapi_apps`: what is measured in plain WSGI loads neither.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, MutableMapping
from functools import partial
from itertools import count as count_up
from itertools import islice
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import convostate  # which loads what is used of it: bare apps use nothing
from benchmarks.measure import Work
from benchmarks.webhooks import KEY, KINDS, TOKEN, Signed, environ_of, sms

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONTENT_TYPE = "text/xml; charset=utf-8"
Answer = tuple[int, str]  # the status, and what a client sends back of the cookies


def settings(**changes: Any) -> convostate.Settings:
    """The settings of every wrapped app here."""
    return convostate.Settings(**{"auth_token": TOKEN, "keys": KEY, **changes})


def twiml(number: int) -> bytes:
    """The answer to a text."""
    return f"<Response><Message>This is text number {number}</Message></Response>".encode()


def count(state: MutableMapping[Any, Any], filling: str = "") -> int:
    """Count in the conversation's state, which also holds `filling`."""
    if filling:
        state.setdefault("notes", filling)
    number: int = state.get("texts", 0) + 1
    state["texts"] = number
    return number


def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:  # noqa: ARG001
    """Answer, and keep nothing."""
    start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
    return [twiml(2)]


def bare() -> WSGIApplication:
    """Plain WSGI that keeps nothing."""
    return answer


def plain(filling_bytes: int = 0, **changes: Any) -> WSGIApplication:
    """Plain WSGI, wrapped with these settings; the state holds so much beside a number."""
    filling = "table 9 " * (filling_bytes // 8)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        number = count(convostate.state_from(environ), filling)
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [twiml(number)]

    return convostate.ConversationMiddleware(app, settings(**changes))


def passing(**changes: Any) -> WSGIApplication:
    """Plain WSGI, wrapped, which asks for no state."""
    return convostate.ConversationMiddleware(answer, settings(**changes))


def make(app: str, **options: Any) -> Any:
    """Make an app by its name, such as ``apps.plain``."""
    return resolve_name("benchmarks." + app.replace(".", ":"))(**options)


def served() -> Any:
    """The app that a web server serves: its name and options are in a variable of the environment."""
    return make(**json.loads(os.environ["BENCHMARKS_APP"]))


def cookie_from(headers: Iterable[tuple[str, str]]) -> str:
    """What a client sends back of an answer's cookies."""
    cookies = [value.partition(";")[0] for name, value in headers if name.lower() == "set-cookie"]
    return "; ".join(cookies)


def serve(app: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Ask a WSGI app as a server would."""
    said: list[Any] = []
    body = app(environ, lambda *what: said.extend(what))  # type: ignore[arg-type]  # nothing here calls write()
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return int(said[0][:3]), cookie_from(said[1])


async def serve_asgi(app: Any, environ: WSGIEnvironment) -> Answer:
    """Ask an ASGI app."""
    from tests.asgi_served import Sent, receiving, scope_of

    scope, body = scope_of(environ)
    sent = Sent()
    await app(scope, receiving(body), sent)
    return sent.status, cookie_from((name.decode(), value.decode()) for name, value in sent.headers)


def texting(app: WSGIApplication) -> Work:
    """Each call is the first text of somebody else."""
    environs = (environ_of(sms(person)) for person in count_up())
    return Work(partial(islice, environs), partial(serve, app))


def contender(
    app: str, kind: str = "sms", people: int = 50, fields: int = 0, **options: Any
) -> Work:
    """The factory of the apps above: each call is one webhook of a running conversation.

    Args:
        app: Its name.
        kind: ``sms``, ``whatsapp`` or ``json``.
        people: How many conversations there are; the calls go round them.
        fields: Parameters of an SMS beside the usual ones.
        **options: Of the app.
    """
    made = make(app, **options)
    more = {f"Field{index}": "value" for index in range(fields)}
    loop = asyncio.new_event_loop() if hasattr(made, "add_middleware") else None

    def ask(environ: WSGIEnvironment) -> Answer:
        if loop is None:
            return serve(made, environ)
        return loop.run_until_complete(serve_asgi(made, environ))

    def text(person: int, cookie: str = "") -> WSGIEnvironment:
        return environ_of(KINDS[kind](person, **more), cookie)

    cookies = []
    for person in range(people):
        status, cookie = ask(text(person))
        if status != 200:
            raise RuntimeError(f"the app answered {status}")
        cookies.append(cookie)
    return Work(
        lambda calls: [text(index % people, cookies[index % people]) for index in range(calls)], ask
    )


def validator(kind: str = "sms") -> Work:
    """RequestValidator alone: one call is one `validate`; the parameters are already parsed."""
    from twilio.request_validator import RequestValidator

    checker = RequestValidator(TOKEN)

    def arguments(hook: Signed) -> tuple[str, dict[str, str] | str, str]:
        return hook.url, hook.body.decode() if kind == "json" else hook.params, hook.signature

    def inputs(calls: int) -> list[tuple[str, dict[str, str] | str, str]]:
        return [arguments(KINDS[kind](1)) for _ in range(calls)]

    if not checker.validate(*inputs(1)[0]):
        raise RuntimeError("RequestValidator refuses the request")
    return Work(inputs, lambda item: checker.validate(*item))
