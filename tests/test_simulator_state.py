"""A test sets and reads the state of a conversation, on every store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.wsgi import WsgiToAsgi

from convostate import ConversationMiddleware, Keyring, Settings, StateError, UsageError, state_from
from convostate.asgi import ConversationMiddleware as AsgiMiddleware
from convostate.stores import CookieStore, MemoryStore, Store
from convostate.testing import TwilioSimulator
from convostate.testing.asgi import Exchange
from tests.answering import Answering
from tests.asgi_served import scope_of
from tests.listening import listening

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
TOKEN = "the-token"


def counting(environ: Any, start_response: Any) -> list[bytes]:
    state = environ["convostate.state"]
    state["n"] = state.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [f"<Response><Message>{state['n']}</Message></Response>".encode()]


def simulator(store: Store | None = None, **changes: Any) -> TwilioSimulator:
    settings = Settings(auth_token=TOKEN, keys=Keyring.generate(), **changes)
    return TwilioSimulator(ConversationMiddleware(counting, settings, store=store), TOKEN)


@pytest.fixture(params=["cookie", "memory", "redis"])
def any_store(request: pytest.FixtureRequest) -> Store:
    if request.param == "cookie":
        return CookieStore()
    if request.param == "memory":
        return MemoryStore()
    from convostate.stores import RedisStore

    client = request.getfixturevalue("redis")
    client.flushall()
    return RedisStore(client)


def test_e16_a_state_that_a_test_sets_is_the_app_s_next_one(any_store: Store) -> None:
    twilio = simulator(any_store)
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    ada.state = {"n": 41, "step": "confirm"}

    assert ada.state == {"n": 41, "step": "confirm"}
    assert bob.state is None
    assert ada.text("hello").messages == ["42"]
    assert (ada.state, bob.text("hello").messages) == ({"n": 42, "step": "confirm"}, ["1"])


def test_e16_none_ends_a_conversation_and_another_state_replaces_it(
    any_store: Store,
) -> None:
    ada = simulator(any_store).phone(ADA, texting=US)
    ada.text("hello")
    ada.state = {"other": True}
    assert ada.state == {"other": True}
    ada.state = None

    assert ada.state is None
    assert ada.text("hello").messages == ["1"]


def test_e16_reading_does_not_move_the_expiry_and_what_is_read_is_a_copy(any_store: Store) -> None:
    twilio = simulator(any_store)
    ada = twilio.phone(ADA, texting=US)
    ada.state = {"list": [1]}
    twilio.clock.advance(hours=3, minutes=59)
    read = ada.state
    assert read is not None
    read["list"].append(2)
    assert ada.state == {"list": [1]}
    twilio.clock.advance(minutes=2)

    assert ada.state is None


def test_e16_what_cannot_be_kept_cannot_be_set() -> None:
    ada = simulator().phone(ADA, texting=US)

    with pytest.raises(StateError, match=r"\$\.odd"):
        ada.state = {"odd": object()}
    assert ada.state is None


@pytest.mark.parametrize("value", [[("n", 1)], "n", 5])
def test_e16_a_state_is_a_dict(value: Any) -> None:
    ada = simulator().phone(ADA, texting=US)

    with pytest.raises(UsageError, match="a dict or None"):
        ada.state = value
    assert ada.state is None


def test_e16_a_path_that_is_not_guarded_hides_no_state() -> None:
    twilio = simulator(paths="/other")
    twilio.phone(ADA, texting=US).state = {"n": 1}

    assert twilio.phone(ADA, texting=US).state == {"n": 1}


@pytest.mark.parametrize("value", [{"n": 1}, None])
def test_e16_out_of_reach_it_says_why(value: dict[str, int] | None) -> None:
    bare = TwilioSimulator(Answering(), TOKEN).phone(ADA, texting=US)
    settings = Settings(auth_token="another", keys=Keyring.generate())
    stranger = TwilioSimulator(ConversationMiddleware(counting, settings), TOKEN).phone(ADA)

    with pytest.raises(UsageError, match="Wrap it"):
        bare.state = value
    with pytest.raises(UsageError, match="answered 403"):
        stranger.state = value
    with pytest.raises(UsageError, match="answered 403"):
        _ = stranger.state
    with listening(counting) as url, pytest.raises(UsageError, match="inside the server"):
        TwilioSimulator(url, TOKEN).phone(ADA, texting=US).state = value


def test_e16_seeding_gives_no_event() -> None:
    events: list[object] = []
    settings = Settings(auth_token=TOKEN, keys=Keyring.generate())
    app = ConversationMiddleware(counting, settings, on_turn=events.append)
    ada = TwilioSimulator(app, TOKEN).phone(ADA, texting=US)
    ada.state = {"n": 1}

    assert (ada.state, events) == ({"n": 1}, [])
    ada.text("hello")
    assert len(events) == 1


def test_e16_a_wsgi_app_inside_an_asgi_app_is_texted_and_its_state_set() -> None:
    app = ConversationMiddleware(counting, Settings(auth_token=TOKEN, keys=Keyring.generate()))
    in_asgi: Any = WsgiToAsgi(app)  # type: ignore[no-untyped-call]
    ada = TwilioSimulator(in_asgi, TOKEN).phone(ADA, texting=US)
    ada.state = {"n": 5}
    reply = ada.text("hello")

    assert (reply.messages, reply.state, ada.state) == (["6"], {"n": 6}, {"n": 6})
    ada.break_signature()
    assert ada.text("hello").status == 403


def test_e16_an_asgi_app_inside_a_wsgi_app_is_texted_and_its_state_set() -> None:
    async def count(scope: Any, _receive: Any, send: Any) -> None:
        state = state_from(scope)
        state["n"] = state.get("n", 0) + 1
        headers = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": str(state["n"]).encode()})

    inner = AsgiMiddleware(count, Settings(auth_token=TOKEN, keys=Keyring.generate()))

    def app(environ: Any, start_response: Any) -> list[bytes]:
        """An adapter such as a2wsgi's."""
        scope, body = scope_of(environ)
        exchange = Exchange(body)
        asyncio.run(inner(scope, exchange.receive, exchange.send))
        status, headers, body = exchange.response()
        start_response(f"{status} OK", list(headers))
        return [body]

    ada = TwilioSimulator(app, TOKEN).phone(ADA, texting=US)
    ada.state = {"n": 5}
    assert (ada.text("hello").messages, ada.state) == (["6"], {"n": 6})


def test_work_takes_conversations_or_nothing() -> None:
    twilio = simulator()

    assert twilio.work() == []
    with pytest.raises(UsageError, match="got str"):
        twilio.work("app:conversations")
