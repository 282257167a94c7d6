"""Requests as the core gets them, signed by twilio-python, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from convostate.twilio.signature import Request, Secrets
from tests.served import FORM, TOKEN, URL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from convostate import Webhook

SECRETS = Secrets((TOKEN,))
SETTINGS_HEADER = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


class Repeated(dict[str, list[str]]):
    """Parameters as twilio-python takes repeated names: from Django's QueryDict."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]


def oracle_sign(
    url: str,
    params: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    token: str = TOKEN,
    algorithm: str | None = None,
) -> str:
    """Twilio's own signature of a webhook."""
    pairs = params.items() if hasattr(params, "items") else params
    return str(RequestValidator(token).compute_signature(url, Repeated(pairs), algorithm))


def posted(
    params: Mapping[str, str] | Iterable[tuple[str, str]],
    *,
    url: str = URL,
    signature: str | None = None,
    token: str = TOKEN,
    scheme: str = "",
    content_type: str = FORM,
    body: bytes | None = None,
) -> Request:
    """A form webhook, signed where no signature is given."""
    pairs = list(params.items() if hasattr(params, "items") else params)
    return Request(
        "POST",
        url,
        url.partition("?")[2],
        content_type,
        urlencode(pairs).encode("ascii") if body is None else body,
        oracle_sign(url, pairs, token) if signature is None else signature,
        scheme,
    )


def got(url: str, *, signature: str | None = None, token: str = TOKEN, scheme: str = "") -> Request:
    """A GET webhook, signed where no signature is given."""
    signature = oracle_sign(url, (), token) if signature is None else signature
    return Request("GET", url, url.partition("?")[2], "", b"", signature, scheme)


def prove(request: Request, secrets: Secrets = SECRETS) -> Webhook:
    """The webhook that a request proves."""
    return authenticate(request, secrets)[0]


def status_of(request: Request, secrets: Secrets = SECRETS) -> int:
    """200 for a proven request, else the status it is refused with."""
    try:
        authenticate(request, secrets)
    except RequestError as error:
        return error.status
    return 200
