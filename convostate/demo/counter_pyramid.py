"""The counter in Pyramid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyramid.config import Configurator
from pyramid.response import Response

from convostate import ConversationMiddleware, state_from

if TYPE_CHECKING:
    from pyramid.request import Request


def sms(request: Request) -> Response:
    """Answer a text with the number of texts in this conversation."""
    state = state_from(request.environ)
    n = state["messagecount"] = state.get("messagecount", 0) + 1
    messages = "1 message" if n == 1 else f"{n} messages"
    text = f"You've sent {messages} in this conversation so far"
    return Response(f"<Response><Message>{text}</Message></Response>", content_type="text/xml")


with Configurator() as config:
    config.add_route("sms", "/sms", request_method="POST")
    config.add_view(sms, route_name="sms")

app = ConversationMiddleware(config.make_wsgi_app())
