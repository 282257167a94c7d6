"""The WSGI door: ConversationMiddleware."""

from convostate.wsgi.middleware import ConversationMiddleware as ConversationMiddleware
