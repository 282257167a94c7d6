"""The reminder writes first, and knows what the answer is about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from convostate import OptedOutError
from convostate.demo import reminder
from convostate.stores import MemoryStore
from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from redis import Redis

US, ADA = "+15550100099", "+15550100001"
QUESTION = "Your appointment is tomorrow at 9:00. Reply yes to confirm or no to reschedule."


@pytest.fixture
def twilio() -> TwilioSimulator:
    twilio = TwilioSimulator(reminder.app)
    reminder.conversations.forget(ours=US, theirs=ADA, account_sid=twilio.account_sid)
    return twilio


def remind(twilio: TwilioSimulator, **more: str) -> str:
    return reminder.start(twilio.rest_client(), to=ADA, from_=US, **more)


def texts(twilio: TwilioSimulator, *bodies: str) -> list[str]:
    """Send texts, and return the one message that answers each."""
    phone = twilio.phone(ADA, texting=US)
    replies = [phone.text(body) for body in bodies]
    assert [reply.error for reply in replies] == [None] * len(bodies)
    return [message for reply in replies for message in reply.messages]


def test_the_reminder_arrives_and_yes_confirms(twilio: TwilioSimulator) -> None:
    sid = remind(twilio)
    [message] = twilio.phone(ADA, texting=US).inbox

    assert (message.sid, message.body) == (sid, QUESTION)
    assert texts(twilio, "yes", "when?") == [
        "Confirmed: tomorrow at 9:00. See you then.",
        "You are expected tomorrow at 9:00.",
    ]


def test_no_reschedules(twilio: TwilioSimulator) -> None:
    remind(twilio, when="on Monday at 8:00")

    assert texts(twilio, " No ", "Friday\nat  10", "YES") == [
        "When would suit you instead?",
        "Your appointment is Friday at 10. Reply yes to confirm or no to reschedule.",
        "Confirmed: Friday at 10. See you then.",
    ]


@pytest.mark.parametrize("body", ["maybe", "", "yes please", "no!"])
def test_another_answer_is_asked_again(twilio: TwilioSimulator, body: str) -> None:
    remind(twilio)

    assert texts(twilio, body, "yes") == [
        "Please reply yes or no, or a time.",
        "Confirmed: tomorrow at 9:00. See you then.",
    ]


def test_who_was_not_reminded_has_no_appointment(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "yes") == ["You have no appointment."]


def test_a_delivery_is_noted(twilio: TwilioSimulator) -> None:
    remind(twilio, status_callback="https://example.com/sms")
    assert [reply.error for reply in twilio.deliver_statuses()] == [None, None]
    state = reminder.conversations.peek(ours=US, theirs=ADA, account_sid=twilio.account_sid)

    assert state is not None
    assert state["delivered"] is True
    assert texts(twilio, "yes") == ["Confirmed: tomorrow at 9:00. See you then."]


def test_a_delivery_of_nothing_begins_nothing(twilio: TwilioSimulator) -> None:
    reply = twilio.phone(ADA, texting=US).deliver_status("delivered")

    assert reply.error is None
    assert texts(twilio, "yes") == ["You have no appointment."]


def test_who_said_stop_is_not_reminded_until_start(twilio: TwilioSimulator) -> None:
    assert texts(twilio, "STOP") == []  # Twilio answers that itself
    with pytest.raises(OptedOutError):
        remind(twilio)
    assert texts(twilio, "START") == []
    remind(twilio)

    assert texts(twilio, "yes") == ["Confirmed: tomorrow at 9:00. See you then."]


def test_what_somebody_texts_cannot_break_the_twiml(twilio: TwilioSimulator) -> None:
    remind(twilio)
    [_, question] = texts(twilio, "no", "<b>&\x01\x08\ufffe 9:00")

    assert question.startswith("Your appointment is <b>& 9:00. Reply")


def test_the_demo_keeps_its_state_in_memory_if_cookies_cannot_hold_it() -> None:
    assert reminder.settings.store == "memory"
    assert isinstance(reminder.app.store, MemoryStore)
    assert reminder.conversations.store is reminder.app.store


def chat(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("convostate"), "chat", *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_chat_can_have_the_app_write_first() -> None:
    done = chat("convostate.demo.reminder:app", "--start", "yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"< {QUESTION}",
        "> yes",
        "< Confirmed: tomorrow at 9:00. See you then.",
    ]


def test_and_prints_it_as_json() -> None:
    done = chat("convostate.demo.reminder:app", "--start", "--json", "no")
    first, second = map(json.loads, done.stdout.splitlines())

    assert first == {"from": US, "to": ADA, "messages": [QUESTION]}
    assert second["messages"] == ["When would suit you instead?"]


def test_with_redis_the_same(redis: Redis) -> None:
    redis.flushall()
    port = redis.connection_pool.connection_kwargs["port"]
    done = chat(
        "convostate.demo.reminder:app", "--start", "yes",
        CONVOSTATE_STORE=f"redis://127.0.0.1:{port}/0",
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("< Confirmed: tomorrow at 9:00. See you then.\n")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("convostate.demo.counter:app", r"Write start(client, *, to, from_), as in convostate.demo.reminder"),
        ("http://127.0.0.1:1/sms", "Leave out --start"),
    ],
)  # fmt: skip
def test_an_app_that_cannot_write_first_says_so(target: str, says: str) -> None:
    done = chat(target, "--start", "yes")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("convostate: ")
    assert says in done.stderr
