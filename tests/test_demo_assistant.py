"""The assistant demos think longer than Twilio waits, and lose nothing meanwhile."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from convostate.demo import stand_in
from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from types import ModuleType

NAMES = ["assistant", "assistant_fastapi"]
US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"


@pytest.fixture(params=NAMES)
def demo(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A fresh one, whose model is fast."""
    monkeypatch.setattr(stand_in, "SECONDS", 0.0)
    name = f"convostate.demo.{request.param}"
    monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module(name)


@pytest.fixture
def twilio(demo: ModuleType) -> TwilioSimulator:
    """On a clock that is moved, without the workers that the demo starts."""
    twilio = TwilioSimulator(demo.app)
    assert twilio.work(demo.conversations) == []
    return twilio


def answers(twilio: TwilioSimulator) -> list[str]:
    """What is sent when the person has been silent for long enough."""
    twilio.clock.advance(seconds=1.5)
    return [message.body for message in twilio.work()]


def test_a_text_is_taken_at_once_and_answered_later(twilio: TwilioSimulator) -> None:
    ada = twilio.phone(ADA, texting=US)
    reply = ada.text("Why is the sky blue?")

    assert (reply.status, reply.messages, ada.inbox) == (200, [], [])
    assert answers(twilio) == ["You asked: Why is the sky blue?"]
    assert [message.body for message in ada.inbox] == ["You asked: Why is the sky blue?"]


def test_a_burst_is_answered_once_and_the_history_goes_on(twilio: TwilioSimulator) -> None:
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    for body in ("Hello", "I have a question", "why is grass green?"):
        ada.text(body)
        assert twilio.work() == []
        twilio.clock.advance(seconds=1)
    bob.text("Hello")

    assert answers(twilio) == [
        "You asked: Hello / I have a question / why is grass green?",
        "You asked: Hello",
    ]
    ada.text("And the sea?")
    assert answers(twilio) == [
        "You asked: And the sea? Before that: Hello / I have a question / why is grass green?"
    ]
    assert [len(state["history"]) for state in (ada.state, bob.state) if state] == [4, 2]


def test_what_twilio_answers_itself_is_not_answered_twice(twilio: TwilioSimulator) -> None:
    ada = twilio.phone(ADA, texting=US)
    ada.text("Hello")
    for word in ("HELP", "STOP", "START"):
        assert ada.text(word).status == 200
    assert ada.deliver_status("delivered").status == 200
    assert ada.call().status == 200

    assert answers(twilio) == []


def test_a_text_that_is_not_from_twilio_is_not_kept(twilio: TwilioSimulator) -> None:
    ada = twilio.phone(ADA, texting=US)
    ada.break_signature()

    assert ada.text("Hello").status == 403
    assert answers(twilio) == []


def test_a_history_that_is_too_long_loses_its_oldest_exchange(
    demo: ModuleType, twilio: TwilioSimulator
) -> None:
    ada = twilio.phone(ADA, texting=US)
    bound = demo.settings.max_state_bytes
    long = [{"role": role, "content": "x" * (bound // 2 - 500)} for role in ("user", "assistant")]
    ada.state = {"history": long}
    ada.text("short " * 200)

    assert answers(twilio)[0].startswith("You asked: short short")
    assert ada.state is not None
    assert [message["content"][:9] for message in ada.state["history"]] == [
        "short sho",
        "You asked",
    ]
