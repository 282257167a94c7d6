"""What becomes of a message finds the conversation that it started, and never begins or prolongs one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, State, StateError, Webhook, state_from
from convostate.testing import TwilioSimulator
from tests.conversing import ADA, BOB, PAIR, TOKEN, US, World, settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

STATUS_URL = "https://example.com/status"


def note(state: State, webhook: Webhook) -> str | None:
    """Note a delivery where there is a conversation, and answer texts with the state."""
    if webhook.kind != "message-status":
        return repr(dict(state))
    if not state.is_new:
        state[webhook.params["MessageStatus"]] = True
    return None


@pytest.fixture
def world(world: World) -> World:
    world.handle = note
    return world


def errors(replies: list[Any]) -> list[Any]:
    return [reply.error for reply in replies]


def test_a_delivery_is_noted_in_the_conversation_of_its_message(world: World) -> None:
    world.start({"step": "confirm"}, status_callback=STATUS_URL)
    replies = world.simulator.deliver_statuses()

    assert errors(replies) == [None, None]
    assert world.peek() == {"step": "confirm", "sent": True, "delivered": True}
    assert world.phone.text("yes").messages == [repr(world.peek())]


def test_twilio_swaps_the_addresses_there(world: World) -> None:
    seen: list[tuple[str, str, str]] = []

    def handle(state: State, webhook: Webhook) -> None:
        assert webhook.pair == state.pair
        seen.append((webhook.kind, webhook.params["From"], state.pair.ours))

    world.handle = handle
    world.start({"step": 1}, status_callback=STATUS_URL)
    world.simulator.deliver_statuses()
    world.phone.text("yes")

    assert seen == [("message-status", US, US)] * 2 + [("message", ADA, US)]


def test_it_never_moves_the_expiry(world: World) -> None:
    world.start({"step": 1}, status_callback=STATUS_URL)
    began = world.conversations.peek(**PAIR)
    assert began is not None
    world.simulator.clock.advance(hours=3)
    world.simulator.deliver_statuses()
    noted = world.conversations.peek(**PAIR)
    assert noted is not None

    assert noted["delivered"]
    assert (noted.started_at, noted.expires_at) == (began.started_at, began.expires_at)
    world.simulator.clock.advance(minutes=59, seconds=59)
    assert world.peek() is not None
    world.simulator.clock.advance(seconds=1)
    assert world.peek() is None


def test_a_text_does(world: World) -> None:
    world.start({"step": 1})
    world.simulator.clock.advance(hours=3)
    world.phone.text("yes")
    world.simulator.clock.advance(hours=3)

    assert world.peek() == {"step": 1}


def test_it_never_begins_a_conversation(world: World) -> None:
    replies = [world.phone.deliver_status(status, url=STATUS_URL) for status in ("sent", "read")]

    assert errors(replies) == [None, None]
    assert world.sealed() is None


def test_nor_one_that_has_ended(world: World) -> None:
    world.start({"step": 1}, status_callback=STATUS_URL)
    world.conversations.end(**PAIR)
    replies = world.simulator.deliver_statuses()

    assert errors(replies) == [None, None]
    assert world.sealed() is None


def test_writing_without_a_conversation_is_an_error_that_says_so(world: World) -> None:
    def write(state: State, _: Webhook) -> None:
        state["delivered"] = True

    world.handle = write

    with pytest.raises(StateError, match=r"never begins a conversation.*state\.is_new is false"):
        world.phone.deliver_status(url=STATUS_URL)
    assert world.sealed() is None


def test_it_may_end_the_conversation(world: World) -> None:
    def handle(state: State, webhook: Webhook) -> None:
        if webhook.params.get("MessageStatus") == "failed":
            state.end()

    world.handle = handle
    world.start({"step": 1}, status_callback=STATUS_URL)
    world.simulator.deliver_statuses()
    assert world.peek() == {"step": 1}

    world.phone.deliver_status("failed", world.phone.inbox[0])
    assert world.peek() is None


def test_a_status_belongs_to_no_other_conversation(world: World) -> None:
    world.simulator.phone(BOB, texting=US).deliver_status(url=STATUS_URL)
    world.start({"step": 1})
    world.simulator.phone(BOB, texting=US).deliver_status(url=STATUS_URL)

    assert world.peek() == {"step": 1}
    assert world.conversations.peek(ours=US, theirs=BOB) is None


def test_one_that_is_faster_than_the_answer_waits_for_the_start(world: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        with world.simulator.hold_sends() as sends:
            starting = pool.submit(world.start, {"step": 1}, status_callback=STATUS_URL)
            sends.wait()
            telling = pool.submit(world.simulator.deliver_statuses)
        assert errors(telling.result(timeout=60)) == [None, None]
        starting.result(timeout=60)

    assert world.peek() == {"step": 1, "sent": True, "delivered": True}


def test_a_repeated_one_runs_once(world: World) -> None:
    world.start({"told": 0}, status_callback=STATUS_URL)

    def count(state: State, _: Webhook) -> None:
        state["told"] += 1

    world.handle = count
    [message] = world.phone.inbox
    world.phone.deliver_status("delivered", message)
    world.phone.deliver_status("delivered", message)
    world.phone.deliver_status("read", message)

    assert world.peek() == {"told": 2}


def test_with_the_cookie_store_it_can_write_nothing() -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        state = state_from(environ)
        state["delivered"] = True
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>"]

    wrapped = ConversationMiddleware(app, settings(store="cookie"))
    phone = TwilioSimulator(wrapped, TOKEN).phone(ADA, texting=US)

    assert phone.text("hi").error is None
    with pytest.raises(StateError, match=r"no cookie jar.*CONVOSTATE_STORE"):
        phone.deliver_status()
