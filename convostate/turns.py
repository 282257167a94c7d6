"""A turn: open the state, finish with what is to be kept.

    open_turn(webhook's facts, token)    → Turn, which holds the State
    finish(turn, status)                 → Keep | End | Leave, or None: abort

Bytes and values in, values out: the clock, the nonces and the store are the caller's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from convostate.errors import SealError, StateError, StoreError
from convostate.sealing import codec
from convostate.sealing.names import Names, conversation_context
from convostate.sealing.token import Opened, Sealer
from convostate.settings import LONGEST_AT_SERVER, LONGEST_IN_COOKIE, Settings
from convostate.state import OVER, READ_ONLY_IN_COOKIE, READ_ONLY_STATUS, State
from convostate.stores.base import End, Keep, Leave, Outcome
from convostate.twilio.webhook import FIRST_FAILING_STATUS

if TYPE_CHECKING:
    from convostate.twilio.pair import PhonePair
    from convostate.twilio.webhook import Kind, OptOut

_ENDED = codec.encode(None)
_OPTED_OUT = {"STOP": True, "START": False, "HELP": None, None: None}


class Terms(NamedTuple):
    """What all turns of one installation have in common, made at start-up.

    Attributes:
        sealer: Seals states.
        reply_sealer: Seals recorded replies; None where the store does not remember.
        names: Makes the keyed names.
        lifetime_ms: The lifetime of the settings.
        ends_on_opt_out: Whether a STOP ends the conversation.
        most_bytes: The longest token that the store takes, or None.
    """

    sealer: Sealer
    reply_sealer: Sealer | None
    names: Names
    lifetime_ms: int
    ends_on_opt_out: bool
    most_bytes: int | None

    @property
    def in_cookie(self) -> bool:
        """The state travels in a cookie, which message statuses do not carry."""
        return self.reply_sealer is None


def terms_of(settings: Settings, *, server_side: bool, most_bytes: int | None) -> Terms:
    """What all turns of an installation have in common.

    Args:
        settings: The installation's.
        server_side: Whether the store in use remembers by itself.
        most_bytes: The longest token that it takes, or None.

    Raises:
        UsageError: The settings do not go with such a store.
    """
    settings.check_store(server_side=server_side)
    longest_ms = _ms(LONGEST_AT_SERVER if server_side else LONGEST_IN_COOKIE)
    return Terms(
        sealer=Sealer(settings.keys, "state" if server_side else "cookie", longest_ms),
        reply_sealer=Sealer(settings.keys, "reply", longest_ms) if server_side else None,
        names=Names((settings.index_key or settings.keys).keys[0]),
        lifetime_ms=_ms(settings.lifetime),
        ends_on_opt_out=settings.on_opt_out == "end",
        most_bytes=most_bytes,
    )


def _ms(span: timedelta) -> int:
    return int(span / timedelta(milliseconds=1))


class Turn:
    """One turn while it runs. Its `state` is the app's; the rest is for `finish`."""

    __slots__ = ("context", "expires_ms", "kind", "opt_out", "read_only", "started_ms", "state")

    def __init__(
        self,
        state: State,
        kind: Kind,
        opt_out: OptOut | None,
        context: bytes,
        started_ms: int,
        expires_ms: int,
    ) -> None:
        self.state = state
        self.read_only = state.locked is not None
        self.kind = kind
        self.opt_out = opt_out
        self.context = context
        self.started_ms = started_ms
        self.expires_ms = expires_ms


def open_turn(
    pair: PhonePair,
    token: bytes | None,
    now: float,
    terms: Terms,
    *,
    kind: Kind = "other",
    opt_out: OptOut | None = None,
    context: bytes | None = None,
    lost: StoreError | None = None,
) -> Turn:
    """Open the state of a conversation.

    Args:
        pair: Whose.
        token: The sealed state as it was kept, or None where there is none.
        now: Unix time in seconds.
        terms: The installation's.
        kind: The webhook's, or ``other`` where no webhook started the turn.
        opt_out: The webhook's `opt_out_type`.
        context: `conversation_context` of the pair, where the caller has it already.
        lost: Why the store gave nothing.

    Returns:
        The turn. A token that does not open gives a fresh state whose `lost` says why.
    """
    now_ms = int(now * 1000)
    context = conversation_context(pair) if context is None else context
    content: dict[Any, Any] | None = None
    started_ms, expires_ms = now_ms, now_ms + terms.lifetime_ms
    why: SealError | StoreError | None = lost
    if token is not None:
        try:
            opened = terms.sealer.open(token, context, now_ms)
            content = codec.decode(opened.data)
        except SealError as error:
            why = SealError(error.reason, str(error))  # its frames and its cause stay here
        else:
            if content is not None:
                started_ms, expires_ms = opened.started_ms, opened.expires_ms
    locked: StateError | None = None
    if kind == "message-status":
        if terms.in_cookie:
            locked = READ_ONLY_IN_COOKIE
        elif content is None:
            locked = READ_ONLY_STATUS
    state = State(
        content,
        pair=pair,
        started_ms=started_ms,
        expires_ms=expires_ms,
        lifetime_ms=terms.lifetime_ms,
        lost=why,
        locked=locked,
    )
    return Turn(state, kind, opt_out, context, started_ms, expires_ms)


def finish(turn: Turn, status: int, now: float, nonce: bytes, terms: Terms) -> Outcome | None:
    """Decide what is kept of a turn, and seal it. The state takes no further writes.

    Args:
        turn: The turn, whose app has answered.
        status: The HTTP status of the answer; 200 where no webhook started the turn.
        now: Unix time in seconds.
        nonce: 24 random bytes, never used before.
        terms: The installation's.

    Returns:
        What the store is to do, or None: abort, because Twilio discards the answer.

    Raises:
        StateError: The state holds what cannot be kept, or is too large for a cookie.
    """
    state = turn.state
    state.lock(OVER)
    if status >= FIRST_FAILING_STATUS:
        return None
    opted_out = _OPTED_OUT.get(turn.opt_out)
    if turn.read_only:
        return Leave()
    now_ms = int(now * 1000)
    lifetime_ms = state.lifetime_ms
    if turn.kind == "message-status":
        lifetime_ms = min(lifetime_ms, turn.expires_ms - now_ms)
        if lifetime_ms <= 0:
            return Leave()
    expires_ms = now_ms + lifetime_ms
    if state.ended or (turn.opt_out == "STOP" and terms.ends_on_opt_out):
        data = _ENDED
    elif state.is_new and not state and not state.touched:
        return Leave(opted_out)
    else:
        data = state.encoded()
    content = Opened(now_ms, expires_ms, turn.started_ms, data)
    token = terms.sealer.seal(content, turn.context, nonce)
    if data is _ENDED:
        return End(token, lifetime_ms / 1000, opted_out)
    if terms.most_bytes is not None and len(token) > terms.most_bytes:
        raise _too_large(data, len(token), terms.most_bytes)
    return Keep(token, lifetime_ms / 1000, opted_out)


def _too_large(data: bytes, size: int, most: int) -> StateError:
    keys = ", ".join(
        f"{key} ({weight} bytes)" for key, weight in codec.heaviest(codec.decode(data) or {})
    )
    return StateError(
        f"the state is too large for a cookie: sealed it has {size} bytes, at most {most} fit. "
        f"The heaviest keys: {keys}. Keep less, or keep it at the server: set CONVOSTATE_STORE=redis://…"
    )
