"""The counter demos count, on the simulator, in every framework alike."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from types import ModuleType

US = "+15550100099"

every_counter = pytest.mark.parametrize(
    "name", ["counter", "counter_flask", "counter_bottle", "counter_pyramid"]
)


def counter(name: str) -> ModuleType:
    return import_module(f"convostate.demo.{name}")


@every_counter
def test_a_counter_counts_the_texts_of_a_conversation(name: str) -> None:
    phone = TwilioSimulator(counter(name).app).phone("+15550100001", texting=US)

    replies = [phone.text("hello") for _ in range(3)]

    assert [reply.error for reply in replies] == [None] * 3
    assert [message for reply in replies for message in reply.messages] == [
        "You've sent 1 message in this conversation so far",
        "You've sent 2 messages in this conversation so far",
        "You've sent 3 messages in this conversation so far",
    ]


@every_counter
def test_two_numbers_do_not_see_each_others_count(name: str) -> None:
    twilio = TwilioSimulator(counter(name).app)
    ada, bob = (twilio.phone(number, texting=US) for number in ("+15550100001", "+15550100002"))

    ada.text("hello")

    assert bob.text("hello").messages == ["You've sent 1 message in this conversation so far"]
    assert ada.text("again").messages == ["You've sent 2 messages in this conversation so far"]


@every_counter
def test_a_counter_refuses_a_text_that_is_signed_with_another_token(name: str) -> None:
    phone = TwilioSimulator(counter(name).app, auth_token="another").phone(
        "+15550100001", texting=US
    )

    assert phone.text("hello").status == 403
