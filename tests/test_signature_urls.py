"""The authority of a signed URL, to the character."""

from __future__ import annotations

import pytest

from convostate.errors import RequestError
from convostate.twilio.signature import url_variants, with_path, without_port
from tests.proving import SECRETS, got, prove, status_of

HOSTS = ["[2001:db9::9]", "[::ffff:192.0.2.89]", "a.example", "A-9_b.example", "192.0.2.89", "z", "[ABCDEF::abcdef]"]  # fmt: skip
PORTS = ["1", "89", "9999", "65535", "00443"]
NO_PORTS = ["0", "00000", "65536", "99999", "000443", "065535", "", "-1", "4a", "4 "]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_is_toggled_and_nothing_else(scheme: str, host: str, port: str) -> None:
    bare = f"{scheme}://{host}/sms?a=:1"
    spelled = f"{scheme}://{host}:{port}/sms?a=:1"
    default = {"http": "80", "https": "443"}[scheme]

    assert list(url_variants(spelled)) == [spelled, bare]
    assert list(url_variants(bare)) == [bare, f"{scheme}://{host}:{default}/sms?a=:1"]
    assert without_port(spelled) == without_port(bare) == bare
    assert status_of(got(spelled)) == status_of(got(bare)) == 200


@pytest.mark.parametrize("port", NO_PORTS)
def test_an_invalid_port_never_verifies(port: str) -> None:
    assert list(url_variants(f"https://example.com:{port}/sms")) == []
    assert status_of(got(f"https://example.com:{port}/sms")) == 403


@pytest.mark.parametrize("host", ["[::1", "::1]", "[g::1]", "[]", "a b", "a@b", "ä", "a%41", "a,b", "a:1:2", "a\\", ""])  # fmt: skip
def test_an_invalid_host_never_verifies(host: str) -> None:
    assert list(url_variants(f"https://{host}/sms")) == []


@pytest.mark.parametrize("url", ["ftp://a/sms", "HTTPS://a/sms", "//a/sms", "/sms", "xhttps://a/sms", "https:/a/sms", ""])  # fmt: skip
def test_a_url_other_than_http_never_verifies(url: str) -> None:
    assert list(url_variants(url)) == []
    assert without_port(url) == url


@pytest.mark.parametrize("url", ["https://a.example", "https://a.example?b=c", "https://a.example#b?c", "http://z", "https://a.example:443"])  # fmt: skip
def test_a_url_needs_no_path(url: str) -> None:
    assert url_variants(url)[0] == url
    assert status_of(got(url)) == 200


@pytest.mark.parametrize(("url", "requested"), [
    ("https://a.example", "https://a.example/"), ("https://a.example?b=c", "https://a.example/?b=c"), ("http://z:8080", "http://z:8080/"),
    ("https://a.example/", "https://a.example/"), ("https://a.example/sms?b=c", "https://a.example/sms?b=c"),
    ("https://a b", "https://a b"), ("https://a.example!", "https://a.example!"), ("https://", "https://"),
])  # fmt: skip
def test_a_url_without_a_path_gets_a_slash_and_no_other_changes(url: str, requested: str) -> None:
    assert with_path(url) == requested


@pytest.mark.parametrize(("signature", "category"), [("", "unsigned"), ("A" * 28, "signature"), ("A", "signature")])  # fmt: skip
def test_a_missing_signature_is_distinguished_from_a_wrong_one(
    signature: str, category: str
) -> None:
    with pytest.raises(RequestError) as caught:
        prove(got("https://example.com/sms", signature=signature), SECRETS)
    assert (caught.value.status, caught.value.category) == (403, category)
