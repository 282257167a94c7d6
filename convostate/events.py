"""The outcome of each turn, for monitoring: a record of the logger ``convostate.turns``, and a hook.

    ConversationMiddleware(app, on_turn=observe)    # observe(event: TurnEvent) -> None
    Conversations(on_turn=observe)

There is one event for each turn and for each refused request. It holds no number, text, value, key or token.
Its `kind`, `outcome` and `reason` come from small fixed sets and are safe as metric labels. Without a hook or
a log level of INFO nothing is measured.
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
UNKEPT = "writes to the session are dropped: %s"
COMMITTED: dict[type, TurnOutcome] = {Keep: "kept", End: "ended", Leave: "left"}


class TurnEvent(NamedTuple):
    """One turn, or one refused request, after it is over.

    Attributes:
        kind: The webhook's; ``unproven`` if the request was refused; ``turn`` and ``start`` for those
            of `Conversations`, and ``answer`` for texts that are answered later: these three have neither a
            request nor a reply.
        outcome: ``kept``, ``ended`` and ``left`` (there is no state, or it was not to be changed) were
            committed. ``unwritten``: the store is down, and the app's reply was sent nevertheless.
            ``aborted``: nothing was written. ``replayed``: the recorded reply was sent. ``unavailable``:
            answered 503, or the caller got the `StoreError`. ``refused``: not verified.
        reason: For ``aborted``: ``status``, ``exception`` or ``too-large``; ``opted-out`` or ``exists`` if
            no message was sent. For ``unavailable`` and ``unwritten``: ``busy``, ``down`` or ``lost``. For
            ``refused``: the category, as in the log. For a committed turn: why the earlier state did not
            open, such as ``unknown-key``; or ``trimmed`` if the state was too large and lost its oldest
            items. For a ``start`` that is ``kept``: ``lost`` or ``down`` if the store failed after the
            message was sent. Otherwise "".
        status: The HTTP status of the reply; None if there is no reply, or if an exception goes on to the
            server.
        conversation: The conversation's keyed id, the same as in the log; "" if it is not verified.
        request_bytes: The request's body.
        response_bytes: The reply's body.
        token_bytes: The sealed state that was written, or 0.
        verify_ms: Reading and verifying the request.
        store_ms: Waiting for the store, and in it for the earlier texts of the conversation.
        app_ms: The app; for ``turn`` the block, for ``start`` the sending.
        total_ms: The whole turn; the remainder was opening and sealing.
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
    """What a turn or a refused request records while it runs, for its `TurnEvent`.

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
        """Record an outcome of which nothing is written, and the reason."""
        self.outcome, self.reason, self.token_bytes = outcome, reason, 0


class TurnObserver:
    """Reports turns while the hook or the logger is in use.

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
        """Whether the hook or the logger is in use."""
        return self._on_turn is not None or turns_logger.isEnabledFor(logging.INFO)

    def timed(self, store: AnyStore, turn: Observed) -> AnyStore:
        """The store, timed if turns are reported."""
        return cast("AnyStore", _TimedStore(store, turn)) if self.active else store

    def report(self, turn: Observed, response: tuple[str, Headers, bytes] | None) -> None:
        """Log the event of a turn that is over, and call the hook, whose errors do not stop the turn.

        `response` is what the server gets: None without a request, or if an exception goes on to the server.
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


def log_once(logged: set[str], message: str, *args: str) -> None:
    """Log a warning, unless `logged` shows that it was logged before."""
    text = message % args
    if text not in logged:
        logged.add(text)
        logger.warning(message, *args)


class _TimedStore:
    """The methods of a store; their time is added to a turn's `store_s`."""

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
