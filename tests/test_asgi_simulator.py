"""The simulator plays Twilio to ASGI apps in this process, as it does to WSGI apps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from convostate import Settings, state_from
from convostate.asgi import ConversationMiddleware
from convostate.demo import counter_fastapi, counter_starlette
from convostate.testing import TwilioSimulator
from tests.served import ADA, KEY, TOKEN

SETTINGS = Settings(auth_token=TOKEN, keys=KEY)


def answer(body: bytes) -> list[dict[str, Any]]:
    headers = [(b"content-type", b"text/xml")]
    return [
        {"type": "http.response.start", "status": 200, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


async def count(scope: Any, _receive: Any, send: Any) -> None:
    state = state_from(scope)
    state["n"] = state.get("n", 0) + 1
    for message in answer(f"<Response><Message>{state['n']}</Message></Response>".encode()):
        await send(message)


@pytest.mark.parametrize(
    "app", [counter_fastapi.app, counter_starlette.app], ids=["FastAPI", "Starlette"]
)
def test_the_demos_count(app: Any) -> None:
    phone = TwilioSimulator(app).phone("+15550100001")
    assert phone.text("hi").messages == ["You've sent 1 message in this conversation so far"]
    reply = phone.text("hi")
    assert reply.messages == ["You've sent 2 messages in this conversation so far"]
    assert reply.state == {"messagecount": 2}


@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_a_conversation_ends_with_the_clock_that_the_test_moves(store: str) -> None:
    settings = Settings(auth_token=TOKEN, keys=KEY, store=store)
    twilio = TwilioSimulator(ConversationMiddleware(count, settings), auth_token=TOKEN)
    phone = twilio.phone("+15550100001")
    assert phone.text("hi").messages == ["1"]
    twilio.clock.advance(hours=3)
    assert phone.text("hi").messages == ["2"]
    twilio.clock.advance(hours=4, minutes=1)
    assert phone.text("hi").messages == ["1"]


@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_e16_a_state_can_be_seeded(store: str) -> None:
    settings = Settings(auth_token=TOKEN, keys=KEY, store=store)
    phone = TwilioSimulator(ConversationMiddleware(count, settings), auth_token=TOKEN).phone("+15550100001")  # fmt: skip
    phone.state = {"n": 41}
    assert phone.text("hi").messages == ["42"]


def test_texts_at_the_same_moment_run_side_by_side_and_in_order() -> None:
    settings = Settings(auth_token=TOKEN, keys=KEY, store="memory")
    phone = TwilioSimulator(ConversationMiddleware(count, settings), auth_token=TOKEN).phone("+15550100001")  # fmt: skip
    replies = phone.overlap("one", "two", "three")
    assert sorted(reply.messages[0] for reply in replies) == ["1", "2", "3"]


def test_a_repeated_delivery_is_answered_from_the_record() -> None:
    settings = Settings(auth_token=TOKEN, keys=KEY, store="memory")
    phone = TwilioSimulator(ConversationMiddleware(count, settings), auth_token=TOKEN).phone("+15550100001")  # fmt: skip
    reply = phone.text("hi", deliveries=2)
    assert [delivery.messages for delivery in reply.deliveries] == [["1"], ["1"]]


def test_a_wrong_signature_is_refused() -> None:
    phone = TwilioSimulator(ConversationMiddleware(count, SETTINGS), auth_token=TOKEN).phone("+15550100001")  # fmt: skip
    phone.break_signature()
    assert phone.text("hi").status == 403


def test_a_header_s_name_may_have_capitals_as_django_s_has() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        state_from(scope)["seen"] = True
        start, body = answer(b"<Response><Message>hi</Message></Response>")
        start["headers"] = [(name.title(), value) for name, value in start["headers"]]
        for message in (start, body):
            await send(message)

    reply = TwilioSimulator(ConversationMiddleware(app, SETTINGS), TOKEN).phone(ADA).text("hi")
    assert reply.messages == ["hi"]
    assert reply.state == {"seen": True}


def test_an_exception_comes_out_of_the_call() -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("the app's own")

    app = ConversationMiddleware(broken, SETTINGS)
    with pytest.raises(RuntimeError, match="the app's own"):
        TwilioSimulator(app, auth_token=TOKEN).phone("+15550100001").text("hi")
    lenient = TwilioSimulator(app, auth_token=TOKEN, raise_app_errors=False)
    assert lenient.phone("+15550100001").text("hi").status == 500


def test_an_app_that_exits_ends_its_request_and_no_other() -> None:
    left = [SystemExit, KeyboardInterrupt]

    async def leaving(*args: Any) -> None:
        if left:
            raise left.pop()
        await count(*args)

    phone = TwilioSimulator(ConversationMiddleware(leaving, SETTINGS), auth_token=TOKEN).phone(ADA)
    for error in list(left)[::-1]:
        with pytest.raises(error):
            phone.text("hi")
    assert phone.text("hi").messages == ["1"]


BREAKS = {
    "a body before start": [{"type": "http.response.body", "body": b""}],
    "two starts": [*answer(b"")[:1], *answer(b"")],
    "a message that was not offered": [{"type": "http.response.push", "path": "/", "headers": []}],
}


@pytest.mark.parametrize("messages", BREAKS.values(), ids=BREAKS)
def test_an_app_that_breaks_the_specification_gets_an_error(messages: list[dict[str, Any]]) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    with pytest.raises(AssertionError):
        TwilioSimulator(app, auth_token=TOKEN).phone("+15550100001").text("hi")


def test_the_lifespan_runs_once_around_all_requests() -> None:
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(scope["type"])
        if scope["type"] == "http":
            await count(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    twilio = TwilioSimulator(ConversationMiddleware(app, SETTINGS), auth_token=TOKEN)
    phone = twilio.phone("+15550100001")
    phone.text("hi")
    phone.text("hi")
    assert events == ["lifespan", "http", "http"]


def test_an_app_that_does_not_start_says_so() -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        TwilioSimulator(app, auth_token=TOKEN)


def test_the_app_s_middleware_stays_as_it_was() -> None:
    middleware = ConversationMiddleware(count, SETTINGS)
    TwilioSimulator(middleware, auth_token=TOKEN).phone("+15550100001").text("hi")
    assert middleware.app is count
    assert asyncio.iscoroutinefunction(middleware.app)
