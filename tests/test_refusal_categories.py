"""Each refusal has a category: the log speaks once a minute of each."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from convostate.errors import RequestError
from convostate.twilio.signature import Request, body_hash_matches
from tests.proving import got, posted, prove
from tests.served import ACCOUNT, ADA, BOB, FORM, URL, text

OTHER_SID = "SM" + "9" * 32
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
HASHED = f"{URL}?bodySHA256={hashlib.sha256(b'{}').hexdigest()}"


def body_of(body: bytes, content_type: str, url: str = HASHED) -> Request:
    return posted([], url=url, body=body, content_type=content_type)


REFUSED: dict[str, tuple[Request, int, str]] = {
    "another method": (replace(got(URL), method="PUT"), 405, "method"),
    "another type": (posted(text(), content_type="text/plain"), 415, "content-type"),
    "a form with a hash": (posted(text(), url=f"{URL}?bodySHA256=0"), 415, "content-type"),
    "a GET with a body": (replace(got(URL), body=b"a"), 415, "content-type"),
    "a malformed form": (posted(text(), body=b"a"), 400, "form"),
    "a malformed query": (got(f"{URL}?a;b"), 400, "form"),
    "another spelling": (posted({"FROM": ADA, "MessageSid": "SM1"}), 403, "form"),
    "unsigned": (posted(text(), signature=""), 403, "unsigned"),
    "badly signed": (posted(text(), signature="A" * 28), 403, "signature"),
    "a sender twice": (posted([*text().items(), ("From", BOB)]), 403, "identity"),
    "two SIDs": (posted(text(SmsSid=OTHER_SID)), 403, "identity"),
    "two SIDs, by the first": (posted(text(MessageSid=OTHER_SID)), 403, "identity"),
    "two SIDs, by the last": (posted(text(SmsMessageSid=OTHER_SID)), 403, "identity"),
    "a message with a field of a call": (posted(text(CallStatus="ringing")), 403, "identity"),
    "a status of two words": (posted(text(SmsStatus="received x")), 403, "identity"),
    "NUL in a sender": (posted(text(From=f"{ADA}\0")), 400, "form"),
    "a multipart form": (body_of(b"{}", "multipart/form-data"), 415, "content-type"),
    "a GET with two hashes": (got(f"{HASHED}&bodySHA256=0"), 415, "content-type"),
    "another body than was hashed": (body_of(b"[]", "application/json"), 415, "content-type"),
    "a hashed body that is not JSON": (body_of(b"{}", "text/plain"), 415, "content-type"),
    "an account in the query alone": (
        posted({"Body": "hi"}, url=f"{URL}?AccountSid=AC1"),
        403,
        "identity",
    ),
    "a re-split": (posted({**text(), "FromAFrom": BOB}), 403, "re-split"),
}


@pytest.mark.parametrize(("request_", "status", "category"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_has_its_status_and_category(
    request_: Request, status: int, category: str
) -> None:
    with pytest.raises(RequestError) as caught:
        prove(request_)
    assert (caught.value.status, caught.value.category) == (status, category)


@pytest.mark.parametrize(("request_", "parameter"), [
    (REFUSED["a sender twice"][0], "From"), (REFUSED["two SIDs"][0], "SmsSid"), (REFUSED["two SIDs, by the last"][0], "SmsMessageSid"),
    (REFUSED["a message with a field of a call"][0], "CallStatus"), (posted(text(Direction="inbound", CallSid="CA1")), "CallSid"),
    (REFUSED["a status of two words"][0], "SmsStatus"), (REFUSED["NUL in a sender"][0], "From"), (REFUSED["another spelling"][0], "FROM"),
    (REFUSED["an account in the query alone"][0], "AccountSid"), (REFUSED["badly signed"][0], ""),
])  # fmt: skip
def test_a_refusal_names_the_parameter_that_is_wrong(request_: Request, parameter: str) -> None:
    with pytest.raises(RequestError) as caught:
        prove(request_)
    assert caught.value.parameter == parameter


def test_a_form_in_parts_is_refused_as_one_and_not_as_a_body_without_its_hash() -> None:
    with pytest.raises(RequestError, match="multipart"):
        prove(body_of(b"--x--", "multipart/form-data; boundary=x"))
    with pytest.raises(RequestError, match="bodySHA256"):
        prove(body_of(b"--x--", "text/plain"))


@pytest.mark.parametrize("request_", [
    pytest.param(posted(text()), id="a form"), pytest.param(posted(text(), url=f"{URL}?AccountSid={ACCOUNT}"), id="its account in the query too"),
    pytest.param(got(f"{URL}?AccountSid={ACCOUNT}"), id="a GET"), pytest.param(replace(got(f"{URL}?AccountSid={ACCOUNT}"), content_type=FORM), id="a GET with the type of a form"),
    pytest.param(body_of(b"{}", "application/json", f"{HASHED}&AccountSid={ACCOUNT}"), id="JSON"),
    pytest.param(body_of(b"", "", f"{URL}?AccountSid={ACCOUNT}&bodySHA256={EMPTY_HASH}"), id="an empty body"),
])  # fmt: skip
def test_a_request_that_twilio_signed_is_not_refused(request_: Request) -> None:
    assert prove(request_).account_sid == ACCOUNT


def test_a_hash_that_is_not_text_matches_no_body() -> None:
    assert not body_hash_matches("bodySHA256=\ud800", b"")
    assert not body_hash_matches("bodySHA256=é", b"")
