"""The counter in Bottle."""

from __future__ import annotations

from bottle import Bottle, request, response

from convostate import ConversationMiddleware, state_from

counter = Bottle()


@counter.post("/sms")
def sms() -> str:
    """Answer a text with the number of texts in this conversation."""
    state = state_from(request.environ)
    n = state["messagecount"] = state.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    response.content_type = "text/xml; charset=utf-8"
    text = f"You've sent {messages} in this conversation so far"
    return f"<Response><Message>{text}</Message></Response>"


app = ConversationMiddleware(counter)
