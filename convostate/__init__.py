"""Conversation state for WSGI and ASGI apps that answer Twilio texts and calls.

    app.wsgi_app = ConversationMiddleware(app.wsgi_app)
    ...
    state = state_from(request.environ)

proves each webhook, opens the state of its To/From pair, and seals what the app left.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convostate.conversations import AsyncConversations, Conversations
    from convostate.errors import (
        ConversationExistsError,
        ConvostateError,
        OptedOutError,
        RequestError,
        SealError,
        StateError,
        StoreError,
        UsageError,
    )
    from convostate.replies import Answering
    from convostate.sealing.keys import Keyring
    from convostate.settings import Settings
    from convostate.state import State, state_from, webhook_from
    from convostate.twilio.webhook import PhonePair, Webhook
    from convostate.wsgi.middleware import ConversationMiddleware

__all__ = [
    "Answering",
    "AsyncConversations",
    "ConversationExistsError",
    "ConversationMiddleware",
    "Conversations",
    "ConvostateError",
    "Keyring",
    "OptedOutError",
    "PhonePair",
    "RequestError",
    "SealError",
    "Settings",
    "State",
    "StateError",
    "StoreError",
    "UsageError",
    "Webhook",
    "state_from",
    "webhook_from",
]

# Where each name lives; the errors are in errors.py.
_HOMES = {
    "Answering": "replies",
    "ConversationMiddleware": "wsgi",
    "AsyncConversations": "conversations",
    "Conversations": "conversations",
    "Keyring": "sealing.keys",
    "PhonePair": "twilio.webhook",
    "Settings": "settings",
    "State": "state",
    "Webhook": "twilio.webhook",
    "state_from": "state",
    "webhook_from": "state",
}


if not TYPE_CHECKING:  # a type checker would take any name at all for granted

    def __getattr__(name: str) -> Any:
        # On first use: pytest imports this package for its plugin in every run.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
