"""Store: what a place that keeps conversations must do. `convostate.testing.StoreContract` tests it.

A turn is `begin`, then `commit` or `abort`. A store that remembers (`server_side`) lets the turns of one
conversation run one after another, in the order of their begin, and answers a request that it has
answered before with the recorded reply. It sees keyed names and sealed bytes, never keys, numbers or
plaintext.

What is not an error: a conversation that is not there or has expired is token None; ending or erasing
one that is not there does nothing. Errors are `StoreError` only: ``down`` (no answer, or an error of the
server's), ``busy`` (waited too long, or too many wait), ``lost`` (the lease is gone: nothing was written).
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from convostate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Headers = list[tuple[str, str]]

LEASE_S = 16  # Twilio gives a webhook up after 15 s (https://www.twilio.com/docs/api/errors/11205)
WAIT_S = 8  # what is left of those 15 s must do for the turn itself
REPLY_S = 600  # a repeated delivery is answered from the record for so long; then neither is kept nor opens
CALL_S = 4 * 3600  # the longest that a call's state lives; as long as a cookie
OPT_OUT_S = 30 * 24 * 3600  # how long a STOP is remembered; the longest lifetime there is

# Of deferred texts; `convostate.stores.work` has the others.
WORK_S = 24 * 3600  # for which texts, replies and dead letters are kept, whatever the lifetime
MOST_TEXTS = 100  # of one conversation that may wait for an answer

# How many texts of one conversation may wait at once. A text that waits keeps a WSGI worker from
# everyone else, and four sync workers are usual; on an event loop it keeps nothing.
MAX_WAITING, MAX_WAITING_IN_LOOP = 2, 8

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Claim(NamedTuple):
    """What a turn asks a store for.

    Attributes:
        name: The conversation's keyed name, 22 characters of base64url.
        fingerprint: The request's keyed name, of the same form; None if a repetition is to run again
            (calls, and turns that no webhook started).
        idempotency: 8 bytes, from the token by which Twilio marks retries: other bytes, another request.
            Twilio does not sign it, so all that it does is let a `<Redirect>` to the same URL run.
        secure: The webhook's URL was https.
        call: The conversation is a call's, not a pair's.
        listed_under: The name of the conversation of the call's pair, or "". When that one is erased with
            its replies, the calls that are listed under it are erased as well.
        defers: It is a text that may be deferred. Its turn does not write the state, and does not wait
            for a worker that is answering (`WorkStore`).
    """

    name: str
    fingerprint: str | None = None
    idempotency: bytes = bytes(8)
    secure: bool = True
    call: bool = False
    listed_under: str = ""
    defers: bool = False


class Keep(NamedTuple):
    """The outcome of a turn whose state goes on.

    Attributes:
        token: The sealed state.
        lifetime_s: Seconds, more than 0, after which it must be gone.
        opted_out: True records the person's STOP, False lifts it, None changes nothing.
    """

    token: bytes
    lifetime_s: float
    opted_out: bool | None = None

    def __repr__(self) -> str:
        return f"Keep({len(self.token)} bytes, {self.lifetime_s} s, opted_out={self.opted_out})"


class End(NamedTuple):
    """The outcome of a turn that ends the conversation.

    Attributes:
        token: A sealed ending, for stores that cannot delete.
        lifetime_s: How long the sealed ending is good for, in seconds.
        opted_out: As in `Keep`.
    """

    token: bytes
    lifetime_s: float
    opted_out: bool | None = None

    def __repr__(self) -> str:
        return f"End({self.lifetime_s} s, opted_out={self.opted_out})"


class Leave(NamedTuple):
    """The outcome of a turn that does not change the state.

    Attributes:
        opted_out: As in `Keep`.
    """

    opted_out: bool | None = None


Outcome = Keep | End | Leave


class Reply(NamedTuple):
    """What a repeated delivery of the same request is to be answered with.

    Attributes:
        sealed: The reply; opaque to the store.
        redirects: It sends Twilio on, possibly to the same URL. A request with another `idempotency` is
            then a new one.
    """

    sealed: bytes
    redirects: bool

    def __repr__(self) -> str:
        return f"Reply({len(self.sealed)} bytes, redirects={self.redirects})"


class Begun(NamedTuple):
    """A turn that may run.

    Attributes:
        claim: As given to `begin`.
        token: The sealed state; None if there is no state, empty if there is a value that is not a token.
        lease: What `commit` and `abort` recognise the turn by; the store's own.
        opted_out: Whether the person has sent STOP, and no START since.
        left_s: Seconds until the store drops the token. If it is given, it decides when the state expires,
            not the times in the seal, which come from a host whose clock may differ. None if the store
            does not know, or if there is no token.
    """

    claim: Claim
    token: bytes | None
    lease: object = None
    opted_out: bool = False
    left_s: float | None = None

    def __repr__(self) -> str:
        return f"Begun({'a state' if self.token else 'no state'}, opted_out={self.opted_out})"


class Replay(NamedTuple):
    """A request that was answered before.

    Attributes:
        sealed: The reply as it was given to `commit`.
    """

    sealed: bytes

    def __repr__(self) -> str:
        return f"Replay({len(self.sealed)} bytes)"


class Queue(NamedTuple):
    """The turns of a conversation, for people to see.

    Attributes:
        lease_s: How much longer the running turn may hold it, in seconds; None if no turn is running.
        waiting: How many turns wait.
    """

    lease_s: float | None
    waiting: int


class Store(Protocol):
    """Where conversations are kept.

    A store of your own derives from it and inherits the defaults. One that lacks an abstract method cannot be
    created.

    It may also have these methods (coroutines in a store for asyncio):

    - ``calls(claim)``: the names of the calls that are listed under a pair (`Claim.listed_under`), which
      `Conversations.calls` shows.
    - ``check()``: what ``convostate doctor`` prints, as tuples of ``ok``, ``note`` or ``fault``, what was
      found, and what to do about it.
    - ``clock_ahead_s(claim)``: how far this host's clock is ahead of the store's, in seconds, or None. It
      is called once, if `Begun.left_s` shows that the clocks of two hosts differ. It never raises.
    - ``for_asyncio()``: the same store as an `AsyncStore`; without it, it runs in threads there.
    - ``queue(claim)``: the turns of a conversation, a `Queue`.

    A store that can keep deferred texts has an attribute ``work``, a `convostate.stores.work.WorkStore`.
    """

    @property
    @abstractmethod
    def server_side(self) -> bool:
        """Whether it remembers between requests by itself; a cookie does not."""

    @property
    def most_bytes(self) -> int | None:
        """The longest token that it takes, in bytes; None, the default, if there is no bound."""
        return None

    @abstractmethod
    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """Begin a turn: wait for the earlier turns of the conversation, then hold it.

        Args:
            claim: The conversation and the request.
            cookies: The Cookie header as received, or "".
            now: Unix time in seconds.

        Raises:
            StoreError: ``down`` or ``busy``; the turn is not held.
        """

    @abstractmethod
    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """Write the state (None: no state) and keep the turn, with a full lease again.

        Raises:
            StoreError: ``lost`` or ``down``; after ``lost`` nothing is written.
        """

    @abstractmethod
    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        """Carry out the outcome of a turn, record its reply, and let the next turn begin.

        A lease that has expired is lost, even if no other turn has begun. A state that has expired since
        `begin` does not matter: the turn goes on with what it was given.

        Returns:
            The headers to add to the response.

        Raises:
            StoreError: ``lost`` or ``down``; after ``lost`` nothing is written.
        """

    @abstractmethod
    def abort(self, begun: Begun) -> None:
        """Let the next turn begin; write nothing. Never raises, and may be called after a commit."""

    @abstractmethod
    def peek(self, claim: Claim, now: float) -> bytes | None:
        """Read the sealed state without waiting, or None.

        Raises:
            StoreError: ``down``.
        """

    @abstractmethod
    def erase(self, claim: Claim, *, replies: bool) -> None:
        """Remove the state, so that no running turn can bring it back; with `replies`, the replies as well.

        A recorded STOP stays.

        Raises:
            StoreError: ``down``.
        """

    def close(self) -> None:
        """Free resources such as connections; may be called again. By default there is nothing to free.

        What it keeps stays, and a later turn opens what it needs again.
        """
        return


class AsyncStore(Protocol):
    """A store for asyncio: the methods of `Store` as coroutines, with the same meanings and errors.

    A `begin` that is cancelled gives up its place or its turn. A `write`, `commit` or `abort` is carried out
    even if its caller is cancelled; an `abort` that follows then does nothing. None of them blocks the event
    loop.

    `convostate.stores.async_store_for` makes the one that the settings name, and
    `convostate.stores.aio.as_async_store` gives one for a `Store`.
    """

    @property
    @abstractmethod
    def server_side(self) -> bool:
        """As `Store.server_side`."""

    @property
    def most_bytes(self) -> int | None:
        """As `Store.most_bytes`."""
        return None

    @abstractmethod
    async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """As `Store.begin`. A turn that waits holds neither a thread nor a connection."""

    @abstractmethod
    async def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """As `Store.write`."""

    @abstractmethod
    async def commit(
        self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float
    ) -> Headers:
        """As `Store.commit`."""

    @abstractmethod
    async def abort(self, begun: Begun) -> None:
        """As `Store.abort`."""

    @abstractmethod
    async def peek(self, claim: Claim, now: float) -> bytes | None:
        """As `Store.peek`."""

    @abstractmethod
    async def erase(self, claim: Claim, *, replies: bool) -> None:
        """As `Store.erase`."""

    async def close(self) -> None:
        """As `Store.close`; frees what belongs to the running event loop."""
        return


class Bell(Protocol):
    """What a turn or a worker waits for.

    A ring that comes early ends the next wait, so no ring is missed.
    """

    def ring(self) -> None:
        """End the wait; from any thread."""

    async def wait(self, seconds: float) -> None:
        """Wait for a ring, at most so many seconds."""


class ThreadBell:
    """The `Bell` of a thread or a greenlet.

    It is a lock and not an `Event`, so that a signal handler may ring it: the handler may have interrupted the
    wait while the event's own lock is taken, and would never get it.
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()  # looked up here: gevent may patch it after the import
        self._silent.acquire()

    def ring(self) -> None:
        """See `Bell`."""
        with suppress(RuntimeError):  # it has been rung already
            self._silent.release()

    async def wait(self, seconds: float) -> None:
        """See `Bell`; blocks."""
        self._silent.acquire(timeout=seconds)


