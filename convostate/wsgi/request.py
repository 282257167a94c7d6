"""environ → Request: the bytes and the URL as they arrived, not interpreted.

Servers differ (gunicorn: RAW_URI; waitress, uWSGI, mod_wsgi: REQUEST_URI; wsgiref: neither), and PATH_INFO is
decoded. So the raw target is used only if it agrees with the path by which the app will route.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from convostate.errors import RequestError
from convostate.middleware import PATH_SAFE, layers, too_long
from convostate.twilio.signature import MAX_URL_CHARS, Request, url_at

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from convostate.twilio.diagnosis import Arrival

# RFC 9112 §3.2.2: an origin may stand before the path.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


def read_request(environ: WSGIEnvironment, public_url: str | None, max_body_bytes: int) -> Request:
    """Read the request whole.

    Raises:
        RequestError: As `url_of` and `read_body`.
        StreamError: The server's stream raised.
    """
    get = environ.get
    query = get("QUERY_STRING", "")
    return Request(
        environ["REQUEST_METHOD"],
        url_of(environ, public_url, query),
        query,
        get("CONTENT_TYPE") or "",
        read_body(environ, max_body_bytes),
        get("HTTP_X_TWILIO_SIGNATURE") or "",
        get("HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS") or "",
    )


def read_body(environ: WSGIEnvironment, most: int) -> bytes:
    """Read exactly the body, never a byte past it: a server's stream may block there.

    Raises:
        RequestError: 400 the length is missing or not a number, or the body is shorter; 413 it is longer
            than `most`.
        StreamError: The stream raised.
    """
    length = environ.get("CONTENT_LENGTH")
    if not length:
        wanted = _unknown_length(environ, most)
    elif not (length.isascii() and length.isdigit()):
        raise RequestError(400, "length", "Content-Length is not a number")
    else:
        wanted = int(length) if len(length) < 10 else most + 1
        if wanted > most:
            raise too_long("body", most, "bytes")
    body = bytearray()  # bytes would be copied with each piece
    try:
        while len(body) < wanted and (piece := environ["wsgi.input"].read(wanted - len(body))):
            body += piece
    except Exception as error:
        raise StreamError(error) from error
    if len(body) > most:
        raise too_long("body", most, "bytes")
    if length and len(body) != wanted:
        raise RequestError(400, "length", "the body is shorter than its Content-Length")
    return bytes(body)


def _unknown_length(environ: WSGIEnvironment, most: int) -> int:
    """How many bytes may be read without a Content-Length; one more than allowed shows a body that is too long."""
    if environ.get("wsgi.input_terminated") or "asgi.scope" in environ:  # a2wsgi sets the latter
        return most + 1
    if "HTTP_TRANSFER_ENCODING" not in environ:
        return 0
    stream = environ["wsgi.input"]
    if hasattr(stream, "seekable") and stream.seekable():  # in memory or in a file
        return most + 1
    raise RequestError(
        400,
        "length",
        "the body came in chunks, without a Content-Length, and this server does not show where it "
        "ends. Have the proxy or the server send the length, as nginx does by default",
    )


class StreamError(Exception):
    """The server's stream raised `raised`, such as for a malformed chunk. Never leaves the door."""

    def __init__(self, raised: Exception) -> None:
        super().__init__()
        self.raised = raised


def url_of(environ: WSGIEnvironment, public_url: str | None, query: str) -> str:
    """The URL that Twilio requested, as far as it is known without trusting a forwarding header.

    Args:
        environ: The server's.
        public_url: The origin and prefix that Twilio was given, without a slash at its end; None to
            trust the request's own.
        query: QUERY_STRING.

    Raises:
        RequestError: 400, the Host header extends into the path, or the path into the host; 413, the URL is
            longer than 32,768 characters.
    """
    get = environ.get
    mount, inner = get("SCRIPT_NAME", ""), get("PATH_INFO", "")
    raw: str = get("RAW_URI") or get("REQUEST_URI") or ""
    if len(raw) > MAX_URL_CHARS or len(inner) > MAX_URL_CHARS or len(query) > MAX_URL_CHARS:
        raise too_long("URL", MAX_URL_CHARS, "characters")
    if raw[:1] != "/" and (absolute := _ABSOLUTE.match(raw)):
        raw = raw[absolute.end() :]
    path, mark, raw_query = raw.partition("#")[0].partition("?")
    target = ""
    if path[:1] == "/" and raw_query == query:
        decoded = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
        if decoded == mount + inner or _is_cut_by_waitress(decoded, mount + inner):
            target = path + mark + query  # Twilio signs a bare ? as well
        elif (
            decoded == inner
        ):  # a proxy removed SCRIPT_NAME, and a middleware such as ProxyFix restored it
            target = (_quoted(mount) if public_url is None else "") + path + mark + query
    if not target:  # as PEP 3333 rebuilds it
        target = _quoted(mount) + _quoted(inner) + (f"?{query}" if query else "")
    scheme, server = environ["wsgi.url_scheme"], get("SERVER_NAME", "")
    return url_at(target, public_url, scheme, get("HTTP_HOST"), server, get("SERVER_PORT"))


def arrival_of(environ: WSGIEnvironment, public_url: str | None, app: object) -> Arrival:
    """What else the server knows about a request to the app inside the middleware, to explain a refusal."""
    from convostate.twilio.diagnosis import Arrival  # noqa: PLC0415  # few requests are refused

    return Arrival(
        url_of(environ, "", environ.get("QUERY_STRING", "")),
        public_url or "",
        _quoted(environ.get("SCRIPT_NAME", "")),
        lambda name: environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""),
        public_url is None and has_proxy_fix(app),
        _signing_client(environ),
    )


def _signing_client(environ: WSGIEnvironment) -> str:
    """Which client of `convostate.testing` replaces the test client that a request came from, or ""."""
    if "paste.testing" in environ:  # WebTest's own mark
        return "SignedTestApp"
    agent = environ.get("HTTP_USER_AGENT", "")
    return "SignedClient" if agent.startswith("Werkzeug/") else ""


def has_proxy_fix(app: object) -> bool:
    """Whether Werkzeug's ProxyFix is in a stack of WSGI apps: inside, it corrects the URL too late."""
    return any(type(layer).__name__ == "ProxyFix" for layer in layers(app))


def _is_cut_by_waitress(decoded: str, path: str) -> bool:
    """Whether a server has collapsed several slashes at the beginning into one."""
    return decoded[:2] == "//" and f"/{decoded.lstrip('/')}" == path


def _quoted(path: str) -> str:
    return quote(path, safe=PATH_SAFE, encoding="latin-1")
