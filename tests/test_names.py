"""Keyed names: alike for the same thing, unlike for any other, and telling nothing."""

from __future__ import annotations

import hashlib
import hmac
import re

from hypothesis import given
from hypothesis import strategies as st

from convostate import Keyring, PhonePair
from convostate.sealing.codec import from_base64url, prefixed, to_base64url
from convostate.sealing.names import Names
from convostate.sealing.token import conversation_context
from convostate.turns import webhook_turn
from convostate.twilio.authenticate import authenticate
from convostate.twilio.signature import Request, signed_string
from convostate.twilio.webhook import Webhook
from tests.proving import SECRETS, oracle_sign, posted
from tests.served import ACCOUNT, ADA, KEY, OTHER_KEY, TOKEN, URL, US, text
from tests.turning import SERVER

RING = Keyring.parse(KEY)
NAMES, OTHERS = Names(RING.keys[0]), Names(Keyring.parse(OTHER_KEY).keys[0])
CONTEXT = conversation_context(PhonePair(ACCOUNT, US, ADA))


def test_a_name_is_22_characters_of_an_hmac_under_a_derived_key() -> None:
    mac = hmac.new(RING.keys[0].derive("index"), CONTEXT, hashlib.sha256).digest()
    assert NAMES.conversation(CONTEXT) == to_base64url(mac[:16])
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", NAMES.conversation(CONTEXT))


def test_each_purpose_and_each_key_names_otherwise() -> None:
    text_ = CONTEXT.decode("latin-1")
    names = [
        n
        for keyed in (NAMES, OTHERS)
        for n in (
            keyed.conversation(CONTEXT),
            keyed.log_id(CONTEXT),
            keyed.fingerprint("POST", text_),
        )
    ]
    assert len({*names}) == 6
    assert names[:2] == [NAMES.conversation(CONTEXT), NAMES.log_id(CONTEXT)]  # and always the same


def test_a29_a_request_has_one_fingerprint_however_it_is_delivered() -> None:
    def fingerprint(url: str, reorder: bool = False, **changes: str) -> str:
        pairs = [*text(**changes).items(), ("Digits", "1"), ("Digits", "2")]
        request = posted(
            pairs[::-1] if reorder else pairs, url=url, signature=oracle_sign(URL, pairs)
        )
        return NAMES.fingerprint("POST", authenticate(request, SECRETS)[1])

    first = fingerprint(URL)
    with_port = URL.replace(".com", ".com:443")
    assert {
        fingerprint(URL),
        fingerprint(with_port),
        fingerprint(URL, reorder=True),
        fingerprint(with_port, reorder=True),
    } == {first}
    assert fingerprint(URL.replace(".com", ".com:8443")) == first
    assert fingerprint(URL, Body="another") != first


def test_a_get_and_a_post_of_one_url_are_two_requests() -> None:
    assert NAMES.fingerprint("GET", URL) != NAMES.fingerprint("POST", URL)
    assert NAMES.fingerprint("GET", URL) != NAMES.fingerprint("GET", f"{URL}?")
    assert NAMES.fingerprint("GET", URL) == NAMES.fingerprint(
        "GET", URL.replace(".com", ".com:443")
    )


def test_a31_two_messages_differ_in_their_fingerprints() -> None:
    bodies = [signed_string(URL, posted_form(f"hello {n}")) for n in range(100)]
    assert len({NAMES.fingerprint("POST", signed) for signed in bodies}) == 100


def posted_form(body: str):  # type: ignore[no-untyped-def]
    from convostate.twilio.form import parse_form

    return parse_form(posted(text(body), signature="x").body)


def test_no_name_holds_what_it_names() -> None:
    for name in (
        NAMES.conversation(CONTEXT),
        NAMES.log_id(CONTEXT),
        repr(NAMES),
        repr(RING.keys[0]),
    ):
        assert not any(part in name for part in (ADA, ADA[1:], US, ACCOUNT, KEY, TOKEN))


def idempotency_of(token: str) -> bytes:
    webhook = Webhook("message", PhonePair(ACCOUNT, US, ADA), {}, "https://example.com/sms")
    request = Request("POST", webhook.url, "", "", b"", "", "")
    turn = webhook_turn(webhook, request, webhook.url, token, SERVER, 0.0)
    assert turn is not None
    return turn.claim.idempotency


def test_idempotency_tokens_are_distinguished_in_8_bytes() -> None:
    assert idempotency_of("") == bytes(8)
    assert len({idempotency_of(token) for token in ("a", "b", "", "\u20ac", "\ud800")}) == 5
    assert idempotency_of("a") == hashlib.sha256(b"a").digest()[:8]


@given(st.binary(max_size=100))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text_ = to_base64url(data)
    assert from_base64url(text_) == data
    assert "=" not in text_
    for other in (
        f"{text_}=",
        f"{text_} ",
        f" {text_}",
        f"{text_}\n",
        f"{text_}+",
        text_.replace("-", "+"),
        text_.replace("_", "/"),
    ):
        assert other == text_ or from_base64url(other) is None


@given(st.text(max_size=8))
def test_whatever_decodes_re_encodes_to_the_same_text(text_: str) -> None:
    data = from_base64url(text_)
    assert data is None or to_base64url(data) == text_


@given(*[st.lists(st.binary(max_size=3), max_size=3)] * 2)
def test_prefixed_parts_never_run_into_each_other(one: list[bytes], other: list[bytes]) -> None:
    assert (prefixed(*one) == prefixed(*other)) == (one == other)
