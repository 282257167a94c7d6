"""Collecting the app's response: the whole of it, before the turn is committed and the first header sent.

TwiML is small (Twilio takes 65,536 bytes), so this departs knowingly from PEP 3333's rule that
middleware passes every block on at once: only so can the state that the app leaves at the very end of
its response go into the headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostate.turns import MAX_RESPONSE_BYTES, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class ResponseTooLargeError(Exception):
    """The app's response is more than Twilio takes. Never leaves the middleware."""


class _Collector:
    """One response while it is collected."""

    __slots__ = ("chunks", "headers", "size", "status")

    def __init__(self) -> None:
        self.status: str | None = None
        self.headers: list[tuple[str, str]] = []
        self.chunks: list[bytes] = []
        self.size = 0

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if self.size:  # a server would have sent the headers by now
                    raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[union-attr]  # given by PEP 3333
            finally:
                exc_info = None  # keeps no frame alive
        elif self.status is not None:
            raise AssertionError("the app called start_response twice without exc_info")
        if type(status) is not str or status[3:4] != " " or not status[:3].isdecimal():
            raise AssertionError("the app's status is not a str such as '200 OK'")
        if type(headers) is not list:
            raise AssertionError("the app's headers are not a list")
        for header in headers:
            if (
                type(header) is not tuple
                or len(header) != 2
                or not type(header[0]) is type(header[1]) is str
            ):
                raise AssertionError("a header of the app's is not a tuple of two str")
        self.status, self.headers = status, headers.copy()
        return self.write

    def write(self, chunk: bytes, /) -> None:
        if not isinstance(chunk, bytes):
            raise AssertionError("the app's response body is not bytes")
        self.size += len(chunk)
        if self.size > MAX_RESPONSE_BYTES:
            raise ResponseTooLargeError
        if self.status is None and chunk:
            raise AssertionError("the app sent a body before it called start_response")
        self.chunks.append(chunk)


def collect(app: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Run the app and close its response.

    Raises:
        ResponseTooLargeError: The response is longer than 65,536 bytes; it is closed.
        AssertionError: The app breaks PEP 3333.
        BaseException: Whatever the app raises, `close` included.
    """
    collector = _Collector()
    iterable: Iterable[Any] = app(environ, collector.start_response)
    try:
        for chunk in iterable:
            collector.write(chunk)
    finally:
        close = getattr(iterable, "close", None)
        if close is not None:
            close()
    if collector.size > MAX_RESPONSE_BYTES:  # the app swallowed what write() raised
        raise ResponseTooLargeError
    if collector.status is None:
        raise AssertionError("the app never called start_response")
    return Response(collector.status, collector.headers, b"".join(collector.chunks))
