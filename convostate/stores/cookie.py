"""CookieStore: the state travels in Twilio's own cookie, and the server keeps nothing.

Twilio keeps one cookie per To/From pair, sends it back with that pair's next message, and drops it
after four hours (https://help.twilio.com/articles/223136287). What this store cannot promise: of two
texts in quick succession the last writer wins, and an older cookie of the same pair that has not expired
can be replayed.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NoReturn

from convostate.errors import UsageError
from convostate.sealing.codec import from_base64url, to_base64url
from convostate.sealing.token import HEAD_BYTES
from convostate.settings import LONGEST_IN_COOKIE
from convostate.stores.base import Begun, Claim, Headers, Leave, Outcome, Reply

if TYPE_CHECKING:
    from convostate.stores.base import AsyncStore

# RFC 6265 §6.1: the least that a client must accept, name and attributes included. Twilio documents no limit.
COOKIE_BYTES = 4096
CALL_SUFFIX = "_call"  # of the name of a call's cookie
_LONGEST_S = int(LONGEST_IN_COOKIE.total_seconds())
# The same for all turns of one second.
_date = lru_cache(maxsize=64)(partial(formatdate, usegmt=True))


class CookieStore:
    """Keeps each conversation in its own cookie. `write`, `peek` and `erase` are not possible: UsageError.

    Args:
        cookie_name: 1 to 64 letters, digits, dots, dashes and underscores. The name of a call's cookie ends
            with ``_call``.
    """

    server_side = False

    def __init__(self, cookie_name: str = "convostate") -> None:
        self._names = (cookie_name, f"{cookie_name}{CALL_SUFFIX}")
        attributes_bytes = len(_header(self._names[1], "", _LONGEST_S, 0, secure=True))
        self.most_bytes = (COOKIE_BYTES - attributes_bytes) * 3 // 4

    def size_bytes(self, claim: Claim, token: bytes) -> int:
        """How many of the 4096 bytes the cookie of a token takes, with the longest attributes."""
        name = self._names[claim.call]
        return len(_header(name, to_base64url(token), _LONGEST_S, 0, secure=True))

    def for_asyncio(self) -> AsyncStore:
        """The same store for an event loop; it never waits."""
        from convostate.stores.aio import InLoop  # noqa: PLC0415  # asyncio is not for everyone

        return InLoop(self)

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun:
        """Find the token: of several cookies of our name, the first well-formed one."""
        name = self._names[claim.call]
        if name not in cookies:
            return Begun(claim, None)
        # Twilio sends this one cookie and nothing else.
        first, _, text = cookies.partition("=")
        token = from_base64url(text) if first == name and len(text) <= COOKIE_BYTES else None
        if token is None or len(token) < HEAD_BYTES:
            from werkzeug.sansio.http import parse_cookie  # noqa: PLC0415  # Werkzeug loads a server and a client

            # gunicorn and waitress join two Cookie headers with a comma, which no cookie may hold.
            found = parse_cookie(cookies.replace(",", ";")).getlist(name)
            tokens = [from_base64url(each) for each in found if len(each) <= COOKIE_BYTES]
            whole = (each for each in tokens if each and len(each) >= HEAD_BYTES)
            token = next(whole, b"" if found else None)
        return Begun(claim, token)

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        """Send the token, with every reply: Twilio's pages disagree on when the four hours begin."""
        if isinstance(outcome, Leave):
            return []
        name, text = self._names[begun.claim.call], to_base64url(outcome.token)
        secure = begun.claim.secure
        return [("Set-Cookie", _header(name, text, int(outcome.lifetime_s), now, secure=secure))]

    def abort(self, begun: Begun) -> None:
        """Do nothing: the turn holds nothing."""

    def _needs_server(self, *_: object, **__: object) -> NoReturn:
        raise UsageError(
            "The cookie store keeps nothing at the server: a cookie travels with the person's texts only. "
            "Set CONVOSTATE_STORE=redis://…"
        )

    write = peek = erase = _needs_server

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _header(name: str, value: str, lifetime_s: int, now: float, *, secure: bool) -> str:
    """Make a Set-Cookie header; `werkzeug.http.dump_cookie` makes the same in ten times the time."""
    return (
        f"{name}={value}; Expires={_date(int(now) + lifetime_s)}; Max-Age={lifetime_s}; "
        f"{'Secure; ' if secure else ''}HttpOnly; Path=/; SameSite=Lax"
    )
