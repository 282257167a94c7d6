"""The requests of `served`, through the ASGI door: the same environ as a scope, the same apps inside."""

from __future__ import annotations

import asyncio
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    Message = MutableMapping[str, Any]


def scope_of(environ: WSGIEnvironment) -> tuple[dict[str, Any], bytes]:
    """The scope and the body that an ASGI server makes of the request of a WSGI environ."""
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-").lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value)
    ]  # fmt: skip
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": path.encode("latin-1").decode("utf-8", "replace"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": environ.get("SCRIPT_NAME", ""),
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": (environ.get("SERVER_NAME", ""), int(environ.get("SERVER_PORT") or 80)),
    }
    if raw:
        scope["raw_path"] = raw.partition("?")[0].encode("latin-1")
    scope |= {name: value for name, value in environ.items() if name.startswith("convostate.")}
    stream = environ["wsgi.input"]
    if type(stream) is BytesIO:
        stream.seek(0)
    length = environ.get("CONTENT_LENGTH") or ""
    body = stream.read(int(length)) if length.isdigit() else stream.read()
    return scope, body


class Sent:
    """What an app sends to its server, which insists on the specification."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.is_complete = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        assert not self.is_complete, kind
        if kind == "http.response.start":
            assert not self.status
            self.status, self.headers = message["status"], list(message["headers"])
            assert type(self.status) is int
            assert all(type(part) is bytes for header in self.headers for part in header)
            assert all(name == name.lower() for name, _ in self.headers)
        else:
            assert kind == "http.response.body", kind
            assert self.status
            self.body += message.get("body", b"")
            self.is_complete = not message.get("more_body", False)


def receiving(*chunks: bytes) -> Callable[[], Awaitable[Message]]:
    """The body of a request in these chunks, then the client goes."""
    left = [
        {"type": "http.request", "body": chunk, "more_body": index < len(chunks)}
        for index, chunk in enumerate(chunks, 1)
    ]

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    return receive


def serve_asgi(
    app: Any, environ: WSGIEnvironment, close: Callable[[], Awaitable[None]] | None = None
) -> tuple[int, Headers, bytes]:
    """Serve one request to an ASGI app on a loop of its own, and close what belongs to that loop."""
    scope, body = scope_of(environ)
    half = len(body) // 2
    sent = Sent()

    async def serve() -> None:
        await app(scope, receiving(body[:half], body[half:]), sent)
        if close is not None:
            await close()

    asyncio.run(serve())
    assert sent.is_complete
    headers = Headers(
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent.headers]
    )
    return sent.status, headers, sent.body


class AsAsgi:
    """A WSGI app as an ASGI app, with the keys of the package in its environ."""

    def __init__(self, app: WSGIApplication) -> None:
        self.wsgi = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body += message["body"]
            more = message["more_body"]
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            if exc_info and exc_info[0] and any(written):
                raise exc_info[0][1].with_traceback(exc_info[0][2])
            started[:] = [status, list(headers)]
            return written.append

        written: list[bytes] = []
        environ = self._environ(scope, body)
        chunks = self.wsgi(environ, start_response)
        try:
            written.extend(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        await send(
            {
                "type": "http.response.start",
                "status": int(started[0][:3]),
                "headers": [
                    (name.lower().encode("latin-1"), value.encode("latin-1"))
                    for name, value in started[1]
                ],
            }
        )
        for chunk in written:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    def _environ(self, scope: Message, body: bytes) -> WSGIEnvironment:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": scope["method"],
            "SCRIPT_NAME": scope["root_path"],
            "PATH_INFO": unquote_to_bytes(scope["path"]).decode("latin-1"),
            "QUERY_STRING": scope["query_string"].decode("latin-1"),
            "SERVER_NAME": scope["server"][0],
            "SERVER_PORT": str(scope["server"][1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope["scheme"],
            "wsgi.input": BytesIO(body),
            "wsgi.errors": StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in scope["headers"]:
            key = name.decode("latin-1").upper().replace("-", "_")
            prefix = "" if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_"
            environ[prefix + key] = value.decode("latin-1")
        return environ | {
            name: value for name, value in scope.items() if name.startswith("convostate.")
        }
