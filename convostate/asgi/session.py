"""ConversationSession: a State as the `request.session` of Starlette and FastAPI."""

from __future__ import annotations

from convostate.state_view import StateView


class ConversationSession(StateView):
    """A State as `request.session`, converted by `json` as SessionMiddleware does.

    Attributes:
        accessed: Whether the app used the session. Starlette sets it from 1.0 on.
    """

    accessed = False

    def mark_accessed(self) -> None:
        """As Starlette's own."""
        self.accessed = True

    def mark_modified(self) -> None:
        """As Starlette's own; changes within items are stored without it."""
        self.accessed = True
        self.changed()
