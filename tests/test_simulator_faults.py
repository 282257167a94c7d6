"""The simulator misbehaves when it is told to: lost cookies and replies, doubles, overlaps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from twilio.request_validator import RequestValidator

from convostate.errors import UsageError
from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, Asked, message

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
TOKEN = "the-token"


def counting(asked: Asked) -> Answer:
    """Count in a cookie, as apps without this package do."""
    n = int(asked.cookie.partition("=")[2] or 0) + 1
    return message(str(n), set_cookie=f"n={n}")


def phone_of(app: Any, number: str = ADA, url: str = "https://example.com/sms") -> Phone:
    return TwilioSimulator(app, TOKEN, url).phone(number, texting=US)


def bodies(app: Answering) -> list[str]:
    return [dict(asked.form)["Body"] for asked in app.asked]


def test_a_lost_cookie_is_gone() -> None:
    phone = phone_of(Answering(counting))
    phone.text("one")
    phone.lose_cookie()

    assert phone.text("two").messages == ["1"]
    assert phone.text("three").messages == ["2"]


def test_a_stale_cookie_is_the_one_before() -> None:
    phone = phone_of(Answering(counting))
    for _ in range(3):
        phone.text("hello")
    phone.stale_cookie()

    assert phone.text("hello").messages == ["3"]
    assert phone.text("hello").messages == ["4"]


def test_a_borrowed_cookie_is_that_of_the_other_phone() -> None:
    twilio = TwilioSimulator(Answering(counting), TOKEN)
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    for _ in range(3):
        ada.text("hello")
    bob.borrow_cookie(ada)

    assert bob.text("hello").messages == ["4"]
    assert ada.text("hello").messages == ["4"]


def test_a_cookie_can_be_forged() -> None:
    phone = phone_of(Answering(counting))
    phone.jar.put("n", "41")
    assert phone.text("hello").messages == ["42"]

    phone.jar.put("n", "98")
    assert phone.text("hello").messages == ["99"]
    assert phone.jar.values() == {"n": "99"}


def test_a_broken_signature_is_wrong_once() -> None:
    app = Answering()
    phone = phone_of(app)
    phone.break_signature()
    phone.text("one")
    phone.text("two")

    assert [
        RequestValidator(TOKEN).validate(
            "https://example.com/sms", dict(asked.form), asked.environ["HTTP_X_TWILIO_SIGNATURE"]
        )
        for asked in app.asked
    ] == [False, True]


def test_a_dropped_reply_is_an_error_although_the_app_has_run() -> None:
    app = Answering(counting)
    phone = phone_of(app)
    phone.drop_reply()
    reply = phone.text("one")

    assert (reply.messages, reply.error, reply.status) == ([], 11205, 0)
    assert (reply.body, list(reply.headers), reply.exception, reply.state) == (b"", [], None, None)
    assert len(app.asked) == 1
    assert phone.text("two").messages == ["1"]


def test_a_dropped_reply_is_requested_again_if_the_url_asks_for_retries() -> None:
    app = Answering(counting)
    phone = phone_of(app, url="https://example.com/sms#rc=2&rp=rt")
    phone.drop_reply(times=2)
    reply = phone.text("one")

    assert (reply.messages, reply.error) == (["1"], None)
    assert len({asked.token for asked in app.asked}) == 1
    assert len(app.asked) == 3


def test_a_text_can_be_delivered_twice_alike() -> None:
    app = Answering(counting)
    phone = phone_of(app)
    phone.text("one")
    reply = phone.text("two", deliveries=2)
    _, second, third = app.asked

    assert [each.messages for each in reply.deliveries] == [["2"], ["2"]]
    assert reply is reply.deliveries[-1]
    assert (second.form, second.token, second.cookie) == (third.form, third.token, third.cookie)


def test_a_text_is_delivered_once_by_default() -> None:
    app = Answering(counting)

    assert len(phone_of(app).text("one").deliveries) == len(app.asked) == 1


def test_phones_are_known_by_their_numbers() -> None:
    twilio = TwilioSimulator(Answering(), TOKEN)

    assert twilio.phone(ADA, texting=US) is twilio.phone(ADA, texting=US)
    assert twilio.phone(ADA, texting=US) is not twilio.phone(BOB, texting=US)
    assert repr(twilio.phone(ADA)) == f"Phone('{ADA}', texting='{US}')"


def test_a_text_that_is_never_delivered_is_refused() -> None:
    with pytest.raises(UsageError, match=r"deliveries=1 or more$"):
        phone_of(Answering()).text("one", deliveries=0)


def test_a_text_can_be_resent_later_with_the_cookies_of_then() -> None:
    app = Answering(counting)
    phone = phone_of(app)
    phone.text("one")

    assert phone.resend().messages == ["2"]
    assert app.asked[0].form == app.asked[1].form
    assert app.asked[0].token == app.asked[1].token


def test_there_is_nothing_to_resend_before_the_first_text() -> None:
    with pytest.raises(UsageError, match=r"Call text\(\) first$"):
        phone_of(Answering()).resend()


def test_reordered_texts_reach_the_app_last_one_first() -> None:
    app = Answering(counting)
    replies = phone_of(app).reorder("one", "two", "three")

    assert bodies(app) == ["three", "two", "one"]
    assert [reply.messages for reply in replies] == [["3"], ["2"], ["1"]]


def test_overlapping_texts_all_carry_the_cookies_of_before() -> None:
    app = Answering(counting)
    phone = phone_of(app)
    phone.text("hello")
    replies = phone.overlap("one", "two", "three")

    assert [reply.messages for reply in replies] == [["2"], ["2"], ["2"]]
    assert sorted(bodies(app)) == ["hello", "one", "three", "two"]


def test_overlapping_texts_are_in_the_app_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=30)  # seconds; reached only if they are one at a time

    def together(asked: Asked) -> Answer:
        meeting.wait()
        return message(dict(asked.form)["Body"])

    replies = phone_of(Answering(together)).overlap("one", "two", "three")

    assert [reply.messages for reply in replies] == [["one"], ["two"], ["three"]]


def test_of_overlapping_texts_the_last_ones_cookie_stays_whoever_was_faster() -> None:
    second_is_done = threading.Event()

    def slow_first(asked: Asked) -> Answer:
        body = dict(asked.form)["Body"]
        if body == "one":
            assert second_is_done.wait(30)  # seconds
        if body == "two":
            second_is_done.set()
        return message(asked.cookie, set_cookie=f"last={body}")

    phone = phone_of(Answering(slow_first))
    phone.overlap("one", "two")

    assert phone.text("three").messages == ["last=two"]


def test_several_phones_overlap() -> None:
    twilio = TwilioSimulator(Answering(counting), TOKEN)
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    ada.text("hello")

    assert [r.messages for r in twilio.overlap([(ada, "x"), (bob, "x")])] == [["2"], ["1"]]
    assert twilio.overlap([]) == []


def test_an_app_that_raises_in_an_overlap_is_heard() -> None:
    def failing(asked: Asked) -> Answer:
        if dict(asked.form)["Body"] == "two":
            raise RuntimeError("the second")
        return message("fine")

    with pytest.raises(RuntimeError, match="the second"):
        phone_of(Answering(failing)).overlap("one", "two", "three")
