"""What a turn came to, for those who watch: a record of the logger ``convostate.turns``, and a hook.

    ConversationMiddleware(app, on_turn=observe)    # observe(event: TurnEvent) -> None
    Conversations(on_turn=observe)

One event for each turn and for each refused request. It holds no number, text, value, key or token, and
its words are few, so that they serve as the labels of a metric. In a webhook nothing is measured where
nobody watches.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from convostate.errors import RequestError, StoreError, UsageError
from convostate.stores.base import End, Keep, Leave, Replay
from convostate.twilio.webhook import FIRST_FAILING_STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.stores import Store
    from convostate.stores.base import Answer, Begun, Claim, Headers, Outcome, Reply
    from convostate.twilio.signature import Request
    from convostate.twilio.webhook import Kind

logger = logging.getLogger("convostate")
turns_logger = logging.getLogger("convostate.turns")

TurnOutcome = Literal[
    "kept", "ended", "left", "unwritten", "aborted", "replayed", "unavailable", "refused"
]
TurnKind = Literal["message", "message-status", "call", "other", "turn", "start", "unproven"]
_COMMITTED: dict[type, TurnOutcome] = {Keep: "kept", End: "ended", Leave: "left"}


class TurnEvent(NamedTuple):
    """One turn, or one refused request, after it is over.

    Attributes:
        kind: The webhook's; ``unproven`` where the request was refused; ``turn`` and ``start`` for those
            of `Conversations`, which have no request and no reply.
        outcome: ``kept``, ``ended`` and ``left`` (there is no state, or it is not to be touched) were
            committed. ``unwritten``: the store is down and the app's reply was sent all the same.
            ``aborted``: nothing was written. ``replayed``: the recorded reply was sent. ``unavailable``:
            answered 503, or the caller got the `StoreError`. ``refused``: not proven.
        reason: Of ``aborted``: ``status``, ``exception`` or ``too-large``; where nothing was sent
            ``opted-out`` or ``exists``. Of ``unavailable`` and
            ``unwritten``: ``busy``, ``down`` or ``lost``. Of ``refused``: the category, as in the log.
            Of those that were committed: why the earlier state did not open, such as ``unknown-key``.
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


