"""The counter in FastAPI."""

from __future__ import annotations

from fastapi import FastAPI, Response

from convostate.asgi import ConversationMiddleware
from convostate.frameworks.fastapi import ConversationState  # noqa: TC001  # FastAPI reads it

app = FastAPI()
app.add_middleware(ConversationMiddleware)


@app.post("/sms")
async def sms(state: ConversationState) -> Response:
    """Answer a text with the number of texts in this conversation."""
    n = state["messagecount"] = state.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    text = f"You've sent {messages} in this conversation so far"
    return Response(f"<Response><Message>{text}</Message></Response>", media_type="text/xml")
