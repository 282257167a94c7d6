"""Collecting the app's response: nothing is sent before the turn is committed.

What breaks the ASGI specification is an AssertionError, as servers raise it
(https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from convostate.turns import MAX_RESPONSE_BYTES, Response

if TYPE_CHECKING:
    from convostate.asgi.request import Message, Send

# What a server may offer beyond the specification's two messages and a turn cannot collect.
UNCOLLECTED = frozenset(
    f"http.response.{name}"
    for name in ("pathsend", "zerocopysend", "trailers", "early_hint", "push")
)

_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Collector:
    """One response while it is collected.

    Attributes:
        is_complete: The last message of the body has come.
        is_too_large: The body is longer than Twilio accepts; the rest of it is dropped.
    """

    is_complete = is_too_large = False

    def __init__(self) -> None:
        self._status: int | None = None
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, message: Message) -> None:
        """Take a message of the app's.

        Raises:
            AssertionError: The app breaks the ASGI specification.
        """
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message)
        elif kind == "http.response.body":
            if self._status is None:
                raise AssertionError("the app sent a body before http.response.start")
            body = message.get("body", b"")
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise AssertionError("the app's response body is not bytes")
            self._size += len(body)
            self.is_too_large = self._size > MAX_RESPONSE_BYTES
            if not self.is_too_large:
                self._chunks.append(bytes(body))
            self.is_complete = not message.get("more_body", False)
        else:
            raise AssertionError(f"the app sent {kind}, which this response does not offer")

    def response(self) -> Response:
        """The response as a WSGI server would be given it: so both doors record the same."""
        assert self._status is not None
        phrase = _PHRASES.get(self._status, "Unknown")
        return Response(f"{self._status} {phrase}", self._headers, b"".join(self._chunks))

    def _start(self, message: Message) -> None:
        if self._status is not None:
            raise AssertionError("the app sent http.response.start twice")
        status = message["status"]
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise AssertionError("the app's status is not an int from 200 to 599")
        for name, value in message.get("headers", ()):
            if not isinstance(name, bytes) or not isinstance(value, bytes):
                raise AssertionError("a header of the app's is not a pair of bytes")
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))
        if message.get("trailers", False):
            raise AssertionError("the app announced trailers, which this response does not offer")
        self._status = status


async def send_response(response: Response, send: Send) -> None:
    """Give a whole response to the server."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    await send(
        {"type": "http.response.start", "status": int(response.status[:3]), "headers": headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": False})
