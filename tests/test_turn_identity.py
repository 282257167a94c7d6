"""What a proven request says of itself: one message, one kind, one method."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from convostate.twilio.signature import Request
from tests.proving import got, oracle_sign, posted, prove, status_of
from tests.served import ACCOUNT, ADA, SID, URL, US, text

OTHER = "SM" + "9" * 32
BARE = {"AccountSid": ACCOUNT, "From": ADA, "To": US, "Body": "hi"}


@pytest.mark.parametrize("name", ["MessageSid", "SmsSid", "SmsMessageSid"])
def test_a_message_has_one_sid_under_all_its_names(name: str) -> None:
    assert status_of(posted(text(**{name: OTHER}))) == 403
    others = {"MessageSid", "SmsSid", "SmsMessageSid"} - {name}
    for other in others:
        assert status_of(posted({**BARE, name: SID, other: OTHER})) == 403
        assert status_of(posted({**BARE, name: SID, other: SID})) == 200


@pytest.mark.parametrize("name", ["MessageSid", "SmsSid", "SmsMessageSid"])
def test_one_name_of_the_sid_is_enough(name: str) -> None:
    assert status_of(posted({**BARE, name: SID})) == 200
    assert status_of(posted(BARE)) == 200


@pytest.mark.parametrize("name", ["MessageSid", "SmsSid"])
def test_a_message_is_one_by_either_name_and_a_status_by_its_status(name: str) -> None:
    message = prove(posted({**BARE, name: SID}))
    status = prove(posted({**BARE, name: SID, "MessageStatus": "sent"}))

    assert (message.kind, message.message_sid) == ("message", SID)
    assert (status.kind, status.message_sid) == ("message-status", SID)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "get", "Post", ""])
def test_a_request_that_is_neither_get_nor_post_is_405_though_it_is_signed(method: str) -> None:
    request = got(f"{URL}?From=%2B15550100001")

    assert status_of(replace(request, method=method)) == 405
    assert status_of(replace(posted(text()), method=method)) == 405
    assert status_of(request) == 200


def json_of(body: bytes, query: str) -> Request:
    url = f"{URL}?{query}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Request(
        "POST", url, url.partition("?")[2], "application/json", body, oracle_sign(url), ""
    )


def test_a_json_webhook_is_not_a_message_whatever_its_query_says() -> None:
    query = f"MessageSid={SID}&AccountSid={ACCOUNT}&From=%2B15550100001&To=%2B15550100099"

    webhook = prove(json_of(b"{}", query))
    assert (webhook.kind, webhook.pair) == ("other", None)
    assert webhook.params["MessageSid"] == SID
    asked = prove(got(f"{URL}?{query}"))
    assert asked.kind == "message"
    assert asked.pair is not None


@pytest.mark.parametrize("query", ["a=1", "CallSid=CA1", f"MessageSid={OTHER}", "From=1", "From=%2B15550100002&To=%2B15550100098&Body=bye"])  # fmt: skip
@pytest.mark.parametrize("params", [text(), BARE, {"AccountSid": ACCOUNT, "Digits": "1"}, {"Digits": "1"}])  # fmt: skip
def test_g1_g2_the_query_of_a_form_may_name_identity_fields_and_the_form_alone_is_read(
    query: str, params: dict[str, str]
) -> None:
    plain, webhook = prove(posted(params)), prove(posted(params, url=f"{URL}?{query}"))

    assert webhook.params == params
    assert (webhook.kind, webhook.pair) == (plain.kind, plain.pair)


def test_a_form_does_not_take_its_account_from_the_query() -> None:
    """Without an account in its form it might be a GET webhook's URL, signed as that."""
    url = f"{URL}?AccountSid={'AC' + '9' * 32}"

    assert status_of(posted({"Digits": "1"}, url=url)) == 403
    assert prove(posted(BARE, url=url)).account_sid == ACCOUNT


@pytest.mark.parametrize(("query", "status"), [
    ("bodySHA256=0", 200), (f"a=1&bodySHA256={'0' * 64}", 200), ("bodySHA256=0&bodySHA256=0", 200), ("a=bodySHA256", 200), ("a=bodySHA256&bodySHA256=0", 200),
    ("bodySHA256=0&bodySHA256=1", 415), ("bodySHA256=0&BodySHA256=0", 415),
])  # fmt: skip
def test_g8_a_get_may_carry_one_hash_and_has_no_body(query: str, status: int) -> None:
    assert status_of(got(f"{URL}?{query}")) == status
    assert status_of(got(f"{URL}?{query.replace('SHA', 'MD')}")) == 200
    assert status_of(replace(got(f"{URL}?{query}"), body=b"a=1")) == 415


def test_g8_a_get_with_a_hash_is_not_a_message() -> None:
    query = f"MessageSid={SID}&AccountSid={ACCOUNT}&From=%2B15550100001&To=%2B15550100099"

    webhook = prove(got(f"{URL}?{query}&bodySHA256=0"))
    assert (webhook.kind, webhook.pair) == ("other", None)
    assert prove(got(f"{URL}?{query}")).kind == "message"


@pytest.mark.parametrize("query", ["Body={}", "Text={}", "Body={}&From=%2B15550100001", "a=1&Text={}", "a=1&Body={}&To=1&Body2=x"])  # fmt: skip
def test_g5_a_get_may_quote_an_address_anywhere_and_the_beginning_of_a_form_nowhere(
    query: str,
) -> None:
    account = f"AccountSid{ACCOUNT}"

    for quoted in ("From15550100001+now", f"{account}+now", f"AccountSid={ACCOUNT}From"):
        assert status_of(got(f"{URL}?{query.format(quoted)}")) == 200
    for forged in (f"{account}Body", f"{account}From15550100001To15550100099"):
        assert status_of(got(f"{URL}?{query.format(forged)}")) == 403
