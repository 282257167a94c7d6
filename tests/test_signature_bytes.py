"""A request that Twilio signed is accepted; the same request with any one byte changed is refused."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate.twilio.signature import (
    HMAC_SHA1,
    HMAC_SHA256,
    Request,
    Secrets,
    Signer,
    primed_hmac,
)
from tests.proving import SETTINGS_HEADER, got, oracle_sign, posted, prove, status_of
from tests.served import ADA, TOKEN, URL, text

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "the secret of a shared key"
SHARED = Secrets(shared_keys={"webhooks_sharedkey_1": SECRET})
JSON = b'{"property": "value"}'
JSON_URL = f"{URL}?a=1&bodySHA256={hashlib.sha256(JSON).hexdigest()}"
ALL = [bytes([byte]) for byte in range(256)]
# All that a parser could take for something else, a letter, a digit and a byte that is not ASCII.
FEW = [bytes([byte]) for byte in b"\0\t\r\n %&+,/0:;=?@A\\a\x7f\xff"]


def form() -> Request:
    return posted(
        text("Tea & cakes? 5% off \u2615\U0001f600", To="12345", ProfileName="", Ab="1"),
        url=f"{URL}?a=1&b=%2F",
    )


def one_escape() -> Request:
    """Only one byte of this form is a letter within an escape."""
    request = posted({"AccountSid": "AC1", "From": ADA, "To": "12345"})
    assert request.body.count(b"%") == 1
    return request


def get() -> Request:
    return got(f"{URL}?next=%2fhome&{urlencode(text('hi there'))}")


def json() -> Request:
    signature = oracle_sign(JSON_URL)
    return Request(
        "POST", JSON_URL, JSON_URL.partition("?")[2], "application/json", JSON, signature, ""
    )


def shared_key() -> Request:
    params = text("hello")
    signature = oracle_sign(URL, params, SECRET, HMAC_SHA256)
    return posted(params, signature=signature, scheme=SETTINGS_HEADER)


REQUESTS = {
    "form": form(),
    "one escape": one_escape(),
    "get": get(),
    "json": json(),
    "shared key": shared_key(),
}
each_request = pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)


def secrets_of(request: Request) -> Secrets:
    return SHARED if request.scheme else Secrets((TOKEN,))


def changes(raw: bytes, others: list[bytes] = ALL) -> Iterator[bytes]:
    """Every text that has another in place of one byte, or that lacks or repeats one."""
    for index in range(len(raw)):
        before, after = raw[:index], raw[index + 1 :]
        for other in others:
            if other != raw[index : index + 1]:
                yield before + other + after
        yield before + after
        yield before + raw[index : index + 1] * 2 + after


def accepted(request: Request, part: str, changed: bytes) -> bool:
    """Whether a request with one part changed is accepted."""
    if part == "body":
        return status_of(replace(request, body=changed), secrets_of(request)) == 200
    value = changed.decode("latin-1")
    if part == "signature":
        changed_request = replace(request, signature=value)
    else:
        changed_request = replace(request, url=value, query=value.partition("?")[2])
    return status_of(changed_request, secrets_of(request)) == 200


@each_request
def test_a04_a_request_that_twilio_signed_is_accepted(request_: Request) -> None:
    webhook = prove(request_, secrets_of(request_))
    assert webhook.url == request_.url


@pytest.mark.unmeasured
@each_request
@pytest.mark.parametrize("part", ["body", "url", "signature"])
@pytest.mark.parametrize(
    "others", [pytest.param(FEW, id="few"), pytest.param(ALL, id="all", marks=pytest.mark.slow)]
)
def test_a04_a_request_with_one_byte_changed_is_refused(
    request_: Request, part: str, others: list[bytes]
) -> None:
    value = getattr(request_, part)
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    # One of two equal neighbours may be the one that is missing: the same text.
    assert [
        changed
        for changed in changes(raw, others)
        if changed != raw and accepted(request_, part, changed)
    ] == []


@each_request
def test_a04_every_bit_of_a_byte_is_tried(request_: Request) -> None:
    raw = request_.url.encode()
    assert len(set(changes(raw))) >= 255 * len(raw)


@pytest.mark.unmeasured
def test_only_a_port_that_was_not_signed_may_change() -> None:
    """Twilio signs some URLs without the port that it asks for: then no port is proven."""
    url = "https://example.com:8443/sms"
    request = posted(text(), url=url, signature=oracle_sign(URL, text()))

    allowed = {
        bytes(changed) for changed in changes(url.encode()) if accepted(request, "url", changed)
    }

    origins = {
        changed.removesuffix(b"/sms").removeprefix(b"https://example.com:") for changed in allowed
    }
    assert origins <= {str(port).encode() for port in range(1, 65536)} | {
        f"0{port}".encode() for port in range(10_000)
    }
    signed_with_it = posted(text(), url=url)
    assert not any(
        accepted(signed_with_it, "url", changed)
        for changed in changes(url.encode())
        if changed != url.encode()
    )


def test_a_repeated_value_is_proven_only_as_one_of_a_set() -> None:
    """Twilio signs each distinct value once: their number and order are not proven, so no identity has two."""
    pairs = [*text().items(), ("Digits", "1"), ("Digits", "2"), ("Digits", "2")]
    request = posted(pairs)

    assert accepted(
        request,
        "body",
        urlencode([*text().items(), ("Digits", "2"), ("Digits", "1"), ("Digits", "1")]).encode(),
    )
    assert not accepted(request, "body", urlencode([*text().items(), ("Digits", "1")]).encode())
    assert not accepted(request, "body", urlencode([*pairs, ("From", ADA)]).encode())


@pytest.mark.parametrize("digest", [hashlib.sha1, hashlib.sha256])
def test_an_hmac_is_the_standard_librarys_for_every_length_of_key(digest: Any) -> None:
    """Below, at and beyond the 64 bytes of a block, after which the key is hashed."""
    for length in range(201):
        key = bytes((7 * place + length) % 256 for place in range(length))
        primed = primed_hmac(key, digest)
        for message in (b"", key, b"x" * 1000):
            inner, outer = (each.copy() for each in primed)  # the primed ones stay as they are
            inner.update(message)
            outer.update(inner.digest())
            assert outer.digest() == hmac.new(key, message, digest).digest()


@pytest.mark.unmeasured
@given(st.text(max_size=90), st.binary(max_size=300), st.sampled_from([HMAC_SHA1, HMAC_SHA256]))
def test_a_signature_is_the_standard_librarys_hmac_in_base64(
    secret: str, message: bytes, algorithm: str
) -> None:
    signer = Signer(secret, algorithm)
    mac = hmac.digest(secret.encode(), message, algorithm.removeprefix("HMAC_"))
    assert signer.sign(message) == signer.sign(message) == b64encode(mac)
