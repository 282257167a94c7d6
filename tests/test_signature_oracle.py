"""Beside twilio-python: what we accept, it accepts, but for its defects; what only it accepts is a closed list."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from convostate.twilio.form import Form
from convostate.twilio.signature import HMAC_SHA1, HMAC_SHA256, Request, Signer, verify
from tests.proving import SECRETS, Repeated, got, oracle_sign, posted, status_of
from tests.served import ADA, FORM, SID, TOKEN, URL, text

if TYPE_CHECKING:
    from collections.abc import Iterable

Pairs = list[tuple[str, str]]


def oracle(
    url: str, pairs: Iterable[tuple[str, str]] | str, signature: Any, algorithm: str = HMAC_SHA1
) -> bool:
    """Whether twilio-python accepts; where it raises, it does not."""
    params = pairs if isinstance(pairs, str) else Repeated(pairs)
    try:
        return bool(RequestValidator(TOKEN).validate(url, params, signature, algorithm))
    except (ValueError, TypeError, UnicodeError):
        return False


def ours(url: str, pairs: Pairs, signature: str, algorithm: str = HMAC_SHA1) -> bool:
    form = Form(dict(reversed(pairs)), pairs)
    try:
        verify(url, form, signature, [Signer(TOKEN, algorithm)])
    except RequestError:
        return False
    return True


def defect(url: str) -> str:
    """What twilio-python does wrong with a URL that we get right, or ""."""
    parts = urlsplit(url)
    if parts.netloc.startswith("[") and parts.port:
        return "removing the port of an IPv6 address, it cuts at the first colon"
    if url.endswith(("?", "#")) or url.partition("?")[0].partition("#")[0].endswith(";"):
        return "it rebuilds the URL and loses an empty query, fragment or parameter"
    return ""


def hardening(url: str) -> str:
    """Why we refuse a URL that twilio-python accepts, or ""."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].partition("?")[0]
    if scheme not in ("http", "https"):
        return "twilio calls http and https, and says so in lower case"
    if "@" in authority:
        return "twilio drops the user name and password before it signs"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "no request line holds such a character"
    if authority.endswith((":", ":0")):
        return "no server listens there"
    return ""


HOSTS = st.sampled_from(
    [
        "example.com",
        "h",
        "EXAMPLE.com",
        "a_b.example",
        "127.0.0.1",
        "[::1]",
        "[2001:db8::1]",
        "h\u00e9.com",
    ]
)
PORTS = st.sampled_from(["", ":80", ":443", ":8443", ":0", ":65535", ":65536", ":abc", ":", ":1:2"])
USERS = st.sampled_from(["", "", "", "user@", "user:pass@"])
SCHEMES = st.sampled_from(["https", "https", "https", "http", "HTTPS", "ftp"])
PATHS = st.sampled_from(
    ["/sms", "/", "", "/a//b", "/a%2Fb", "/a;b", "/a;", "/'@:", "/\u00e9", "/a b", "/./a", "//h/p"]
)
QUERIES = st.sampled_from(
    [
        "",
        "?",
        "?a=1",
        "?a=%27",
        "?a='",
        "?a=1&a=2",
        "?\u00e9",
        "?a=1:2@3",
        "#",
        "#rc=2",
        "?a#",
        "?a=/b?c",
    ]
)
URLS = st.builds("{}://{}{}{}{}{}".format, SCHEMES, USERS, HOSTS, PORTS, PATHS, QUERIES)
PAIRS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=4)


@given(
    URLS,
    URLS,
    PAIRS,
    st.sampled_from([HMAC_SHA1, HMAC_SHA256]),
    st.sampled_from(["same", "without port", "default port", "other"]),
)
def test_we_accept_what_twilio_python_accepts_but_for_the_listed_reasons(
    url: str, other: str, pairs: Pairs, algorithm: str, signed_as: str
) -> None:
    signed = {
        "same": url,
        "without port": url.replace(":8443", "").replace(":443", "").replace(":80", ""),
        "default port": f"{url.partition('.com')[0]}.com:443{url.partition('.com')[2]}",
        "other": other,
    }[signed_as]
    signature = oracle_sign(signed, pairs, TOKEN, algorithm)

    accepted, expected = (
        ours(url, pairs, signature, algorithm),
        oracle(url, pairs, signature, algorithm),
    )

    if accepted and not expected:
        assert defect(url)
    if expected and not accepted:
        assert hardening(url)
    assert not ours(url, [*pairs, ("more", "")], signature, algorithm)