class TurnObserver:
    """Watches turns while somebody wants to know.

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
        self.log_id = log_id
        self._on_turn = on_turn
        self._told = False

    def watch(self) -> TurnWatch | None:
        """Begin to measure, or None where nobody watches."""
        if self._on_turn is None and not turns_logger.isEnabledFor(logging.INFO):
            return None
        return TurnWatch(self)

    def tell(self, event: TurnEvent) -> None:
        """Log an event and hand it to the hook, whose errors stop no turn."""
        turns_logger.info("%s", event, extra=event._asdict())
        if self._on_turn is None:
            return
        try:
            self._on_turn(event)
        except Exception as error:  # noqa: BLE001  # the turn is over and its reply must be sent
            if not self._told:
                self._told = True
                # Neither its text nor its context: what the app raised before may hold anything.
                place = traceback.extract_tb(error.__traceback__)[-1]
                logger.error(  # noqa: TRY400
                    "on_turn raised %s at %s:%s; the turns go on, and this is said once",
                    type(error).__name__,
                    place.filename,
                    place.lineno,
                )


class TurnWatch:
    """Measures one turn; tells of it at the end of its `with` block.

    Attributes:
        answer: What the server is given, or None where an exception goes on to it.
    """

    def __init__(self, observer: TurnObserver) -> None:
        self.answer: Answer | None = None
        self._observer = observer
        self._outcome: TurnOutcome | None = None
        self._reason = ""
        self._kind: TurnKind = "unproven"
        self._conversation = ""
        self._request_bytes = self._token_bytes = 0
        self._verify_s = self._store_s = self._app_s = 0.0
        self._began_s = perf_counter()

    def proven(self, kind: Kind, context: bytes, request: Request) -> None:
        """The request is a webhook, of this conversation."""
        self._verify_s = perf_counter() - self._began_s
        self._kind = kind
        self._conversation = self._observer.log_id(context)
        self._request_bytes = len(request.body)

    def refused(self, error: Exception, request: Request | None, answer: Answer) -> None:
        """The request is not proven, and that is all."""
        self._verify_s = perf_counter() - self._began_s
        self._request_bytes = len(request.body) if request is not None else 0
        self._outcome = "refused"
        self._reason = error.category if isinstance(error, RequestError) else "surprise"
        with self:
            self.answer = answer

    def lost(self, reason: str) -> None:
        """The app got a fresh state instead of the earlier one."""
        self._reason = reason

    def unavailable(self, error: StoreError) -> None:
        """The reply is 503."""
        self._outcome, self._reason = "unavailable", error.reason

    def store(self, store: Store) -> TimedStore:
        """The store, with a stopwatch."""
        return TimedStore(store, self)

    def too_large(self) -> None:
        """The app's response is longer than Twilio takes."""
        self._outcome, self._reason = "aborted", "too-large"

    @contextmanager
    def app(self) -> Iterator[None]:
        """The app runs in this block."""
        began_s = perf_counter()
        try:
            yield
        finally:
            self._app_s = perf_counter() - began_s

    def asked(self, seconds: float) -> None:
        """So long the store took."""
        self._store_s += seconds

    def replayed(self) -> None:
        """The store has a recorded reply."""
        self._outcome = "replayed"

    def wrote(self, token: bytes | None) -> None:
        """The store has written this, and the turn goes on."""
        self._token_bytes = len(token or b"")

    def committed(self, outcome: Outcome) -> None:
        """The store has carried this out."""
        self._outcome = _COMMITTED[type(outcome)]
        self._token_bytes = len(outcome.token) if isinstance(outcome, Keep) else 0

    def __enter__(self) -> None:
        """The turn begins; `answer` is set where it comes to one."""

    def __exit__(self, *_error: object) -> None:
        """Tell what the turn came to; an exception goes on to the server."""
        answer = self.answer
        status = None if answer is None else int(answer.status[:3])
        if status is None:
            self._outcome, self._reason = "aborted", "exception"
        elif self._outcome is None:
            if status >= FIRST_FAILING_STATUS:
                self._outcome, self._reason = "aborted", "status"
            else:
                self._outcome = "unwritten"
        self._tell(status, len(answer.body) if answer is not None else 0)

    def _tell(self, status: int | None, response_bytes: int) -> None:
        assert self._outcome is not None
        event = TurnEvent(
            self._kind, self._outcome, self._reason, status, self._conversation,
            self._request_bytes, response_bytes, self._token_bytes,
            _ms(self._verify_s), _ms(self._store_s), _ms(self._app_s),
            _ms(perf_counter() - self._began_s),
        )  # fmt: skip
        self._observer.tell(event)


class TimedStore:
    """The calls that a turn makes to its store, measured.

    Args:
        store: The store.
        watch: Who is told.
    """

    def __init__(self, store: Store, watch: TurnWatch) -> None:
        self._store = store
        self._watch = watch

    def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:
        """As `Store.begin`."""
        held: Begun | Replay = self._timed(self._store.begin, claim, cookies, now)
        if isinstance(held, Replay):
            self._watch.replayed()
        return held

    def write(self, begun: Begun, token: bytes | None, lifetime_s: float, now: float) -> None:
        """As `Store.write`."""
        self._timed(self._store.write, begun, token, lifetime_s, now)
        self._watch.wrote(token)

    def commit(self, begun: Begun, outcome: Outcome, reply: Reply | None, now: float) -> Headers:
        """As `Store.commit`."""
        try:
            headers: Headers = self._timed(self._store.commit, begun, outcome, reply, now)
        except StoreError as error:
            self._watch.lost(error.reason)
            raise
        self._watch.committed(outcome)
        return headers

    def abort(self, begun: Begun) -> None:
        """As `Store.abort`."""
        self._timed(self._store.abort, begun)

    def _timed(self, call: Callable[..., Any], *args: Any) -> Any:
        began_s = perf_counter()
        try:
            return call(*args)
        finally:
            self._watch.asked(perf_counter() - began_s)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)  # to the microsecond: what follows is noise
