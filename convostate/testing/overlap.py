"""Texts that overlap: all of them are on their way before any of them is answered."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostate.testing.reply import Reply

# Longer than any wait that is meant (a webhook has 15 seconds); then something is stuck.
_PATIENCE_S = 60.0


def at_once(deliver: Sequence[Callable[[Callable[[], None]], Reply]]) -> list[Reply]:
    """Run deliveries at once, each in a thread of its own.

    Their responses are taken in the order of the list, whatever the order in which they come, so that
    the cookies of the last one stay.

    Args:
        deliver: For each text a function that delivers it; it calls its argument when the first
            response is there, before it stores the cookies.

    Returns:
        The replies, in the same order.
    """
    start = threading.Barrier(max(1, len(deliver)), timeout=_PATIENCE_S)
    finished = [threading.Event() for _ in deliver]

    def run(index: int) -> Reply:
        def storing() -> None:
            if index:
                finished[index - 1].wait(_PATIENCE_S)

        try:
            start.wait()
            return deliver[index](storing)
        finally:
            finished[index].set()

    with ThreadPoolExecutor(max(1, len(deliver))) as pool:
        return list(pool.map(run, range(len(deliver))))
