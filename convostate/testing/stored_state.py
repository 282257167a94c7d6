"""The state that is kept of a conversation, read and set from outside the app.

Both take a turn of their own through a middleware like the app's, in which nobody but the test meets the
state. So they work with every store, a user's own included, and know nothing of keys and tokens.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.testing.fetch import Faults, Fetcher, FetchJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convostate.testing.jar import Jar
    from convostate.testing.params import Params

State = dict[Any, Any]


class StoredState:
    """The state of one conversation.

    Args:
        fetcher: Signs, and leads to the app.
        jar: The cookies that Twilio keeps for the pair; of a store at the server it stays empty.
        url: A webhook of the app.
        made: The parameters of a webhook of this conversation.
    """

    def __init__(self, fetcher: Fetcher, jar: Jar | None, url: str, made: Params) -> None:
        self._fetcher = fetcher
        self._jar = jar
        self._url = url
        self._made = made

    def read(self) -> State | None:
        """A copy, or None if nothing is kept. Nothing changes, not even the expiry.

        Raises:
            UsageError: The state is out of reach; the message says why.
        """
        read: list[State | None] = []

        def look(state: Any) -> bool:
            read.append(None if state.is_new else copy.deepcopy(dict(state)))
            return False

        self._meet(look, 500)
        return read[0]

    def write(self, state: Mapping[Any, Any] | None) -> None:
        """Replace it; None ends the conversation.

        Raises:
            StateError: It cannot be kept.
            UsageError: The state is out of reach; the message says why.
        """

        def put(kept: Any) -> bool:
            kept.clear()
            if state is None:
                kept.end()
            else:
                kept.update(state)
            return True

        self._meet(put, 204)

    def _meet(self, act: Callable[[Any], bool], expected: int) -> None:
        job = FetchJob(self._url, "POST", self._made, self._jar, Faults())
        response = self._fetcher.inside(act).fetch(job)[-1].response
        if response is None or response.status != expected:
            status = 0 if response is None else response.status
            raise UsageError(
                f"The middleware answered {status}, so the state is out of reach. Sign with the app's "
                "own token, and see that its store is up"
            )
