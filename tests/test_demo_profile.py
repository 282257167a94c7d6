"""The profile demo remembers a name, preferences and orders, as long as it is told to."""

from __future__ import annotations

import re

import pytest

from convostate.demo import profile
from convostate.testing import TwilioSimulator

US = "+15550100099"


def texts(twilio: TwilioSimulator, *bodies: str) -> list[str]:
    """Send texts from one phone, and return the one message that answers each."""
    phone = twilio.phone("+15550100001", texting=US)
    replies = [phone.text(body) for body in bodies]
    assert [reply.error for reply in replies] == [None] * len(bodies)
    return [message for reply in replies for message in reply.messages]


@pytest.fixture
def twilio() -> TwilioSimulator:
    return TwilioSimulator(profile.app)


def test_it_remembers_the_name_and_the_preferences(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "name Ada", "like jazz", "like tea", "like jazz") == [
        "Hello Ada.",
        "You like jazz.",
        "You like jazz, tea.",
        "You like jazz, tea.",
    ]


def test_it_lists_the_orders_with_their_times_and_the_total(twilio: TwilioSimulator) -> None:
    texts(twilio, "name Ada", "order 2 tea 3.50")
    twilio.clock.advance(minutes=30)
    (listed,) = texts(twilio, "order 1 apple cake 4", "orders")[1:]

    first, second = re.findall(r"^(\d\d):(\d\d) ", listed, re.MULTILINE)
    minutes = [60 * int(hour) + int(minute) for hour, minute in (first, second)]
    assert (minutes[1] - minutes[0]) % (24 * 60) == 30
    assert re.sub(r"\d\d:\d\d ", "", listed) == (
        "Ada's orders:\n2 tea at 3.50\n1 apple cake at 4\nTotal 11.00"
    )


def test_without_orders_the_total_is_zero(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "orders") == ["Your orders:\nTotal 0.00"]


def test_forget_me_ends_the_conversation(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "name Ada", "like jazz", "forget me", "like tea", "orders") == [
        "Hello Ada.",
        "You like jazz.",
        "Forgotten.",
        "You like tea.",
        "Your orders:\nTotal 0.00",
    ]


@pytest.mark.parametrize(
    "body", ["hello", "", "name", "name " + "A" * 21, "forget it", "order", "order 2 tea cheap",
             "order 2 tea NaN", "order ² tea 3.50", "order 2 tea 1e9", "order 1000 tea 1.00"],
)  # fmt: skip
def test_what_it_does_not_understand_it_answers_with_help(
    twilio: TwilioSimulator, body: str
) -> None:
    assert texts(twilio, body) == [profile.HELP]


def test_a_phone_that_writes_capitals_is_understood(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "Name  Ada ", "Forget Me") == ["Hello Ada.", "Forgotten."]


def test_what_somebody_texts_cannot_break_the_twiml(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "name <b>&</Message>\x01\x08\ufffe") == ["Hello <b>&</Message>."]


def test_the_longest_words_and_lists_fit_into_a_cookie(twilio: TwilioSimulator) -> None:
    word = "\N{GRINNING FACE}" * 18
    likes = [f"like {word}{n:02}" for n in range(profile.MAX_ITEMS + 2)]
    orders = [f"order 999 {word}{n:02} 99999.99" for n in range(profile.MAX_ITEMS + 1)]

    replies = texts(twilio, f"name {word}", *likes, *orders, "orders")

    assert replies[-2] == "That is all I can carry. Say: orders"
    assert replies[-1].count("\n") == profile.MAX_ITEMS + 1


def test_a_webhook_other_than_a_text_gets_an_empty_response(twilio: TwilioSimulator) -> None:
    reply = twilio.phone("+15550100001", texting=US).call()

    assert (reply.status, reply.messages) == (200, [])
