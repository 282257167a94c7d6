"""A bot that thinks longer than Twilio waits, in FastAPI: a thousand answers wait on one event loop.

With the memory store the answers run in this process. With CONVOSTATE_STORE=redis://… they run in others:
``convostate work convostate.demo.assistant_fastapi:conversations``.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from convostate import AsyncConversations, Settings, webhook_from
from convostate.asgi import ConversationMiddleware
from convostate.demo.stand_in import think_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from convostate import Answering

DEFAULTS = {
    "CONVOSTATE_STORE": "memory",
    "CONVOSTATE_DEFER_PATHS": "/sms",
    "CONVOSTATE_BURST": "1.5s",
    "CONVOSTATE_TRIM": "history:2",
}
settings = Settings.from_environ(DEFAULTS | os.environ)


def client_of(account_sid: str) -> Client:
    """The Twilio client of an account, with a connection for each request."""
    http = AsyncTwilioHttpClient(pool_connections=False)
    return Client(account_sid, os.environ["TWILIO_AUTH_TOKEN"], http_client=http)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """With the memory store, answer texts in this process while the app runs."""
    if settings.store != "memory":
        yield
        return
    workers = conversations.start_workers()
    yield
    workers.stop()
    await workers.wait()


bot = FastAPI(lifespan=lifespan)
app = ConversationMiddleware(bot, settings)
conversations = AsyncConversations(settings, store=app.store, client=client_of)


@bot.post("/sms")
async def sms(request: Request) -> Response:
    """Defer a text; Twilio itself answers STOP, START and HELP."""
    webhook = webhook_from(request.scope)
    if webhook.kind == "message" and webhook.opt_out_type is None:
        conversations.answer_later(request.scope)
    return Response("<Response/>", media_type="text/xml")


@conversations.answers
async def answer(turn: Answering) -> None:
    """Answer one text, or all texts that arrived during the last answer."""
    history = turn.state.setdefault("history", [])
    asked = "\n".join(text.body for text in turn.texts)
    history.append({"role": "user", "content": asked})
    said = await think_async(history)
    history.append({"role": "assistant", "content": said})
    turn.reply(said)
