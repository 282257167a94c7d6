"""The cookies that Twilio keeps for one To/From pair.

Twilio documents that it keeps cookies per pair "just like a normal web browser", for at most four
hours; the rest is RFC 6265, read strictly, so that a cookie which arrives here arrives at Twilio too.
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

# "the cookie will expire after 4 hours"; of the two pages that disagree about what they count from,
# the stricter one: from when it was set.
CAP_S = 4 * 3600
# RFC 6265 section 6.1: what a client must be able to keep, so more may be dropped.
MAX_COOKIE_BYTES = 4096

_NUMBER = re.compile(r"-?[0-9]+")


class Cookie(NamedTuple):
    """One stored cookie.

    Attributes:
        domain: The host it belongs to, in lower case.
        host_only: Whether subdomains of `domain` do not get it.
        expires_at: Unix seconds; from then on it is gone.
    """

    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires_at: float


class Jar:
    """A cookie jar of one pair; several threads may use it.

    Args:
        clock: Gives Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._before = self._cookies

    def store(self, url: str, set_cookies: Iterable[str]) -> None:
        """Take the Set-Cookie headers of one response from `url`."""
        with self._lock:
            cookies = dict(self._cookies)
            for header in set_cookies:
                cookie = parse(header, url, self._clock())
                if cookie is not None:
                    cookies.pop((cookie.name, "", "/"), None)  # what `put` made is now set for real
                    cookies[cookie.name, cookie.domain, cookie.path] = cookie
            if cookies != self._cookies:
                self._before, self._cookies = self._cookies, cookies

    def cookies(self) -> list[Cookie]:
        """What is stored and not expired, in the order in which it first came."""
        now = self._clock()
        with self._lock:
            return [cookie for cookie in self._cookies.values() if cookie.expires_at > now]

    def header(self, url: str) -> str:
        """The Cookie header of a request to `url`, or "" where no cookie matches (RFC 6265, 5.4)."""
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
        """The value under each name."""
        return {cookie.name: cookie.value for cookie in self.cookies()}

    def put(self, name: str, value: str) -> None:
        """Make `name` hold `value`, as nobody set it: for forged, truncated and foreign cookies."""
        with self._lock:
            known = [cookie for cookie in self.cookies() if cookie.name == name]
            made = known or [Cookie(name, value, "", False, "/", False, self._clock() + CAP_S)]
            changed = {(c.name, c.domain, c.path): c._replace(value=value) for c in made}
            self._before, self._cookies = self._cookies, {**self._cookies, **changed}

    def clear(self) -> None:
        """Forget every cookie."""
        with self._lock:
            self._before, self._cookies = self._cookies, {}

    def go_back(self) -> None:
        """Hold again what was held before the last change."""
        with self._lock:
            self._before, self._cookies = self._cookies, self._before

    def take_from(self, other: Jar) -> None:
        """Hold what another pair's jar holds."""
        self.fill(other.cookies())

    def fill(self, cookies: Iterable[Cookie]) -> None:
        """Hold these cookies and no others."""
        held = {(c.name, c.domain, c.path): c for c in cookies}
        with self._lock:
            self._before, self._cookies = self._cookies, held


def parse(header: str, url: str, now: float) -> Cookie | None:
    """Read one Set-Cookie header as RFC 6265 section 5.2 and 5.3 say, with the four-hour cap.

    Args:
        header: The header's value.
        url: The URL that answered with it.
        now: Unix time in seconds.

    Returns:
        The cookie, which may be expired already, or None where a client ignores it.
    """
    parts = urlsplit(url)
    pair, _, rest = header.partition(";")
    name, equals, value = (text.strip(" \t") for text in pair.partition("="))
    if not equals or not name or len(header.encode("latin-1", "replace")) > MAX_COOKIE_BYTES:
        return None
    attributes: dict[str, str] = {}
    for attribute in rest.split(";"):
        key, _, text = (word.strip(" \t") for word in attribute.partition("="))
        attributes[key.lower()] = text  # of an attribute that stands twice the last one counts
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
    """Max-Age before Expires; an attribute that cannot be read is as if it were absent."""
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
