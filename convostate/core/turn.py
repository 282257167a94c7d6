"""A turn: authenticate the request, open the state, finish with what is to be kept.

    authenticate(request, secrets)       → Webhook, or RequestError
    open_turn(webhook's facts, token)    → Turn, which holds the State
    finish(turn, status)                 → Keep | End | Leave, or None: abort

Bytes and values in, values out: the clock, the nonces and the store are the caller's.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from convostate.core import codec
from convostate.core.form import (
    EMPTY,
    IDENTITY,
    Form,
    learn,
    names_of_query,
    parse_form,
    parse_query,
)
from convostate.core.names import Names, conversation_context
from convostate.core.outcome import End, Keep, Leave, Outcome
from convostate.core.resplit import check_split
from convostate.core.seal import Opened, Sealer
from convostate.core.signature import Request, Secrets, body_hash_matches, verify
from convostate.core.state import OVER, READ_ONLY_IN_COOKIE, READ_ONLY_STATUS, State
from convostate.core.webhook import Kind, OptOut, Webhook, kind_of, pair_of
from convostate.errors import RequestError, SealError, StateError, StoreError

if TYPE_CHECKING:
    from convostate.core.pair import PhonePair

FORM = "application/x-www-form-urlencoded"
FIRST_FAILING_STATUS = 400  # Twilio discards such a reply and calls the fallback URL (error 11217)
_ENDED = codec.encode(None)
_OPTED_OUT = {"STOP": True, "START": False, "HELP": None, None: None}


def authenticate(request: Request, secrets: Secrets) -> tuple[Webhook, str]:
    """Prove that Twilio made a request.

    Args:
        request: What arrived.
        secrets: What may have signed it.

    Returns:
        The webhook, and the signed string, which names the request.

    Raises:
        RequestError: 400 malformed, 403 not proven, 405 another method, 415 another content type.
    """
    if request.method == "POST":
        if _is_form(request.content_type):
            if "bodySHA256" in request.query:
                raise RequestError(
                    415,
                    "content-type",
                    "a form whose URL carries bodySHA256 was signed as something else",
                )
            form = signed_form = parse_form(request.body)
        elif body_hash_matches(request.query, request.body):
            form, signed_form = parse_query(request.query), EMPTY
        else:
            raise RequestError(
                415,
                "content-type",
                "neither a form in UTF-8 nor a body that matches one bodySHA256",
            )
    elif request.method == "GET":
        if request.body or "bodySHA256" in request.query:
            raise RequestError(415, "content-type", "a GET webhook has no body")
        form, signed_form = parse_query(request.query), EMPTY
    else:
        raise RequestError(405, "method", "webhooks are GET or POST")

    params = form.first
    signers = secrets.candidates(request.scheme, params.get("AccountSid", ""))
    signed = verify(request.url, signed_form, request.signature, signers)
    if signed_form.is_unknown:
        learn(signed_form)
    _check_identity(form)
    if signed_form is form:
        _check_query(request.query, params)
        check_split(signed, form, params.get("Body", ""))
    else:
        fields = request.query.split("&")
        check_split(
            signed, EMPTY, next((part[5:] for part in fields if part.startswith("Body=")), "")
        )
    kind = kind_of(params) if signed_form is form or request.method == "GET" else "other"
    return Webhook(kind, pair_of(kind, params), MappingProxyType(params), request.url), signed


def _is_form(content_type: str) -> bool:
    if content_type == FORM:
        return True
    media_type, *parameters = content_type.lower().split(";")
    return media_type.strip() == FORM and all(
        parameter.replace('"', "").strip() in ("", "charset=utf-8") for parameter in parameters
    )


def _check_identity(form: Form) -> None:
    """Each field that decides who talks to whom has one value."""
    params, pairs = form.first, form.pairs
    if pairs is not None:
        names = [name for name, _ in pairs if name in IDENTITY]
        if len(names) != len(set(names)):
            raise RequestError(
                403, "identity", "a field that decides who talks to whom is repeated"
            )
    sid = params.get("MessageSid") or params.get("SmsSid") or params.get("SmsMessageSid")
    if not params.get("SmsSid", sid) == sid == params.get("SmsMessageSid", sid):
        raise RequestError(403, "identity", "the message has two SIDs")


def _check_query(query: str, params: dict[str, str]) -> None:
    """A POST says who talks to whom in its body alone: frameworks may read the query first."""
    if query:
        outside = names_of_query(query) & IDENTITY
        # Without an account in its body it may be a GET webhook's URL, signed as that.
        if outside and (outside & params.keys() or "AccountSid" not in params):
            raise RequestError(
                403, "identity", "a field that decides who talks to whom is in the query"
            )


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
        data = codec.encode(state)
    content = Opened(now_ms, expires_ms, turn.started_ms, data)
    token = terms.sealer.seal(content, turn.context, nonce)
    if data is _ENDED:
        return End(token, lifetime_ms / 1000, opted_out)
    if terms.most_bytes is not None and len(token) > terms.most_bytes:
        raise _too_large(state, len(token), terms.most_bytes)
    return Keep(token, lifetime_ms / 1000, opted_out)


def _too_large(state: State, size: int, most: int) -> StateError:
    keys = ", ".join(f"{key} ({weight} bytes)" for key, weight in codec.heaviest(state))
    return StateError(
        f"the state is too large for a cookie: sealed it has {size} bytes, at most {most} fit. "
        f"The heaviest keys: {keys}. Keep less, or keep it at the server: set CONVOSTATE_STORE=redis://…"
    )
