"""What a signature is checked against: the spellings of a URL, the configured secrets, the hash of a body."""

from __future__ import annotations

import pytest

from convostate.twilio.signature import (
    HMAC_SHA1,
    HMAC_SHA256,
    Secrets,
    body_hash_matches,
    sign,
    url_variants,
)
from tests.test_signature import BODY, EMPTY_HASH, HASH, TOKEN, U, accepts, p


@pytest.mark.parametrize(("url", "variants"), [
    ("https://h.com/p", ["https://h.com/p", "https://h.com:443/p"]),
    ("http://h.com/p", ["http://h.com/p", "http://h.com:80/p"]),
    ("https://h.com:443/p", ["https://h.com:443/p", "https://h.com/p"]),
    ("https://h.com:8443/p?a=:1", ["https://h.com:8443/p?a=:1", "https://h.com/p?a=:1"]),
    ("http://h/", ["http://h/", "http://h:80/"]),
    ("https://h.com", ["https://h.com", "https://h.com:443"]),
    ("https://h.com?a=1", ["https://h.com?a=1", "https://h.com:443?a=1"]),
    ("https://h.com:1?a=1", ["https://h.com:1?a=1", "https://h.com?a=1"]),
    ("https://h.com/p?", ["https://h.com/p?", "https://h.com:443/p?"]),
    ("https://[::1]/p", ["https://[::1]/p", "https://[::1]:443/p"]),
    ("https://[::1]:8443/p", ["https://[::1]:8443/p", "https://[::1]/p"]),
    ("https://127.0.0.1:5000/p", ["https://127.0.0.1:5000/p", "https://127.0.0.1/p"]),
    ("https://h.com:65535/p", ["https://h.com:65535/p", "https://h.com/p"]),
])  # fmt: skip
def test_a21_a_url_has_two_spellings_one_of_them_without_its_port(
    url: str, variants: list[str]
) -> None:
    assert list(url_variants(url)) == variants


@pytest.mark.parametrize("url", [
    "", "/p", "h.com/p", "ftp://h.com/p", "HTTPS://h.com/p", "https:///p", "https://u@h.com/p", "https://u:p@h.com:1/p",
    "https://h.com:/p", "https://h.com:0/p", "https://h.com:65536/p", "https://h.com:99999/p", "https://h.com:abc/p",
    "https://h.com:-1/p", "https://h.com:+1/p", "https://h.com:\u0661/p", "https://h.com:1:2/p", "https://::1/p",
    "https://[::1/p", "https://[h.com]/p", "https://h.com\\@evil/p", "https://h\u00e9.com/p", "https://h.com/p\u00e9",
    "https://h.com/a b", "https://h.com/a\nb", "https://h.com/a\tb", "https://h.com/\x7f", "https://h,x/p",
])  # fmt: skip
def test_a21_an_invalid_webhook_url_never_verifies(url: str) -> None:
    assert list(url_variants(url)) == []
    assert not accepts(url, p, sign(url, p, TOKEN))
    assert accepts(U, p, sign(U, p, TOKEN))


@pytest.mark.parametrize(("header", "found"), [
    ("", "token"), ("algorithm=HMAC_SHA1", "token"), ("key=one,algorithm=HMAC_SHA256", "one"),
    ("algorithm=HMAC_SHA256,key=one", "one"), ("key=two, algorithm=hmac_sha256", "two"),
    ("key=three,algorithm=HMAC_SHA256", ""), ("algorithm=HMAC_SHA256", ""), ("key=one", ""),
    ("key=one,algorithm=HMAC_SHA1", ""), ("key=one,algorithm=HMAC_MD5", ""), ("key=one,algorithm=none", ""),
    ("key=one,algorithm=", ""), ("key=one,algorithm=HMAC_SHA256,algorithm=HMAC_SHA1", ""),
    ("key=one,key=two,algorithm=HMAC_SHA256", ""), ("key=,algorithm=HMAC_SHA256", ""), ("HMAC_SHA256", ""), (",", ""),
    ("key=one;algorithm=HMAC_SHA256", ""), (" ", ""),
])  # fmt: skip
def test_a26_the_unsigned_header_only_selects_among_configured_secrets(
    header: str, found: str
) -> None:
    keys = {"one": "the first secret", "two": "the second secret"}
    signers = Secrets((TOKEN,), shared_keys=keys).candidates(header, "AC1")

    signatures = {
        "token": sign(U, p, TOKEN),
        "one": sign(U, p, keys["one"], HMAC_SHA256),
        "two": sign(U, p, keys["two"], HMAC_SHA256),
        "downgraded": sign(U, p, keys["one"], HMAC_SHA1),
        "upgraded": sign(U, p, TOKEN, HMAC_SHA256),
    }
    matches = [
        name
        for name, signature in signatures.items()
        if signature.encode()
        in [s.sign((U + "".join(n + v for n, v in sorted(p))).encode()) for s in signers]
    ]
    assert matches == ([found] if found else [])


def test_a26_a_site_with_shared_keys_only_takes_no_auth_token() -> None:
    assert list(Secrets(shared_keys={"one": "secret"}).candidates("", "AC1")) == []


@pytest.mark.parametrize(("query", "matches"), [
    (f"bodySHA256={HASH}", True), (f"foo=1&bodySHA256={HASH}&bar=2", True),
    ("", False), ("foo=1", False), (f"bodySHA256={HASH}&bodySHA256={HASH}", True),
    (f"bodySHA256={HASH}&bodySHA256={EMPTY_HASH}", False), (f"bodySHA256={HASH.upper()}", False),
    (f"bodySHA256={EMPTY_HASH}", False), ("bodySHA256=", False), ("bodySHA256", False), (f"bodysha256={HASH}", False),
    (f"bodySHA256={HASH}&bodysha256={HASH}", False), (f"xbodySHA256={HASH}", False), (f"bodySHA256={HASH} ", False),
    (f"bodySHA256={HASH}\u00e9", False), (f"x=bodySHA256={HASH}", False),
])  # fmt: skip
def test_a17_a_body_is_proven_by_one_hash_in_the_url(query: str, matches: bool) -> None:
    assert body_hash_matches(query, BODY.encode()) is matches
    assert not body_hash_matches(query, BODY.encode() + b" ")
