"""What a proven request says of itself: one message, one kind, one method."""

from __future__ import annotations

import hashlib

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

    assert status_of(request._replace(method=method)) == 405
    assert status_of(posted(text())._replace(method=method)) == 405
    assert status_of(request) == 200


def json_of(body: bytes, query: str) -> Request:
    url = f"{URL}?{query}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Request(
        "POST", url, url.partition("?")[2], "application/json", body, oracle_sign(url), ""
    )


def test_a_json_webhook_is_no_message_whatever_its_query_says() -> None:
    query = f"MessageSid={SID}&AccountSid={ACCOUNT}&From=%2B15550100001&To=%2B15550100099"

    webhook = prove(json_of(b"{}", query))
    assert (webhook.kind, webhook.pair) == ("other", None)
    assert webhook.params["MessageSid"] == SID
    asked = prove(got(f"{URL}?{query}"))
    assert asked.kind == "message"
    assert asked.pair is not None


@pytest.mark.parametrize(("query", "params", "status"), [
    ("a=1", BARE, 200), ("a=1", {"Digits": "1"}, 200), ("CallSid=CA1", BARE, 200), ("CallSid=CA1", {"Digits": "1"}, 403),
    ("AccountSid=AC1", {"Digits": "1"}, 403), ("From=1", BARE, 403), ("From=1", {"AccountSid": ACCOUNT, "Digits": "1"}, 200),
])  # fmt: skip
def test_the_query_of_a_form_says_nothing_that_the_form_says_and_nothing_for_it(
    query: str, params: dict[str, str], status: int
) -> None:
    """Without an account in its form it might be a GET webhook's URL, signed as that."""
    assert status_of(posted(params, url=f"{URL}?{query}")) == status


@pytest.mark.parametrize("query", ["bodySHA256=0", "a=bodySHA256", f"a=1&bodySHA256={'0' * 64}"])
def test_a_get_vouches_for_no_body(query: str) -> None:
    assert status_of(got(f"{URL}?{query}")) == 415
    assert status_of(got(f"{URL}?{query.replace('SHA', 'MD')}")) == 200
    assert status_of(got(f"{URL}?a=1")._replace(body=b"a=1")) == 415


@pytest.mark.parametrize("query", ["Body={}", "Body={}&From=%2B15550100001", "a=1&Body={}", "a=1&Body={}&To=1&Body2=x"])  # fmt: skip
def test_the_text_of_a_get_may_hold_an_address_and_nothing_else_of_it_may(query: str) -> None:
    quoting = query.format("From15550100001+now")
    assert status_of(got(f"{URL}?{quoting}")) == 200
    assert status_of(got(f"{URL}?{quoting.replace('Body=', 'Text=')}")) == 403
