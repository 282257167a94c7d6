"""Whatever happens at the same moment, no state is lost and none comes back: 200 orders of each race.

Every run draws its order from its number, and its trace says what came first. What a text saw and what
is left in the end must be what one order of whole turns gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from twilio.base.exceptions import TwilioRestException

from convostate import ConversationExistsError, StoreError
from tests.conversing import PAIR, World, end_lease
from tests.interleaving import Killed, Schedule, StepwiseStore, stepwise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.stores import Store

pytestmark = pytest.mark.slow

RUNS = 200
OLD = {"step": "old"}
NEW = {"step": "new"}


@dataclass
class Race:
    """One run of a race, or what came of it.

    Attributes:
        old: What there was before: `OLD`, or None.
        seen: What the app had in its hands when it answered the text, without the text; None where
            it did not run.
        outcomes: What each thread returned or raised.
    """

    world: World
    schedule: Schedule
    store: Store
    old: dict[Any, Any] | None
    seen: dict[Any, Any] | None = None
    outcomes: dict[str, Any] | None = None

    def run(self, **functions: Callable[[], Any]) -> dict[str, Any]:
        """Run the threads, one step at a time."""
        self.outcomes = self.schedule.run(**functions)
        return self.outcomes

    def start(self, name: str = "new", **more: Any) -> Callable[[], Any]:
        """What starts the conversation."""
        return lambda: self.world.start({"step": name}, body=name, **more)

    def text(self) -> Any:
        """What texts "hi"."""
        return self.world.phone.text("hi")

    def let_lease_end(self) -> None:
        """Wait until the starting thread is dead, or done, and end its lease."""
        while not self.schedule.is_over("start"):
            self.schedule.point("waits")
        end_lease(self.store)
        self.schedule.let_go_of("start")

    def when(self, name: str, point: str) -> float:
        """When a thread reached a point."""
        return self.schedule.happened(name, point)

    def left(self) -> dict[Any, Any] | None:
        """The state in the end. Nobody holds the conversation any more."""
        with self.world.conversations.turn(**PAIR) as state:
            return None if state.is_new else dict(state)

    def sent(self) -> list[str]:
        """What arrived at the phone."""
        return [message.body for message in self.world.phone.inbox]


def races(store: Store, kill: tuple[str, str] | None = None) -> Iterator[Race]:
    """A race for each order, every other one with a conversation that goes on."""
    for seed in range(RUNS):
        schedule = Schedule(seed, kill)
        world = World(StepwiseStore(store, schedule))
        world.client.request = stepwise(world.client.request, schedule)
        world.conversations.forget(**PAIR)
        old = OLD if seed % 2 else None
        if old is not None:
            world.put(old)
        race = Race(world, schedule, store, old)

        def handle(state: Any, _: Any, race: Race = race) -> str:
            race.seen = dict(state)
            state["texts"] = [*state.get("texts", []), "hi"]
            return "answered"

        world.handle = handle
        yield race
        if kill is not None:
            store.close()  # a process that is killed takes its connections with it


def with_text(state: dict[Any, Any] | None) -> dict[Any, Any]:
    return {**(state or {}), "texts": ["hi"]}


def test_a_start_against_a_text(store: Store) -> None:
    orders = set()
    for race in races(store):
        done = race.run(start=race.start(), text=race.text)
        started_first = race.seen == NEW
        orders.add((started_first, (race.when("start", "sent") < race.when("text", "begin"))))

        assert done["text"].error is None
        assert done["start"].body == "new"
        assert race.sent() == ["new"]
        if started_first:
            assert race.left() == with_text(NEW)
        else:
            assert race.seen == (race.old or {})
            assert race.left() == NEW
        # who has the message in hand answers the message
        assert started_first or not (race.when("start", "sent") < race.when("text", "begin"))

    assert orders == {(True, True), (True, False), (False, False)}


def test_two_starts_that_replace(store: Store) -> None:
    winners = set()
    for race in races(store):
        done = race.run(one=race.start("one"), two=race.start("two"))
        last = "two" if race.when("one", "begun") < race.when("two", "begun") else "one"
        winners.add(last)

        assert [done[name].body for name in ("one", "two")] == ["one", "two"]
        assert race.sent() == (["one", "two"] if last == "two" else ["two", "one"])
        assert race.left() == {"step": last}

    assert winners == {"one", "two"}


def test_two_starts_that_refuse(store: Store) -> None:
    winners = set()
    for race in races(store):
        done = race.run(
            one=race.start("one", if_exists="refuse"), two=race.start("two", if_exists="refuse")
        )
        refused = {
            name for name, outcome in done.items() if isinstance(outcome, ConversationExistsError)
        }
        winners |= set(race.sent())

        assert race.left() == (race.old or {"step": race.sent()[0]})
        assert refused == {"one", "two"} - set(race.sent())
        assert len(race.sent()) == (0 if race.old else 1)

    assert winners == {"one", "two"}


def test_a_failed_send_while_the_person_writes(store: Store) -> None:
    orders = set()
    for race in races(store):
        race.world.simulator.refuse_sends(21211)
        done = race.run(start=race.start(), text=race.text)
        orders.add(race.when("start", "write") < race.when("text", "begin"))

        assert isinstance(done["start"], TwilioRestException)
        assert done["text"].error is None
        assert race.seen == (race.old or {})
        assert race.left() == with_text(race.old)
        assert race.sent() == []

    assert orders == {True, False}


def forgetting(race: Race) -> Callable[[], None]:
    return lambda: race.world.conversations.forget(**PAIR)


def test_forget_during_a_webhook(store: Store) -> None:
    outcomes = set()
    for race in races(store):
        done = race.run(text=race.text, forget=forgetting(race))
        erased = race.when("forget", "erased")
        assert done["forget"] is None

        if erased < race.when("text", "begun"):
            outcomes.add("before")
            assert (done["text"].status, race.seen) == (200, {})
            assert race.left() == with_text(None)
        elif erased < race.when("text", "committed"):
            outcomes.add("during")
            assert (done["text"].status, race.seen) == (503, race.old or {})
            assert race.left() is None
        else:
            outcomes.add("after")
            assert (done["text"].status, race.left()) == (200, None)
            race.seen = None
            race.world.phone.resend()
            assert race.seen == {}  # nor is the reply remembered

    assert outcomes == {"before", "during", "after"}


def test_forget_during_a_turn(store: Store) -> None:
    outcomes = set()
    for race in races(store):

        def turn(race: Race = race) -> None:
            with race.world.conversations.turn(**PAIR) as state:
                state["step"] = "turn"

        done = race.run(turn=turn, forget=forgetting(race))
        erased = race.when("forget", "erased")

        if erased < race.when("turn", "begun"):
            outcomes.add("before")
            assert (done["turn"], race.left()) == (None, {"step": "turn"})
        elif erased < race.when("turn", "committed"):
            outcomes.add("during")
            assert isinstance(done["turn"], StoreError)
            assert race.left() is None
        else:
            outcomes.add("after")
            assert (done["turn"], race.left()) == (None, None)

    assert outcomes == {"before", "during", "after"}


def test_forget_during_a_start(store: Store) -> None:
    outcomes = set()
    for race in races(store):
        done = race.run(start=race.start(), forget=forgetting(race))
        erased = race.when("forget", "erased")

        if erased < race.when("start", "begun"):
            outcomes.add("before")
            assert (race.sent(), race.left()) == (["new"], NEW)
        elif erased < race.when("start", "written"):
            outcomes.add("before the write")
            assert isinstance(done["start"], StoreError)
            assert (race.sent(), race.left()) == ([], None)
        else:
            outcomes.add("after the write")
            assert done["start"].body == "new"
            assert (race.sent(), race.left()) == (["new"], None)

    assert outcomes == {"before", "before the write", "after the write"}


@pytest.mark.parametrize(
    "point", ["send", "sent"], ids=["between write and send", "after the send"]
)
def test_a_worker_that_is_killed(store: Store, point: str) -> None:
    """The state is the one that goes with the message, whether or not it went out."""
    orders = set()
    for race in races(store, kill=("start", point)):
        done = race.run(start=race.start(), text=race.text, time=race.let_lease_end)
        started_first = race.seen == NEW
        orders.add(started_first)

        assert isinstance(done["start"], Killed)
        assert done["text"].error is None
        assert race.sent() == (["new"] if point == "sent" else [])
        if started_first:
            assert race.left() == with_text(NEW)
        else:
            assert race.seen == (race.old or {})
            assert race.left() == NEW

    assert orders == {True, False}


def test_a_worker_that_is_killed_before_its_write(store: Store) -> None:
    for race in races(store, kill=("start", "write")):
        done = race.run(start=race.start(), text=race.text, time=race.let_lease_end)

        assert isinstance(done["start"], Killed)
        assert race.seen == (race.old or {})
        assert race.left() == with_text(race.old)
        assert race.sent() == []
