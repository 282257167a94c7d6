"""Twilio's published signatures, each with its scenario: what is accepted, and what is refused.

The numbers are those of the vectors in the test suites of Twilio's own libraries (twilio-python, -node,
-java, -ruby, -csharp, -php, -go) and of https://www.twilio.com/docs/usage/security.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from convostate.errors import RequestError
from convostate.twilio.form import Form
from convostate.twilio.signature import (
    HMAC_SHA1,
    HMAC_SHA256,
    Signer,
    sign,
    verify,
)

TOKEN = "12345"
QUERY = "/myapp.php?foo=1&bar=2"
U = f"https://mycompany.com{QUERY}"
P = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
DIGITS = [
    ("Sid", "CA123"),
    ("SidAccount", "AC123"),
    ("Digits", "5678"),
    ("Digits", "1234"),
    ("Digits", "1234"),
]
BINDINGS = [
    ("MessagingBinding.Address", "+1325xxxxxxx"),
    ("MessagingBinding.Address", "+1415xxxxxxx"),
]
DOCS = {
    "Digits": "1234",
    "To": "+18005551212",
    "From": "+14158675310",
    "Caller": "+14158675310",
    "CallSid": "CA1234567890ABCDE",
}
BODY = '{"property": "value", "boolean": true}'
HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
EMPTY_HASH = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
DOCS_URL = "https://example.com/myapp.php?foo=1&bar=2"
Pairs = list[tuple[str, str]]


class Vector(NamedTuple):
    """A published signature, and the string that it signs."""

    scenario: str
    signed_url: str
    params: Pairs
    signature: str
    algorithm: str = HMAC_SHA1


p = list(P.items())
V1, V2 = "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "kvajT1Ptam85bY51eRf/AJRuM3w="
V3, V4, V5 = (
    "0ZXoZLH/DfblKGATFgpif+LLRf4=",
    "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    "CYn1h0gLBdNxDGkKJg6hYohgeD8=",
)
V9, V43 = "a9nBmqA0ju/hNViExpshrM61xv4=", "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="
V44 = "grxRoa/VNtXxd524NGLxIdev83nh23xhrRUVm50Umq4="
VECTORS = [
    Vector("v01 a form", U, p, V1),
    Vector("v02 the default https port signed", f"https://mycompany.com:443{QUERY}", p, V2),
    Vector("v03 the default http port signed", f"http://mycompany.com:80{QUERY}", p, V3),
    Vector("v04 an http port signed", f"http://mycompany.com:1234{QUERY}", p, V4),
    Vector("v05 an https port signed", f"https://mycompany.com:1234{QUERY}", p, V5),
    Vector("v07 a repeated name", U, DIGITS, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    Vector("v08 a dotted name, repeated", U, BINDINGS, "83O6e2vORAoJHUNzJjDWN1jz+BA="),
    Vector("v09 a hashed body", f"{U}&bodySHA256={HASH}", [], V9),
    Vector("v10 nothing but a hashed body", f"https://mycompany.com/myapp.php?bodySHA256={HASH}", [],
           "y77kIzt2vzLz71DgmJGsen2scGs="),
    Vector("v11 a hashed body and a port", f"https://mycompany.com:443{QUERY}&bodySHA256={EMPTY_HASH}", [],
           "Ldidvp12m26NI7eqEvxnEpkd9Hc="),
    Vector("v12 a user and a password", f"https://user:pass@mycompany.com{QUERY}", p, "CukzLTc1tT5dXEDIHm/tKBanW10="),
    Vector("v13 a user", f"https://user@mycompany.com{QUERY}", p, "2YRLlVAflCqxaNicjMpJcSTgzSs="),
    Vector("v14 a user, a password, a port", f"https://user:pass@mycompany.com:443{QUERY}", p, "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="),
    Vector("v15 a user and a port", f"https://user@mycompany.com:443{QUERY}", p, "aZfj4hyX1MLZhSS6QIL18Vn2/RA="),
    Vector("v16 an escaped apostrophe", f"{U}&Body=It%27s+amazing", p, "TfZzewPq8wqrGlMfyAud8+/IvJ0="),
    Vector("v17 a bare apostrophe", f"{U}&Body=It's+amazing", p, "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
    Vector("v42 the example of the documentation", DOCS_URL, list(DOCS.items()), "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    Vector("v43 a shared key", U, p, V43, HMAC_SHA256),
    Vector("v44 a shared key and a port", f"https://mycompany.com:443{QUERY}", p, V44, HMAC_SHA256),
    Vector("v45 a shared key and a hashed body", f"{U}&bodySHA256={HASH}", [], "+UOCWf84gdgo/5Hpg4m5/EgKnJA2/TbOw5sPNVr3bPk=",
           HMAC_SHA256),
]  # fmt: skip


def form(pairs: Pairs) -> Form:
    return Form(dict(reversed(pairs)), pairs if len(dict(pairs)) != len(pairs) else None)


def accepts(
    url: str, pairs: Pairs, signature: str, algorithm: str = HMAC_SHA1, token: str = TOKEN
) -> bool:
    try:
        verify(url, form(pairs), signature, [Signer(token, algorithm)])
    except RequestError as error:
        if error.status != 403:
            raise
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.scenario for vector in VECTORS])
def test_signing_gives_twilios_signature(vector: Vector) -> None:
    signed = sign(vector.signed_url, vector.params, TOKEN, vector.algorithm)
    assert signed == vector.signature
    assert sign(vector.signed_url, vector.params, "12346", vector.algorithm) != vector.signature


def given(
    scenario: str, url: str, pairs: Pairs, signature: str, algorithm: str = HMAC_SHA1
) -> object:
    return pytest.param(url, pairs, signature, algorithm, id=scenario)


ACCEPTED = [
    *[given(v.scenario, v.signed_url, v.params, v.signature, v.algorithm) for v in VECTORS if "@" not in v.signed_url],
    given("v02 the default https port signed, not received", U, p, V2),
    given("v03 the default http port signed, not received", f"http://mycompany.com{QUERY}", p, V3),
    given("v06 a port received, not signed", f"https://mycompany.com:1234{QUERY}", p, V1),
    given("v07 a repeated name in another order", U, list(reversed(DIGITS)), "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    given("v08 a dotted name in another order", U, list(reversed(BINDINGS)), "83O6e2vORAoJHUNzJjDWN1jz+BA="),
    given("v11 a hashed body, the port not received", f"{U}&bodySHA256={EMPTY_HASH}", [], "Ldidvp12m26NI7eqEvxnEpkd9Hc="),
    given("v44 a shared key, the port not received", U, p, V44, HMAC_SHA256),
]  # fmt: skip


@pytest.mark.parametrize(("url", "pairs", "signature", "algorithm"), ACCEPTED)
def test_a_published_signature_is_accepted(
    url: str, pairs: Pairs, signature: str, algorithm: str
) -> None:
    assert accepts(url, pairs, signature, algorithm)


@pytest.mark.parametrize(("url", "pairs", "signature", "algorithm"), ACCEPTED)
def test_a_published_signature_of_something_else_is_refused(
    url: str, pairs: Pairs, signature: str, algorithm: str
) -> None:
    other = {HMAC_SHA1: HMAC_SHA256, HMAC_SHA256: HMAC_SHA1}[algorithm]
    scheme, _, rest = url.partition("://")
    others = {
        "token": accepts(url, pairs, signature, algorithm, "12346"),
        "algorithm": accepts(url, pairs, signature, other),
        "scheme": accepts(
            f"{'http' if scheme == 'https' else 'https'}://{rest}", pairs, signature, algorithm
        ),
        "host": accepts(url.replace("://", "://x", 1), pairs, signature, algorithm),
        "path": accepts(url.replace("?", "/?", 1), pairs, signature, algorithm),
        "query": accepts(f"{url}&", pairs, signature, algorithm),
        "name": accepts(url, [(f"X{n}", v) for n, v in pairs] or [("X", "")], signature, algorithm),
        "value": accepts(
            url, [(n, f"{v} ") for n, v in pairs] or [("X", " ")], signature, algorithm
        ),
        "more": accepts(url, [*pairs, ("Zip", "")], signature, algorithm),
        "signature": accepts(url, pairs, signature.swapcase(), algorithm),
    }
    assert [name for name, verifies in others.items() if verifies] == []


REFUSED = [
    *[given(f"{v.scenario}: twilio signs without them", v.signed_url, v.params, v.signature)
      for v in VECTORS if "@" in v.signed_url],
    given("v01 an http url for https", f"http://mycompany.com{QUERY}", p, V1),
    given("v04 a port signed, not received", f"http://mycompany.com{QUERY}", p, V4),
    given("v05 a port signed, another one received", f"https://mycompany.com:1235{QUERY}", p, V5),
    given("v02 the default https port for the http one", f"http://mycompany.com:443{QUERY}", p, V2),
    given("v07 one of the repeated values missing", U, DIGITS[:3], "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    given("v09 the hash as a parameter", U, [("bodySHA256", HASH)], V9),
    given("v16 the apostrophe received bare", f"{U}&Body=It's+amazing", p, "TfZzewPq8wqrGlMfyAud8+/IvJ0="),
    given("v17 the apostrophe received escaped", f"{U}&Body=It%27s+amazing", p, "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
    given("v42 a trailing slash", DOCS_URL.replace("?", "/?"), list(DOCS.items()), "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    given("v42 an upper-case host", DOCS_URL.replace("example", "EXAMPLE"), list(DOCS.items()), "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    given("v42 a query in another order", "https://example.com/myapp.php?bar=2&foo=1", list(DOCS.items()),
          "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    given("v43 a shared key's signature as an auth token's", U, p, V43),
    given("v01 an auth token's signature as a shared key's", U, p, V1, HMAC_SHA256),
    given("a01 no signature", U, p, ""),
    given("a01 a comma between two", U, p, f"{V1},{V2}"),
    given("a01 characters that no header holds", U, p, "\u20ac" * 28),
    given("a01 a lone surrogate", U, p, "\ud800" * 28),
    given("a01 huge", U, p, "A" * 1_000_000),
    given("a03 the last character changed", U, p, V1[:-2] + "9="),
    given("a03 the padding removed", U, p, V1[:-1]),
    given("a03 base64url", U, p, V1.replace("/", "_")),
    given("a03 a trailing space", U, p, V1 + " "),
    given("a03 a space for the padding", U, p, V1[:-1] + " "),
]  # fmt: skip


@pytest.mark.parametrize(("url", "pairs", "signature", "algorithm"), REFUSED)
def test_what_twilio_did_not_sign_is_refused(
    url: str, pairs: Pairs, signature: str, algorithm: str
) -> None:
    assert not accepts(url, pairs, signature, algorithm)


def test_most_of_the_tried_signatures_are_to_be_refused() -> None:
    refused = len(REFUSED) + 10 * len(ACCEPTED)
    assert refused >= 2 / 3 * (refused + len(ACCEPTED))
