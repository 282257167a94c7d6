"""Sentences of the page that depend on what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convostate.testing.reply import Reply


def twice(ran: int, *, server_side: bool) -> str:
    """What a text led to that was delivered twice, where the app ran so often."""
    if ran == 1:
        return (
            "Delivered twice, and the app ran once: the second time its recorded reply was given."
        )
    if server_side:
        return "Delivered twice, and the app ran twice: its first answer was no success."
    return "Delivered twice, and the app ran twice, both times from the same cookie."


def verdict(reply: Reply, *, goes_on: bool, where: str) -> str:
    """What became of the state, in a sentence."""
    if not where or not reply.exchanges:
        return ""
    if reply.exception is not None:
        return "The app raised, so nothing was written: this is the state from before."
    if reply.status == 0:
        return "No reply came through."
    if reply.status >= 400:
        return f"Answered {reply.status}, so nothing was written: this is the state from before."
    if reply.state is None:
        return "The app was not asked: this is what is kept."
    if goes_on or getattr(reply.state, "is_new", False):  # new and empty: nothing has ended
        return ""
    return "The conversation is over: the next text begins a new one."


def span(seconds: float) -> str:
    """A span of time as people say it, with its direction."""
    left, words = round(abs(seconds)), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
    return f"{' '.join(words[:2]) or '0 s'} {'back' if seconds < 0 else 'ahead'}"
