"""Conversations for `convostate work`: the function does what the text says, and what is sent goes into Redis.

``LATER_LOOP`` in the environment makes it an `AsyncConversations`.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import Any

from redis import Redis
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from convostate import Answering, AsyncConversations, Conversations

redis = Redis.from_url(os.environ["CONVOSTATE_STORE"])
is_async = bool(os.environ.get("LATER_LOOP"))


class Outbox(HttpClient):  # type: ignore[misc, unused-ignore]
    """Twilio, as far as sending goes."""

    def __init__(self) -> None:
        self.is_async = is_async

    def request(self, *_args: Any, data: Any = None, **_: Any) -> Response:
        return self._send(data)

    def _send(self, data: Any) -> Response:
        redis.rpush("sent", f"{data['To']} {data['Body']}")
        return Response(201, json.dumps({"sid": "SM" + "0" * 32}))


class AsyncOutbox(Outbox):
    async def request(self, *_args: Any, data: Any = None, **_: Any) -> Response:
        return self._send(data)


def log(turn: Answering) -> bool:
    """Append the texts to the log and reply with it; whether the function is to hang."""
    for text in turn.texts:
        redis.rpush("began", text.body)
        turn.state.setdefault("log", []).append(text.body)
    turn.reply(" ".join(turn.state["log"]))
    return any(text.body == "hang" for text in turn.texts) and bool(redis.get("hang"))


account = os.environ["TWILIO_ACCOUNT_SID"]
conversations: Any
if is_async:
    conversations = AsyncConversations(client=Client(account, "token", http_client=AsyncOutbox()))

    @conversations.answers  # type: ignore[untyped-decorator, unused-ignore]
    async def answer_in_loop(turn: Answering) -> None:
        if log(turn):
            await asyncio.Event().wait()

else:
    conversations = Conversations(client=Client(account, "token", http_client=Outbox()))

    @conversations.answers  # type: ignore[untyped-decorator, unused-ignore]
    def answer(turn: Answering) -> None:
        if log(turn):
            threading.Event().wait()
