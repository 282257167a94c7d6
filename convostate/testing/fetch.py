"""Fetching a document as Twilio's HTTP client does: signed, retried, redirected.

Sources: https://www.twilio.com/docs/usage/security (signature, HTTP authentication),
https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides (time limits and retries),
https://www.twilio.com/docs/messaging/twiml (redirects).
"""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from convostate.errors import UsageError
from convostate.testing.delivery import DeliveryError, Request, Response
from convostate.testing.params import Params, encode
from convostate.twilio.signature import sign, with_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.testing.delivery import HttpTransport
    from convostate.testing.inprocess import WsgiTransport
    from convostate.testing.jar import Jar

MAX_REDIRECTS = 10  # error 11215
_TO_GET = (301, 302, 303)  # an HTTP client repeats a POST as a GET, and so does Twilio's
_REDIRECTS = (*_TO_GET, 307, 308)
_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^/?#@]*)@)?(?P<rest>[^/?#@][^#]*)(?:#.*)?", re.DOTALL
)
_WRONG_SIGNATURE = base64.b64encode(bytes(20)).decode()


class Secret(NamedTuple):
    """The secret that signs webhooks: the auth token, or a shared key."""

    value: str
    key_id: str = ""

    def headers(self, url: str, pairs: Params) -> list[tuple[str, str]]:
        """The headers that sign a request."""
        algorithm = "HMAC_SHA256" if self.key_id else "HMAC_SHA1"
        signature = ("X-Twilio-Signature", sign(url, pairs, self.value, algorithm))
        if not self.key_id:
            return [signature]
        settings = f"key={self.key_id},algorithm={algorithm}"
        return [signature, ("X-Twilio-Webhooks-Signature-Settings", settings)]


class Url(NamedTuple):
    """The parts of a URL that is configured at Twilio.

    Attributes:
        sent: The URL that is requested and signed: without user name, password and fragment, with a path.
        authorization: The Authorization header that answers a 401, or "".
        retried: Which failures are retried: some of ``4xx 5xx ct rt all``.
        connect_s: Seconds to wait for a connection.
        read_s: Seconds to wait for each part of a response.
    """

    sent: str
    authorization: str
    retries: int
    retried: frozenset[str]
    connect_s: float
    read_s: float

    @classmethod
    def parse(cls, text: str) -> Url:
        """Parse a configured URL, including connection overrides such as ``#rc=2&rp=5xx``."""
        match = _URL.fullmatch(text)
        if match is None or not text.isascii() or " " in text or not _has_host(text):
            raise UsageError("This is not a webhook URL. Write https://example.com/sms")
        user = unquote(match["user"] or "")
        overrides = dict(
            item.partition("=")[::2] for item in urlsplit(text).fragment.split("&") if item
        )
        return cls(
            with_path(f"{match['scheme']}://{match['rest']}"),
            f"Basic {base64.b64encode(user.encode()).decode()}" if user else "",
            _number(overrides, "rc", 0, 5, 1),
            frozenset(overrides.get("rp", "ct").split(",")),
            _number(overrides, "ct", 100, 10_000, 5_000) / 1000,
            _number(overrides, "rt", 100, 15_000, 15_000) / 1000,
        )


def is_webhook_url(text: str) -> bool:
    """Whether Twilio could request this URL."""
    try:
        Url.parse(text)
    except UsageError:
        return False
    return True


def resolve_url(base: str, url: str) -> str | None:
    """The absolute URL of a reference in a document at `base`, or None if Twilio could not request it."""
    try:
        absolute = urljoin(base, url)
    except ValueError:  # brackets around something that is not an address
        return None
    return absolute if is_webhook_url(absolute) else None


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0  # reading an invalid port raises
    except ValueError:
        return False


def _number(overrides: dict[str, str], name: str, low: int, high: int, default: int) -> int:
    text = overrides.get(name, "")
    return min(max(int(text[:9]), low), high) if text.isdecimal() else default


@dataclass
class Faults:
    """How many of the next requests have a fault: a lost response is one that the app has sent."""

    broken_signatures: int = 0
    dropped_replies: int = 0


@dataclass(frozen=True)
class Exchange:
    """One request and its response.

    Attributes:
        url: The requested URL, without the parameters that a GET carries in its query.
        error: Twilio's error code if there is no usable response, else None.
        retry_word: The word of the retry policy that covers the failure, or "".
    """

    url: str
    request: Request
    response: Response | None = None
    error: int | None = None
    retry_word: str = ""


def new_token() -> str:
    """An idempotency token: one for each request, the same for its repetitions."""
    return secrets.token_hex(16)


@dataclass
class FetchJob:
    """One document to fetch.

    Attributes:
        url: As configured, or as a ``<Redirect>`` says.
        jar: The pair's cookies, or None if Twilio keeps no cookies for the URL.
        token: The idempotency token; a repeated delivery has the same one.
        cookies: The Cookie header of the first request; None takes it from the jar.
        before_storing: Called when a response has arrived, before its cookies are stored.
    """

    url: str
    method: str
    params: Params
    jar: Jar | None = None
    faults: Faults = field(default_factory=Faults)
    token: str = field(default_factory=new_token)
    cookies: str | None = None
    before_storing: Callable[[], None] = lambda: None


