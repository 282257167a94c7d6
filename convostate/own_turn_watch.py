"""OwnTurnWatch: what a turn that no webhook started came to, for the same log and the same hook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from convostate.errors import ConversationExistsError, OptedOutError, StoreError
from convostate.events import TurnWatch
from convostate.stores.base import Leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.events import TurnObserver
    from convostate.stores.base import Outcome

OwnKind = Literal["turn", "start"]


class OwnTurnWatch(TurnWatch):
    """Measures one turn of `Conversations`; tells of it at the end of its `with` block.

    Args:
        observer: Who is told.
        kind: ``turn`` or ``start``.
        context: The conversation.
    """

    def __init__(self, observer: TurnObserver, kind: OwnKind, context: bytes) -> None:
        super().__init__(observer)
        self._kind = kind
        self._conversation = observer.log_id(context)

    @contextmanager
    def app(self) -> Iterator[None]:
        """The caller's block or client runs in this block; what it raises is no fault of the store's."""
        with super().app():
            try:
                yield
            except BaseException:
                self._outcome, self._reason = "aborted", "exception"
                raise

    def wrote(self, token: bytes | None) -> None:
        """The state is in place: it stays, whatever becomes of the lease."""
        super().wrote(token)
        if self._outcome is None:
            self._outcome = "kept"

    def committed(self, outcome: Outcome) -> None:
        """The store has carried this out; where the state is in place it has only let go."""
        if not isinstance(outcome, Leave) or self._outcome is None:
            super().committed(outcome)

    def __exit__(self, *raised: object) -> None:
        """Tell what the turn came to; an exception goes on to the caller."""
        error = raised[1]
        if error is not None:
            self._token_bytes = 0
            if self._outcome != "aborted":
                self._outcome, self._reason = _came_to(error)
        self._tell(None, 0)


def _came_to(error: object) -> tuple[Literal["aborted", "unavailable"], str]:
    if isinstance(error, StoreError):
        return "unavailable", error.reason
    if isinstance(error, OptedOutError):
        return "aborted", "opted-out"
    if isinstance(error, ConversationExistsError):
        return "aborted", "exists"
    return "aborted", "exception"
