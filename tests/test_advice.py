"""Whoever does what the log of a refusal says gets a webhook that verifies."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from convostate import ConversationMiddleware
from tests.proving import oracle_sign
from tests.served import TOKEN, bare, counting, serve, settings, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

MOST_STEPS = 4
PARAMS = text("hello")
BODY = urlencode(PARAMS).encode()


class World(NamedTuple):
    """An app, what is in front of it, and what Twilio was given."""

    twilio: str
    """The webhook's URL at Twilio."""
    public_url: str | None
    path: str = "passed"
    """What becomes of the path: ``passed`` on, its prefix ``stripped``, or ``mounted`` at its prefix."""
    is_inside: bool = True
    """The proxy speaks http with the app, and asks for it under a name of its own."""
    headers: str = ""
    """Which forwarding headers the proxy adds."""
    raw: str = "RAW_URI"
    """How the server gives the path as it was sent, or ""."""
    proxy_fix: str = ""
    """Where Werkzeug's ProxyFix is: ``inside`` or ``outside`` the middleware."""
    token: str = TOKEN

    def environ(self) -> WSGIEnvironment:
        """The request as the app's server hands it over."""
        url = urlsplit(self.twilio)
        prefix = url.path[: url.path.rfind("/")] if self.path in ("stripped", "mounted") else ""
        sent = url.path.removeprefix(prefix) + (f"?{url.query}" if url.query else "")
        origin = "http://app:8000" if self.is_inside else f"{url.scheme}://{url.netloc}"
        signature = oracle_sign(self.twilio, PARAMS, self.token)
        headers: dict[str, dict[str, Any]] = {
            "": {},
            "host": {"HTTP_X_FORWARDED_HOST": url.netloc, "HTTP_X_FORWARDED_PROTO": url.scheme},
            "all": {
                "HTTP_X_FORWARDED_HOST": url.hostname,
                "HTTP_X_FORWARDED_PROTO": url.scheme,
                "HTTP_X_FORWARDED_PORT": str(url.port or {"https": 443, "http": 80}[url.scheme]),
                "HTTP_X_FORWARDED_PREFIX": prefix or None,
            },
            "standard": {"HTTP_FORWARDED": f'for=192.0.2.1;host="{url.netloc}";proto={url.scheme}'},
            "whole": {"HTTP_HOST": url.hostname, "HTTP_X_ORIGINAL_URI": url.path},
        }
        environ = bare(
            origin + sent, body=BODY, HTTP_X_TWILIO_SIGNATURE=signature, **headers[self.headers]
        )
        raw = environ.pop("REQUEST_URI")
        if self.raw:
            environ[self.raw] = raw
        if self.path == "mounted":
            environ["SCRIPT_NAME"] = unquote(prefix, "latin-1")
        return environ

    def serve(self, caplog: pytest.LogCaptureFixture) -> str:
        """The line that the log gets, or "" if the webhook verifies."""
        caplog.clear()
        inner: WSGIApplication = counting
        if self.proxy_fix == "inside":
            inner = ProxyFix(inner, x_host=1, x_port=1, x_prefix=1)
        app: WSGIApplication = ConversationMiddleware(inner, settings(public_url=self.public_url))
        if self.proxy_fix == "outside":
            app = ProxyFix(app, x_host=1, x_port=1, x_prefix=1)
        response = serve(app, self.environ(), outside=False)
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == (response.status != 200)
        return "".join(lines)

    def follow(self, line: str) -> World:
        """Do what a line says, to the letter."""
        if match := re.search(r"set CONVOSTATE_PUBLIC_URL=(\S+)$", line):
            return self._replace(public_url=match[1])
        if match := re.search(r"configure (\S+) as the webhook's URL at Twilio", line):
            return self._replace(twilio=match[1].rstrip(","))
        if match := re.search(r"compare (\S+) with the webhook's URL at Twilio", line):
            if match[1] == self.twilio:
                assert "compare TWILIO_AUTH_TOKEN" in line
                return self._replace(token=TOKEN)
            end = re.search(
                r"to Twilio's URL without its query and without the (\S+) at its end", line
            )
            assert end is not None
            whole = self.twilio.partition("?")[0]
            if whole.endswith(end[1]):
                return self._replace(public_url=whole.removesuffix(end[1]))
        assert "have the proxy pass on the path" in line, line
        return self._replace(path="passed")


def walk(world: World, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Follow the advice until the webhook verifies; the lines on the way."""
    lines: list[str] = []
    while line := world.serve(caplog):
        assert line not in lines[-1:], f"twice in a row: {line}"
        lines.append(line)
        assert len(lines) <= MOST_STEPS, lines
        world = world.follow(line)
    return lines


URLS = (
    "https://example.com/bots/sms",
    "https://example.com:8443/a/b/sms?x=1",
    "http://example.com/sms",
)


def values(url: str) -> Iterator[str | None]:
    """What somebody may have set CONVOSTATE_PUBLIC_URL to: the right thing first."""
    parts = urlsplit(url)
    prefix = parts.path.removesuffix("/sms")
    origin = f"{parts.scheme}://{parts.netloc}"
    yield from (origin, f"{origin}{prefix}", None, f"{origin}{parts.path}", f"{origin}/wrong")
    yield {"http": "https", "https": "http"}[parts.scheme] + f"://{parts.netloc}{prefix}"
    yield f"{parts.scheme}://other.example{parts.path}"
    yield f"{parts.scheme}://{parts.hostname}:9443{prefix}"
    yield f"http://{parts.hostname}/sms"


def worlds() -> list[World]:
    """Every combination."""
    return [
        World(url, value, *rest)
        for url in URLS
        for value in dict.fromkeys(values(url))
        for rest in itertools.product(
            ("passed", "stripped", "mounted"),
            (True, False),
            ("", "host", "all", "standard", "whole"),
            ("RAW_URI", "REQUEST_URI", ""),
            ("", "inside", "outside"),
        )
    ]


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    # No dimension has a multiple of 7 or 11 values, so every pair of values occurs.
    "step",
    [pytest.param(11, id="some"), pytest.param(7, id="more", marks=pytest.mark.slow)],
)
def test_o6_o7_o8_whoever_follows_the_lines_gets_a_webhook_that_verifies(
    step: int, caplog: pytest.LogCaptureFixture
) -> None:
    steps = [len(walk(world, caplog)) for world in worlds()[::step]]

    assert max(steps) <= 2
    assert 0 < steps.count(0) < len(steps) / 2
