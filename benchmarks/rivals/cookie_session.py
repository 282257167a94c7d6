"""A Flask session in a cookie of any format: the frame of the rivals that are formats only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask.sessions import SecureCookieSession, SessionInterface, SessionMixin

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Request, Response

LIFETIME_S = 4 * 3600  # as long as Twilio keeps a cookie


class CookieSession(SessionInterface):
    """Keeps the session in a cookie.

    Args:
        load: Text to dict; raises where the text is forged or expired.
        dump: Dict to text.
    """

    def __init__(
        self, load: Callable[[str], dict[str, Any]], dump: Callable[[dict[str, Any]], str]
    ) -> None:
        self._load = load
        self._dump = dump

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:  # noqa: ARG002  # Flask's protocol
        """Read the cookie."""
        text = request.cookies.get("session")
        return SecureCookieSession(self._load(text) if text else None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:  # noqa: ARG002
        """Write the cookie."""
        text = self._dump(dict(session))
        response.set_cookie("session", text, LIFETIME_S, httponly=True, samesite="Lax")
