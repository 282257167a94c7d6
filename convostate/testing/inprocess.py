"""Requests to a WSGI app in this process, with wsgiref's validator on both sides of the middleware."""

from __future__ import annotations

import io
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from wsgiref.validate import validator

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from convostate.errors import UsageError
from convostate.middleware import Middleware, layers, mounted
from convostate.testing.configured import configured_prefix, with_every_path
from convostate.testing.delivery import MAX_DOCUMENT_BYTES, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CLOCK_KEY = "convostate.clock"
STATE_KEY = "convostate.state"
TURN_KEY = "convostate.turn"
seen_by_test: ContextVar[dict[str, Any] | None] = ContextVar(
    "convostate.testing.seen", default=None
)
_BODILESS = ("204", "304")


class WsgiTransport:
    """Calls any WSGI app; `raise_app_errors` and `stripped_prefix` as for `TwilioSimulator`.

    If the app mounts others that have a middleware, `path` is the one of the webhooks.

    The app stays unchanged. While a webhook runs, the `app` of its ``ConversationMiddleware``, at ``.wsgi_app`` or
    ``.app`` or further down, is wrapped in a validator, which other requests pass unchecked.
    """

    def __init__(
        self,
        app: WSGIApplication,
        clock: Callable[[], float],
        *,
        raise_app_errors: bool,
        stripped_prefix: str = "",
        path: str = "",
        loop: Any = None,
    ) -> None:
        self.loop = loop
        self.stripped_prefix = stripped_prefix
        self._app = self.check(app)
        self._clock = clock
        self._raise_app_errors = raise_app_errors
        self.middleware, _ = find_middleware_at(app, path)
        self._running = 0
        self._lock = threading.Lock()
        # The Conversations whose answer_later() the app has called, in order.
        self.answering: list[Any] = []
        # Called after each answer; None: texts are answered by answer_due() only.
        self.ended: Callable[[Any, Exception | None], object] | None = None

    @property
    def settings(self) -> Any:
        """The settings of the app's middleware, or None if it has no middleware."""
        return None if self.middleware is None else self.middleware.settings

    def send(self, request: Request, connect_s: float, read_s: float) -> Response:  # noqa: ARG002  there is no network
        """Run the app for one request."""
        environ = make_environ(request, self.stripped_prefix)
        environ[CLOCK_KEY] = self._clock
        errors = environ["wsgi.errors"] = _Errors(environ["wsgi.errors"])
        seen: dict[str, Any] = {}
        try:
            with self._checked_inside(seen), reported_exceptions() as reported:
                status, headers, body = run(self._app, environ)
        except Exception as error:
            if self._raise_app_errors:
                raise
            return Response(500, Headers(), b"", error, seen.get("state"))
        self.note_answering(seen)
        code = int(status[:3])
        exception = reported[-1] if reported and code >= 500 else None
        text = errors.getvalue() if code >= 500 else ""
        return Response(code, Headers(headers), body, exception, seen.get("state"), text)

    def inside(self, act: Callable[[Any], bool]) -> WsgiTransport:
        """A transport to a copy of the app's middleware, in which `act` replaces the app.

        It is called with the State, and returns whether its changes are stored.
        """
        middleware = self.middleware
        if middleware is None:
            raise UsageError("This app has no state. Wrap it: ConversationMiddleware(app)")
        settings = with_every_path(middleware.settings)
        transport = transport_of(middleware.interface)
        app = type(middleware)(transport.acting(act), settings, store=middleware.store)
        # It has no mount and no proxy: what it strips is in its own settings. It runs on the same loop, to which
        # its store may belong.
        prefix = configured_prefix(settings)
        inside: WsgiTransport = transport(
            app, self._clock, raise_app_errors=True, stripped_prefix=prefix, loop=self.loop
        )
        return inside

    @staticmethod
    def acting(act: Callable[[Any], bool]) -> Any:
        """An app that calls a function with the State."""

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            stores = act(environ[STATE_KEY])
            start_response("204 No Content" if stores else "500 Not Stored", [])
            return []

        return app

    def note_answering(self, seen: Mapping[str, Any]) -> None:
        """Record the Conversations that are to answer this text later, if any."""
        conversations = getattr(seen.get("turn"), "deferred_by", None)
        if conversations is not None and conversations not in self.answering:
            self.answering.append(conversations)
            if self.ended is not None:
                conversations.clock = self._clock
                conversations.deferred.ended = self.ended
                with suppress(UsageError):  # the answer function is in another process
                    if conversations.deferred.workers is None:
                        self.call_for(conversations, conversations.start_workers)

    def answer_due(self, conversations: Any) -> list[Exception]:
        """Answer everything that is due, and return the errors."""
        errors: list[Exception] = self.result_of(conversations.answer_due())
        return errors

    def is_answering(self, **pair: str) -> bool:
        """Whether workers of this process have work for a pair."""
        backlogs = [
            self.result_of(each.backlog(**pair)) for each in self.answering if each.deferred.workers
        ]
        return any(each.texts or each.answering or each.replies for each in backlogs)

    def result_of(self, value: Any) -> Any:
        """The value that a store or a Conversations object returns, awaited if it is a coroutine."""
        return value

    def call_for(
        self,
        conversations: Any,  # noqa: ARG002  a subclass needs them
        function: Callable[..., Any],
        *args: Any,
    ) -> None:
        """Call a function of a Conversations object or its workers."""
        function(*args)

    def stop_workers(self, conversations: Any, *grace_s: float) -> bool:
        """Stop the workers of this process, and return whether there were any."""
        workers = conversations.deferred.workers
        if workers is None:
            return False
        self.call_for(conversations, workers.stop, *grace_s)
        if hasattr(workers, "wait"):
            self.result_of(workers.wait())
        return True

    @staticmethod
    def check(app: Any) -> Any:
        """The app inside a validator."""
        return Checked(app)

    @contextmanager
    def _checked_inside(self, seen: dict[str, Any]) -> Iterator[None]:
        """Have the middleware call the app inside a validator until the block ends; the validator fills `seen`."""
        middleware = self.middleware
        token = seen_by_test.set(seen)
        with self._lock:
            self._running += 1
            if self._running == 1 and middleware is not None:
                middleware.app = transport_of(middleware.interface).check(middleware.app)
        try:
            yield
        finally:
            seen_by_test.reset(token)
            with self._lock:
                self._running -= 1
                if not self._running and middleware is not None:
                    middleware.app = middleware.app.app


