"""Conversation state for WSGI apps that answer Twilio texts.

    app.wsgi_app = ConversationMiddleware(app.wsgi_app)
    ...
    state = state_from(request.environ)

proves each webhook, opens the state of its To/From pair, and seals what the app left.
"""

from convostate.conversations import Conversations
from convostate.core.keys import Keyring
from convostate.core.pair import PhonePair
from convostate.core.state import State
from convostate.core.webhook import Webhook
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
from convostate.settings import Settings
from convostate.wsgi import ConversationMiddleware
from convostate.wsgi_environ import state_from, webhook_from

__all__ = [
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
