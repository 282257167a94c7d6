"""A WebSocket that says which URL was verified."""

from __future__ import annotations

from typing import Any

from convostate import webhook_from
from convostate.asgi import ConversationMiddleware


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Accept, answer, close."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": webhook_from(scope).url})
    await send({"type": "websocket.close"})


app = ConversationMiddleware(stream)
