"""The counter in Starlette, whose session is the conversation's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from convostate.asgi import ConversationMiddleware

if TYPE_CHECKING:
    from starlette.requests import Request


async def sms(request: Request) -> Response:
    """Answer a text with the number of texts in this conversation."""
    n = request.session["messagecount"] = request.session.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    text = f"You've sent {messages} in this conversation so far"
    return Response(f"<Response><Message>{text}</Message></Response>", media_type="text/xml")


app = Starlette(
    routes=[Route("/sms", sms, methods=["POST"])], middleware=[Middleware(ConversationMiddleware)]
)
