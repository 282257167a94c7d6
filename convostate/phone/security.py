"""Who may ask: the page that this server gave out, on this machine.

A web page anywhere can make a browser send requests to 127.0.0.1, and a name anywhere can point there
(DNS rebinding). So the Host must be a name of this machine, a request must come from this page or from
the address bar, and what changes something must carry JSON, which no form of another site can send.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import Forbidden, MisdirectedRequest, UnsupportedMediaType

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

_HERE = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)
# Where a person may come from: this page, or nowhere (typed, or from a bookmark or a terminal).
_SITES = {"same-origin", "none"}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def check(request: Request) -> None:
    """Refuse whoever is not this page.

    Raises:
        MisdirectedRequest: 421, the Host is not a name of this machine.
        Forbidden: 403, another site asks.
        UnsupportedMediaType: 415, it is to change something and is not JSON.
    """
    host = request.environ.get("HTTP_HOST", "")
    if _HERE.fullmatch(host) is None:
        raise MisdirectedRequest("This page is at 127.0.0.1 only.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        raise Forbidden("Another site asks.")
    site = request.headers.get("Sec-Fetch-Site", "none")
    arriving = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if site not in _SITES and not (arriving and request.path == "/"):
        raise Forbidden("Another site asks.")
    if request.method == "POST" and request.mimetype != "application/json":
        raise UnsupportedMediaType("Send JSON.")


def protect(response: Response) -> Response:
    """Say to the browser what the page may do."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
