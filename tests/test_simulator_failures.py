"""What the simulator does when a webhook fails: retries, the fallback URL, a password."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from twilio.request_validator import RequestValidator

from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, Asked, message, setting

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA = "+15550100099", "+15550100001"
TOKEN = "the-token"
OOPS, GONE = Answer(status="500 Oops"), Answer(status="410 Gone")
FALLBACK = "https://example.com/fallback"


def phone_of(app: Answering, url: str = "https://example.com/sms", **options: Any) -> Phone:
    return TwilioSimulator(app, TOKEN, url, **options).phone(ADA, texting=US)


def test_by_default_an_error_status_is_not_retried() -> None:
    app = Answering(OOPS, message("late"))

    assert phone_of(app).text("hello").error == 11200
    assert len(app.asked) == 1


@pytest.mark.parametrize(
    ("fragment", "failure", "requests"),
    [
        ("rp=5xx", OOPS, 2),
        ("rc=3&rp=5xx", OOPS, 4),
        ("rc=9&rp=5xx", OOPS, 6),
        ("rc=0&rp=all", OOPS, 1),
        ("rc=2&rp=4xx", OOPS, 1),
        ("rc=2&rp=4xx", GONE, 3),
        ("rc=2&rp=4xx,5xx", GONE, 3),
        ("rc=2&rp=all", GONE, 3),
        ("rc=2", GONE, 1),
        ("rc=many&rp=5xx", OOPS, 2),
    ],
)
def test_the_urls_fragment_says_what_is_retried_and_how_often(
    fragment: str, failure: Answer, requests: int
) -> None:
    app = Answering(failure)

    assert phone_of(app, f"https://example.com/sms#{fragment}").text("hello").error == 11200
    assert len(app.asked) == requests


def test_a_retry_is_the_same_request_with_the_same_idempotency_token() -> None:
    app = Answering(OOPS, message("there"))
    reply = phone_of(app, "https://example.com/sms#rp=5xx").text("hello")
    first, second = app.asked

    assert (reply.messages, reply.error) == (["there"], None)
    assert (first.form, first.token) == (second.form, second.token)
    assert RequestValidator(TOKEN).validate(
        "https://example.com/sms", dict(first.form), first.environ["HTTP_X_TWILIO_SIGNATURE"]
    )


def test_the_fragment_is_never_sent() -> None:
    app = Answering()
    phone_of(app, "https://example.com/sms?a=1#rc=2&rp=5xx").text("hello")

    assert app.asked[0].environ["REQUEST_URI"] == "/sms?a=1"


@pytest.mark.parametrize(
    ("failure", "code"),
    [(OOPS, "11200"), (Answer("hello"), "12100"), (Answer(content_type=None), "12300")],
)
def test_the_fallback_url_gets_the_error_and_answers_instead(failure: Answer, code: str) -> None:
    app = Answering(setting("a=1; Path=/"), failure, message("we are sorry"))
    phone = phone_of(app, fallback_url=FALLBACK)
    phone.text("one")
    reply = phone.text("two")
    _, failed, asked = app.asked

    assert (reply.messages, reply.error) == (["we are sorry"], int(code))
    assert asked.path == "/fallback"
    assert asked.form == [
        *failed.form,
        ("ErrorCode", code),
        ("ErrorUrl", "https://example.com/sms"),
    ]
    assert (failed.cookie, asked.cookie) == ("a=1", "")


def test_a_webhook_that_works_leaves_the_fallback_url_alone() -> None:
    app = Answering(message("fine"))

    assert phone_of(app, fallback_url=FALLBACK).text("hello").messages == ["fine"]
    assert len(app.asked) == 1


def test_a_fallback_that_fails_as_well_is_the_end() -> None:
    app = Answering(OOPS, Answer("hello"))
    reply = phone_of(app, fallback_url=FALLBACK).text("hello")

    assert (reply.error, reply.errors) == (11200, [11200, 12100])
    assert len(app.asked) == 2


def test_what_was_sent_before_a_later_document_failed_stays_sent() -> None:
    first = Answer("<Response><Message>one</Message><Redirect>/next</Redirect></Response>")
    app = Answering(first, OOPS, message("sorry"))
    reply = phone_of(app, fallback_url=FALLBACK).text("hello")

    assert reply.messages == ["one", "sorry"]
    assert dict(app.asked[2].form)["ErrorUrl"] == "https://example.com/next"


def asking_for_a_password(asked: Asked) -> Answer:
    credentials = base64.b64encode(b"user:pa ss").decode()
    if asked.environ.get("HTTP_AUTHORIZATION") == f"Basic {credentials}":
        return message("come in")
    return Answer(status="401 Unauthorized", headers=(("WWW-Authenticate", 'Basic realm="sms"'),))


def test_a_password_is_sent_when_it_is_asked_for_and_is_never_signed() -> None:
    app = Answering(asking_for_a_password)
    reply = phone_of(app, "https://user:pa%20ss@example.com/sms").text("hello")
    first, second = app.asked

    assert reply.messages == ["come in"]
    assert "HTTP_AUTHORIZATION" not in first.environ
    assert (first.form, first.token) == (second.form, second.token)
    assert RequestValidator(TOKEN).validate(
        "https://example.com/sms", dict(second.form), second.environ["HTTP_X_TWILIO_SIGNATURE"]
    )


def test_without_a_password_a_401_is_an_error() -> None:
    app = Answering(asking_for_a_password)

    assert phone_of(app).text("hello").error == 11200
    assert len(app.asked) == 1


def test_a_wrong_password_is_not_tried_twice() -> None:
    app = Answering(asking_for_a_password)

    assert phone_of(app, "https://user:wrong@example.com/sms").text("hello").error == 11200
    assert len(app.asked) == 2
