"""Flask: inside a webhook `flask.session` is the conversation's state.

    ConvoState(app)  # settings from environment variables

All other requests, and webhooks that name no pair of phones, have the app's own sessions.
"""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.frameworks import missing
from convostate.state import STATE_KEY
from convostate.state_view import Backing, StateView, unkept_state
from convostate.wsgi.middleware import ConversationMiddleware

try:
    from flask.json.tag import TaggedJSONSerializer
    from flask.sessions import SessionMixin, session_json_serializer
except ModuleNotFoundError as error:
    raise missing("Flask") from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask, Request, Response

    from convostate.events import TurnEvent
    from convostate.settings import Settings
    from convostate.state import State
    from convostate.stores import Store


class ConversationSession(StateView, SessionMixin):
    """A State as `flask.session`.

    Attributes:
        new: Whether this text begins the conversation.
    """

    def __init__(self, state: State, backing: Backing) -> None:
        super().__init__(state, backing)
        self.new = state.is_new
        self._accessed = False

    @property
    def accessed(self) -> bool:
        """Whether a view used the session. Flask sets it from 3.1.3 on; before, the session reports it."""
        return self._accessed or bool(self._used)

    @accessed.setter
    def accessed(self, accessed: bool) -> None:
        self._accessed = accessed

    @property
    def permanent(self) -> bool:
        """Whether ``PERMANENT_SESSION_LIFETIME`` shortens the lifetime."""
        return bool(self.state.get("_permanent", False))

    @permanent.setter
    def permanent(self, permanent: bool) -> None:
        # Apps set it before every request, so if nothing is stored this is not logged.
        if self.unkept is not None:
            self.state["_permanent"] = bool(permanent)
        elif self.state.locked is None:
            self["_permanent"] = bool(permanent)


class ConvoState:
    """Wraps a Flask app's `wsgi_app` and its sessions.

    Args:
        app: The app, or None to call `init_app` later.
        settings: The settings; None reads them from the environment variables.
        store: A store of your own; None uses the store that the settings name.
        on_turn: As for `ConversationMiddleware`.

    Raises:
        UsageError: The settings are wrong, or the app is wrapped already.
    """

    def __init__(
        self,
        app: Flask | None = None,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._on_turn = on_turn
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Wrap an app.

        Raises:
            UsageError: The settings are wrong, the app is wrapped already, or it is not a Flask app.
        """
        if not hasattr(app, "wsgi_app"):
            raise UsageError(
                f"ConvoState takes a Flask app, got {type(app).__name__}. "
                "Wrap other apps with ConversationMiddleware, ASGI apps with that of convostate.asgi"
            )
        inner = _LatestSessions(app)
        wrapped = ConversationMiddleware(
            inner, self._settings, store=self._store, on_turn=self._on_turn
        )
        app.wsgi_app = wrapped  # type: ignore[method-assign]  # Flask's own way
        _serve_conversations(app)


class _LatestSessions:
    """A Flask app whose session interface serves conversations, even if it was set later.

    An extension such as Flask-Session may set its own after `ConvoState(app)`.
    """

    def __init__(self, flask_app: Flask) -> None:
        self._flask_app = flask_app
        self.app = flask_app.wsgi_app  # the name under which layers() follows a stack

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._flask_app.session_interface is not self._flask_app.extensions["convostate"]:
            _serve_conversations(self._flask_app)
        return self.app(environ, start_response)


def _serve_conversations(app: Flask) -> None:
    """Give the app a copy of its own session interface that serves conversations in webhooks."""
    # A copy, because all apps share Flask's default interface.
    interface: Any = copy.copy(app.session_interface)
    open_own, save_own = interface.open_session, interface.save_session
    backing = _backing(app)

    def open_session(app: Flask, request: Request) -> SessionMixin | None:
        state: State | None = request.environ.get(STATE_KEY)
        if state is None:
            own: SessionMixin | None = open_own(app, request)
            if own is not None:
                return own
            state = unkept_state(request.environ)
        return None if state is None else ConversationSession(state, backing)

    def save_session(app: Flask, session: SessionMixin, response: Response) -> None:
        if not isinstance(session, ConversationSession):
            save_own(app, session, response)
            return
        session.settle()
        if session.permanent and session.state.locked is None:
            longest = max(app.permanent_session_lifetime, timedelta(seconds=1))
            session.state.lifetime = min(longest, session.state.lifetime)

    interface.open_session, interface.save_session = open_session, save_session
    app.session_interface = app.extensions["convostate"] = interface


def _backing(app: Flask) -> Backing:
    """Flask's own serializer: the JSON of the app's provider, with the tags of its sessions."""

    def tags() -> TaggedJSONSerializer:
        own = getattr(app.session_interface, "serializer", None)
        return own if isinstance(own, TaggedJSONSerializer) else session_json_serializer

    def dumps(value: Any) -> str:
        return app.json.dumps(tags().tag(value), separators=(",", ":"))

    def untagged(value: Any) -> Any:
        if isinstance(value, dict):
            return tags().untag({key: untagged(item) for key, item in value.items()})
        return list(map(untagged, value)) if isinstance(value, list) else value

    return Backing(dumps, lambda text: untagged(app.json.loads(text)))
