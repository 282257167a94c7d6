"""A WSGI app that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True)
class Answer:
    """A response."""

    body: str | bytes = "<Response/>"
    content_type: str | None = "text/xml"
    status: str = "200 OK"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Asked:
    """A request, as the app saw it."""

    environ: WSGIEnvironment
    form: list[tuple[str, str]]

    @property
    def path(self) -> str:
        return str(self.environ["PATH_INFO"])

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.environ["QUERY_STRING"], keep_blank_values=True)

    @property
    def cookie(self) -> str:
        return str(self.environ.get("HTTP_COOKIE", ""))

    @property
    def token(self) -> str:
        return str(self.environ["HTTP_I_TWILIO_IDEMPOTENCY_TOKEN"])


def message(text: str, **headers: str) -> Answer:
    """An answer that sends one message; ``set_cookie="a=1"`` is the header Set-Cookie."""
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(f"<Response><Message>{text}</Message></Response>", headers=named)


def setting(cookie: str) -> Answer:
    """An answer that sets a cookie and sends nothing."""
    return Answer(headers=(("Set-Cookie", cookie),))


class Answering:
    """Gives its answers in turn, and the last one from then on.

    Args:
        *answers: An answer, or what makes one of a request.
    """

    def __init__(self, *answers: Answer | Callable[[Asked], Answer]) -> None:
        self.answers = list(answers) or [Answer()]
        self.asked: list[Asked] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = Asked(environ, parse_qsl(body.decode(), keep_blank_values=True))
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not isinstance(answer, Answer):
            answer = answer(asked)
        named = [] if answer.content_type is None else [("Content-Type", answer.content_type)]
        start_response(answer.status, [*named, *answer.headers])
        return [answer.body if isinstance(answer.body, bytes) else answer.body.encode()]