def transport_of(interface: str) -> Any:
    """The class that calls apps of an interface, ``WSGI`` or ``ASGI``."""
    if interface == "WSGI":
        return WsgiTransport
    return import_module("convostate.testing.asgi").AsgiTransport


class _Errors(io.StringIO):
    """``wsgi.errors`` that also collects the text: Bottle writes its tracebacks nowhere else."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text)
        return super().write(text)


@contextmanager
def reported_exceptions() -> Iterator[list[BaseException]]:
    """Collect the exceptions of this thread that Flask and Django turn into a 500 page."""
    here = threading.get_ident()
    reported: list[BaseException] = []

    def receive(*_: object, exception: BaseException | None = None, **__: object) -> None:
        error = exception or sys.exc_info()[1]
        if error is not None and threading.get_ident() == here:
            reported.append(error)

    with ExitStack() as connected:
        for module in ("flask.signals", "django.core.signals"):
            signal = getattr(sys.modules.get(module), "got_request_exception", None)
            if signal is not None:
                with suppress(RuntimeError):  # Flask before 2.3 has no signals without blinker
                    signal.connect(receive, weak=False)
                    connected.callback(signal.disconnect, receive)
        yield reported


class Checked:
    """A WSGI app inside the validator of `wsgiref.validate`.

    The validator refuses more than PEP 3333 does. A response without a Content-Type passes, because
    Twilio has an error code for it (12300). So do ``read()`` without a size and a Content-Type on a
    204, because PEP 3333 allows them and frameworks use them.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the app inside the validator; requests that the simulator did not send pass unchecked."""
        seen = seen_by_test.get()
        if seen is None:
            return self.app(environ, start_response)
        environ["SERVER_PORT"] = str(environ["SERVER_PORT"])  # Starlette's adapter gives an int
        started: list[tuple[Any, ...]] = []

        def inside(inner: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            def validated_start(*args: Any) -> Any:
                started.append(args)
                return start(*_for_validator(args))

            inner["wsgi.input"] = _Input(inner["wsgi.input"], inner.get("CONTENT_LENGTH"))
            if STATE_KEY in inner:
                seen.update(state=inner[STATE_KEY], turn=inner.get(TURN_KEY))
            return self.app(inner, validated_start)

        def outside(*_: Any) -> Any:
            return start_response(*started[-1])

        return validator(inside)(environ, outside)


class _Input:
    """A request body with a `read` that may be called without a size."""

    def __init__(self, body: Any, content_length: str | None) -> None:
        self._body = body
        self._length = int(content_length) if content_length else sys.maxsize
        self.readline, self.readlines = body.readline, body.readlines

    def read(self, size: int | None = -1) -> Any:
        return self._body.read(self._length if size is None or size < 0 else size)

    def __iter__(self) -> Any:
        return iter(self._body)


def _for_validator(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of start_response with the Content-Type that the validator expects."""
    if len(args) < 2 or type(args[0]) is not str or type(args[1]) is not list:
        return args  # the validator reports them
    status, headers, *rest = args
    types = [item for item in headers if isinstance(item, tuple) and _is_content_type(*item[:1])]
    if status.startswith(_BODILESS):
        return status, [item for item in headers if item not in types], *rest
    if not types:
        return status, [*headers, ("Content-Type", "application/x-none")], *rest
    return args


