"""Access: only the page that this server sent, on this machine, to the user who saw the printed URL.

The URL carries a token that is new at each start, as Jupyter's does. The first visit exchanges it for a
cookie, so that it does not stay in the address bar. Another user of this machine has neither.

A web page anywhere can make a browser send requests to 127.0.0.1, and any host name can point there
(DNS rebinding). So the Host must be a name of this machine, a request must come from this page or from
the address bar, and an action must be JSON, which no form of another site can send.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import Forbidden, MisdirectedRequest, UnsupportedMediaType
from werkzeug.utils import redirect

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

_LOCAL_HOST = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)
_SITES = {"same-origin", "none"}  # this page; or typed, from a bookmark or a terminal

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
    """Refuse every request that does not come from this page; the token is that of the printed URL.

    Raises:
        MisdirectedRequest: 421, the Host is not a name of this machine.
        Forbidden: 403, the request comes from another site, or without the token.
        UnsupportedMediaType: 415, an action is not JSON.
    """
    host = request.environ.get("HTTP_HOST", "")
    if _LOCAL_HOST.fullmatch(host) is None:
        raise MisdirectedRequest("This page is available at 127.0.0.1 only.")
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    arrives = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if (origin is not None and origin != f"http://{host}") or (
        site not in _SITES and not (arrives and request.path == "/")
    ):
        raise Forbidden("This request comes from another site.")
    if request.method == "POST" and request.mimetype != "application/json":
        raise UnsupportedMediaType("Send JSON.")
    if not (
        _equal(request.cookies.get(_cookie(request), ""), token) or shows_token(request, token)
    ):
        raise Forbidden(
            "Open the URL that convostate phone has printed: its token is new at each start."
        )


def shows_token(request: Request, token: str) -> bool:
    """Whether the request is a visit with the printed URL."""
    return request.path == "/" and _equal(request.args.get("token", ""), token)


def welcome(request: Request, token: str) -> Response:
    """Exchange the token in the URL for a cookie."""
    response = redirect("/", 303)
    response.set_cookie(_cookie(request), token, httponly=True, samesite="Lax")
    return response


def _equal(value: str, token: str) -> bool:
    return hmac.compare_digest(value.encode("utf-8", "replace"), token.encode())


def _cookie(request: Request) -> str:
    """The name of the cookie, with the port: browsers share cookies between the ports of a host."""
    return f"convostate-phone-{request.host.rpartition(':')[2]}"
