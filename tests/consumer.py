"""A program that uses the package as the docs do: type checkers judge it against the wheel."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from bottle import Bottle
from flask import Flask, Response, request
from pyramid.config import Configurator
from redis import Redis

import convostate
from convostate import (
    Answering,
    ConversationExistsError,
    ConversationMiddleware,
    Conversations,
    ConvostateError,
    Keyring,
    OptedOutError,
    PhonePair,
    RequestError,
    SealError,
    Settings,
    State,
    StateError,
    StoreError,
    UsageError,
    Webhook,
    state_from,
    webhook_from,
)
from convostate.frameworks.bottle import ConversationPlugin
from convostate.frameworks.flask import ConvoState
from convostate.frameworks.paste import main as paste_filter
from convostate.stores import CookieStore, MemoryStore, RedisStore, Store
from convostate.testing import SignedClient, StoreContract, TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from twilio.rest import Client

    from convostate.events import TurnEvent

logger = logging.getLogger(__name__)
settings = Settings(
    auth_token="an example",
    account_tokens={"AC" + "0" * 32: ["one", "another"]},
    keys=Keyring.generate(),
    lifetime="30m",
    paths="/sms,/voice/*",
    on_outage="empty",
)
shorter = Settings(
    shared_keys="id=secret", keys=[Keyring.generate()], lifetime=timedelta(minutes=5)
)


def observe(event: TurnEvent) -> None:
    """Watch the turns, as a hook does."""
    took_ms: float = event.total_ms
    logger.info("%s %s took %s ms", event.kind, event.outcome, took_ms)


def sms(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a text, as a WSGI app does."""
    state: State = state_from(environ)
    webhook: Webhook = webhook_from(environ)
    if webhook.kind == "message" and webhook.opt_out_type is None:
        state["texts"] = state.get("texts", 0) + 1
    state.lifetime = timedelta(minutes=10)
    if state.lost is not None:
        reason: str = state.lost.reason
        logger.info("a fresh state: %s", reason)
    pair: PhonePair = state.pair
    until: datetime = state.expires_at
    if webhook.body == f"bye {pair.ours}" or until < state.started_at:
        state.end()
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [b"<Response/>"]


wrapped = ConversationMiddleware(sms, settings, on_turn=observe)
stores: list[Store] = [
    CookieStore(),
    MemoryStore(max_waiting=4),
    RedisStore(Redis()),
    RedisStore(lambda: Redis(host="localhost")),
    RedisStore.from_url("redis://localhost"),
]
app = Flask(__name__)
ConvoState(app, settings, on_turn=observe)
bot = Bottle()
bot.install(ConversationPlugin())
with Configurator(settings={"convostate.session": True}) as config:
    config.include("convostate.frameworks.pyramid")
filtered = paste_filter(sms, {}, paths="/sms")


@app.post("/sms")
def answer() -> Response:
    """Answer a text, as a Flask view does."""
    state = state_from(request.environ)
    n = state["texts"] = state.get("texts", 0) + 1
    return Response(f"<Response><Message>{n}</Message></Response>", content_type="text/xml")


def remind(client: Client, number: str) -> str | None:
    """Write first, and look into the conversation."""
    conversations = Conversations(settings, store=wrapped.store, on_turn=observe)
    who = {"ours": "+15550100099", "theirs": number}
    try:
        message = conversations.start(
            client, to=number, from_="+15550100099", body="Still coming?", state={"step": "confirm"},
            if_exists="refuse", status_callback="https://example.com/status",
        )  # fmt: skip
        with conversations.turn(**who) as state:
            state["sid"] = message.sid
    except (ConversationExistsError, OptedOutError):
        return None
    except StoreError as error:
        return error.reason
    except (RequestError, SealError, StateError, UsageError):
        raise
    except ConvostateError as error:
        return str(error)
    kept: State | None = conversations.peek(**who)
    conversations.end(**who)
    conversations.forget(**who)
    return None if kept is None else str(kept["sid"])


def answer_later(environ: WSGIEnvironment, conversations: Conversations) -> None:
    """Texts that a worker answers."""

    @conversations.answers
    def answer(turn: Answering) -> None:
        seen: list[str] = turn.state.setdefault("seen", [])
        seen += [text.body for text in turn.texts]
        turn.reply(f"{turn.pair}: {len(seen)}", media_url=["https://example.com/a.png"])

    conversations.answer_later(environ)
    workers = conversations.start_workers(4)
    waiting: int = conversations.backlog(ours="+15550100099", theirs="+15550100001").texts
    reasons: list[str] = [letter.reason for _, letter in conversations.dead_letters(retry=True)]
    workers.stop(grace_s=waiting + len(reasons))


def test_the_second_text_is_number_two() -> None:
    app.test_client_class = SignedClient
    SignedClient(app).set_state({"texts": 1})
    simulator = TwilioSimulator(app, "an example", webhook_url="https://example.com/sms")
    phone = simulator.phone("+15550100001", texting="+15550100099")
    phone.text("hi", media=("https://example.com/a.png",), deliveries=2)
    simulator.clock.advance(hours=1)
    reply = phone.text("hi again")
    status: int = reply.status
    texts: list[str] = reply.messages
    assert (status, texts, reply.error) == (200, ["2"], None)


class TestMyStore(StoreContract):
    """Judges a store of their own."""

    wait_s = 1.5

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        with closing(MyStore(max_waiting=self.max_waiting)) as store:
            yield store


class MyStore(MemoryStore):
    """A store of their own."""


everything: list[str] = convostate.__all__
