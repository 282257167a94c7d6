"""Pyramid: `request.conversation` is the State; optionally, so is `request.session`.

    config.include("convostate.frameworks.pyramid")
    ...
    app = ConversationMiddleware(config.make_wsgi_app())

With the setting ``convostate.session = true``, `request.session` of a webhook is the conversation's
state; that of other requests comes from the app's own session factory.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from convostate.frameworks import missing
from convostate.state import STATE_KEY, state_from
from convostate.state_view import Backing, StateView, unkept_state

try:
    from pyramid.exceptions import ConfigurationError
    from pyramid.interfaces import ISession, ISessionFactory
    from pyramid.session import JSONSerializer
    from pyramid.settings import asbool
    from zope.interface import implementer
except ModuleNotFoundError as error:
    raise missing("Pyramid") from error

if TYPE_CHECKING:
    from pyramid.config import Configurator
    from pyramid.registry import Registry
    from pyramid.request import Request

    from convostate.state import State

_LAST = 1  # after phase 0, in which set_session_factory() acts


@implementer(ISession)
class ConversationSession(StateView):
    """A State as `request.session`.

    Attributes:
        created: When the conversation began, in Unix seconds.
        new: Whether this text begins the conversation.
    """

    def __init__(self, state: State, backing: Backing) -> None:
        super().__init__(state, backing)
        self.created = int(state.started_at.timestamp())
        self.new = state.is_new

    def invalidate(self) -> None:
        """Remove all items; later writes are stored."""
        self.clear()

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Add a message to a queue."""
        messages = self.setdefault(f"_f_{queue}", [])
        if allow_duplicate or msg not in messages:
            messages.append(msg)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """Empty a queue, and return its messages."""
        messages: list[Any] = self.pop(f"_f_{queue}", [])
        return messages

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of a queue."""
        messages: list[Any] = self.get(f"_f_{queue}", [])
        return messages

    def new_csrf_token(self) -> str:
        """Make a new token against cross-site request forgery."""
        token = self["_csrft_"] = secrets.token_hex(20)
        return token

    def get_csrf_token(self) -> str:
        """The token against cross-site request forgery; made if there is none."""
        token: str | None = self.get("_csrft_")
        return self.new_csrf_token() if token is None else token


def includeme(config: Configurator) -> None:
    """Add `request.conversation`, and with ``convostate.session = true`` the sessions."""
    config.add_request_method(_conversation, "conversation", property=True)
    if asbool((config.registry.settings or {}).get("convostate.session")):
        config.action("convostate.session", _serve_conversations, (config.registry,), order=_LAST)


def _conversation(request: Request) -> State:
    return state_from(request.environ)


def _serve_conversations(registry: Registry) -> None:
    own = registry.queryUtility(ISessionFactory)
    json = JSONSerializer()
    backing = Backing(
        lambda value: json.dumps(value).decode(), lambda text: json.loads(text.encode())
    )

    def session_of(request: Request) -> Any:
        state = request.environ.get(STATE_KEY)
        if state is None and own is None:
            state = unkept_state(request.environ)
        if state is not None:
            return ConversationSession(state, backing)
        if own is None:
            raise ConfigurationError(
                "No session factory is registered for requests that are not webhooks. "
                "Call config.set_session_factory(…)"
            )
        return own(request)

    registry.registerUtility(session_of, ISessionFactory)
