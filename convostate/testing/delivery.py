"""One HTTP exchange between Twilio and an app: the request, and the response or the error."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from convostate.errors import UsageError
from convostate.testing.codes import describe

if TYPE_CHECKING:
    from collections.abc import Callable

# Error 11750. One more byte is read to detect a longer document.
MAX_DOCUMENT_BYTES = 64 * 1024

RetryWord = Literal["ct", "rt"]
"""Twilio's words for its retry policy: no connection, or no response in time."""


@dataclass(frozen=True)
class Request:
    """A request of Twilio's.

    Attributes:
        url: The absolute URL, without fragment, user name and password. It is signed like this,
            except for a port that Twilio leaves out of the signature.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def target(self, stripped_prefix: str = "") -> str:
        """The path and query, without the prefix that a proxy strips from the path, such as ``/bots``."""
        path = urlsplit(self.url).path or "/"
        if path == stripped_prefix or path.startswith(f"{stripped_prefix}/"):
            path = path.removeprefix(stripped_prefix) or "/"
        _, mark, query = self.url.partition("?")
        return path + mark + query


@dataclass(frozen=True)
class Response:
    """A response of the app's.

    Attributes:
        body: At most 65,537 bytes: Twilio reads no document longer than 65,536.
        exception: The exception of an app in this process, also if its framework has answered 500.
        state: The conversation's State as the app left it, if the app runs in this process inside
            the middleware.
        errors: What an app in this process wrote to ``wsgi.errors`` before it answered 500 or more.
    """

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    exception: BaseException | None = field(default=None, repr=False)
    state: dict[Any, Any] | None = field(default=None, repr=False)
    errors: str = field(default="", repr=False)


class DeliveryError(Exception):
    """No response came: Twilio's error code, and the word of the retry policy that covers it."""

    def __init__(self, code: int, retry_word: RetryWord) -> None:
        super().__init__(describe(code))
        self.code = code
        self.retry_word = retry_word


class HttpTransport:
    """Sends every webhook to one http or https server, whatever host and path its URL names.

    A proxy in front of the server strips a prefix from each path.
    """

    def __init__(self, url: str, stripped_prefix: str = "") -> None:
        self._prefix = stripped_prefix
        try:
            parts = urlsplit(url)
            scheme, host, self._port = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host = "", None
        if scheme not in ("http", "https") or not host:
            raise UsageError("This is not the URL of a server. Write http://127.0.0.1:8000/sms")
        self._https, self._host = scheme == "https", host

    def send(self, request: Request, connect_s: float, read_s: float) -> Response:
        """Send one request over a connection of its own; the seconds are those of Twilio's overrides ``ct`` and ``rt``.

        Raises:
            DeliveryError: There was no response.
        """
        kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        with closing(kind(self._host, self._port, timeout=connect_s)) as connection:
            try:
                connection.connect()
            except socket.gaierror as error:
                raise DeliveryError(11210, "ct") from error
            except ssl.SSLCertVerificationError as error:
                raise DeliveryError(11237, "ct") from error
            except OSError as error:
                raise DeliveryError(11205, "ct") from error
            connection.sock.settimeout(read_s)
            try:
                return _exchange(connection, request, self._prefix)
            except TimeoutError as error:
                raise DeliveryError(11205, "rt") from error
            except (OSError, http.client.HTTPException) as error:
                raise DeliveryError(11200, "rt") from error

    def inside(self, act: Callable[[Any], bool]) -> HttpTransport:  # noqa: ARG002  it is never called
        """Raise: this process cannot access that state."""
        raise UsageError(
            "The state is inside the server. Give the simulator the app itself to set or read it"
        )


def _exchange(connection: http.client.HTTPConnection, request: Request, prefix: str) -> Response:
    connection.putrequest(
        request.method, request.target(prefix), skip_host=True, skip_accept_encoding=True
    )
    for name, value in request.headers:
        connection.putheader(name, value.encode("latin-1"))
    if request.body or request.method == "POST":
        connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body or None)
    response = connection.getresponse()
    body = response.read(MAX_DOCUMENT_BYTES + 1)
    if response.length and len(body) <= MAX_DOCUMENT_BYTES:
        raise http.client.IncompleteRead(body, response.length)
    return Response(response.status, Headers(response.getheaders()), body)
