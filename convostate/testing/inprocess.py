"""Delivery to a WSGI app in this process, with wsgiref's validator on both sides of the middleware."""

from __future__ import annotations

import io
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from wsgiref.validate import validator

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from convostate.errors import UsageError
from convostate.testing.configured import with_every_path
from convostate.testing.delivery import MAX_DOCUMENT_BYTES, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_MIDDLEWARE = "ConversationMiddleware"
_CLOCK = "convostate.clock"
_STATE = "convostate.state"
_TURN = "convostate.turn"
_SEEN = "convostate.testing.seen"
_BODILESS = ("204", "304")


class WsgiTransport:
    """Calls a WSGI app.

    The app stays as it is. While a webhook runs, the `app` of its ``ConversationMiddleware`` is the
    same app between two more checks, which let through what comes from elsewhere.

    Args:
        app: Any WSGI app. If a ``ConversationMiddleware`` is found in it, at ``.wsgi_app`` or
            ``.app`` or further down, the app inside is checked as well.
        clock: The time that the middleware sees, Unix seconds.
        raise_app_errors: Whether an exception of the app comes out of the call that sent the text,
            with its traceback; else it counts as a reply with status 500.
        stripped_prefix: What a proxy in front of the app cuts off each path.
    """

    def __init__(
        self,
        app: WSGIApplication,
        clock: Callable[[], float],
        *,
        raise_app_errors: bool,
        stripped_prefix: str = "",
    ) -> None:
        self.stripped_prefix = stripped_prefix
        self._app = self.check(app)
        self._clock = clock
        self._raise_app_errors = raise_app_errors
        self._middleware = find_middleware(app)
        self._running = 0
        self._lock = threading.Lock()
        # What the app has asked to answer texts later, in order.
        self.answering: list[Any] = []

    @property
    def settings(self) -> Any:
        """Those of the app's middleware; None if it has none."""
        return None if self._middleware is None else self._middleware.settings

    def send(self, request: Request, connect_s: float, read_s: float) -> Response:  # noqa: ARG002  there is no network to wait for
        """Run the app for one request."""
        environ = make_environ(request, self.stripped_prefix)
        environ[_CLOCK] = self._clock
        errors = environ["wsgi.errors"] = _Errors(environ["wsgi.errors"])
        seen: dict[str, Any] = {}
        environ[_SEEN] = seen
        try:
            with self._checked_inside(), reported_exceptions() as reported:
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
        """The way to a middleware like the app's, with its settings and store, around another app."""

        def meet(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            kept = act(environ[_STATE])
            start_response("204 No Content" if kept else "500 Not Kept", [])
            return []

        return WsgiTransport(
            self._around(meet),
            self._clock,
            raise_app_errors=True,
            stripped_prefix=self.stripped_prefix,
        )

    def note_answering(self, seen: Mapping[str, Any]) -> None:
        """Note what the app has asked to answer its text later, if it has."""
        asked = getattr(seen.get("turn"), "deferred_by", None)
        if asked is not None and asked not in self.answering:
            self.answering.append(asked)

    def answer_due(self, conversations: Any) -> list[Exception]:
        """Have all that is due answered; what went wrong."""
        errors: list[Exception] = conversations.answer_due()
        return errors

    def check(self, app: Any) -> Any:
        """An app that is checked while it is called."""
        return Checked(app)

    def _around(self, app: Any) -> Any:
        """A middleware like the app's, around another app."""
        middleware = self._middleware
        if middleware is None:
            raise UsageError("This app has no state. Wrap it: ConversationMiddleware(app)")
        settings = with_every_path(middleware.settings)
        return type(middleware)(app, settings, store=middleware.store)

    @contextmanager
    def _checked_inside(self) -> Iterator[None]:
        """Meanwhile the middleware calls the app between two checks; other requests pass through."""
        middleware = self._middleware
        if middleware is None:
            yield
            return
        with self._lock:
            self._running += 1
            if self._running == 1:
                middleware.app = self.check(middleware.app)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    middleware.app = middleware.app.app


class _Errors(io.StringIO):
    """``wsgi.errors``: kept as well as passed on, because Bottle writes its tracebacks there only."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(text)
        return super().write(text)


@contextmanager
def reported_exceptions() -> Iterator[list[BaseException]]:
    """Collect the exceptions that Flask and Django answer with a 500 page, in this thread."""
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
    """A WSGI app between the checks of `wsgiref.validate`.

    Two things that the validator refuses are let through: a response without a Content-Type, because
    Twilio has a code for it (12300), and ``read()`` without a size or a Content-Type on a 204, because
    PEP 3333 allows them and frameworks do them.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the app inside the validator; what a test sends it by other means passes through."""
        if _SEEN not in environ:
            return self.app(environ, start_response)
        started: list[tuple[Any, ...]] = []

        def inside(inner: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            def judged_start(*args: Any) -> Any:
                started.append(args)
                return start(*_presentable(args))

            inner["wsgi.input"] = _Input(inner["wsgi.input"], inner.get("CONTENT_LENGTH"))
            seen = inner.get(_SEEN)
            if seen is not None and _STATE in inner:
                seen.update(state=inner[_STATE], turn=inner.get(_TURN))
            return self.app(inner, judged_start)

        def outside(*_: Any) -> Any:
            return start_response(*started[-1])

        return validator(inside)(environ, outside)


class _Input:
    """A request body whose `read` may be called without a size."""

    def __init__(self, body: Any, content_length: str | None) -> None:
        self._body = body
        self._left = int(content_length) if content_length else sys.maxsize
        self.readline, self.readlines = body.readline, body.readlines

    def read(self, size: int | None = -1) -> Any:
        return self._body.read(self._left if size is None or size < 0 else size)

    def __iter__(self) -> Any:
        return iter(self._body)


def _presentable(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of start_response with the Content-Type that the validator wants to see."""
    if len(args) < 2 or type(args[0]) is not str or type(args[1]) is not list:
        return args  # the validator says what is wrong with them
    status, headers, *rest = args
    named = [item for item in headers if isinstance(item, tuple) and _is_content_type(*item[:1])]
    if status.startswith(_BODILESS):
        return status, [item for item in headers if item not in named], *rest
    if not named:
        return status, [*headers, ("Content-Type", "application/x-none")], *rest
    return args


def _is_content_type(name: object = None) -> bool:
    return isinstance(name, str) and name.lower() == "content-type"


def find_middleware(app: Any) -> Any:
    """The ConversationMiddleware in a stack of WSGI apps, or None.

    It is known by its class's name, so that the simulator does not import what it tests.
    """
    for _ in range(20):  # a stack of middleware, not a cycle
        if any(cls.__name__ == _MIDDLEWARE for cls in type(app).__mro__):
            return app
        # Flask's, Starlette's, and what most name it.
        names = ("wsgi_app", "middleware_stack", "app")
        app = next(filter(None, (getattr(app, name, None) for name in names)), None)
        if app is None:
            return None
    return None


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
    # The builder normalises; a server hands over the path and the query as they were sent.
    target = request.target(stripped_prefix)
    path, _, query = target.partition("?")
    environ |= {"PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query}
    return environ | {"RAW_URI": target, "REQUEST_URI": target}


def run(app: WSGIApplication, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
    """Run a WSGI app as a server does, up to the most that Twilio reads.

    Returns:
        Status line, headers and body.
    """
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
