"""A bot that thinks longer than Twilio waits: it stores texts at once, and answers them later, together.

With the memory store the answers run in this process. With CONVOSTATE_STORE=redis://… they run in others:
``convostate work convostate.demo.assistant:conversations``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from twilio.rest import Client

from convostate import ConversationMiddleware, Conversations, Settings, webhook_from
from convostate.demo.stand_in import think

if TYPE_CHECKING:
    from convostate import Answering

DEFAULTS = {
    "CONVOSTATE_STORE": "memory",
    "CONVOSTATE_DEFER_PATHS": "/sms",
    "CONVOSTATE_BURST": "1.5s",
    "CONVOSTATE_TRIM": "history:2",
}
settings = Settings.from_environ(DEFAULTS | os.environ)


def client_of(account_sid: str) -> Client:
    """The Twilio client of an account."""
    return Client(account_sid, os.environ["TWILIO_AUTH_TOKEN"])


app = Flask(__name__)
app.wsgi_app = middleware = ConversationMiddleware(app.wsgi_app, settings)  # type: ignore[method-assign]
conversations = Conversations(settings, store=middleware.store, client=client_of)


@app.post("/sms")
def sms() -> Response:
    """Defer a text; Twilio itself answers STOP, START and HELP."""
    webhook = webhook_from(request.environ)
    if webhook.kind == "message" and webhook.opt_out_type is None:
        conversations.answer_later(request.environ)
    return Response("<Response/>", content_type="text/xml")


@conversations.answers
def answer(turn: Answering) -> None:
    """Answer one text, or all texts that arrived during the last answer."""
    history = turn.state.setdefault("history", [])
    asked = "\n".join(text.body for text in turn.texts)
    history.append({"role": "user", "content": asked})
    said = think(history)
    history.append({"role": "assistant", "content": said})
    turn.reply(said)


# Here, so that any server of one process runs this demo; better where the server starts.
if settings.store == "memory":
    conversations.start_workers()
