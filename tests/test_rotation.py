"""Keys and tokens change while servers with the settings before and after each step run side by side."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, Conversations, Settings, UsageError
from convostate.demo.counter import count
from convostate.stores import RedisStore
from convostate.testing import TwilioSimulator
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, BOB, US
from tests.documentation import section
from tests.served import KEY as OLD
from tests.served import OTHER_KEY as NEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from redis import Redis

    from convostate.stores import Store
    from convostate.testing.phone import Phone

TOKEN, NEW_TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "1e2d3c4b5a69788796a5b4c3d2e1f00f"
Variables = dict[str, str]


def steps(title: str, words: dict[str, str]) -> list[Variables]:
    """The variables of each step, from the table after a title."""
    table = section("rotation", title).partition("\n|")[2].partition("\n\n")[0].rstrip()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")]
    names = [name.strip("`") for name in lines[0]]
    spelled = re.compile("|".join(words))
    return [
        {
            name: spelled.sub(lambda word: words[word[0]], value.strip("`"))
            for name, value in zip(names, line, strict=True)
            if name.isupper() and value
        }
        for line in lines[2:]
    ]


KEYS = steps("A sealing key", {"OLD": OLD, "NEW": NEW})
TOKENS = steps("The auth token", {"OLD": TOKEN, "NEW": NEW_TOKEN})
SHARED = steps("A shared key", {"OLD": TOKEN, "NEW": NEW_TOKEN})


class Fleet:
    """Servers that share what their store shares; `turn_to` says which of them is asked next.

    Args:
        client: Where their Redis is, or None for the cookie store.
    """

    def __init__(self, client: Redis | None) -> None:
        self.client = client
        self.server: Any = None

    def settings(self, variables: Variables) -> Settings:
        given = {"TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_ACCOUNT_SID": ACCOUNT_SID, **variables}
        if self.client is None:
            given.pop("CONVOSTATE_INDEX_KEY", None)
            return Settings.from_environ(given)
        return Settings.from_environ({**given, "CONVOSTATE_STORE": "redis://127.0.0.1"})

    def store(self) -> Store | None:
        return None if self.client is None else RedisStore(self.client)

    def turn_to(self, variables: Variables) -> None:
        self.server = ConversationMiddleware(count, self.settings(variables), store=self.store())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = self.server(environ, start_response)
        return answer


@pytest.fixture(params=["cookie", "redis"])
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    if request.param == "cookie":
        yield Fleet(None)
        return
    client = request.getfixturevalue("redis")
    client.flushall()
    yield Fleet(client)
    client.connection_pool.disconnect()


@pytest.fixture
def simulator(fleet: Fleet) -> TwilioSimulator:
    return TwilioSimulator(fleet, TOKEN)


def texts_of(phone: Phone) -> int:
    """What the app has counted once this text is in."""
    reply = phone.text("hello")
    assert reply.status == 200, reply
    found = re.search(r"\d+", reply.messages[0])
    assert found
    return int(found[0])


def test_a_key_rotates_in_three_steps() -> None:
    assert [step["CONVOSTATE_KEYS"] for step in KEYS] == [OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW]
    assert [step.get("CONVOSTATE_INDEX_KEY") for step in KEYS] == [None, OLD, OLD, OLD]


def test_a_sealing_key_rotates_on_a_mixed_fleet_and_no_conversation_is_lost(
    fleet: Fleet, simulator: TwilioSimulator
) -> None:
    phone = simulator.phone(ADA, texting=US)
    counted, expected = [], 0
    for before, after in pairwise(KEYS):
        if after is KEYS[-1]:  # the old key goes one lifetime after it has sealed the last time
            for _ in range(2):
                simulator.clock.advance(hours=2)
                counted.append(texts_of(phone))
                expected += 1
        for server in (before, after, before, after, after, before):
            fleet.turn_to(server)
            counted.append(texts_of(phone))
            expected += 1

    assert counted == list(range(1, expected + 1))


def test_a_key_that_seals_before_all_servers_know_it_loses_conversations(
    fleet: Fleet, simulator: TwilioSimulator
) -> None:
    phone = simulator.phone(ADA, texting=US)
    fleet.turn_to(KEYS[2])
    assert [texts_of(phone), texts_of(phone)] == [1, 2]

    fleet.turn_to(KEYS[0])

    assert texts_of(phone) == 1


def test_a_key_that_is_removed_before_a_lifetime_is_over_loses_conversations(
    fleet: Fleet, simulator: TwilioSimulator
) -> None:
    phone = simulator.phone(ADA, texting=US)
    fleet.turn_to(KEYS[1])
    assert [texts_of(phone), texts_of(phone)] == [1, 2]

    fleet.turn_to(KEYS[3])

    assert texts_of(phone) == 1


@pytest.mark.parametrize("step", range(1, len(KEYS) - 1))
def test_a_text_that_is_delivered_again_to_a_server_of_the_next_step_runs_once(
    step: int, redis: Redis
) -> None:
    redis.flushall()
    fleet = Fleet(redis)
    phone = TwilioSimulator(fleet, TOKEN).phone(ADA, texting=US)
    for first, second in ((step - 1, step), (step, step - 1)):
        fleet.turn_to(KEYS[first])
        reply = phone.text(f"hello from {first}")
        fleet.turn_to(KEYS[second])
        assert phone.resend().body == reply.body
    assert texts_of(phone) == 3


@pytest.mark.parametrize(
    ("begins", "answers"),
    [pair for step in pairwise(range(len(KEYS))) for pair in (step, step[::-1])],
)
def test_what_the_app_begins_on_one_server_is_found_on_the_other(
    begins: int, answers: int, redis: Redis
) -> None:
    redis.flushall()
    fleet = Fleet(redis)
    simulator = TwilioSimulator(fleet, TOKEN)
    conversations = Conversations(
        fleet.settings(KEYS[begins]), store=fleet.store(), clock=simulator.clock
    )
    with conversations.turn(ours=US, theirs=BOB) as state:
        state["messagecount"] = 41

    fleet.turn_to(KEYS[answers])

    assert texts_of(simulator.phone(BOB, texting=US)) == 42


def test_two_keys_at_the_server_without_an_index_key_do_not_start(redis: Redis) -> None:
    with pytest.raises(UsageError, match="Set CONVOSTATE_INDEX_KEY to the key you had before"):
        Fleet(redis).turn_to({"CONVOSTATE_KEYS": KEYS[1]["CONVOSTATE_KEYS"]})


def test_an_index_key_that_changes_loses_conversations(redis: Redis) -> None:
    redis.flushall()
    fleet = Fleet(redis)
    phone = TwilioSimulator(fleet, TOKEN).phone(ADA, texting=US)
    fleet.turn_to(KEYS[2])
    assert texts_of(phone) == 1

    fleet.turn_to({**KEYS[2], "CONVOSTATE_INDEX_KEY": NEW})

    assert texts_of(phone) == 1


def signing(fleet: Fleet, before: TwilioSimulator | None, **how: Any) -> TwilioSimulator:
    """A Twilio that signs in another way, at the time at which the one before is."""
    return TwilioSimulator(fleet, clock=before.clock if before else None, **how)


TWILIO_SIGNS: dict[str, tuple[list[Variables], dict[str, Any], dict[str, Any]]] = {
    "auth token": (TOKENS, {"auth_token": TOKEN}, {"auth_token": NEW_TOKEN}),
    "shared key": (SHARED, {"shared_key": ("k1", TOKEN)}, {"shared_key": ("k2", NEW_TOKEN)}),
}


@pytest.mark.parametrize(("table", "old", "new"), TWILIO_SIGNS.values(), ids=TWILIO_SIGNS)
def test_what_twilio_signs_with_rotates_and_no_webhook_is_refused(
    table: list[Variables], old: Any, new: Any, redis: Redis
) -> None:
    redis.flushall()
    fleet = Fleet(redis)
    before = signing(fleet, None, **old)
    after = signing(fleet, before, **new)
    first, both, last = ({"CONVOSTATE_KEYS": OLD, **step} for step in table)
    counted = []
    for server, twilio in (
        *((server, before) for server in (first, both, first, both)),
        *((both, twilio) for twilio in (before, after)),  # the moment when Twilio switches
        *((server, after) for server in (both, last, both, last)),
    ):
        fleet.turn_to(server)
        counted.append(texts_of(twilio.phone(ADA, texting=US)))

    assert counted == list(range(1, 11))


@pytest.mark.parametrize(("table", "old", "new"), TWILIO_SIGNS.values(), ids=TWILIO_SIGNS)
def test_what_twilio_signs_with_is_refused_before_it_is_listed_and_after(
    table: list[Variables], old: Any, new: Any, fleet: Fleet
) -> None:
    for step, how in ((table[0], new), (table[-1], old)):
        fleet.turn_to({"CONVOSTATE_KEYS": OLD, **step})
        assert signing(fleet, None, **how).phone(ADA, texting=US).text("hello").status == 403
