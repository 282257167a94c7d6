"""The witness for ASGI servers: what it was called with, and how often this conversation called it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from convostate import Settings, state_from, webhook_from
from convostate.asgi import ConversationMiddleware


async def witness(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the webhook says, what a framework would read, and a count."""
    webhook, state = webhook_from(scope), state_from(scope)
    state["n"] = state.get("n", 0) + 1
    body = (await receive())["body"]
    told = {
        "called": state["n"],
        "url": webhook.url,
        "params": dict(webhook.params),
        "form": dict(parse_qsl(body.decode(), keep_blank_values=True)),
    }
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


# At /public/ the URL is the configured one, elsewhere what the request says.
believing = ConversationMiddleware(witness)
public = ConversationMiddleware(
    witness, replace(Settings.from_environ(), public_url="https://example.com")
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Mount one beside the other."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"].startswith("/public/"):
        root_path = f"{scope.get('root_path', '')}/public"
        await public({**scope, "root_path": root_path}, receive, send)
    else:
        await believing(scope, receive, send)
