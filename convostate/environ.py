"""What the app finds in its WSGI environ or ASGI scope: `state_from` and `webhook_from`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.state import State
from convostate.twilio.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE_KEY = "convostate.state"
WEBHOOK_KEY = "convostate.webhook"
TURN_KEY = "convostate.turn"
"""The turn, for `Conversations.answer_later`."""
CLOCK_KEY = "convostate.clock"
"""A callable that gives Unix time, for tests; no HTTP client can set such a key."""


def webhook_from(environ: Mapping[str, Any]) -> Webhook:
    """The verified webhook of this request.

    Args:
        environ: The request's WSGI environ, or its ASGI scope.

    Raises:
        UsageError: There is none; the message says why.
    """
    webhook = environ.get(WEBHOOK_KEY)
    if type(webhook) is Webhook:
        return webhook
    if WEBHOOK_KEY in environ:
        raise UsageError(
            "This path is not guarded, so the request is not verified. Add the path to CONVOSTATE_PATHS"
        )
    raise UsageError(
        "This request did not come through ConversationMiddleware. Wrap the app: ConversationMiddleware(app)"
    )


def state_from(environ: Mapping[str, Any]) -> State:
    """The state of this request's conversation: a dict that is kept if the app succeeds.

    Args:
        environ: The request's WSGI environ, or its ASGI scope.

    Raises:
        UsageError: There is none; the message says whether the app is not wrapped, the path not
            guarded, or the webhook without a phone pair.
    """
    state = environ.get(STATE_KEY)
    if isinstance(state, State):
        return state
    webhook = webhook_from(environ)
    raise UsageError(
        f"This webhook (kind {webhook.kind}) names no pair of phones, so it belongs to no conversation. "
        "Use webhook_from(environ), or ask for state only where webhook.pair is not None"
    )


def layers(app: object) -> Iterator[object]:
    """A stack of WSGI apps from the outside in, as far as they name the next one ``app`` or ``wsgi_app``."""
    for _ in range(20):  # a stack, not a cycle
        if app is None:
            return
        yield app
        app = getattr(app, "wsgi_app", None) or getattr(app, "app", None)