class Fetcher:
    """Twilio's HTTP client; `post_after_302` as for `TwilioSimulator`."""

    def __init__(
        self,
        transport: HttpTransport | WsgiTransport,
        secret: Secret,
        *,
        post_after_302: bool = False,
    ) -> None:
        self._transport = transport
        self._secret = secret
        self._to_get = (303,) if post_after_302 else _TO_GET

    def inside(self, act: Callable[[Any], bool]) -> Fetcher:
        """The same client, for turns in which `act` replaces the app; see `WsgiTransport.inside`."""
        return Fetcher(self._transport.inside(act), self._secret)

    def fetch(self, job: FetchJob) -> list[Exchange]:
        """Fetch one document.

        Returns:
            All exchanges; the last one holds the document, or has an `error`.
        """
        url, method, params = Url.parse(job.url), job.method, job.params
        if method not in ("POST", "GET"):
            raise UsageError('Twilio requests webhooks with method="POST" or method="GET"')
        exchanges: list[Exchange] = []
        for _ in range(MAX_REDIRECTS + 1):
            exchanges += self._request_url(job, url, method, params)
            response = exchanges[-1].response
            if response is None or exchanges[-1].error is not None or response.status < 300:
                return exchanges
            location = response.headers.get("Location", "")
            if response.status in self._to_get:
                method, params = "GET", []
            elif method == "GET":
                params = []  # they were in the query of the redirected URL; Location is complete
            target = resolve_url(url.sent, location)
            if target is None:
                exchanges[-1] = replace(exchanges[-1], error=11100)
                return exchanges
            url = Url.parse(target)
        exchanges[-1] = replace(exchanges[-1], error=11215)
        return exchanges

    def _request_url(self, job: FetchJob, url: Url, method: str, params: Params) -> list[Exchange]:
        """Request one URL: again with the password if it asks for one, and with the configured retries."""
        request = self._request(job, url, method, params)
        exchanges: list[Exchange] = []
        for _ in range(url.retries + 1):
            exchanges.append(self._send(job, url, request))
            response = exchanges[-1].response
            if response is not None and url.authorization and _asks_for_password(response):
                header = ("Authorization", url.authorization)
                request = replace(request, headers=(*request.headers, header))
                exchanges.append(self._send(job, url, request))
            retry_word = exchanges[-1].retry_word
            if not retry_word or not {retry_word, "all"} & url.retried:
                break
        return exchanges

    def _request(self, job: FetchJob, url: Url, method: str, params: Params) -> Request:
        sent, pairs, body = url.sent, params, encode(params).encode()
        if method == "GET":
            joint = "&" if "?" in sent else "?"
            sent, pairs, body = f"{sent}{joint}{body.decode()}" if body else sent, [], b""
        parts = urlsplit(sent)
        headers = [
            *[("Host", parts.netloc), ("User-Agent", "TwilioProxy/1.1"), ("Accept", "*/*")],
            *[("X-Home-Region", "us1"), ("I-Twilio-Idempotency-Token", job.token)],
        ]
        if method == "POST":
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        is_call = "CallSid" in dict(job.params)
        signature = self._secret.headers(_without_port(sent) if is_call else sent, pairs)
        if job.faults.broken_signatures > 0:
            job.faults.broken_signatures -= 1
            signature[0] = ("X-Twilio-Signature", _WRONG_SIGNATURE)
        cookies, job.cookies = job.cookies, None
        if cookies is None:
            cookies = "" if job.jar is None else job.jar.header(sent)
        headers += signature + ([("Cookie", cookies)] if cookies else [])
        return Request(method, sent, tuple(headers), body)

    def _send(self, job: FetchJob, url: Url, request: Request) -> Exchange:
        try:
            response = self._transport.send(request, url.connect_s, url.read_s)
        except DeliveryError as error:
            return Exchange(url.sent, request, None, error.code, error.retry_word)
        if job.faults.dropped_replies > 0:
            job.faults.dropped_replies -= 1
            return Exchange(url.sent, request, None, 11205, "rt")
        job.before_storing()
        if job.jar is not None:
            job.jar.store(request.url, response.headers.getlist("Set-Cookie"))
        if response.status >= 400:
            return Exchange(url.sent, request, response, 11200, f"{response.status // 100}xx")
        redirects = response.status in _REDIRECTS and response.headers.get("Location")
        if response.status >= 300 and not redirects:
            return Exchange(url.sent, request, response, 11200)
        return Exchange(url.sent, request, response)


def _asks_for_password(response: Response) -> bool:
    challenge = response.headers.get("WWW-Authenticate", "")
    return response.status == 401 and challenge.lower().startswith("basic")


def _without_port(url: str) -> str:
    """Twilio signs the URLs of calls over https without their port."""
    return re.sub(r"^(https://(?:\[[^]]*\]|[^/?:]*)):[0-9]+", r"\1", url)
