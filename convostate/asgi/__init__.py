"""The ASGI door: ConversationMiddleware."""

from convostate.asgi.middleware import ConversationMiddleware as ConversationMiddleware
