"""Beside the npm package `twilio`, as recorded: what we accept, it accepts; what only it accepts is a closed list."""

from __future__ import annotations

import posixpath
import re
from itertools import product
from urllib.parse import unquote, urlsplit

import pytest

from convostate.twilio.signature import Request
from tests.npm_twilio import hash_of, recorded
from tests.proving import got, oracle_sign, posted, status_of
from tests.served import URL, text
from tests.test_signature_oracle import HARDENINGS

URLS = [
    "https://example.com/sms", "http://example.com/sms", "https://example.com:443/sms", "https://example.com:8443/sms", "https://EXAMPLE.com/sms",
    "https://[::1]/sms", "https://[::1]:443/sms", "https://[::1]:8443/sms", "https://user@example.com/sms", "https://user:pass@example.com/sms",
    "https://example.com/sms/", "https://example.com//sms", "https://example.com/a/../sms", "https://example.com/%73ms", "https://example.com",
    "https://example.com/sms?", "https://example.com/sms#rc=2", "https://example.com/sms?a=b", "https://example.com/sms?a=b&c=d", "https://example.com/sms?c=d&a=b",
    "https://example.com/sms?a=it's", "https://example.com/sms?a=it%27s", "https://example.com/sms?a=b+c", "https://example.com/sms?a=b%20c", "https://example.com/sms?a=it's+c",
    "https://example.com/sms?a=it%27s%20c", "https://example.com/sms?a=sip:x@y", "https://example.com/sms?a=sip%3Ax%40y", "https://example.com/sms?a", "https://example.com/sms?a=",
    "https://example.com/sms?a=%c3%a9", "https://example.com/sms?a=%C3%A9", "https://example.com/sms?a=b&a=c", "https://example.com/sms?a=!*()~",
]  # fmt: skip
HASH = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"  # SHA-256 of {}
OTHERS = {
    "a text": posted(text("it's + 1 & ü")),
    "a text, from a URL with a query": posted(text(), url=f"{URL}?step=2&next=it's"),
    "a parameter twice, the same": posted([*text().items(), ("x", "1"), ("x", "1")]),
    "a parameter twice": posted([*text().items(), ("x", "2"), ("x", "1")]),
    "an event": Request("POST", f"{URL}?bodySHA256={HASH}", f"bodySHA256={HASH}", "application/json", b"{}", oracle_sign(f"{URL}?bodySHA256={HASH}"), ""),
    "another event": Request("POST", f"{URL}?bodySHA256={HASH}", f"bodySHA256={HASH}", "application/json", b"[]", oracle_sign(f"{URL}?bodySHA256={HASH}"), ""),
    "an event without a body": Request("POST", f"{URL}?bodySHA256={HASH}", f"bodySHA256={HASH}", "application/json", b"", oracle_sign(f"{URL}?bodySHA256={HASH}"), ""),
    "a changed text": posted(text("bye"), signature=oracle_sign(URL, text("hi"))),
    "no signature": posted(text(), signature=""),
}  # fmt: skip
REQUESTS = {
    **HARDENINGS,
    **OTHERS,
    **{f"{url} signed as {signed}": got(url, signature=oracle_sign(signed))
       for url, signed in product(URLS, URLS)},
}  # fmt: skip


def hardening(name: str) -> str:
    """Why we refuse what it accepts, or ""."""
    if name in HARDENINGS:
        return name.partition(": ")[2]
    if name == "an event without a body":
        return "it takes the missing body for {}, and no app reads that"
    url, _, signed = name.partition(" signed as ")
    if url and "@" in signed:
        return "twilio drops the user name and password before it signs"
    if signed and spelled(url) == spelled(signed):
        return "it tries what Node's URL and querystring make of the URL; Twilio signs the bytes that it sends"
    return ""


def spelled(url: str) -> str:
    """A URL in the one spelling of all that mean the same to Node.js, without its port."""
    parts = urlsplit(url)
    path = posixpath.normpath(parts.path or "/") + "/" * parts.path.endswith("/")
    fields = [re.sub("=$", "", field) for field in parts.query.split("&")]
    query = unquote("&".join(fields).replace("+", " "))
    return f"{parts.scheme}://{parts.hostname}{path}?{query}#{parts.fragment}"


RECORDED = recorded()
ACCEPTED = RECORDED["accepted"]


def test_the_record_is_of_these_requests() -> None:
    assert RECORDED["asked"] == hash_of(REQUESTS)
    assert set(ACCEPTED) < set(REQUESTS)
    assert RECORDED["version"] == "6.2.0"


def test_what_the_npm_package_accepts_we_accept_but_for_the_listed_reasons() -> None:
    differing = {}
    for name in ACCEPTED:
        if status_of(REQUESTS[name]) != 200:
            differing[name] = hardening(name)

    assert [name for name, reason in differing.items() if not reason] == []
    assert len(set(differing.values())) <= len(HARDENINGS) + 3


def test_what_we_accept_the_npm_package_accepts() -> None:
    ours = {name for name, request in REQUESTS.items() if status_of(request) == 200}
    assert ours - set(ACCEPTED) == set()


@pytest.mark.parametrize("name", OTHERS)
def test_both_judge_what_twilio_sends_alike(name: str) -> None:
    accepted = name in ACCEPTED
    assert accepted == (name not in {"another event", "a changed text", "no signature"})
    assert (status_of(REQUESTS[name]) == 200) == (accepted and not hardening(name))
