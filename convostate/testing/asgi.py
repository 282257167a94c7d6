"""Requests to an ASGI app in this process, checked against the ASGI specification.

The app runs on an event loop in a thread, so that a test needs no async code. The loop begins with the
app's lifespan, and texts that overlap run on it concurrently.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from werkzeug.datastructures import Headers

from convostate.testing.delivery import MAX_DOCUMENT_BYTES, Request, Response
from convostate.testing.event_loop import LoopThread
from convostate.testing.inprocess import CLOCK_KEY, STATE_KEY, TURN_KEY, WsgiTransport, seen_by_test

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Message = dict[str, Any]

STOP_S = 5.0  # how long an app may take to shut down


class AsgiTransport(WsgiTransport):
    """Calls an ASGI app, on the event loop that runs its lifespan; otherwise like `WsgiTransport`."""

    def __init__(
        self,
        app: Any,
        clock: Callable[[], float],
        *,
        loop: AppLoop | None = None,
        **options: Any,
    ) -> None:
        # First the lifespan: frameworks build their stack of middleware when they start.
        lifespan = Lifespan(app)
        super().__init__(app, clock, loop=loop or AppLoop(lifespan), **options)
        if self.middleware is not None and self.middleware.interface == "ASGI":
            lifespan.close = self.middleware.store.close

    def send(self, request: Request, connect_s: float, read_s: float) -> Response:  # noqa: ARG002  there is no network
        """Run the app for one request."""
        seen: dict[str, Any] = {}
        exchange = Exchange(request.body)
        scope = make_scope(request, self.stripped_prefix)
        # Each request has a copy of what the lifespan has put into its state.
        scope |= {"state": dict(self.loop.state), CLOCK_KEY: self._clock}
        try:
            with self._checked_inside(seen):
                self.loop.run(self._app(scope, exchange.receive, exchange.send))
            status, headers, body = exchange.response()
        except Exception as error:
            if self._raise_app_errors:
                raise
            return Response(500, Headers(), b"", error, seen.get("state"))
        self.note_answering(seen)
        return Response(status, headers, body, None, seen.get("state"))

    def result_of(self, value: Any) -> Any:
        """As `WsgiTransport.result_of`; a coroutine runs on the app's loop."""
        return self.loop.run(value) if inspect.iscoroutine(value) else value

    def call_for(self, conversations: Any, function: Callable[..., Any], *args: Any) -> None:
        """As `WsgiTransport.call_for`; what belongs to asyncio runs on the app's loop."""
        if not inspect.iscoroutinefunction(conversations.answer_due):
            super().call_for(conversations, function, *args)
            return

        async def call() -> None:
            function(*args)

        self.loop.run(call())

    @staticmethod
    def check(app: Any) -> Any:
        """The app inside a validator."""
        return CheckedAsgi(app)

    @staticmethod
    def acting(act: Callable[[Any], bool]) -> Any:
        """An app that calls a function with the State."""

        async def app(scope: Message, _receive: Any, send: Any) -> None:
            status = 204 if act(scope[STATE_KEY]) else 500
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body"})

        return app


class AppLoop:
    """The event loop of an app and its lifespan; both end with the process or the last reference.

    Attributes:
        state: What the lifespan has left for the requests.
    """

    def __init__(self, lifespan: Lifespan) -> None:
        loop = LoopThread()
        self.state = lifespan.state
        weakref.finalize(self, _stop, loop, lifespan)
        self.run = loop.run
        self.run(lifespan.start())


def _stop(loop: LoopThread, lifespan: Lifespan) -> None:
    if loop.is_current:  # garbage collection runs on the loop, which cannot wait for itself
        threading.Thread(target=_stop, args=(loop, lifespan)).start()
        return
    with suppress(concurrent.futures.TimeoutError):
        loop.run(lifespan.stop(), STOP_S)
    loop.close()


class CheckedAsgi:
    """An ASGI app whose messages are checked against the specification, by `Exchange`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Run the app; requests that the simulator did not send pass unchecked."""
        seen = seen_by_test.get()
        if seen is None or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if STATE_KEY in scope:
            seen.update(state=scope[STATE_KEY], turn=scope.get(TURN_KEY))
        exchange = Exchange(b"")

        async def checked_send(message: Message) -> None:
            await exchange.send(message)
            await send(message)

        await self.app(scope, receive, checked_send)


class Exchange:
    """One request and its response, as a server sees them.

    The names of headers may have capitals, as Django's have: servers accept them.
    """

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._complete = asyncio.Event()
        self._status = 0
        self._headers = Headers()
        self._chunks: list[bytes] = []

    async def receive(self) -> Message:
        """The request, once; after the response, the disconnect of the client."""
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        await self._complete.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Check a message and add it to the response."""
        kind = message["type"]
        assert not self._complete.is_set(), f"{kind} came after the response"
        if kind == "http.response.start":
            assert not self._status, "http.response.start came twice"
            status, headers = message["status"], list(message.get("headers", ()))
            assert type(status) is int, "the status is not an int"
            assert all(type(name) is type(value) is bytes for name, value in headers), "not bytes"
            self._status = status
            self._headers = Headers(
                [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            )
        elif kind == "http.response.body":
            assert self._status, "a body came before http.response.start"
            if sum(map(len, self._chunks)) <= MAX_DOCUMENT_BYTES:
                self._chunks.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._complete.set()
        else:
            assert kind == "http.response.debug", f"{kind} was not offered"

    def response(self) -> tuple[int, Headers, bytes]:
        """Status, headers and body."""
        assert self._complete.is_set(), "the app ended without a complete response"
        return self._status, self._headers, b"".join(self._chunks)[: MAX_DOCUMENT_BYTES + 1]


class Lifespan:
    """The start and the end of an app."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.state: Message = {}
        self._task: asyncio.Future[None] | None = None
        # Closes the store of an app without a lifespan, such as Django's.
        self.close: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def start(self) -> None:
        """Run the app's start-up; an app without a lifespan raises, which is ignored.

        Raises:
            RuntimeError: The app reports that its start-up failed.
        """
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self.state}
        self._task = asyncio.ensure_future(self._app(scope, self._events.get, self._answers.put))
        answer = await self._ask("lifespan.startup")
        if answer.get("type") == "lifespan.startup.failed":
            raise RuntimeError(f"the app did not start: {answer.get('message', '')}")

    async def stop(self) -> None:
        """Run the app's shutdown, if its start-up succeeded."""
        await self._ask("lifespan.shutdown")
        if self.close is not None:
            await self.close()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _ask(self, event: str) -> Message:
        """Send an event, and wait for the answer or the end of the app."""
        assert self._task is not None
        if self._task.done():
            return {}
        self._events.put_nowait({"type": event})
        answer = asyncio.ensure_future(self._answers.get())
        both: list[asyncio.Future[Any]] = [self._task, answer]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        self._task.exception()  # retrieved: an app without a lifespan may raise
        return {}


def make_scope(request: Request, stripped_prefix: str = "") -> dict[str, Any]:
    """The ASGI scope that a server makes of a request."""
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
