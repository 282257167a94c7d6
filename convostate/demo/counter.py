"""The counter as a plain WSGI app, without a framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostate import ConversationMiddleware, state_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def count(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a text with the number of texts in this conversation."""
    state = state_from(environ)
    n = state["messagecount"] = state.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
    text = f"You've sent {messages} in this conversation so far"
    return [f"<Response><Message>{text}</Message></Response>".encode()]


app = ConversationMiddleware(count)
