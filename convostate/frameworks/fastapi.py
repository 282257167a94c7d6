"""FastAPI: the State and the Webhook as annotated dependencies, which do not appear in OpenAPI.

    @app.post("/sms")
    async def sms(state: ConversationState, webhook: ProvenWebhook) -> Response: ...

    app.add_middleware(ConversationMiddleware)  # from convostate.asgi

Without them, `state_from` and `webhook_from` take ``request.scope``.
"""

from __future__ import annotations

from typing import Annotated

from convostate.frameworks import missing
from convostate.state import State, state_from, webhook_from
from convostate.twilio.webhook import Webhook

try:
    from fastapi import Depends
    from fastapi.requests import HTTPConnection
except ModuleNotFoundError as error:
    raise missing("FastAPI") from error


async def _state(connection: HTTPConnection) -> State:
    return state_from(connection.scope)


async def _webhook(connection: HTTPConnection) -> Webhook:
    return webhook_from(connection.scope)


ConversationState = Annotated[State, Depends(_state)]
"""The state of this request's conversation; raises UsageError as `state_from`."""

ProvenWebhook = Annotated[Webhook, Depends(_webhook)]
"""The webhook that the middleware has verified; raises UsageError as `webhook_from`."""
