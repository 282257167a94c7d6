"""Lifetimes on the simulator's clock, and message statuses, which never move them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, StateError, state_from
from convostate.testing import TwilioSimulator
from tests.served import ADA, BOB, TOKEN, US, counting, serve, settings, signed, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate import State
    from convostate.testing.phone import Phone

pytestmark = pytest.mark.usefixtures("both_doors")


def simulator(app: Any = counting, **changes: Any) -> TwilioSimulator:
    return TwilioSimulator(ConversationMiddleware(app, settings(**changes)), TOKEN)


def texting(app: Any = counting, **changes: Any) -> tuple[Phone, TwilioSimulator]:
    twilio = simulator(app, **changes)
    return twilio.phone(ADA, texting=US), twilio


def count(phone: Phone) -> int:
    """How many texts the app remembers with this one."""
    reply = phone.text("hello")
    assert reply.state is not None
    return int(reply.state["n"])


STORES = pytest.mark.parametrize("store", ["cookie", "memory"])


@STORES
@pytest.mark.parametrize(("lifetime", "before", "after"), [
    ("4h", {"hours": 3, "minutes": 59}, {"hours": 4, "minutes": 1}),
    ("4h", {"seconds": 14_399}, {"seconds": 14_400}),
    ("30m", {"minutes": 29}, {"minutes": 31}),
    ("30m", {"seconds": 1799}, {"seconds": 1800}),
    ("60s", {"seconds": 59}, {"seconds": 60}),
])  # fmt: skip
def test_a_state_is_there_for_its_lifetime_and_then_no_more(
    store: str, lifetime: str, before: dict[str, float], after: dict[str, float]
) -> None:
    phone, twilio = texting(store=store, lifetime=lifetime)
    assert count(phone) == 1

    twilio.clock.advance(**before)
    assert count(phone) == 2  # and the lifetime begins anew
    twilio.clock.advance(**before)
    assert count(phone) == 3
    twilio.clock.advance(**after)
    assert count(phone) == 1


def test_at_the_server_a_state_lives_for_30_days() -> None:
    phone, twilio = texting(store="memory", lifetime="30d")
    assert count(phone) == 1

    twilio.clock.advance(days=29.9)
    assert count(phone) == 2
    twilio.clock.advance(days=30.1)
    assert count(phone) == 1


@STORES
def test_the_app_may_let_one_conversation_end_sooner(store: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        state = state_from(environ)
        if state.pair.theirs == ADA:
            state.lifetime = timedelta(minutes=10)
        return counting(environ, start_response)

    twilio = simulator(app, store=store)
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    assert (count(ada), count(bob)) == (1, 1)

    twilio.clock.advance(minutes=9)
    assert (count(ada), count(bob)) == (2, 2)
    twilio.clock.advance(minutes=11)
    assert (count(ada), count(bob)) == (1, 3)


@STORES
def test_started_at_stays_and_expires_at_moves(store: str) -> None:
    phone, twilio = texting(store=store, lifetime="1h")
    start = twilio.clock.now()
    times = []
    for _ in range(3):
        state: Any = phone.text("hello").state
        times.append((state.started_at.timestamp() - start, state.expires_at.timestamp() - start))
        assert state.started_at.tzinfo is not None
        twilio.clock.advance(minutes=10)

    # As opened: the second turn sees what the first one set.
    assert times == [(0, 3600), (0, 3600), (0, 4200)]


@STORES
def test_a_status_of_an_error_does_not_move_the_expiry(store: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        failing = environ["convostate.webhook"].body == "fail"
        body = counting(environ, lambda *_: None)
        start_response("500 Oops" if failing else "200 OK", [("Content-Type", "text/xml")])
        return body

    phone, twilio = texting(app, store=store, lifetime="60m")
    phone.text("hello")
    twilio.clock.advance(minutes=40)
    assert phone.text("fail").status == 500
    twilio.clock.advance(minutes=25)

    assert phone.text("hello").state == {"n": 1}


def on_status(do: Callable[[State], object]) -> Any:
    """An app that counts texts, and does something else on a message status."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["convostate.webhook"].kind == "message":
            return counting(environ, start_response)
        do(state_from(environ))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"fine"]

    return app


WRITES: dict[str, Callable[[State], object]] = {
    "set": lambda state: state.update(delivered=True),
    "clear": lambda state: state.clear(),
    "end": lambda state: state.end(),
    "lifetime": lambda state: setattr(state, "lifetime", timedelta(minutes=1)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_message_status_is_read_only_in_cookie_mode_and_the_error_says_why(
    write: Callable[[State], object],
) -> None:
    phone, _ = texting(on_status(write))
    assert count(phone) == 1

    with pytest.raises(
        StateError, match=r"message status has no cookie jar.*CONVOSTATE_STORE=redis://"
    ):
        phone.deliver_status()
    assert count(phone) == 2


def test_a_message_status_may_look_in_cookie_mode_and_sets_nothing() -> None:
    phone, _ = texting(on_status(lambda state: state.get("n")))

    reply = phone.deliver_status()

    assert (reply.status, reply.headers.getlist("Set-Cookie")) == (200, [])
    assert reply.state == {}


def test_a_message_status_that_brings_a_cookie_all_the_same_writes_nothing() -> None:
    """Twilio keeps no cookies for statuses; whoever sends one along gains no newer state."""
    middleware = ConversationMiddleware(counting, settings())
    cookie = serve(middleware, signed()).cookie
    looking = ConversationMiddleware(on_status(lambda state: state.get("n")), settings())
    status = {**text(), "MessageStatus": "sent", "From": US, "To": ADA}

    served = serve(looking, signed(status, HTTP_COOKIE=f"convostate={cookie}"))

    assert (served.status, served.headers.getlist("Set-Cookie")) == (200, [])


def test_a_message_status_finds_the_conversation_at_the_server_and_may_write() -> None:
    phone, _ = texting(on_status(lambda state: state.update(delivered=state["n"])), store="memory")
    assert count(phone) == 1

    phone.deliver_status()

    assert phone.text("hello").state == {"n": 2, "delivered": 1}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_message_status_never_begins_a_conversation(write: Callable[[State], object]) -> None:
    phone, _ = texting(on_status(write), store="memory")

    with pytest.raises(StateError, match="a message status never begins a conversation"):
        phone.deliver_status()
    assert count(phone) == 1


def test_a_message_status_never_moves_the_expiry() -> None:
    phone, twilio = texting(
        on_status(lambda state: state.update(m=1)), store="memory", lifetime="1h"
    )
    phone.text("hello")
    twilio.clock.advance(minutes=40)
    phone.deliver_status()
    twilio.clock.advance(minutes=19)
    assert count(phone) == 2

    twilio.clock.advance(minutes=40)
    phone.deliver_status("sent")
    twilio.clock.advance(minutes=21)
    assert count(phone) == 1
