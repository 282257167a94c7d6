"""Who may ask: the page that this server gave out, on this machine, to whoever saw the printed URL.

The URL carries a token that is new at each start, as Jupyter's does. The first visit exchanges it for a
cookie, so that it stays out of the address bar; another user of this machine has neither.

A web page anywhere can make a browser send requests to 127.0.0.1, and a name anywhere can point there
(DNS rebinding). So the Host must be a name of this machine, a request must come from this page or from
the address bar, and what changes something must carry JSON, which no form of another site can send.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import Forbidden, MisdirectedRequest, UnsupportedMediaType
from werkzeug.utils import redirect

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


def check(request: Request, token: str) -> None:
    """Refuse whoever is not this page.

    Args:
        request: The request.
        token: The token of the printed URL.

    Raises:
        MisdirectedRequest: 421, the Host is not a name of this machine.
        Forbidden: 403, another site asks, or somebody who has not seen the printed URL.
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
    if not (_is(request.cookies.get(_cookie(request), ""), token) or shows_token(request, token)):
        raise Forbidden(
            "Open the URL that convostate phone has printed: it has a token that is new at each start."
        )


def shows_token(request: Request, token: str) -> bool:
    """Whether it is a visit with the printed URL."""
    return request.path == "/" and _is(request.args.get("token", ""), token)


def welcome(request: Request, token: str) -> Response:
    """Exchange the token in the URL for a cookie."""
    response = redirect("/", 303)
    response.set_cookie(_cookie(request), token, httponly=True, samesite="Lax")
    return response


def _is(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _cookie(request: Request) -> str:
    """Its name: browsers share cookies between the ports of a host."""
    return f"convostate-phone-{request.host.rpartition(':')[2]}"


def protect(response: Response) -> Response:
    """Say to the browser what the page may do."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
