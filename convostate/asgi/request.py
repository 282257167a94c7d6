"""scope and receive → Request: the bytes and the URL as they arrived, uninterpreted.

Servers differ. uvicorn puts its ``--root-path`` before the path, hypercorn does not, and a mount leaves
the whole path and adds to `root_path`; the ASGI specification has `path` whole. Source:
https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from convostate.errors import RequestError
from convostate.middleware import PATH_SAFE, too_long
from convostate.twilio.signature import MAX_URL_CHARS, Request, url_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, MutableMapping

    from convostate.twilio.diagnosis import Arrival

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[
        [Any, Any, Any], Awaitable[None]
    ]  # each framework has types of its own for these

_READ = frozenset(
    (b"content-length", b"content-type", b"cookie", b"host", b"i-twilio-idempotency-token", b"x-twilio-signature",
     b"x-twilio-webhooks-signature-settings")
)  # fmt: skip
_UNDERSCORE = ord("_")  # looked for in bytes in a seventh of the time that b"_" takes
_LENGTHS = frozenset((b"content-length", b"transfer-encoding"))
# What the app must find as it was verified. A name with an underscore becomes the same variable in an
# app behind an ASGI-to-WSGI adapter.
_VERIFIED = {b"content-length", b"content-type", b"transfer-encoding", b"x-twilio-signature"}


class ClientGoneError(Exception):
    """The client has disconnected before its request was whole. Never leaves the middleware."""


def routed_paths(scope: Scope) -> list[str]:
    """The path as each known router reads it: without `root_path`, without an origin."""
    path: str = scope["path"]
    if path[:1] not in ("/", ""):  # absolute form: Quart takes the path out of it
        path = urlsplit(path).path
    root: str = scope.get("root_path", "").rstrip("/")
    found = [path]
    if root and path.startswith(root):
        inner = path[len(root) :]
        # Starlette and Django cut `root_path` at a slash, others anywhere.
        found = [inner] if inner[:1] in ("/", "") else [path, inner]
    return found


def headers_of(scope: Scope, names: Collection[bytes] = _READ) -> dict[bytes, str]:
    """Some headers by their lower-case names, repeated ones joined as WSGI servers join them."""
    found: dict[bytes, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.lower()
        if name in names:
            value = raw_value.decode("latin-1")
            if name in found:
                value = f"{found[name]}{'; ' if name == b'cookie' else ','}{value}"
            found[name] = value
    return found


def url_of(scope: Scope, headers: dict[bytes, str], public_url: str | None) -> str:
    """The URL that Twilio requested, as far as it is known without trusting a forwarding header.

    `headers` are those of `headers_of`; `public_url` and the errors are as in `convostate.wsgi.request.url_of`.
    """
    target = _target(scope)
    if public_url is not None:
        if scope["type"] == "websocket":  # https://… is wss://… there
            public_url = f"ws{public_url.removeprefix('http')}"
        parts = urlsplit(public_url)
        root = scope.get("root_path", "").rstrip("/")
        if parts.path and (root == parts.path or root.startswith(f"{parts.path}/")):
            public_url = f"{parts.scheme}://{parts.netloc}"  # the prefix is in root_path already
    scheme = scope.get("scheme", "ws" if scope["type"] == "websocket" else "http")
    server, port = scope.get("server") or ("", None)
    return url_at(target, public_url, scheme, headers.get(b"host"), server, port)


async def read_body(headers: dict[bytes, str], receive: Receive, most: int) -> bytes:
    """Read the whole body.

    Raises:
        RequestError: 400 the length is not a number or not the body's, 413 it is longer than `most`.
        ClientGoneError: The client has disconnected.
    """
    length = headers.get(b"content-length")
    if length is not None:
        if not (length.isascii() and length.isdigit()):
            raise RequestError(400, "length", "Content-Length is not a number")
        if len(length) > 9 or int(length) > most:
            raise too_long("body", most, "bytes")
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_long("body", most, "bytes")
        chunks.append(chunk)
        more = message.get("more_body", False)
    if length is not None and size != int(length):
        what = "the body is not as long as its Content-Length"
        if not size:
            what += (
                ": a middleware around ConversationMiddleware may have read it. Have ConversationMiddleware "
                "be the outer one: in Starlette and FastAPI add it last"
            )
        raise RequestError(400, "length", what)
    return b"".join(chunks)


def request_of(
    scope: Scope, headers: dict[bytes, str], body: bytes, public_url: str | None
) -> Request:
    """The request as it arrived; a WebSocket's handshake is a GET. RequestError as `url_of`."""
    return Request(
        scope.get("method", "GET"),
        url_of(scope, headers, public_url),
        scope.get("query_string", b"").decode("latin-1"),
        headers.get(b"content-type", ""),
        body,
        headers.get(b"x-twilio-signature", ""),
        headers.get(b"x-twilio-webhooks-signature-settings", ""),
    )


def arrival_of(scope: Scope, public_url: str | None, _app: object) -> Arrival:
    """What else the server knows about a request, to explain a refusal."""
    from convostate.twilio.diagnosis import Arrival  # noqa: PLC0415  # few requests are refused

    return Arrival(
        _target(scope),
        public_url or "",
        quote(scope.get("root_path", "").rstrip("/"), safe=PATH_SAFE),
        lambda name: _header(scope, name),
        test_client=_signing_client(scope),
    )


def _header(scope: Scope, name: str) -> str:
    """One header, or ""."""
    return "".join(headers_of(scope, [name.lower().encode("latin-1")]).values())


def _signing_client(scope: Scope) -> str:
    """Which helper of `convostate.testing` signs for the client that sent a request, or ""."""
    agent = _header(scope, "User-Agent")
    if agent in ("testclient", "Quart"):  # the first is that of Starlette, FastAPI and Litestar
        return "SignedASGIApp"
    return "SignedTransport" if agent.startswith("python-httpx") else ""


def verified_headers(scope: Scope, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers for the app, with the length of the verified body and without other spellings of it."""
    kept = [
        header
        for header in scope["headers"]
        if (name := header[0].lower()) not in _LENGTHS
        and (_UNDERSCORE not in name or name.replace(b"_", b"-") not in _VERIFIED)
    ]
    return [*kept, (b"content-length", b"%d" % len(body))]


def _target(scope: Scope) -> str:
    """The path with `root_path` and the query, as spelled on the wire, or rebuilt if that is unknown."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    whole = path if not root or path == root or path.startswith(f"{root}/") else root + path
    raw: bytes = scope.get("raw_path") or b""
    query: str = scope.get("query_string", b"").decode("latin-1")
    if max(len(raw), len(path), len(query)) > MAX_URL_CHARS:
        raise too_long("URL", MAX_URL_CHARS, "characters")
    query = f"?{query}" if query else ""
    if raw:
        spelled = raw.partition(b"?")[0].decode("latin-1")  # daphne leaves the query in it
        decoded = spelled
        if "%" in spelled or not spelled.isascii():
            decoded = unquote_to_bytes(spelled).decode("utf-8", "replace")
        if decoded == whole:
            return spelled + query
        if root and decoded == whole[len(root) :]:
            return quote(root, safe=PATH_SAFE) + spelled + query
    return quote(whole, safe=PATH_SAFE) + query
