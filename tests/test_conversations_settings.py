"""Conversations needs a store that remembers, and says so at once."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from convostate import Conversations, ConvostateError, UsageError
from convostate.stores import CookieStore, MemoryStore, RedisStore
from tests.conversing import ADA, KEY, PAIR, TOKEN, US, World, settings

if TYPE_CHECKING:
    from redis import Redis

NEEDS_A_SERVER = "a cookie comes and goes with a text.*Set CONVOSTATE_STORE=redis://"


def test_the_cookie_store_will_not_do() -> None:
    with pytest.raises(UsageError, match=NEEDS_A_SERVER):
        Conversations(settings(store="cookie"))
    with pytest.raises(UsageError, match=NEEDS_A_SERVER):
        Conversations(settings(), store=CookieStore())


def test_without_settings_they_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=NEEDS_A_SERVER):
        Conversations()

    monkeypatch.setenv("CONVOSTATE_STORE", "redis://127.0.0.1:1/0")
    conversations = Conversations()

    assert type(conversations.store) is RedisStore
    assert conversations.settings.store == "redis://127.0.0.1:1/0"


def test_a_memory_store_that_is_not_shared_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Conversations\(store=middleware\.store\)"):
        Conversations(settings(store="memory"))

    store = MemoryStore()
    assert Conversations(settings(store="memory"), store=store).store is store


def test_the_middlewares_store_is_the_one_to_share(world: World) -> None:
    conversations = Conversations(world.middleware.settings, store=world.middleware.store)
    conversations.start(world.client, to=ADA, from_=US, body="hi", state={"step": 1})

    assert world.phone.text("yes").messages == ["{'step': 1, 'log': ['yes']}"]


def test_a_store_of_ones_own_counts_before_the_setting() -> None:
    store = MemoryStore()

    assert Conversations(settings(store="cookie"), store=store).store is store


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match="Set CONVOSTATE_INDEX_KEY"):
        Conversations(
            settings(store="cookie", keys=f"{KEY},GPnE2vWrk5AtH7MJvs9NcoDxTZ4bUYqRLw3XhKe8gF0"),
            store=MemoryStore(),
        )


def test_what_is_printed_names_no_person(world: World, redis: Redis) -> None:
    printed = [repr(world.conversations), repr(RedisStore(redis))]
    world.put({"body": "secret"})
    printed.append(repr(world.conversations.peek(**PAIR)))
    for wrong in (
        lambda: world.start({}, if_exists="refuse"),
        lambda: world.start({}, if_exists="secret"),
        lambda: world.start({"body": object()}),
        lambda: world.start({}, to=f" {ADA}"),
        lambda: world.start({}, to=ADA[1:]),
        lambda: world.start({}, from_=None),
        lambda: world.conversations.turn(ours=f"{US} ", theirs=ADA).__enter__(),
    ):
        with pytest.raises(ConvostateError) as raised:
            wrong()
        printed.append("".join(traceback.format_exception_only(raised.value)))

    for secret in (ADA[3:], US[3:], TOKEN, KEY, "secret", "hello"):
        assert [text for text in printed if secret in text] == []


def test_a_test_can_move_the_clock_of_an_apps_conversations(world: World) -> None:
    conversations = Conversations(world.settings, store=world.store)  # as an app makes them
    world.simulator.clock.advance(hours=5)
    start: dict[str, Any] = {"to": ADA, "from_": US, "body": "hello", "state": {"step": 1}}

    conversations.start(world.client, **start)
    assert world.phone.text("yes").messages == ["{'log': ['yes']}"]  # it began five hours ago

    conversations.clock = world.simulator.clock
    conversations.start(world.client, **start)
    assert world.phone.text("yes").messages == ["{'step': 1, 'log': ['yes']}"]


@pytest.mark.parametrize("ends", [{"ours": "15550100099"}, {"theirs": "555-010-0001"}])
def test_a_number_as_people_dial_it_names_no_conversation(
    ends: dict[str, str], world: World
) -> None:
    conversations = Conversations(world.middleware.settings, store=world.middleware.store)

    with pytest.raises(UsageError, match=r"not spelled as in webhooks.*E\.164"):
        conversations.forget(**{"ours": US, "theirs": ADA, **ends})
    conversations.forget(ours=US, theirs="83629")  # a short code is spelled so


@pytest.mark.parametrize("given", ["x", {"store": "memory"}, MemoryStore()])
def test_an_object_other_than_settings_is_refused_with_advice(given: Any) -> None:
    with pytest.raises(
        UsageError, match=r"settings must be Settings, got .*\. Write Settings\(auth_token="
    ):
        Conversations(given)


class Halfway:
    """Has only some of what a store has."""

    server_side = True
    most_bytes = None

    def begin(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("given", [object(), "memory", MemoryStore, Halfway()])
def test_an_object_other_than_a_store_is_refused_with_advice(given: Any) -> None:
    with pytest.raises(UsageError, match=r"Derive it from convostate\.stores\.Store$"):
        Conversations(settings(), store=given)


def test_a_store_that_is_not_derived_is_taken() -> None:
    class Theirs:
        """Hands everything on."""

        def __init__(self) -> None:
            self._store = MemoryStore()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

    theirs: Any = Theirs()
    conversations = Conversations(settings(), store=theirs)
    with conversations.turn(**PAIR) as state:
        state["step"] = 1
    assert conversations.peek(**PAIR) == {"step": 1}


@pytest.mark.parametrize("missing", ["ours", "theirs"])
def test_a_turn_with_one_end_alone_is_refused(missing: str) -> None:
    conversations = Conversations(settings(), store=MemoryStore())
    one_end = {name: value for name, value in PAIR.items() if name != missing}

    with pytest.raises(UsageError, match=f"{missing} is not an address"):
        conversations.turn(**one_end).__enter__()
