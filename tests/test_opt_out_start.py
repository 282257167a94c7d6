"""STOP ends the conversation and keeps the app from writing first, until START."""

from __future__ import annotations

import pytest
from twilio.base.exceptions import TwilioRestException

from convostate import OptedOutError, State, Webhook
from tests.conversing import ADA, BOB, CLAIM, PAIR, US, World

STOPS = ["STOP", "stop", " Stop\n", "StopAll", "unsubscribe", "CANCEL", "end", "Quit", "optout", "revoke"]  # fmt: skip
NO_STOPS = ["stop it", "please stop", "stop.", "s top", "no", "", "help"]


def seen_by_twilio(world: World) -> str:
    """What Twilio itself says to a message to Ada."""
    try:
        world.client.messages.create(to=ADA, from_=US, body="direct")
    except TwilioRestException as error:
        return str(error.code)
    return "sent"


@pytest.mark.parametrize("word", STOPS)
def test_stop_ends_the_conversation_and_blocks_start(world: World, word: str) -> None:
    states: list[dict[object, object]] = []

    def handle(state: State, webhook: Webhook) -> None:
        states.append(dict(state))
        assert webhook.opt_out_type == "STOP"
        state["written"] = "in vain"

    world.put({"step": 1})
    world.handle = handle
    world.phone.text(word)

    assert states == [{"step": 1}]  # the app saw it once more
    assert world.peek() is None
    with pytest.raises(OptedOutError, match="STOP"):
        world.start({"step": 2})
    assert world.peek() is None
    assert world.simulator.arrived == []
    assert seen_by_twilio(world) == "21610"  # as Twilio would have said


@pytest.mark.parametrize("word", NO_STOPS)
def test_another_word_does_neither(world: World, word: str) -> None:
    world.put({"step": 1})
    world.phone.text(word)

    assert world.peek() == {"step": 1, "log": [word]}
    assert world.start({"step": 2}).body == "hello"


def test_yes_is_an_answer_and_lifts_nothing(world: World) -> None:
    kinds: list[str | None] = []

    def handle(_: State, webhook: Webhook) -> None:
        kinds.append(webhook.opt_out_type)

    world.handle = handle
    world.phone.text("STOP")
    world.phone.text("yes")

    assert kinds == ["STOP", None]
    with pytest.raises(OptedOutError):
        world.start({"step": 2})


@pytest.mark.parametrize("word", ["START", "unstop", " start "])
def test_start_lifts_it(world: World, word: str) -> None:
    world.phone.text("STOP")
    world.phone.text(word)
    world.start({"step": 2})

    assert world.peek() == {"step": 2}


def test_help_changes_nothing(world: World) -> None:
    world.put({"step": 1})
    world.phone.text("HELP")
    world.start(if_exists="keep")

    assert world.peek() == {"step": 1, "log": ["HELP"]}


def test_advanced_opt_out_knows_other_words(world: World) -> None:
    world.put({"step": 1})
    world.phone.text("Arrêtez", OptOutType="STOP")
    assert world.peek() is None
    with pytest.raises(OptedOutError):
        world.start({"step": 2})

    world.phone.text("Commencez", OptOutType="START")
    world.start({"step": 2})
    assert world.peek() == {"step": 2}


@pytest.mark.parametrize("if_exists", ["replace", "keep"])
def test_p10_a_stop_that_keeps_the_conversation_keeps_start_usable(
    world: World, if_exists: str
) -> None:
    keeping = World(world.store, on_opt_out="keep")
    keeping.phone.text("hi")
    keeping.phone.text("STOP")

    assert keeping.peek() == {"log": ["hi", "STOP"]}
    with pytest.raises(TwilioRestException, match="unsubscribed"):  # asked, not kept from asking
        keeping.start({"step": 2}, if_exists=if_exists)

    ending = World(world.store)  # the STOP is remembered all the same
    with pytest.raises(OptedOutError):
        ending.start({"step": 3}, if_exists=if_exists)


def test_it_is_between_these_two_addresses_only(world: World) -> None:
    world.phone.text("STOP")
    world.start({"step": 1}, to=BOB)
    world.start({"step": 1}, from_="+15550100098")

    assert [message.body for message in world.simulator.arrived] == ["hello", "hello"]


def test_forget_and_later_texts_do_not_lift_it(world: World) -> None:
    world.phone.text("STOP")
    world.phone.text("by the way")
    world.conversations.forget(**PAIR)

    with pytest.raises(OptedOutError):
        world.start({"step": 2})


def test_a_stop_that_the_app_failed_on_is_remembered_by_twilio_alone(world: World) -> None:
    """A reply of 400 or more is discarded, with all that its turn did."""

    def fail(_: State, __: Webhook) -> None:
        raise ZeroDivisionError

    world.handle = fail
    with pytest.raises(ZeroDivisionError):
        world.phone.text("STOP")

    with pytest.raises(TwilioRestException) as refused:
        world.start({"step": 2})
    assert refused.value.code == 21610
    assert world.peek() is None


def test_the_app_may_still_look_after_the_state(world: World) -> None:
    world.put({"step": 1})
    world.phone.text("STOP")

    with world.conversations.turn(**PAIR) as state:
        state["note"] = "asked to stop"
    assert world.peek() == {"note": "asked to stop"}


def test_a_stop_is_remembered_for_thirty_days(world: World, request: pytest.FixtureRequest) -> None:
    world.phone.text("STOP")
    if request.node.callspec.params["store"] == "redis":
        redis = request.getfixturevalue("redis")
        left_s = redis.ttl(f"cs1:{{{CLAIM.name}}}o")
        assert 30 * 24 * 3600 - 60 < left_s <= 30 * 24 * 3600
        return
    world.simulator.clock.advance(days=29, hours=23)
    with pytest.raises(OptedOutError):
        world.start({"step": 2})
    world.simulator.clock.advance(hours=1)
    with pytest.raises(TwilioRestException):  # but Twilio's own list has no end
        world.start({"step": 2})
