"""State: the dict of one conversation, as the app sees it during one turn, and where the app finds it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import TYPE_CHECKING, Any

from convostate.errors import ConvostateError, SealError, StateError, StoreError, UsageError
from convostate.sealing import codec
from convostate.sealing.token import most_data_bytes, sealed_bytes
from convostate.twilio.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convostate.twilio.webhook import PhonePair

STATE_KEY = "convostate.state"
WEBHOOK_KEY = "convostate.webhook"
TURN_KEY = "convostate.turn"
"""The turn, for `Conversations.answer_later`."""
CLOCK_KEY = "convostate.clock"
"""A callable that gives Unix time, for tests; no HTTP client can set such a key."""

_ENDED = UsageError(
    "This conversation has been ended in this turn. Write before end(), or call clear() instead of it"
)


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc)


class Session(dict[Any, Any], ABC):
    """A framework's session that shows a state: a dict of the same items, which the State keeps equal."""

    @abstractmethod
    def encoded(self) -> bytes:
        """The state's items as CBOR, including items that only this session can convert.

        Raises:
            StateError: An item cannot be stored.
        """


def _written(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `dict` that writes, called on the items of a State and on those of its session."""

    @wraps(method)
    def write(self: State, *args: Any) -> Any:
        if self.locked is not None:
            # A new one each time: an error that is raised twice keeps the tracebacks of both.
            raise type(self.locked)(*self.locked.args)
        self.touched = True
        result = method(self, *args)
        if self.session is not None:
            method(self.session, *args)
        return result

    return write


class State(dict[Any, Any]):
    """What is remembered of one conversation: a dict that is kept when the turn succeeds.

    Keys are str or int; values are None, bool, int, float, str, bytes, list, dict, set, tuple, aware
    datetime, date, finite Decimal and UUID. It is kept when the app answers with a status below 400,
    and left as it was when it answers otherwise or raises.

    Attributes:
        pair: The pair of phones; None in a call without one, such as from a withheld number.
        is_new: There was no conversation: this text begins one.
        started_at: When the conversation began (aware, UTC).
        expires_at: When it ends unless another turn follows (aware, UTC): as opened; for a new one, now plus
            the lifetime.
        lost: Why an earlier state could not be opened or read, or None.
        locked: The error that every write raises, or None.
        ended: Whether `end` was called.
        touched: Whether the app has written.
    """

    __slots__ = (
        "_beside_bytes",
        "_longest_ms",
        "ended",
        "expires_ms",
        "is_new",
        "lifetime_ms",
        "locked",
        "lost",
        "most_bytes",
        "pair",
        "session",
        "started_ms",
        "touched",
        "was_converted",
    )

    def __init__(
        self,
        content: dict[Any, Any] | None,
        *,
        pair: PhonePair | None,
        started_ms: int,
        expires_ms: int,
        lifetime_ms: int,
        most_bytes: int | None = None,
        beside_bytes: int = 0,
        lost: SealError | StoreError | None = None,
        locked: ConvostateError | None = None,
        was_converted: bool = False,
    ) -> None:
        """Open a state: its content, or None if nothing was kept.

        It may be `most_bytes` long when it is sealed, with the `beside_bytes` that are sealed with its own.
        If `was_converted`, a session has serialized a part of it, see `codec.Serialized`.
        """
        super().__init__(content or ())
        # None is so rare that it is not in the type, as with `re.Match.group` in typeshed.
        self.pair: PhonePair | Any = pair
        self.is_new = content is None
        self.lost = lost
        self.started_ms = started_ms
        self.expires_ms = expires_ms
        self.lifetime_ms = self._longest_ms = lifetime_ms
        self.most_bytes = most_bytes
        self._beside_bytes = beside_bytes
        self.locked = locked
        self.was_converted = was_converted
        self.session: Session | None = None
        self.touched = self.ended = False

    def __repr__(self) -> str:
        return f"State(keys={[codec.shown_key(key) for key in self]!r})"

    __str__ = __repr__
    __hash__ = None  # mutable, as any dict

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)  # a copy is a plain dict, also in a task queue

    @property
    def started_at(self) -> datetime:
        """When the conversation began."""
        return _moment(self.started_ms)

    @property
    def expires_at(self) -> datetime:
        """When it ends unless another turn follows."""
        return _moment(self.expires_ms)

    @property
    def lifetime(self) -> timedelta:
        """How long the state is kept after this turn; may be set, but only to less than the settings say."""
        return timedelta(milliseconds=self.lifetime_ms)

    @lifetime.setter
    def lifetime(self, lifetime: timedelta) -> None:
        """Shorten the lifetime for this turn's write.

        Raises:
            UsageError: It is not a timedelta of 1 s up to the lifetime of the settings.
        """
        self._touch()
        longest = timedelta(milliseconds=self._longest_ms)
        if type(lifetime) is not timedelta or not timedelta(seconds=1) <= lifetime <= longest:
            raise UsageError(
                "state.lifetime takes a timedelta of 1 s up to the lifetime of the settings, "
                f"{self._longest_ms // 1000} s. Raise CONVOSTATE_LIFETIME, or give a shorter one"
            )
        self.lifetime_ms = int(lifetime / timedelta(milliseconds=1))

    @property
    def size_bytes(self) -> int:
        """The length of the sealed state, in bytes, if it were written now; grows in steps of 64.

        Raises:
            StateError: It holds what cannot be kept.
        """
        return sealed_bytes(self._beside_bytes + len(self.encoded()))

    @property
    def room_bytes(self) -> int | None:
        """How many more bytes fit, as CBOR: a str takes its UTF-8 plus 1 to 5 bytes.

        Negative if it is too large already. None if the store has no bound.

        Raises:
            StateError: It holds what cannot be kept.
        """
        if self.most_bytes is None:
            return None
        return most_data_bytes(self.most_bytes) - self._beside_bytes - len(self.encoded())

    def encoded(self) -> bytes:
        """The items as CBOR, to be sealed; converted by the framework's session if there is one.

        Raises:
            StateError: It holds what cannot be kept.
        """
        if self.ended:
            return codec.encode(None)
        return codec.encode(self) if self.session is None else self.session.encoded()

    def end(self) -> None:
        """End the conversation with this turn: nothing is kept, and the next text begins a new one.

        Raises:
            UsageError, StateError: The state cannot be written.
        """
        self._touch()
        self.ended = True
        self.locked = _ENDED

    def unkept(self) -> State:
        """A writable copy that is not stored."""
        return State(
            None if self.is_new else self,
            pair=self.pair,
            started_ms=self.started_ms,
            expires_ms=self.expires_ms,
            lifetime_ms=self._longest_ms,
            most_bytes=self.most_bytes,
            beside_bytes=self._beside_bytes,
            lost=self.lost,
        )

    __setitem__ = _written(dict.__setitem__)
    __delitem__ = _written(dict.__delitem__)
    clear = _written(dict.clear)
    pop = _written(dict.pop)
    popitem = _written(dict.popitem)
    setdefault = _written(dict.setdefault)
    _update = _written(dict.update)
    _touch = _written(lambda _items: None)

    def update(self, *args: Any, **items: Any) -> None:
        """As `dict.update`."""
        self._update(dict(*args, **items))

    def __ior__(self, other: Any) -> State:  # type: ignore[misc]  # dict's own has two overloads
        self.update(other)
        return self


READ_ONLY_IN_COOKIE = StateError(
    "this state is read-only: a message status has no cookie jar. "
    "Keep the state at the server: set CONVOSTATE_STORE=redis://…"
)
READ_ONLY_STATUS = StateError(
    "this state is read-only: a message status never begins a conversation. "
    "Write only if state.is_new is false"
)
READ_ONLY_DEFERRED = StateError(
    "this state is read-only: the texts of this path are answered later, and an answer may be under way. "
    "Change turn.state in the function that answers, or take the path out of CONVOSTATE_DEFER_PATHS"
)
READ_ONLY_CALL = StateError(
    "this state is read-only: the call is over, and its last status never begins a conversation. "
    "Write only if state.is_new is false"
)
NO_CONVERSATION = StateError(
    "this webhook belongs to no conversation, and the app has no sessions of its own. "
    "Write the session only if webhook_from(…).pair is not None"
)
OVER = UsageError(
    "The turn is over and its state is written: this change would be lost. "
    "Change the state before the response ends, or use Conversations.turn()"
)


def _not_an_environ(given: object) -> UsageError:
    return UsageError(
        f"{type(given).__name__} is neither an environ nor a scope. Pass the request's: request.environ "
        "under WSGI, request.scope under ASGI"
    )


def webhook_from(environ: Mapping[str, Any]) -> Webhook:
    """The verified webhook of this request.

    Args:
        environ: The request's WSGI environ, or its ASGI scope.

    Raises:
        UsageError: There is none; the message says why.
    """
    try:
        webhook = environ.get(WEBHOOK_KEY)
    except AttributeError:  # the request itself, or nothing
        raise _not_an_environ(environ) from None
    if type(webhook) is Webhook:
        return webhook
    if WEBHOOK_KEY in environ:
        raise UsageError(
            "This path is not guarded, so the request is not verified. Add the path to CONVOSTATE_PATHS"
        )
    if "REQUEST_METHOD" not in environ and "type" not in environ:
        raise _not_an_environ(environ)
    raise UsageError(
        "This request did not come through ConversationMiddleware. Wrap the app: ConversationMiddleware(app); "
        "if it is wrapped under ASGI, pass request.scope"
    )


def state_from(environ: Mapping[str, Any]) -> State:
    """The state of this request's conversation: a dict that is kept if the app succeeds.

    Args:
        environ: The request's WSGI environ, or its ASGI scope.

    Raises:
        UsageError: There is none; the message says whether the app is not wrapped, the path not
            guarded, or the webhook without a phone pair.
    """
    state = environ.get(STATE_KEY) if hasattr(environ, "get") else None
    if isinstance(state, State):
        return state
    webhook = webhook_from(environ)
    raise UsageError(
        f"This webhook (kind {webhook.kind}) names no pair of phones, so it belongs to no conversation. "
        "Use webhook_from(environ), or ask for state only if webhook.pair is not None"
    )