@given(PAIRS, st.text(max_size=30))
def test_no_signature_is_right_for_both_algorithms(pairs: Pairs, signature: str) -> None:
    assert not ours(URL, pairs, signature)
    assert not ours(URL, pairs, oracle_sign(URL, pairs), HMAC_SHA256)
    assert not ours(URL, pairs, oracle_sign(URL, pairs, TOKEN, HMAC_SHA256), HMAC_SHA1)


NAMES = st.sampled_from(
    [
        "From",
        "To",
        "Body",
        "AccountSid",
        "MessageSid",
        "SmsSid",
        "CallSid",
        "FromCity",
        "x",
        "From[]",
        "\u00e9",
        "",
    ]
)
TEXTS = st.sampled_from(
    ["", "+15550100001", "15550100099", SID, "hiFrom+15550100001", "a b", "\u2615", "=&", "\0", "1"]
)
FORMS = st.lists(st.tuples(NAMES, TEXTS), max_size=6)


@given(FORMS, st.booleans(), st.sampled_from(["", "?x=1", "?From=1", "?bodySHA256=0"]))
def test_every_form_that_we_prove_twilio_python_proves(
    pairs: Pairs, twice: bool, query: str
) -> None:
    request = posted(pairs * 2 if twice else pairs, url=URL + query)
    parsed = parse_qsl(request.body.decode(), keep_blank_values=True)

    assert oracle(request.url, parsed, request.signature)
    try:
        webhook, _ = authenticate(request, SECRETS)
    except RequestError as error:
        category = error.category
    else:
        category = "proven"
        assert dict(webhook.params) == dict(reversed(parsed))
    assert category in {"proven", "form", "identity", "re-split", "content-type"}


# What only twilio-python accepts, each with the reason why we do not.
HASHED = f"{URL}?bodySHA256={'0' * 64}"
VICTIM = "+15550100009"
HARDENINGS = {
    "a body whose hash is wrong, sent as a form: frameworks read it": posted(text(), url=HASHED),
    "a get signature on a post of json: the body is not signed": Request(
        "POST", URL, "", "application/json", b'{"From": "+15550100009"}', oracle_sign(URL), ""),
    "a get signature on a post of plain text: the body is not signed": Request("POST", URL, "", "text/plain", b"From=x", oracle_sign(URL), ""),
    "a get signature on a multipart post: file parts are not signed": Request(
        "POST", URL, "", "multipart/form-data; boundary=x", b"--x--", oracle_sign(URL), ""),
    "a get with a body: it is not signed": replace(got(URL), body=b"From=%2B15550100009"),
    "another method: the method is not signed": replace(got(URL), method="DELETE"),
    "another charset: frameworks disagree on it": posted(text(), content_type=f"{FORM}; charset=utf-16"),
    "a sender twice: frameworks disagree on which": posted([*text().items(), ("From", VICTIM)]),
    "the same sender twice: how often is not signed": posted([*text().items(), ("From", ADA)]),
    "another spelling of a sender: some frameworks fold it": posted({**text(), "From[]": VICTIM}),
    "two sids: the message has one": posted(text(SmsSid="SM" + "9" * 32)),
    "a re-split: the signed string has no delimiters": posted({**text("hi"), "FromAFrom": VICTIM}),
    "a nul in an address: a store or a log may cut it there": posted(text(From="+1555\0")),
    "an escaped letter: no encoder writes it": posted(text("A"), body=b"Body=%41&" + posted({k: v for k, v in text().items() if k != "Body"}).body),
}  # fmt: skip


@pytest.mark.parametrize("request_", HARDENINGS.values(), ids=HARDENINGS)
def test_what_only_twilio_python_accepts(request_: Request) -> None:
    parsed = (
        parse_qsl(request_.body.decode(), keep_blank_values=True)
        if request_.content_type.startswith(FORM)
        else []
    )
    assert oracle(request_.url, parsed, request_.signature)
    assert status_of(request_) in {400, 403, 405, 415}


@pytest.mark.parametrize("url", [f"{URL}?", "https://[::1]:8443/sms", f"{URL};"])
def test_what_only_we_accept_is_what_twilio_signed(url: str) -> None:
    without_port = url.replace(":8443", "")
    assert oracle_sign(without_port, text())  # as configured there
    assert ours(url, list(text().items()), oracle_sign(without_port, text()))
    assert not oracle(url, text().items(), oracle_sign(without_port, text()))
    assert not ours(url, list(text().items()), oracle_sign(URL, text()))


def test_an_unknown_algorithm_is_refused_by_both(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        assert not oracle(URL, text().items(), oracle_sign(URL, text()), "HMAC_MD5")
    assert status_of(posted(text(), scheme="key=1,algorithm=HMAC_MD5")) == 403
    assert status_of(posted(text(), scheme="algorithm=HMAC_SHA1")) == 200
