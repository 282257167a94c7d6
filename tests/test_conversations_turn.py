"""A turn outside a webhook is a turn like a webhook's: the same state, the same lease."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from convostate import Conversations, State, StateError, StoreError, UsageError, Webhook
from tests.conversing import ADA, BOB, PAIR, US, World, end_lease, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.stores import Store

HERE_ALREADY = r"runs here already.*In its webhook use state_from\(environ\)"


def test_a_text_finds_what_a_turn_wrote_and_a_turn_what_a_text_wrote(world: World) -> None:
    with world.conversations.turn(**PAIR) as state:
        assert state.is_new
        state["step"] = "confirm"
    world.phone.text("yes")

    with world.conversations.turn(**PAIR) as state:
        assert not state.is_new
        assert state == {"step": "confirm", "log": ["yes"]}


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_nothing_is_written_when_the_block_raises(world: World, error: type[BaseException]) -> None:
    def turn() -> None:
        with world.conversations.turn(**PAIR) as state:
            state["step"] = 2
            raise error

    world.put({"step": 1})
    with pytest.raises(error):
        turn()

    assert world.peek() == {"step": 1}
    assert world.phone.text("next").error is None  # and the lease is free


@pytest.mark.parametrize("error", [None, ZeroDivisionError], ids=["kept", "raised"])
def test_after_the_turn_its_state_takes_no_writes(
    world: World, error: type[Exception] | None
) -> None:
    with (
        pytest.raises(error) if error else contextlib.nullcontext(),
        world.conversations.turn(**PAIR) as state,
    ):
        state["step"] = 1
        if error is not None:
            raise error

    with pytest.raises(UsageError, match="this change would be lost"):
        state["step"] = 2


def test_a_turn_that_writes_nothing_begins_nothing(world: World) -> None:
    with world.conversations.turn(**PAIR) as state:
        assert state == {}

    assert world.peek() is None


def test_an_ended_state_is_gone(world: World) -> None:
    world.put({"step": 1})

    with world.conversations.turn(**PAIR) as state:
        state.end()

    assert world.peek() is None
    assert world.sealed() is None


def test_a_turn_renews_the_lifetime_or_shortens_it(world: World) -> None:
    world.put({"step": 1})
    world.simulator.clock.advance(hours=3)
    with world.conversations.turn(**PAIR):
        pass
    world.simulator.clock.advance(hours=3)
    assert world.peek() == {"step": 1}

    with world.conversations.turn(**PAIR) as state:
        state.lifetime = timedelta(minutes=1)
    world.simulator.clock.advance(minutes=2)
    assert world.peek() is None


def test_what_cannot_be_kept_leaves_what_was_there(world: World) -> None:
    world.put({"step": 1})

    with (
        pytest.raises(StateError, match=r"\$\.what"),
        world.conversations.turn(**PAIR) as state,
    ):
        state["what"] = object()

    assert world.peek() == {"step": 1}


def test_a_text_waits_for_a_turn_and_sees_what_it_wrote(world: World) -> None:
    with ThreadPoolExecutor(1) as pool:
        with world.conversations.turn(**PAIR) as state:
            texting = pool.submit(world.phone.text, "yes")
            state["step"] = "confirm"
        reply = texting.result(timeout=60)

    assert reply.error is None
    assert world.peek() == {"step": "confirm", "log": ["yes"]}


def test_a_turn_waits_for_a_text_and_sees_what_it_wrote(world: World) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(state: State, _: Webhook) -> str:
        inside.set()
        assert go.wait(60)
        state["text"] = True
        return "done"

    def turn() -> dict[object, object]:
        with world.conversations.turn(**PAIR) as state:
            return dict(state)

    world.handle = slow
    with ThreadPoolExecutor(2) as pool:
        texting = pool.submit(world.phone.text, "hi")
        assert inside.wait(60)
        turning = pool.submit(turn)
        go.set()
        assert turning.result(timeout=60) == {"text": True}
        assert texting.result(timeout=60).error is None


def test_other_people_do_not_wait(world: World) -> None:
    with world.conversations.turn(**PAIR):
        assert world.simulator.phone(BOB, texting=US).text("hi").error is None
        with world.conversations.turn(ours=US, theirs=BOB) as other:
            assert other["log"] == ["hi"]


@pytest.mark.parametrize(
    "act",
    [
        lambda world: world.conversations.turn(**PAIR).__enter__(),
        lambda world: world.start({}),
        lambda world: world.conversations.end(**PAIR),
        lambda world: world.conversations.forget(**PAIR),
    ],
    ids=["turn", "start", "end", "forget"],
)
class TestInTheSameContext:
    """A second turn of the same conversation would wait for the first, which waits for it."""

    def test_not_in_its_webhook(self, world: World, act: Callable[[World], object]) -> None:
        def handle(_: State, __: Webhook) -> str:
            with pytest.raises(UsageError, match=HERE_ALREADY):
                act(world)
            return "refused"

        world.handle = handle

        assert world.phone.text("hi").messages == ["refused"]
        assert world.simulator.arrived == []

    def test_not_in_its_turn(self, world: World, act: Callable[[World], object]) -> None:
        with world.conversations.turn(**PAIR) as state:
            with pytest.raises(UsageError, match=HERE_ALREADY):
                act(world)
            state["step"] = 1

        assert world.peek() == {"step": 1}

    def test_but_in_anothers(self, world: World, act: Callable[[World], object]) -> None:
        def handle(state: State, _: Webhook) -> str:
            act(world)
            state["bob"] = True
            return "done"

        world.handle = handle

        assert world.simulator.phone(BOB, texting=US).text("hi").messages == ["done"]

    def test_and_afterwards(self, world: World, act: Callable[[World], object]) -> None:
        with pytest.raises(ZeroDivisionError), world.conversations.turn(**PAIR):
            raise ZeroDivisionError
        act(world)


def test_a_webhook_can_look_at_its_own_conversation(world: World) -> None:
    world.put({"step": 1})

    def handle(state: State, _: Webhook) -> str:
        state["step"] = 2
        return repr(world.peek())

    world.handle = handle

    assert world.phone.text("hi").messages == ["{'step': 1}"]


def test_what_a_webhook_leaves_behind_may_take_a_turn_once_it_is_over(world: World) -> None:
    contexts: list[contextvars.Context] = []

    def handle(_: State, __: Webhook) -> str:
        contexts.append(contextvars.copy_context())
        with pytest.raises(UsageError, match=HERE_ALREADY):
            contexts[0].run(world.put, {"step": "too early"})
        return "done"

    world.handle = handle

    assert world.phone.text("hi").messages == ["done"]
    contexts[0].run(world.put, {"step": "later"})
    assert world.peek() == {"step": "later"}


def test_a_block_in_a_generator_may_be_left_in_another_context(world: World) -> None:
    def steps() -> Iterator[None]:
        with world.conversations.turn(**PAIR) as state:
            state["step"] = 1
            yield

    generator = steps()
    contextvars.copy_context().run(lambda: next(generator))
    next(generator, None)
    world.put({"step": 2})

    assert world.peek() == {"step": 2}


def test_a_turn_that_outlasts_its_lease_writes_nothing(world: World) -> None:
    def turn() -> None:
        with world.conversations.turn(**PAIR) as state:
            state["step"] = 1
            end_lease(world.store)
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(world.phone.text, "hi").result(timeout=60).error is None

    with pytest.raises(StoreError) as lost:
        turn()

    assert lost.value.reason == "lost"
    assert world.peek() == {"log": ["hi"]}


def test_two_objects_of_one_store_are_one_house(store: Store) -> None:
    one, other = (Conversations(settings(), store=store) for _ in range(2))
    with one.turn(ours=US, theirs=ADA) as state:
        state["step"] = 1

    with other.turn(ours=US, theirs=ADA) as state:
        assert state == {"step": 1}
        with pytest.raises(UsageError, match=HERE_ALREADY):
            one.turn(ours=US, theirs=ADA).__enter__()
