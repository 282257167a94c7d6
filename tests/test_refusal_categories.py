"""Each refusal has a category: the log speaks once a minute of each."""

from __future__ import annotations

import pytest

from convostate.errors import RequestError
from convostate.twilio.signature import Request, body_hash_matches
from tests.proving import got, posted, prove
from tests.served import ACCOUNT, ADA, BOB, URL, text

TWO_SIDS = text(SmsSid="SM" + "9" * 32)
REFUSED: dict[str, tuple[Request, int, str]] = {
    "another method": (got(URL)._replace(method="PUT"), 405, "method"),
    "another type": (posted(text(), content_type="text/plain"), 415, "content-type"),
    "a form with a hash": (posted(text(), url=f"{URL}?bodySHA256=0"), 415, "content-type"),
    "a GET with a body": (got(URL)._replace(body=b"a"), 415, "content-type"),
    "a malformed form": (posted(text(), body=b"a"), 400, "form"),
    "a malformed query": (got(f"{URL}?a;b"), 400, "form"),
    "another spelling": (posted({"FROM": ADA, "MessageSid": "SM1"}), 403, "form"),
    "unsigned": (posted(text(), signature=""), 403, "unsigned"),
    "badly signed": (posted(text(), signature="A" * 28), 403, "signature"),
    "a sender twice": (posted([*text().items(), ("From", BOB)]), 403, "identity"),
    "two SIDs": (posted(TWO_SIDS), 403, "identity"),
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


def test_a_verified_request_has_no_diagnosis() -> None:
    assert prove(posted(text())).account_sid == ACCOUNT


def test_a_hash_that_is_not_text_matches_no_body() -> None:
    assert not body_hash_matches("bodySHA256=\ud800", b"")
    assert not body_hash_matches("bodySHA256=é", b"")
