"""Requests made by hand, and a middleware that serves them between three linters on both sides."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import unquote_to_bytes, urlencode, urlsplit
from wsgiref.validate import validator

from webtest.lint import middleware as webtest_lint
from werkzeug.datastructures import Headers
from werkzeug.middleware.lint import LintMiddleware

from convostate import ConversationMiddleware, Settings
from convostate.asgi import ConversationMiddleware as AsgiDoor
from convostate.twilio.signature import sign
from tests.asgi_served import AsAsgi, serve_asgi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    from convostate import State
    from convostate.stores import Store

TOKEN = "0123456789abcdef0123456789abcdef"
KEY = "x7iiBl0tHjvhJ5yrfV3ABILCQgSMgjK8u-1eHxxMpg8"
OTHER_KEY = "ei9Vv6UYjGJ5ALWRUsO_dHpRQ7CqBUZm5Qe1pYI4mAk"
URL = "https://example.com/sms"
ACCOUNT, SID = "AC" + "0" * 31 + "1", "SM" + "0" * 31 + "1"
US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
FORM = "application/x-www-form-urlencoded"
NOW = 1_700_000_000.0  # Unix time in seconds: where the clock of these requests stands


def settings(**changes: Any) -> Settings:
    """The least that is needed, and `changes`."""
    return Settings(**{"auth_token": TOKEN, "keys": KEY, **changes})


def text(body: str = "hello", **changes: str) -> dict[str, str]:
    """The parameters of a message from Ada."""
    sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), SID)
    return {**sids, "AccountSid": ACCOUNT, "From": ADA, "To": US, "Body": body,
            "FromCity": "", "NumMedia": "0", **changes}  # fmt: skip


def bare(
    url: str = URL, method: str = "POST", body: bytes = b"", **changes: Any
) -> WSGIEnvironment:
    """What a server makes of a request; a change to None leaves the key out."""
    parts = urlsplit(url)
    query = url.partition("?")[2]
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": parts.path + url.partition("?")[1] + query,
        "SERVER_NAME": "app",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "convostate.clock": lambda: NOW,
    }
    if method == "POST" or body:
        environ |= {"CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(len(body))}
    return {name: value for name, value in {**environ, **changes}.items() if value is not None}


def signed(
    params: Mapping[str, str] | None = None,
    url: str = URL,
    method: str = "POST",
    token: str = TOKEN,
    **changes: Any,
) -> WSGIEnvironment:
    """A webhook as Twilio signs it; `changes` come after the signature."""
    params = text() if params is None else params
    body = urlencode(params).encode()
    if method == "GET":
        url = f"{url}{'&' if '?' in url else '?'}{body.decode()}"
        params, body = {}, b""
    changes.setdefault("HTTP_X_TWILIO_SIGNATURE", sign(url, params.items(), token))
    return bare(url, method, body, **changes)


class Served(NamedTuple):
    """A response."""

    status: int
    headers: Headers
    body: bytes

    @property
    def cookie(self) -> str:
        """The value of the one cookie that was set, or ""."""
        set_cookies = self.headers.getlist("Set-Cookie")
        assert len(set_cookies) <= 1
        return set_cookies[0].partition(";")[0].partition("=")[2] if set_cookies else ""


def linted(app: WSGIApplication) -> WSGIApplication:
    """An app between three linters, each of which sees what the others miss."""
    checked: WSGIApplication = validator(webtest_lint(LintMiddleware(app)))
    return checked


class Door:
    """Through which door the requests of `serve` go: the fixture `both_doors` runs a test once for each."""

    asgi = False


def wrapped(
    app: WSGIApplication, *, store: Store | str | None = None, inside: bool = True, **changes: Any
) -> ConversationMiddleware:
    """A middleware around a linted app; with `inside` false the app breaks the rules on purpose."""
    if isinstance(store, str):
        changes["store"], store = store, None
    app = linted(app) if inside else app
    if Door.asgi:
        door: Any = AsgiDoor(AsAsgi(app), settings(**changes), store=store)
        return cast("ConversationMiddleware", door)  # `serve` is all that calls it
    return ConversationMiddleware(app, settings(**changes), store=store)


def serve(app: WSGIApplication, environ: WSGIEnvironment, *, outside: bool = True) -> Served:
    """Serve one request as a server does; with `outside` false the request breaks the rules on purpose."""
    if isinstance(cast("object", app), AsgiDoor):
        return Served(*serve_asgi(app, environ))
    environ = dict(environ)  # linters put themselves into it
    errors, body = environ["wsgi.errors"], environ["wsgi.input"]
    if type(body) is BytesIO:
        body.seek(0)
    started: list[Any] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        if exc_info and exc_info[0] and any(written):
            raise exc_info[0][1].with_traceback(exc_info[0][2])
        started[:] = [status, list(headers)]
        headers.append(("Server", "a server may change the list"))
        return written.append

    chunks = (linted(app) if outside else app)(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    del chunks  # now a linter says what was not closed
    assert errors.getvalue() == ""
    return Served(int(started[0][:3]), Headers(started[1]), b"".join(written))


def counting(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
    """An app that answers how many texts this conversation has."""
    state: State = environ["convostate.state"]
    state["n"] = state.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [str(state["n"]).encode()]


XML = [("Content-Type", "text/xml")]


class Closing:
    """An iterable that counts how often it is closed."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = iter(chunks)
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        chunk = next(self.chunks)
        if isinstance(chunk, BaseException):
            raise chunk
        return chunk

    def close(self) -> None:
        self.closed += 1


def answering(chunks: Any, headers: Any = XML, status: Any = "200 OK") -> Any:
    """An app that answers so, and touches its state."""

    def app(environ: Any, start_response: Any) -> Any:
        environ["convostate.state"]["seen"] = True
        start_response(status, headers)
        return chunks

    return app
