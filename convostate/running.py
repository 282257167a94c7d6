"""Which conversations have a turn in this context: a second turn here would wait for the first for ever."""

from __future__ import annotations

from contextvars import ContextVar


class Running:
    """A turn that runs in this context, and in those that are copied from it, until it ends.

    Args:
        name: The conversation's.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        _RUNNING.set((*(turn for turn in _RUNNING.get() if turn.name), self))

    def end(self) -> None:
        """Say that it runs no more, in all contexts: a copy may outlive the turn."""
        self.name = ""


_RUNNING: ContextVar[tuple[Running, ...]] = ContextVar("convostate.running", default=())


def runs_here(name: str) -> bool:
    """Whether a conversation has a turn in this context."""
    return any(turn.name == name for turn in _RUNNING.get())
