"""What a turn came to, for those who watch: a record of the logger ``convostate.turns``, and a hook.

    ConversationMiddleware(app, on_turn=observe)    # observe(event: TurnEvent) -> None
    Conversations(on_turn=observe)

One event for each turn and for each refused request. It holds no number, text, value, key or token, and
its words are few, so that they serve as the labels of a metric. In a webhook nothing is measured where
nobody watches.
"""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

from convostate.errors import UsageError
from convostate.stores.base import End, Keep, Leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.stores.base import AsyncStore, Headers, Store

logger = logging.getLogger("convostate")
turns_logger = logging.getLogger("convostate.turns")

AnyStore = TypeVar("AnyStore", "Store", "AsyncStore")

TurnOutcome = Literal[
    "kept", "ended", "left", "unwritten", "aborted", "replayed", "unavailable", "refused"
]
TurnKind = Literal[
    "message", "message-status", "call", "other", "turn", "start", "answer", "unproven"
]
COMMITTED: dict[type, TurnOutcome] = {Keep: "kept", End: "ended", Leave: "left"}


class TurnEvent(NamedTuple):
    """One turn, or one refused request, after it is over.

    Attributes:
        kind: The webhook's; ``unproven`` where the request was refused; ``turn`` and ``start`` for those
            of `Conversations`, and ``answer`` for texts that are answered later: they have no request and
            no reply.
        outcome: ``kept``, ``ended`` and ``left`` (there is no state, or it is not to be touched) were
            committed. ``unwritten``: the store is down and the app's reply was sent all the same.
            ``aborted``: nothing was written. ``replayed``: the recorded reply was sent. ``unavailable``:
            answered 503, or the caller got the `StoreError`. ``refused``: not proven.
        reason: Of ``aborted``: ``status``, ``exception`` or ``too-large``; where nothing was sent
            ``opted-out`` or ``exists``. Of ``unavailable`` and
            ``unwritten``: ``busy``, ``down`` or ``lost``. Of ``refused``: the category, as in the log.
            Of those that were committed: why the earlier state did not open, such as ``unknown-key``;
            of ``kept`` else ``trimmed``, if the state was too large and lost its oldest items.
            Of a ``start`` that is ``kept``: the lease was ``lost``, or the store ``down``, after the
            message was sent. Else "".
        status: The HTTP status of the reply; None where there is none, or an exception goes on to the
            server.
        conversation: The conversation's keyed id, the same as in the log; "" where it is not proven.
        request_bytes: The request's body.
        response_bytes: The reply's body.
        token_bytes: The sealed state that was written, or 0.
        verify_ms: Reading the request and proving it.
        store_ms: Waiting for the store and, in it, for the conversation's earlier texts.
        app_ms: The app; of ``turn`` the block, of ``start`` the sending.
        total_ms: All of it; what is left over was opening and sealing.
    """

    kind: TurnKind
    outcome: TurnOutcome
    reason: str
    status: int | None
    conversation: str
    request_bytes: int
    response_bytes: int
    token_bytes: int
    verify_ms: float
    store_ms: float
    app_ms: float
    total_ms: float

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return (
            f"conversation {self.conversation or '-'}: {self.kind} {self.outcome}{why}, "
            f"status {self.status or '-'}, {self.total_ms:.1f} ms (verify {self.verify_ms:.1f}, "
            f"store {self.store_ms:.1f}, app {self.app_ms:.1f}), bytes {self.request_bytes} in, "
            f"{self.response_bytes} out, {self.token_bytes} written"
        )


class Observed:
    """What is known of a turn, or of a refused request, while it runs; a `TurnEvent` is made of it.

    Attributes:
        kind, outcome, reason: As in `TurnEvent`; `outcome` is "" until it is known.
        context: The conversation's identity as bytes; empty if the request is not verified.
        request_bytes, token_bytes: As in `TurnEvent`.
        began_s: When it began, by `time.perf_counter`.
        verify_s, store_s, app_s: Seconds, so far.
    """

    kind: TurnKind = "unproven"
    outcome: TurnOutcome | Literal[""] = ""
    reason = ""
    context = b""
    request_bytes = token_bytes = 0
    began_s = verify_s = store_s = app_s = 0.0

    def came_to(self, outcome: TurnOutcome, reason: str) -> None:
        """Nothing is written, and this is why."""
        self.outcome, self.reason, self.token_bytes = outcome, reason, 0


class TurnObserver:
    """Reports turns while somebody wants to know.

    Args:
        on_turn: Is called with each event, or None.
        log_id: Makes the keyed id of a conversation.

    Raises:
        UsageError: The hook cannot be called.
    """

    def __init__(
        self, on_turn: Callable[[TurnEvent], object] | None, log_id: Callable[[bytes], str]
    ) -> None:
        if on_turn is not None and not callable(on_turn):
            raise UsageError("on_turn is called with each TurnEvent. Give it a function")
        self._log_id = log_id
        self._on_turn = on_turn
        self._logged_error = False

    @property
    def active(self) -> bool:
        """Whether somebody does."""
        return self._on_turn is not None or turns_logger.isEnabledFor(logging.INFO)

    def timed(self, store: AnyStore, turn: Observed) -> AnyStore:
        """The store, with a stopwatch if somebody wants to know."""
        return cast("AnyStore", _TimedStore(store, turn)) if self.active else store

    def report(self, turn: Observed, response: tuple[str, Headers, bytes] | None) -> None:
        """Log the event of a turn that is over and call the hook, whose errors stop no turn, if somebody is there.

        Args:
            turn: The turn.
            response: What the server is given; None if there is no request, or an exception goes on.
        """
        if not self.active:
            return
        assert turn.outcome
        status = None if response is None else int(response[0][:3])
        event = TurnEvent(
            turn.kind, turn.outcome, turn.reason, status,
            self._log_id(turn.context) if turn.context else "",
            turn.request_bytes, 0 if response is None else len(response[2]), turn.token_bytes,
            _ms(turn.verify_s), _ms(turn.store_s), _ms(turn.app_s),
            _ms(time.perf_counter() - turn.began_s),
        )  # fmt: skip
        turns_logger.info("%s", event, extra=event._asdict())
        if self._on_turn is None:
            return
        try:
            self._on_turn(event)
        except Exception as error:  # noqa: BLE001  # the turn is over and its reply must be sent
            if not self._logged_error:
                self._logged_error = True
                # Neither its text nor its context: what the app raised before may hold anything.
                place = traceback.extract_tb(error.__traceback__)[-1]
                logger.error(  # noqa: TRY400
                    "on_turn raised %s at %s:%s; turns go on, and this is logged once",
                    type(error).__name__,
                    place.filename,
                    place.lineno,
                )


class _TimedStore:
    """The methods of a store; the time that they take is added to a turn's `store_s`."""

    def __init__(self, store: Store | AsyncStore, turn: Observed) -> None:
        self._store = store
        self._turn = turn

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def timed(*args: Any) -> Any:
            with self._stopwatch():
                return method(*args)

        async def timed_async(*args: Any) -> Any:
            with self._stopwatch():
                return await method(*args)

        return timed_async if inspect.iscoroutinefunction(method) else timed

    @contextmanager
    def _stopwatch(self) -> Iterator[None]:
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self._turn.store_s += time.perf_counter() - began_s


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)  # to the microsecond: what follows is noise
