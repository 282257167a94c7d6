"""An app that testifies: what it was called with, and how often this conversation called it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from convostate import ConversationMiddleware, Settings, state_from, webhook_from

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def witness(environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
    """Answer with what the webhook says, what a framework would read, and a count."""
    webhook, state = webhook_from(environ), state_from(environ)
    state["n"] = state.get("n", 0) + 1
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    told = {
        "called": state["n"],
        "url": webhook.url,
        "params": dict(webhook.params),
        "form": dict(parse_qsl(body.decode(), keep_blank_values=True)),
    }
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [json.dumps(told).encode()]


# At /public/ the URL is the configured one, elsewhere what the request says.
believing = ConversationMiddleware(witness)
public = replace(Settings.from_environ(), public_url="https://example.com")
app = DispatcherMiddleware(believing, {"/public": ConversationMiddleware(witness, public)})
