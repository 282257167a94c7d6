"""The stored state of a conversation, read and set from outside the app.

Each access is a turn of its own, through a copy of the app's middleware around a test function. So it
works with every store, including a user's own, and needs no keys or tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.testing.fetch import Fetcher, FetchJob

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.testing.jar import Jar
    from convostate.testing.params import Params

State = dict[Any, Any]


class StoredState:
    """The state of one conversation, the one that a webhook with these parameters belongs to."""

    def __init__(self, fetcher: Fetcher, jar: Jar | None, url: str, params: Params) -> None:
        self._fetcher = fetcher
        self._jar = jar
        self._url = url
        self._params = params

    def read(self) -> State | None:
        """A copy, or None if there is no state. Nothing changes, not even the expiry."""
        copies: list[State | None] = []

        def read(state: Any) -> bool:
            copies.append(None if state.is_new else copy.deepcopy(dict(state)))
            return False

        self._run(read, 500)
        return copies[0]

    def write(self, state: Mapping[Any, Any] | None) -> None:
        """Replace the state; None ends the conversation. StateError if it cannot be stored."""
        if state is not None and not isinstance(state, Mapping):
            raise UsageError(f"A state is a dict or None, got {type(state).__name__}")

        def write(stored: Any) -> bool:
            stored.clear()
            if state is None:
                stored.end()
            else:
                stored.update(state)
            return True

        self._run(write, 204)

    def _run(self, act: Callable[[Any], bool], expected: int) -> None:
        job = FetchJob(self._url, "POST", self._params, self._jar)
        response = self._fetcher.inside(act).fetch(job)[-1].response
        if response is None or response.status != expected:
            status = 0 if response is None else response.status
            raise UsageError(
                f"The middleware answered {status}, so the state cannot be accessed. Sign with the "
                "app's own token, and check that its store is up"
            )
