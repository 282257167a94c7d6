"""Texts that are answered later through frameworks whose session is the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi
import flask
import pytest
from twilio.rest import Client

from convostate import AsyncConversations, Conversations, asgi, state_from
from convostate.errors import StateError
from convostate.frameworks.flask import ConvoState
from convostate.stores import MemoryStore
from convostate.testing import TwilioSimulator
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, TOKEN, US, settings
from tests.deferring import client_for_asyncio

if TYPE_CHECKING:
    from convostate import Answering

SETTINGS = settings(defer_paths="/sms")
ANSWERED = {"texts": 1, "history": [["person", "hello"], ["bot", "hello yourself"]]}


def reply_to(turn: Answering) -> None:
    history = turn.state.setdefault("history", [])
    history += [["person", text.body] for text in turn.texts]
    turn.state["texts"] = turn.state.get("texts", 0) + len(turn.texts)
    turn.reply("hello yourself")
    history.append(["bot", "hello yourself"])


def test_a_flask_view_puts_its_text_off_and_what_it_writes_to_its_session_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    conversations = Conversations(SETTINGS, store=store, client=Client(ACCOUNT_SID, TOKEN))
    conversations.answers(reply_to)
    app = flask.Flask("later")
    ConvoState(app, SETTINGS, store=store)
    seen: list[Any] = []

    @app.post("/sms")
    def sms() -> str:
        seen.append(dict(flask.session))
        flask.session["x"] = 1
        conversations.answer_later(flask.request.environ)
        return "<Response/>"

    check(app, seen)
    assert (
        "dropped: this state is read-only: the texts of this path are answered later" in caplog.text
    )


def test_a_fastapi_route_puts_its_text_off_and_its_session_drops_what_it_takes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    conversations = AsyncConversations(SETTINGS, store=store, client=client_for_asyncio())

    @conversations.answers
    async def answer(turn: Answering) -> None:
        reply_to(turn)

    app = fastapi.FastAPI()
    app.add_middleware(asgi.ConversationMiddleware, settings=SETTINGS, store=store)
    seen: list[Any] = []

    @app.post("/sms")
    async def sms(request: fastapi.Request) -> fastapi.Response:
        seen.append(dict(request.session))
        request.session["x"] = 1
        with pytest.raises(StateError, match="read-only"):
            state_from(request.scope)["x"] = 1
        conversations.answer_later(request.scope)
        return fastapi.Response("<Response/>", media_type="text/xml")

    check(app, seen)
    assert "dropped: this state is read-only" in caplog.text


def check(app: Any, seen: list[Any]) -> None:
    twilio = TwilioSimulator(app, TOKEN, account_sid=ACCOUNT_SID)
    ada = twilio.phone(ADA, texting=US)
    assert ada.text("hello").messages == []
    assert [message.body for message in twilio.work()] == ["hello yourself"]
    assert ada.text("again").status == 200
    assert seen == [{}, ANSWERED]