def _is_content_type(name: object = None) -> bool:
    return isinstance(name, str) and name.lower() == "content-type"


def find_middleware(app: object) -> Middleware | None:
    """The middleware in a stack of apps, or None: the stack by `layers`, then what its layers hold under any name."""
    found = list(layers(app))
    for layer in found:  # the list grows meanwhile
        if isinstance(layer, Middleware):
            return layer
        if len(found) < 200:  # a stack, not a whole program
            known = set(map(id, found))
            found += [each for each in _held(layer) if id(each) not in known]
    return None


def _held(layer: object) -> Iterator[object]:
    """What a function or an object may call: its attributes, a closure's variables, a partial's arguments."""
    held: list[object] = []
    if isinstance(layer, partial):
        held += [layer.func, *layer.args, *layer.keywords.values()]
    with suppress(Exception):  # a proxy such as Flask's outside of a request
        held += getattr(_built(layer), "__dict__", {}).values()
        held += [getattr(layer, "__self__", None)]
        for cell in getattr(layer, "__closure__", None) or ():
            with suppress(ValueError):  # it is empty
                held.append(cell.cell_contents)
    return (each for each in held if callable(each) and not isinstance(each, type))


def _built(app: Any) -> Any:
    """The app, with the middleware that Starlette and FastAPI build at the first request."""
    if getattr(app, "middleware_stack", app) is None:
        app.middleware_stack = app.build_middleware_stack()
    return app


def find_middleware_at(app: Any, path: str = "") -> tuple[Any, str]:
    """The ConversationMiddleware of an app, or of the app that it mounts at a path; and what is left of the path.

    Without a path every mounted app is searched. Without a middleware the first is None.
    """
    for mount, inner in (("", app), *mounted(app)):
        prefix = mount.rstrip("/")
        if not (prefix and path) or path.startswith(f"{prefix}/"):
            for layer in layers(_built(inner)):
                if isinstance(layer, Middleware):
                    return layer, path.removeprefix(prefix)
    return find_middleware(app), path


def make_environ(request: Request, stripped_prefix: str = "") -> dict[str, Any]:
    """The WSGI environ that a server makes of a request."""
    parts = urlsplit(request.url)
    headers = Headers([item for item in request.headers if item[0] != "Content-Type"])
    builder = EnvironBuilder(
        method=request.method,
        base_url=f"{parts.scheme}://{parts.netloc}/",
        headers=headers,
        data=request.body,
        content_type=Headers(request.headers).get("Content-Type"),
        multithread=True,
    )
    try:
        environ: dict[str, Any] = dict(builder.get_environ())
    finally:
        builder.close()
    # The builder normalizes the path and the query; a server passes them on as they were sent.
    target = request.target(stripped_prefix)
    path, _, query = target.partition("?")
    environ |= {"PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query}
    return environ | {"RAW_URI": target, "REQUEST_URI": target}


def run(app: WSGIApplication, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Run a WSGI app as a server does, up to the length that Twilio reads; return status line, headers and body."""
    started: dict[str, Any] = {}
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info and written:
            raise exc_info[1].with_traceback(exc_info[2])
        started.update(status=status, headers=list(headers))
        return written.append

    chunks = app(environ, start_response)
    try:
        for chunk in chunks:
            written.append(chunk)
            if sum(map(len, written)) > MAX_DOCUMENT_BYTES:
                break
    finally:
        close: Callable[[], Any] | None = getattr(chunks, "close", None)
        if close is not None:
            close()
    if not started:
        raise AssertionError("the app ended without calling start_response")
    return started["status"], started["headers"], b"".join(written)[: MAX_DOCUMENT_BYTES + 1]
