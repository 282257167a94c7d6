"""The counter in Flask."""

from __future__ import annotations

from flask import Flask, Response, request

from convostate import ConversationMiddleware, state_from

app = Flask(__name__)
app.wsgi_app = ConversationMiddleware(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way


@app.post("/sms")
def sms() -> Response:
    """Answer a text with the number of texts in this conversation."""
    state = state_from(request.environ)
    n = state["messagecount"] = state.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    text = f"You've sent {messages} in this conversation so far"
    return Response(f"<Response><Message>{text}</Message></Response>", content_type="text/xml")
