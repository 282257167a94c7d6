"""The simulator tells the app what became of its messages."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from twilio.request_validator import RequestValidator

from convostate.testing import Clock, TwilioSimulator
from tests.answering import Answer, Answering, message, setting

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA = "+15550100099", "+15550100001"
TOKEN = "the-token"


def phone_of(app: Answering, **options: Any) -> Phone:
    return TwilioSimulator(app, TOKEN, **options).phone(ADA, texting=US)


def forms(app: Answering) -> list[dict[str, str]]:
    return [dict(asked.form) for asked in app.asked]


def test_a_message_status_has_the_two_ends_swapped() -> None:
    app = Answering(Answer("", None, "204 No Content"))
    reply = phone_of(app).deliver_status("sent")
    [form] = forms(app)

    assert (form["From"], form["To"]) == (US, ADA)
    assert (form["MessageStatus"], form["SmsStatus"]) == ("sent", "sent")
    assert form["MessageSid"] == form["SmsSid"]
    assert not {"Body", "NumMedia", "ErrorCode", "RawDlrDoneDate"} & form.keys()
    assert (reply.status, reply.error) == (204, None)


def test_a_sid_is_the_same_under_all_its_names_by_default() -> None:
    app = Answering()
    phone = phone_of(app)
    phone.deliver_status(MessageSid="SM1")
    phone.text("hello", MessageSid="SM2")
    phone.text("hello", MessageSid="SM3", SmsSid="SM4", SmsMessageSid=None)
    status, text, mixed = forms(app)

    assert (status["MessageSid"], status["SmsSid"]) == ("SM1", "SM1")
    assert "SmsMessageSid" not in status
    assert (text["MessageSid"], text["SmsSid"], text["SmsMessageSid"]) == ("SM2", "SM2", "SM2")
    assert (mixed["MessageSid"], mixed["SmsSid"]) == ("SM3", "SM4")
    assert "SmsMessageSid" not in mixed


def test_a_delivery_has_its_date_and_a_failure_its_code() -> None:
    app = Answering()
    start = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc).timestamp()
    phone = phone_of(app, clock=Clock(start))
    phone.deliver_status("delivered")
    phone.deliver_status("failed", ErrorCode="30007")
    phone.deliver_status("undelivered")
    delivered, failed, undelivered = forms(app)

    assert delivered["RawDlrDoneDate"] == "2701150800"
    assert failed["ErrorCode"] == "30007"
    assert undelivered["ErrorCode"] == "30008"


def test_what_answers_a_status_is_not_read_unless_it_is_an_error() -> None:
    app = Answering(
        message("nobody reads this"), Answer("", "application/json"), Answer(status="500 Oops")
    )
    phone = phone_of(app)

    assert (phone.deliver_status().messages, phone.deliver_status().error) == ([], None)
    assert phone.deliver_status().error == 11200


def test_a_status_callback_sends_no_cookies_and_keeps_none() -> None:
    app = Answering(setting("a=1; Path=/"), setting("b=2; Path=/"), Answer())
    phone = phone_of(app)
    phone.text("hello")
    phone.deliver_status()
    phone.text("again")

    assert [asked.cookie for asked in app.asked] == ["", "", "a=1"]


def test_replies_are_followed_by_their_statuses_if_a_url_asks_for_them() -> None:
    app = Answering(message("one"), Answer())
    reply = phone_of(app, status_callback="https://example.com/status").text("hello")
    _, sent, delivered = app.asked
    form = dict(sent.form)

    assert [reply.status for reply in reply.statuses] == [200, 200]
    assert (sent.path, form["MessageStatus"]) == ("/status", "sent")
    assert dict(delivered.form)["MessageStatus"] == "delivered"
    assert form["MessageSid"] == reply.sent[0].sid
    assert RequestValidator(TOKEN).validate(
        "https://example.com/status", form, sent.environ["HTTP_X_TWILIO_SIGNATURE"]
    )


def test_a_message_names_its_own_status_callback() -> None:
    app = Answering(
        Answer('<Response><Message statusCallback="done?a=1">x</Message></Response>'), Answer()
    )
    phone_of(app, webhook_url="https://example.com/bots/sms", statuses=["queued"]).text("hello")

    assert [(asked.path, asked.query) for asked in app.asked[1:]] == [("/bots/done", [("a", "1")])]
    assert forms(app)[1]["MessageStatus"] == "queued"


@pytest.mark.parametrize("url", ["ftp://x", "http://[bad", "https://example.com:99999/x"])
def test_an_invalid_status_callback_is_an_error_and_other_messages_are_still_reported(
    url: str,
) -> None:
    verbs = f'<Message statusCallback="{url}">one</Message><Message>two</Message>'
    app = Answering(Answer(f"<Response>{verbs}</Response>"), Answer("", None, "204 No Content"))
    reply = phone_of(app, status_callback="https://example.com/status").text("hello")

    assert (reply.messages, reply.errors) == (["one", "two"], [21609])
    assert [status.params["MessageSid"] for status in reply.statuses] == [reply.sent[1].sid] * 2


def test_without_a_url_no_status_is_posted() -> None:
    app = Answering(message("one"))

    assert phone_of(app).text("hello").statuses == []
    assert len(app.asked) == 1


def test_a_status_is_retried_as_its_url_says() -> None:
    app = Answering(Answer(status="503 Busy"), Answer())
    reply = phone_of(app).deliver_status(url="https://example.com/status#rp=5xx")

    assert (reply.error, len(app.asked)) == (None, 2)


@pytest.mark.parametrize("keyword", ["STOP", " unsubscribe "])
def test_a_keyword_is_delivered_to_the_app_all_the_same(keyword: str) -> None:
    app = Answering(message("bye"))
    reply = phone_of(app).text(keyword)

    assert ([blocked.body for blocked in reply.blocked], reply.messages) == (["bye"], [])
    assert forms(app)[0]["Body"] == keyword
