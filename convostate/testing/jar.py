"""The cookies that Twilio keeps for one To/From pair.

Twilio documents that it keeps cookies per pair "just like a normal web browser", for at most four
hours. Everything else follows RFC 6265 strictly: a cookie that is stored here is stored by Twilio too.
Sources: https://support.twilio.com/hc/en-us/articles/223136287-How-do-Twilio-cookies-work- and
https://www.twilio.com/docs/messaging/twiml
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from werkzeug.http import parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# "the cookie will expire after 4 hours". Twilio's pages disagree on when the four hours begin. The
# stricter one says: when the cookie was set.
CAP_S = 4 * 3600
# RFC 6265 section 6.1: a client must accept this many bytes, so it may drop a longer cookie.
MAX_COOKIE_BYTES = 4096

_NUMBER = re.compile(r"-?[0-9]+")


class Cookie(NamedTuple):
    """One stored cookie.

    Attributes:
        domain: The host it belongs to, in lower case.
        host_only: Whether it is not sent to subdomains of `domain`.
        expires_at: Unix seconds; the cookie is gone from then on.
    """

    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires_at: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the cookie (RFC 6265, 5.3, step 11)."""
        return self.name, self.domain, self.path


class Jar:
    """The cookie jar of one pair; safe to use from several threads. The clock returns Unix time in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._before = self._cookies

    def store(self, url: str, set_cookies: Iterable[str]) -> None:
        """Store the Set-Cookie headers of one response from `url`."""
        with self._lock:
            cookies = dict(self._cookies)
            for header in set_cookies:
                cookie = parse(header, url, self._clock())
                if cookie is not None:
                    cookies.pop((cookie.name, "", "/"), None)  # replaces one that `put` made
                    cookies[cookie.key] = cookie
            if cookies != self._cookies:
                self._before, self._cookies = self._cookies, cookies

    def cookies(self) -> list[Cookie]:
        """The stored cookies that have not expired, in the order in which they were first set."""
        now = self._clock()
        with self._lock:
            return [cookie for cookie in self._cookies.values() if cookie.expires_at > now]

    def header(self, url: str) -> str:
        """The Cookie header of a request to `url`, or "" if no cookie matches (RFC 6265, 5.4)."""
        parts = urlsplit(url)
        host, path = (parts.hostname or "").lower(), parts.path or "/"
        matching = [
            cookie
            for cookie in self.cookies()
            if _domain_matches(host, cookie)
            and _path_matches(path, cookie.path)
            and (parts.scheme == "https" or not cookie.secure)
        ]
        matching.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in matching)

    def values(self) -> dict[str, str]:
        """The value of each name."""
        return {cookie.name: cookie.value for cookie in self.cookies()}

    def put(self, name: str, value: str) -> None:
        """Set the value of a cookie without a response: for forged, truncated and foreign cookies."""
        with self._lock:
            cookies = [cookie for cookie in self.cookies() if cookie.name == name]
            if not cookies:
                cookies = [Cookie(name, value, "", False, "/", False, self._clock() + CAP_S)]
            changed = {cookie.key: cookie._replace(value=value) for cookie in cookies}
            self._before, self._cookies = self._cookies, {**self._cookies, **changed}

    def clear(self) -> None:
        """Remove every cookie."""
        self.fill(())

    def go_back(self) -> None:
        """Restore the cookies from before the last change."""
        with self._lock:
            self._before, self._cookies = self._cookies, self._before

    def fill(self, cookies: Iterable[Cookie]) -> None:
        """Replace all cookies by these."""
        new = {cookie.key: cookie for cookie in cookies}
        with self._lock:
            self._before, self._cookies = self._cookies, new


def parse(header: str, url: str, now: float) -> Cookie | None:
    """Parse one Set-Cookie header of a response from `url` as RFC 6265, sections 5.2 and 5.3, with the four-hour cap.

    Returns:
        The cookie, which may have expired already, or None if a client ignores it.
    """
    parts = urlsplit(url)
    pair, _, rest = header.partition(";")
    name, equals, value = (text.strip(" \t") for text in pair.partition("="))
    if not equals or not name or len(header.encode("latin-1", "replace")) > MAX_COOKIE_BYTES:
        return None
    attributes: dict[str, str] = {}
    for attribute in rest.split(";"):
        key, _, text = (word.strip(" \t") for word in attribute.partition("="))
        attributes[key.lower()] = text  # of a repeated attribute the last one counts
    host = (parts.hostname or "").lower()
    domain = attributes.get("domain", "").removeprefix(".").lower()
    path = attributes.get("path", "")
    cookie = Cookie(
        name,
        value,
        domain or host,
        not domain,
        path if path.startswith("/") else _default_path(parts.path),
        "secure" in attributes,
        min(_expires_at(attributes, now), now + CAP_S),
    )
    return cookie if _domain_matches(host, cookie) else None


def _expires_at(attributes: dict[str, str], now: float) -> float:
    """Max-Age precedes Expires; an invalid attribute is ignored."""
    if _NUMBER.fullmatch(attributes.get("max-age", "")):
        return now + max(0, min(int(attributes["max-age"]), CAP_S))
    expires = parse_date(attributes.get("expires"))
    return now + CAP_S if expires is None else expires.timestamp()


def _domain_matches(host: str, cookie: Cookie) -> bool:
    if cookie.host_only or host == cookie.domain:
        return host == cookie.domain
    return host.endswith(f".{cookie.domain}") if cookie.domain else True


def _path_matches(path: str, cookie_path: str) -> bool:
    if not path.startswith(cookie_path):
        return False
    return cookie_path.endswith("/") or path[len(cookie_path) :][:1] in ("", "/")


def _default_path(path: str) -> str:
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"