def blocking(
    method: Callable[Concatenate[Any, _P], Coroutine[Any, Any, _T]], of: str = ""
) -> Callable[Concatenate[Any, _P], _T]:
    """A method that runs a coroutine whose I/O blocks, so that it never suspends.

    This is how a protocol is written once, as coroutines, for threads and for asyncio. The method is the object's
    own, or that of its attribute `of`.
    """

    @wraps(method)
    def run(self: Any, /, *args: _P.args, **named: _P.kwargs) -> _T:
        owner = getattr(self, of) if of else self
        try:  # made and started in one expression: an interrupt finds no coroutine that was never started
            method(owner, *args, **named).send(None)
        except StopIteration as ended:
            result: _T = ended.value
            return result
        raise AssertionError("a store that blocks has suspended")

    return run


def suspending(
    method: Callable[Concatenate[Any, _P], _T],
) -> Callable[Concatenate[Any, _P], Coroutine[Any, Any, _T]]:
    """The coroutine function of a `blocking` method."""
    coroutine: Callable[Concatenate[Any, _P], Coroutine[Any, Any, _T]] = vars(method)["__wrapped__"]
    return coroutine


def is_store(given: object) -> bool:
    """Whether it has the methods of a store; it need not be derived from `Store`."""
    names = Store.__abstractmethods__ | {"most_bytes"}
    return not isinstance(given, type) and all(hasattr(given, name) for name in names)


def mailbox_full() -> StoreError:
    """The error of a text for which the mailbox has no room."""
    return StoreError("busy", f"{MOST_TEXTS} texts of this conversation wait for an answer")


def too_many_wait() -> StoreError:
    """The error of a turn that may not wait, because too many do."""
    return StoreError("busy", "too many texts of this conversation wait at once")


def waited_too_long() -> StoreError:
    """The error of a turn that has waited too long."""
    return StoreError("busy", "the earlier texts of this conversation took too long")


def lost() -> StoreError:
    """The error of a turn that has lost its lease."""
    return StoreError("lost", "the turn took longer than its lease, or its conversation was ended")
