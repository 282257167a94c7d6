"""Who has sent STOP hears nothing more of the app: the simulator does what Twilio does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, message

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA = "+15550100099", "+15550100001"


def phone_of(number: str = ADA, texting: str = US) -> Phone:
    app = Answering(*[message("from the app")] * 9)
    return TwilioSimulator(app, "the-token").phone(number, texting=texting)


STOPS = ["STOP", " stop ", "StopAll", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"]


@pytest.mark.parametrize("word", STOPS)
def test_p11_no_reply_reaches_a_person_who_has_opted_out(word: str) -> None:
    ada = phone_of()
    stopped, later = ada.text(word), ada.text("hello?")

    assert (stopped.messages, later.messages) == ([], [])
    assert [blocked.body for blocked in (*stopped.blocked, *later.blocked)] == ["from the app"] * 2
    assert (stopped.status, stopped.error, ada.opted_out) == (200, None, True)
    assert "unsubscribed" in stopped.from_twilio
    assert later.from_twilio == ""


@pytest.mark.parametrize("word", ["stop it", "please stop", "STOP.", "no", ""])
def test_p11_another_text_is_answered_by_the_app(word: str) -> None:
    ada = phone_of()
    reply = ada.text(word)

    assert (reply.messages, reply.blocked, reply.from_twilio) == (["from the app"], [], "")


@pytest.mark.parametrize("word", ["START", "yes", "unstop"])
def test_p11_a_start_without_a_stop_is_a_text_like_any_other(word: str) -> None:
    reply = phone_of().text(word)

    assert (reply.messages, reply.from_twilio) == (["from the app"], "")


@pytest.mark.parametrize("word", ["START", "yes", "unstop"])
def test_p11_a_start_lets_the_app_s_replies_through_again(word: str) -> None:
    ada = phone_of()
    ada.text("STOP")
    reply = ada.text(word)

    assert (reply.messages, ada.opted_out) == (["from the app"], False)
    assert "re-subscribed" in reply.from_twilio


def test_p11_a_help_is_answered_by_twilio_and_by_the_app_unless_a_stop_stands() -> None:
    ada = phone_of()
    helped = ada.text("help")
    ada.text("STOP")
    silent = ada.text("HELP")

    assert helped.messages == ["from the app"]
    assert helped.from_twilio.startswith("Reply STOP")
    assert (silent.messages, silent.from_twilio) == ([], "")


def test_p11_a_stop_is_between_one_person_and_one_number() -> None:
    twilio = TwilioSimulator(Answering(*[message("hi")] * 4), "the-token")
    twilio.phone(ADA, texting=US).text("STOP")

    assert twilio.phone(ADA, texting="+15550100098").text("hello").messages == ["hi"]
    assert twilio.phone("+15550100002", texting=US).text("hello").messages == ["hi"]


@pytest.mark.parametrize("channel", ["whatsapp:", "messenger:"])
def test_p10_a_word_on_another_channel_is_not_a_keyword_unless_twilio_says_so(channel: str) -> None:
    ada = phone_of(channel + ADA, channel + US)
    said = ada.text("STOP")
    declared = ada.text("arrêt", OptOutType="STOP")

    assert (said.messages, declared.messages) == (["from the app"], [])
    assert ada.opted_out


def test_p10_a_stop_on_rcs_counts_on_sms_as_well() -> None:
    twilio = TwilioSimulator(Answering(*[message("hi")] * 4), "the-token")
    rcs = twilio.phone(f"rcs:{ADA}", texting=f"rcs:{US}")
    rcs.text("stop")

    assert rcs.text("hello").messages == []
    assert twilio.phone(ADA, texting=US).text("hello").messages == []


@pytest.mark.parametrize("prefix", ["whatsapp:", "rcs:", ""])
def test_p10_a_button_is_never_a_keyword(prefix: str) -> None:
    ada = phone_of(prefix + ADA, prefix + US)
    reply = ada.tap("Cancel", payload="cancel_42")

    assert (reply.messages, ada.opted_out) == (["from the app"], False)
    assert reply.params["ButtonPayload"] == "cancel_42"
    assert (reply.params["ButtonText"], reply.params["Body"]) == ("Cancel", "Cancel")


def test_p11_a_status_callback_reports_only_what_was_sent() -> None:
    asked: list[str] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        asked.append(environ["PATH_INFO"])
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b'<Response><Message statusCallback="/status">bye</Message></Response>']

    ada = TwilioSimulator(app, "the-token").phone(ADA, texting=US)
    ada.text("STOP")
    assert asked == ["/sms"]
    ada.text("START")
    assert asked == ["/sms", "/sms", "/status", "/status"]


def test_p11_what_a_reply_sends_to_somebody_else_is_not_blocked() -> None:
    forward = Answer('<Response><Message to="+15550100002">out</Message></Response>', "text/xml")
    twilio = TwilioSimulator(Answering(forward), "the-token")
    reply = twilio.phone(ADA, texting=US).text("STOP")

    assert [each.body for each in twilio.phone("+15550100002", texting=US).inbox] == ["out"]
    assert reply.blocked == []
