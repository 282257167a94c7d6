"""WorkStore: what a store must do that can keep texts until they are answered. Only apps that defer texts load it.

`convostate.testing.WorkStoreContract` tests it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from convostate.stores.base import blocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.stores.base import Begun, Claim, Outcome

ANSWER_LEASE_S = 30  # of a worker, which renews it every 10 s; the delay if the worker dies
LENT_S = 2  # for which no other worker gets a hint; its own needs some ms
LONGEST_BURST_S = 10  # for which an answer waits for more texts, however fast they arrive


class Hint(NamedTuple):
    """A conversation that may have work. Only `WorkStore.take` knows.

    Attributes:
        name: The conversation's.
        queue: The queue that was passed to `WorkStore.defer`.
        ticket: For the store's own use.
    """

    name: str
    queue: str
    ticket: object = None


class Taken(NamedTuple):
    """A conversation that a worker holds, to answer its texts or to send its replies.

    Attributes:
        hint: How it was found.
        begun: The state, and the worker's lease.
        texts: The texts to answer, as they were deferred, in order. After a failure they are the same.
        replies: The replies to send before anything is answered, in order.
        tries: Which try this is; 1 for the first.
    """

    hint: Hint
    begun: Begun
    texts: list[bytes]
    replies: list[bytes]
    tries: int

    def __repr__(self) -> str:
        return f"Taken({len(self.texts)} texts, {len(self.replies)} replies, try {self.tries})"


class Backlog(NamedTuple):
    """The work of a conversation, for people to see.

    Attributes:
        texts: How many texts wait for an answer or are being answered.
        answering: Whether a worker holds the conversation.
        replies: How many replies wait to be sent.
        dead: How many dead letters there are.
    """

    texts: int
    answering: bool
    replies: int
    dead: int


class DeadLetter(NamedTuple):
    """A text that was not answered, or a reply that was not sent.

    Attributes:
        is_text: Whether it is a text.
        reason: Why, in a word: for a reply Twilio's error code, or ``unknown`` if it may have been sent.
        at_s: When it was given up, in Unix time in seconds.
        entry: The text as it was deferred, or the reply as it was kept.
    """

    is_text: bool
    reason: str
    at_s: float
    entry: bytes

    def __repr__(self) -> str:
        return f"DeadLetter({'text' if self.is_text else 'reply'}, {self.reason!r})"


class WorkStore(Protocol):
    """Keeps deferred texts and the replies to them: the attribute ``work`` of a store.

    Each conversation has a mailbox of texts, an outbox of replies, and dead letters, all kept for `WORK_S`. A
    worker takes a conversation for `ANSWER_LEASE_S` and renews its lease. Meanwhile other turns of the
    conversation wait, except those whose `Claim.defers` is true. Erasing a conversation, or a commit that
    ends it and records a STOP, empties all three and takes the worker's lease.

    The methods are coroutines. Those of a blocking store never suspend; under asyncio they then run in
    threads. `now` is a test's clock in Unix time in seconds, or None for the store's own. Errors are those of
    `Store`: ``lost`` if the worker's lease is gone.
    """

    async def defer(self, begun: Begun, queue: str, text: bytes, now: float | None) -> None:
        """Schedule a hint now, and have the turn's commit, which records a reply, put the text into the mailbox.

        In this order, no crash leaves a text that no worker looks for. If the mailbox has `MOST_TEXTS`, the
        commit is ``busy`` and writes nothing.
        """

    async def due(self, queue: str, most: int, now: float | None) -> list[Hint]:
        """Conversations that may have work by now, `most` at most; no other caller gets them for `LENT_S`."""

    async def take(
        self, hint: Hint, burst_s: float, lease_s: float, now: float | None
    ) -> Taken | None:
        """Take a conversation, freeze which texts are answered together, and count the try.

        Args:
            hint: Which conversation.
            burst_s: How long the person must have been silent; `LONGEST_BURST_S` after the first text it is
                taken in any case.
            lease_s: How long the worker may hold it.
            now: See the class.

        Returns:
            None if there is no work, or not yet; then the hint comes again by itself.
        """

    async def renew(self, taken: Taken, lease_s: float) -> None:
        """Let the lease end so many seconds from now."""

    async def keep(
        self, taken: Taken, outcome: Outcome, replies: list[bytes], now: float | None
    ) -> None:
        """In one step, carry out the outcome, remove the answered texts, and put the replies into the outbox."""

    async def settle(
        self, taken: Taken, entries: list[bytes], reason: str, now: float | None
    ) -> None:
        """Remove texts or replies. If there is a reason, they become dead letters."""

    async def rest(self, taken: Taken, tries: int, seconds: float, now: float | None) -> None:
        """Release the conversation, and schedule what is left.

        Args:
            taken: The conversation.
            tries: How often what is left has failed.
            seconds: How long until it may be taken again.
            now: See the class.
        """

    async def dead(self, queue: str) -> list[Hint]:
        """The conversations that have dead letters."""

    async def letters(self, hint: Hint, *, retry: bool, now: float | None) -> list[DeadLetter]:
        """The dead letters of a conversation. With `retry` they are put back, texts before those that wait."""

    async def backlog(self, claim: Claim) -> Backlog:
        """The work of a conversation."""


class BlockingWork:
    """The methods of a `WorkStore` whose I/O blocks, as plain functions."""

    def __init__(self, work: WorkStore) -> None:
        self._work = work

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(blocking(getattr(type(self._work), name)), self._work)
