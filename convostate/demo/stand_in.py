"""A stand-in for a language model: it is slow on purpose, and makes no requests.

``ASSISTANT_SECONDS`` is how long it thinks, 3 seconds by default. A real model takes the same history:

    client = anthropic.Anthropic()
    asked = {"model": "…", "max_tokens": 300, "messages": history}
    return client.messages.create(**asked).content[0].text
"""

from __future__ import annotations

import asyncio
import os
from textwrap import shorten
from threading import Event

Message = dict[str, str]
"""role, ``user`` or ``assistant``, and content."""

SECONDS = float(os.environ.get("ASSISTANT_SECONDS", "3"))


def think(history: list[Message]) -> str:
    """The answer to the last message of a history, after a while."""
    Event().wait(SECONDS)
    return _answer(history)


async def think_async(history: list[Message]) -> str:
    """As `think`, without blocking other answers."""
    await asyncio.sleep(SECONDS)
    return _answer(history)


def _answer(history: list[Message]) -> str:
    asked = [message["content"] for message in history if message["role"] == "user"]
    said = [shorten(each.replace("\n", " / "), 300, placeholder=" …") for each in asked[-2:]]
    before = f" Before that: {said[0]}" if said[1:] else ""
    return f"You asked: {said[-1]}{before}"
