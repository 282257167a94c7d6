"""Delivery to an ASGI app in this process, on an event loop of its own, with the specification checked.

The loop runs in a thread, so that a test stays plain: it begins with the app's lifespan at the first
request, and texts that overlap run on it side by side.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from werkzeug.datastructures import Headers

from convostate.testing.delivery import MAX_DOCUMENT_BYTES, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Message = dict[str, Any]

_CLOCK = "convostate.clock"
_SEEN = "convostate.testing.seen"


def is_asgi(app: object) -> bool:
    """Whether an app is called as ``await app(scope, receive, send)``."""
    call = app if inspect.isroutine(app) else getattr(type(app), "__call__", None)  # noqa: B004
    return call is not None and inspect.iscoroutinefunction(inspect.unwrap(call))


class AsgiTransport:
    """Calls an ASGI app.

    Args:
        app: Any ASGI 3 app.
        clock: What the middleware goes by: Unix time in seconds.
        raise_app_errors: Whether an exception of the app comes out of the call that sent the text;
            else it counts as a reply with status 500.
        stripped_prefix: What a proxy in front of the app cuts off each path.
    """

    def __init__(
        self,
        app: Any,
        clock: Callable[[], float],
        *,
        raise_app_errors: bool,
        stripped_prefix: str = "",
    ) -> None:
        self._app = app
        self._clock = clock
        self._raise_app_errors = raise_app_errors
        self._prefix = stripped_prefix
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def send(self, request: Request, connect_s: float, read_s: float) -> Response:  # noqa: ARG002  there is no network to wait for
        """Run the app for one request."""
        seen: dict[str, Any] = {}
        exchange = Exchange(request.body)
        scope = make_scope(request, self._prefix) | {_CLOCK: self._clock, _SEEN: seen}
        error: Exception | None = None
        try:
            self.run(self._app(scope, exchange.receive, exchange.send))
            status, headers, body = exchange.response()
        except Exception as raised:
            if self._raise_app_errors:
                raise
            error = raised
            status, headers, body = 500, Headers(), b""
        return Response(status, headers, body, error, seen.get("state"))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the app's loop, after the app's start-up."""
        return asyncio.run_coroutine_threadsafe(work, self._started()).result()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=loop.run_forever, name="asgi-app", daemon=True).start()
                lifespan = Lifespan(self._app)
                asyncio.run_coroutine_threadsafe(lifespan.start(), loop).result()
                self._loop = loop
            return self._loop


class Exchange:
    """One request and the response to it, as a server sees them."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._over = asyncio.Event()
        self._status = 0
        self._headers = Headers()
        self._chunks: list[bytes] = []
        self._is_complete = False

    async def receive(self) -> Message:
        """The request, once; then the client goes when it has its answer."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message, and insist on the specification."""
        kind = message["type"]
        assert not self._is_complete, f"{kind} came after the response"
        if kind == "http.response.start":
            assert not self._status, "http.response.start came twice"
            status, headers = message["status"], list(message.get("headers", ()))
            assert type(status) is int, "the status is not an int"
            assert all(type(name) is type(value) is bytes for name, value in headers), "not bytes"
            assert all(name == name.lower() for name, _ in headers), "a header is not in lower case"
            self._status = status
            self._headers = Headers(
                [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            )
        elif kind == "http.response.body":
            assert self._status, "a body came before http.response.start"
            if sum(map(len, self._chunks)) <= MAX_DOCUMENT_BYTES:
                self._chunks.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._is_complete = True
                self._over.set()
        else:
            assert kind == "http.response.debug", f"{kind} was not offered"

    def response(self) -> tuple[int, Headers, bytes]:
        """Status, headers and body."""
        assert self._is_complete, "the app ended without a whole response"
        return self._status, self._headers, b"".join(self._chunks)[: MAX_DOCUMENT_BYTES + 1]


class Lifespan:
    """The start-up of an app; it goes on as long as the loop."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._answered: asyncio.Future[Message] | None = None
        self._task: asyncio.Task[None] | None = None
        self._asked = False

    async def start(self) -> None:
        """Run the app's start-up; an app without one raises, and needs none."""
        self._answered = asyncio.get_running_loop().create_future()
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._receive, self._send))
        done, _ = await asyncio.wait(
            [self._task, self._answered], return_when=asyncio.FIRST_COMPLETED
        )
        if self._answered in done and self._answered.result()["type"].endswith("failed"):
            raise RuntimeError(
                f"the app did not start: {self._answered.result().get('message', '')}"
            )
        if self._task in done:
            self._task.exception()  # an app may say so that it takes no lifespan

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "lifespan.startup"}
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def _send(self, message: Message) -> None:
        assert self._answered is not None
        if not self._answered.done():
            self._answered.set_result(message)


def make_scope(request: Request, stripped_prefix: str = "") -> dict[str, Any]:
    """The scope that a server makes of a request."""
    parts = urlsplit(request.url)
    path, _, query = request.target(stripped_prefix).partition("?")
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]
    if not any(name == b"host" for name, _ in headers):
        headers.insert(0, (b"host", parts.netloc.encode()))
    headers.append((b"content-length", str(len(request.body)).encode()))
    default = 443 if parts.scheme == "https" else 80
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": (parts.hostname or "", parts.port or default),
    }
