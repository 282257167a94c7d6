"""A turn: what is opened, what is kept, what a failure means, and what a repeated delivery is answered with.

    webhook_turn(webhook, …)           → Turn, with the claim for the store
    open_turn(turn, now)               → the app's State
    finish(turn, status, now, nonce)   → Keep | End | Leave, or None: abort
    finish_response(turn, response, …) → that of a webhook, and the Reply that the store records
    open_reply(turn, replay, now)      → the recorded Response
    without_store(turn, error)         → a 503, or None: go on without the store

Each door (`wsgi`, `asgi`) and `conversations` calls these and, between them, begin, commit and abort of
its store; `wsgi.middleware` shows the order. The clock, the nonces, the store and the app are the
caller's: nothing here waits, draws random bytes or does I/O.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import cbor2

from convostate.errors import SealError, StateError, StoreError, UsageError
from convostate.events import COMMITTED, UNKEPT, Observed, TurnKind, log_once
from convostate.sealing import codec
from convostate.sealing.codec import prefixed
from convostate.sealing.names import Names
from convostate.sealing.token import (
    NONCE_BYTES,
    Opened,
    Sealer,
    conversation_context,
    most_data_bytes,
    sealed_bytes,
)
from convostate.settings import LONGEST_AT_SERVER, LONGEST_IN_COOKIE, Settings
from convostate.state import (
    OVER,
    READ_ONLY_CALL,
    READ_ONLY_DEFERRED,
    READ_ONLY_IN_COOKIE,
    READ_ONLY_STATUS,
    State,
)
from convostate.stores import store_for
from convostate.stores.base import (
    CALL_S,
    REPLY_S,
    Begun,
    Claim,
    End,
    Keep,
    Leave,
    Outcome,
    Reply,
    is_store,
)
from convostate.twilio.webhook import FIRST_FAILING_STATUS, LIVE_CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Set

    from convostate.stores.base import Headers, Replay
    from convostate.twilio.signature import Request
    from convostate.twilio.webhook import OptOut, PhonePair, Webhook

    Kept = tuple[Outcome, Reply | None]

logger = logging.getLogger("convostate")

CLOCKS_DIFFER_MS = 5000  # more than a slow commit and NTP's own error
MAX_RESPONSE_BYTES = 65_536  # https://www.twilio.com/docs/api/errors/11750

_MILLISECOND = timedelta(milliseconds=1)
_ENDED = codec.encode(None)
_OPTED_OUT = {"STOP": True, "START": False, "HELP": None, None: None}
_STATUS = {
    400: "400 Bad Request",
    403: "403 Forbidden",
    405: "405 Method Not Allowed",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
# The conversations that have a turn in this context: a second turn would wait for the first forever.
# Each is a list with the turn's claim, which is emptied when the turn is over.
_running: ContextVar[tuple[list[Claim], ...]] = ContextVar("convostate.running", default=())
AFTER_CALL_MS = 600 * 1000  # recordings, transcriptions and statuses follow in no promised order
_CALL_DIGEST_BYTES = 16


@dataclass(frozen=True, repr=False)
class TurnConfig:
    """What all turns of one installation share, made at start-up.

    Attributes:
        settings: The settings; what each turn needs of them is below.
        sealer: Seals the states of pairs.
        call_sealer: Seals the states of calls.
        reply_sealer: Seals recorded replies.
        names: Makes the keyed names.
        lifetime_ms: The lifetime of the settings.
        most_bytes: The longest token that may be written, or None.
        cache_headers: The headers about caches that each reply of a turn has, by lower-case name.
        in_cookie: The state travels in a cookie, which message statuses do not carry.
        logged: The warnings that are logged once and have been.
    """

    settings: Settings
    sealer: Sealer
    call_sealer: Sealer
    reply_sealer: Sealer
    names: Names
    lifetime_ms: int
    most_bytes: int | None
    cache_headers: dict[str, tuple[str, str]]
    in_cookie: bool
    logged: set[str]

    @property
    def ends_on_opt_out(self) -> bool:
        """Whether a STOP ends the conversation."""
        return self.settings.on_opt_out == "end"


def configure(
    settings: Settings | None, store: Any, make_store: Callable[[Settings], Any] = store_for
) -> tuple[Settings, Any, TurnConfig]:
    """The settings, the store, and what turns need of both.

    Args:
        settings: None reads them from the environment variables.
        store: A `Store` or an `AsyncStore`; None makes the one that the settings name.
        make_store: Makes a store from settings.

    Raises:
        UsageError: An argument has the wrong type, the settings are wrong, or they do not fit the store.
    """
    try:
        settings = Settings.from_environ() if settings is None else settings
        if store is None and isinstance(settings, Settings):
            store = make_store(settings)
    except UsageError as error:
        # Error trackers show the variables of each frame; these hold tokens, keys and passwords.
        raise error.with_traceback(None) from error.__cause__
    if not isinstance(settings, Settings):
        raise UsageError(
            f"settings must be Settings, got {type(settings).__name__}. "
            "Write Settings(auth_token=…, keys=…, store=…), or leave them out to read the environment variables"
        )
    if not is_store(store):
        raise UsageError(
            f"store must be a convostate store, got {type(store).__name__}. Give middleware.store, one of "
            "convostate.stores, or your own. Derive it from convostate.stores.Store"
        )
    server_side = store.server_side
    settings.check_store(server_side=server_side)
    if settings.defer_paths and getattr(store, "work", None) is None:
        raise UsageError(
            f"{Settings.defer_paths.variable} is set, and this store does not keep texts that are answered "
            "later. Set CONVOSTATE_STORE=redis://…, or give your own store a WorkStore as its attribute work"
        )
    longest_ms = (LONGEST_AT_SERVER if server_side else LONGEST_IN_COOKIE) // _MILLISECOND
    most_bytes = store.most_bytes
    if server_side:
        most_bytes = min(most_bytes or settings.max_state_bytes, settings.max_state_bytes)
    cache_headers = {"cache-control": ("Cache-Control", "no-store")}
    if not server_side:
        cache_headers["vary"] = ("Vary", "Cookie")
    config = TurnConfig(
        settings=settings,
        sealer=Sealer(settings.keys, "state" if server_side else "cookie", longest_ms),
        call_sealer=Sealer(settings.keys, "call", longest_ms),
        reply_sealer=Sealer(settings.keys, "reply", longest_ms),
        names=Names((settings.index_key or settings.keys).keys[0]),
        lifetime_ms=settings.lifetime // _MILLISECOND,
        most_bytes=most_bytes,
        cache_headers=cache_headers,
        in_cookie=not server_side,
        logged=set(),
    )
    return settings, store, config


class Response(NamedTuple):
    """A response as it is given to the server, and as it is recorded.

    Attributes:
        status: Such as ``200 OK``.
        headers: Names and values in order.
        body: At most 65,536 bytes.
    """

    status: str
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status[:3]}, {len(self.body)} bytes)"


def empty_response(status: int) -> Response:
    """A response of the middleware itself: the sender learns only the status."""
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "0"),
        ("Cache-Control", "no-store"),
    ]
    if status == 405:
        headers.append(("Allow", "GET, POST"))
    return Response(_STATUS[status], headers, b"")


class Turn(Observed):
    """One turn while it runs, and its outcome.

    Args:
        config: The installation's.
        pair: The pair of phones; None in a call without a pair.
        kind: As in `TurnEvent`.
        call: The account and the SID of the call whose conversation this is; None for the pair's.
        fingerprint, idempotency, secure, defers: As in `Claim`.
        began_s: When the request arrived, by `time.perf_counter`.

    Attributes:
        opt_out: The webhook's `opt_out_type`.
        begun: What the store returned; None before that, without the store, and after a commit.
        lost: Why the store returned nothing, or None.
        longest_ms: The longest lifetime that this turn can give the state.
        locked: Why the state cannot be written, or None.
        never_begins: Why a new state cannot be written, or None if the turn can begin a conversation.
        moves_expiry: Whether it restarts the lifetime of an existing conversation.
        read_only: The state cannot be written.
        store_decides: The state expires when a server-side store drops it, whatever the clocks of the hosts
            say. Otherwise the times in the seal count: in cookies, and with a test's clock.
        skew_s: How far the clock of the host that sealed the state is ahead of this host's, in seconds.
            0 up to 5 s, or if it has been logged.
        running: The claim while the turn runs.
        deferred: The queue, and the sealed text that the commit is to keep; or None.
        deferred_by: The `Conversations` object whose `answer_later` was called.
        sealer, sealed_to: What seals the state, and what its tokens are bound to.
        digest: Names the call before the state's bytes in a cookie; otherwise empty.
    """

    state: State
    opt_out: OptOut | None = None
    begun: Begun | None = None
    lost: StoreError | None = None
    locked: StateError | None = None
    never_begins: StateError | None = None
    moves_expiry = True
    read_only = store_decides = False
    skew_s = 0.0
    deferred: tuple[str, bytes] | None = None
    deferred_by: object = None
    digest = b""

    def __init__(
        self,
        config: TurnConfig,
        pair: PhonePair | None,
        kind: TurnKind = "turn",
        *,
        call: tuple[str, str] | None = None,
        fingerprint: str | None = None,
        idempotency: bytes = bytes(8),
        secure: bool = True,
        defers: bool = False,
        began_s: float | None = None,
    ) -> None:
        self.began_s = time.perf_counter() if began_s is None else began_s
        self.config = config
        self.pair = pair
        self.kind = kind
        self.longest_ms = config.lifetime_ms
        self.running: list[Claim] = []
        name = listed_under = ""
        if pair is not None:
            of_pair = conversation_context(pair)
        else:
            assert call is not None
            of_pair = prefixed(call[0].encode(), b"", b"")
        self.sealer, self.context, self.sealed_to = config.sealer, of_pair, of_pair
        if call is not None:
            self.sealer = config.call_sealer
            self.context = prefixed(*(part.encode() for part in call))
            self.longest_ms = min(self.longest_ms, CALL_S * 1000)
        if not config.in_cookie:
            name = config.names.conversation(self.context)
            if call is not None:
                self.sealed_to = _sealed_to_call(call[0], name)
                listed_under = config.names.conversation(of_pair) if pair else ""
        elif call is not None:
            self.digest = hashlib.sha256(self.context).digest()[:_CALL_DIGEST_BYTES]
        self.claim = Claim(
            name, fingerprint, idempotency, secure, call is not None, listed_under, defers
        )
        if defers:
            self.locked = READ_ONLY_DEFERRED
        elif kind == "message-status":
            self.moves_expiry, self.never_begins = False, READ_ONLY_STATUS
            self.locked = READ_ONLY_IN_COOKIE if config.in_cookie else None

    def __repr__(self) -> str:
        return f"Turn({self.kind}, {self.outcome or 'running'})"

    def leave(self) -> None:
        """Mark it as over in all contexts, copies included. The state refuses further writes."""
        self.running.clear()
        if hasattr(self, "state"):
            self.state.locked = OVER

    def log(self, what: str, reason: str) -> None:
        """Log a warning about this conversation."""
        logger.warning(
            "conversation %s: %s (%s)", self.config.names.log_id(self.context), what, reason
        )


def webhook_turn(
    webhook: Webhook,
    request: Request,
    signed: str,
    idempotency_token: str,
    config: TurnConfig,
    began_s: float,
    *,
    defers: bool = False,
) -> Turn | None:
    """The turn that a verified webhook asks for, or None if it does not belong to a conversation.

    `idempotency_token` is the ``I-Twilio-Idempotency-Token`` header, or ""; `began_s` is when the request
    arrived, by `time.perf_counter`; `defers` says that the path matches CONVOSTATE_DEFER_PATHS.
    """
    kind, call = webhook.kind, None
    if kind == "call" and config.settings.calls == "own":
        call = (webhook.account_sid, webhook.params["CallSid"])
    elif webhook.pair is None:
        return None
    fingerprint, idempotency = None, bytes(8)
    if not config.in_cookie and kind != "call":
        # Not of calls: a caller who presses the same digit twice sends identical requests.
        fingerprint = config.names.fingerprint(request.method, signed)
        if idempotency_token:
            token = idempotency_token.encode("utf-8", "replace")
            idempotency = hashlib.sha256(token).digest()[: len(idempotency)]
    turn = Turn(
        config,
        webhook.pair,
        kind,
        call=call,
        fingerprint=fingerprint,
        idempotency=idempotency,
        secure=request.url.startswith("https:"),
        defers=defers and kind == "message",
        began_s=began_s,
    )
    turn.opt_out = webhook.opt_out_type
    if call is not None:
        status = webhook.params.get("CallStatus")
        if status is None:  # a callback, such as a recording's: the call may be over or go on
            turn.moves_expiry = False
        elif status not in LIVE_CALL:
            turn.never_begins = READ_ONLY_CALL
            turn.longest_ms = min(turn.longest_ms, AFTER_CALL_MS)
    turn.verify_s = time.perf_counter() - began_s
    turn.request_bytes = len(request.body)
    return turn


def listed_turn(pair_turn: Turn, name: str) -> Turn:
    """A turn that can read the state of a call, of which a store lists only the name under that of its pair."""
    assert pair_turn.pair is not None
    account_sid = pair_turn.pair.account_sid
    turn = Turn(pair_turn.config, pair_turn.pair, call=(account_sid, ""))
    turn.store_decides = pair_turn.store_decides
    turn.claim = turn.claim._replace(name=name)
    turn.sealed_to = _sealed_to_call(account_sid, name)
    return turn


def _sealed_to_call(account_sid: str, name: str) -> bytes:
    return prefixed(account_sid.encode(), name.encode())


def open_turn(turn: Turn, now: float) -> State:
    """Open the state of a conversation whose turn has begun, `now` in Unix seconds.

    If the token does not open, the state is a new one, and its `lost` says why.
    """
    if turn.claim.name:
        turn.running.append(turn.claim)
        _running.set((*filter(None, _running.get()), turn.running))
    state = read_state(turn, None if turn.begun is None else turn.begun.token, now)
    if state.lost is not None:
        turn.reason = state.lost.reason
        turn.log(f"a fresh state: {state.lost}", turn.reason)
    return state


def read_state(turn: Turn, token: bytes | None, now: float) -> State:
    """Read a sealed state, or with None make a new one; it becomes the turn's."""
    config, now_ms = turn.config, int(now * 1000)
    content: dict[Any, Any] | None = None
    started_ms, expires_ms = now_ms, now_ms + turn.longest_ms
    most_bytes = config.most_bytes
    lost: SealError | StoreError | None = turn.lost
    is_of_caller = was_converted = False
    if token is not None:
        try:
            opened = turn.sealer.open(token, turn.sealed_to, None if turn.store_decides else now_ms)
            if opened.data.startswith(turn.digest):  # otherwise it is another call's
                content = codec.decode(opened.data[len(turn.digest) :])
                # With `in`, bytes are tried as an int first, which costs an exception.
                was_converted = opened.data.find(codec.SERIALIZED_HEAD) >= 0
        except SealError as error:
            is_of_caller = turn.pair is None and not turn.moves_expiry
            if is_of_caller:  # a callback does not name the pair, and must not replace its cookie
                log_once(
                    config.logged, UNKEPT, "with the cookie store a call's callback has no state"
                )
            else:
                lost = SealError(error.reason, str(error))  # its frames and its cause stay here
        if content is not None:
            started_ms, expires_ms = opened.started_ms, opened.expires_ms
            if turn.store_decides:
                expires_ms = now_ms + left_of(turn, expires_ms, now_ms)
                skew_ms = opened.expires_ms - expires_ms
                if abs(skew_ms) > CLOCKS_DIFFER_MS and "clocks" not in config.logged:
                    config.logged.add("clocks")
                    turn.skew_s = skew_ms / 1000
            if most_bytes and not config.in_cookie:
                most_bytes = max(most_bytes, len(token))  # it may shrink, but not grow
    locked = turn.locked or (turn.never_begins if content is None else None)
    turn.state = State(
        content,
        pair=turn.pair,
        started_ms=started_ms,
        expires_ms=expires_ms,
        lifetime_ms=turn.longest_ms,
        most_bytes=most_bytes,
        beside_bytes=len(turn.digest),
        lost=lost,
        locked=locked,
        was_converted=was_converted,
    )
    turn.read_only = locked is not None or is_of_caller
    return turn.state


def left_of(turn: Turn, expires_ms: int, now_ms: int) -> int:
    """How much of the lifetime of the state with which a turn began is left, in ms, whatever the clock did meanwhile."""
    left_s = turn.begun.left_s if turn.begun is not None and turn.store_decides else None
    return expires_ms - now_ms if left_s is None else int((left_s - turn.app_s) * 1000)


async def log_clocks(turn: Turn, store: Any) -> None:
    """Log, for a turn with a `skew_s`, that the clocks of two hosts differ, and by how much from the store's if that is known."""
    ask = getattr(store, "clock_ahead_s", None)
    asked = None if ask is None else ask(turn.claim)
    ahead_s = await asked if inspect.isawaitable(asked) else asked
    referee = "" if ahead_s is None else f", and this host's is {_apart(ahead_s)} the store's"
    logger.warning(
        "another host's clock is %s this host's%s. No state is lost, because the store decides when it "
        "expires. Synchronise the clocks of all hosts with NTP",
        _apart(turn.skew_s),
        referee,
    )


def _apart(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"


def finish(turn: Turn, status: int, now: float, nonce: bytes) -> Outcome | None:
    """Decide what is kept of a turn, and seal it. The state refuses further writes.

    Args:
        turn: A turn whose app has answered.
        status: The HTTP status of the response; 200 if no webhook started the turn.
        now: Unix time in seconds.
        nonce: 24 random bytes, never used before.

    Returns:
        What the store is to do; or None, to abort, because Twilio discards the response.

    Raises:
        StateError: The state holds what cannot be kept, or is too large.
    """
    state, config = turn.state, turn.config
    state.locked = OVER
    if status >= FIRST_FAILING_STATUS:
        turn.came_to("aborted", "status")
        return None
    now_ms, lifetime_ms = int(now * 1000), state.lifetime_ms
    if not turn.moves_expiry:
        left_ms = AFTER_CALL_MS if state.is_new else left_of(turn, state.expires_ms, now_ms)
        lifetime_ms = min(lifetime_ms, left_ms)
    opted_out = _OPTED_OUT[turn.opt_out]
    stops = turn.opt_out == "STOP" and config.ends_on_opt_out
    ends = state.ended or stops
    outcome: Outcome
    if (
        (stops or not turn.read_only)
        and (ends or state or state.touched or not state.is_new)
        and lifetime_ms > 0
    ):
        data, most = _ENDED if ends else state.encoded(), config.most_bytes
        if most is not None and sealed_bytes(len(turn.digest) + len(data)) > most:
            try:
                data = _fitted(turn, data, most)
            except StateError as error:
                del data  # error trackers show the variables of each frame
                raise error.with_traceback(None) from None
        content = Opened(now_ms, now_ms + lifetime_ms, state.started_ms, turn.digest + data)
        token = turn.sealer.seal(content, turn.sealed_to, nonce)
        outcome = (End if ends else Keep)(token, lifetime_ms / 1000, opted_out)
    else:
        outcome = Leave(opted_out)
    if turn.begun is None:
        turn.came_to("unwritten", turn.reason)
        return None
    turn.outcome = COMMITTED[type(outcome)]
    turn.token_bytes = len(outcome.token) if isinstance(outcome, Keep) else 0
    return outcome


def _fitted(turn: Turn, data: bytes, most: int) -> bytes:
    """The data of a state that is too large, without the oldest items of the lists that `trim` names.

    Raises:
        StateError: It is too large even so.
    """
    from convostate.sealing.trimming import name_of, trim  # noqa: PLC0415  # few states are too large

    config, longest = turn.config, turn.state.most_bytes or most
    content = codec.decode(data) or {}
    # A quarter is left free, so that not every turn trims.
    trimmed = trim(content, config.settings.trim, most_data_bytes(most * 3 // 4) - len(turn.digest))
    data = codec.encode(content)
    size = sealed_bytes(len(turn.digest) + len(data))
    if size > longest:
        trimmed_keys = {key for key in content if name_of(key) in config.settings.trim}
        raise _too_large(content, size, longest, trimmed_keys, config)
    if trimmed:
        turn.reason = turn.reason or "trimmed"
        if "trimmed" not in config.logged:
            config.logged.add("trimmed")
            turn.log(
                "the state was too large and was kept without the oldest items of its lists; logged once",
                "trimmed",
            )
    return data


def _too_large(
    content: Mapping[Any, Any], size: int, most: int, trimmed: Set[Any], config: TurnConfig
) -> StateError:
    heaviest = codec.heaviest(content)
    keys = ", ".join(f"{shown} ({weight} bytes)" for _, shown, weight in heaviest)
    place, advice = "", f"raise {Settings.max_state_bytes.variable} if the store takes more"
    if config.in_cookie:
        place, advice = " for a cookie", "keep it at the server: set CONVOSTATE_STORE=redis://…"
    first = heaviest[0][0] if heaviest else None
    if first not in trimmed and type(content.get(first)) is list:
        keys += f". The first is a list, whose oldest items go if {Settings.trim.variable} names it"
    return StateError(
        f"the state is too large{place}: sealed it has {size} bytes, at most {most} fit. "
        f"The heaviest keys: {keys}. Keep less, or {advice}"
    )


def without_store(turn: Turn, error: StoreError) -> Response | None:
    """The response to a webhook whose store has failed in `begin` or `commit`.

    Returns:
        A 503; or None: the app runs with a new state, or its response is sent, and nothing is kept.
    """
    runs_without_store = turn.config.settings.on_outage == "empty" and not turn.claim.defers
    if error.reason != "down" or not runs_without_store:
        turn.came_to("unavailable", error.reason)
        turn.log(f"answered 503: {error}", error.reason)
        return empty_response(503)
    if turn.begun is None:
        turn.lost = StoreError(error.reason, str(error))  # its frames and its cause stay here
    else:
        turn.came_to("unwritten", error.reason)
        turn.log(f"the state could not be written: {error}", error.reason)
    return None


def too_large(turn: Turn, status: str | None) -> Response:
    """The response if the app's own is longer than Twilio accepts; the app may not have named a status yet."""
    turn.came_to("aborted", "too-large")
    # An error page may hide why the app failed, such as Django's 400 for a host that it does not allow.
    response = "response" if status is None else f"response with status {status[:3]}"
    turn.log(
        f"answered 500: the app's {response} is over {MAX_RESPONSE_BYTES} bytes",
        "Twilio's error 11750",
    )
    return empty_response(500)


def seal_reply(turn: Turn, response: Response, now: float, nonce: bytes) -> Reply:
    """Seal a response for repeated deliveries of the same request, to which its fingerprint binds it."""
    now_ms = int(now * 1000)
    content = Opened(now_ms, now_ms + REPLY_S * 1000, now_ms, cbor2.dumps(list(response)))
    redirects = response.status.startswith("3") or response.body.find(b"<Redirect") >= 0
    return Reply(turn.config.reply_sealer.seal(content, _reply_context(turn), nonce), redirects)


def open_reply(turn: Turn, replay: Replay, now: float) -> Response:
    """Open a recorded response.

    Raises:
        StoreError: ``lost``, it does not open. The app must not run again, and there is no other reply.
    """
    turn.came_to("replayed", "")
    try:
        now_ms = None if turn.store_decides else int(now * 1000)
        opened = turn.config.reply_sealer.open(replay.sealed, _reply_context(turn), now_ms)
        status, headers, body = cbor2.loads(opened.data)
        return Response(status, [(name, value) for name, value in headers], body)
    except (SealError, cbor2.CBORError, ValueError, TypeError) as error:
        raise StoreError("lost", "the recorded reply of this message does not open") from error


def _reply_context(turn: Turn) -> bytes:
    return turn.context + prefixed((turn.claim.fingerprint or "").encode("ascii"))


# RFC 9110 §5.6.2 and §5.5; servers refuse to send anything else. Usual names and values are letters, digits and
# the like, which the methods of str find in less time and code than a regular expression.
_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_sendable = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch
# RFC 2616 §13.5.1. They are the server's: gunicorn drops them, wsgiref and waitress fail (PEP 3333, "Other HTTP
# Features"), and so do ASGI servers at a Transfer-Encoding. A turn's response is whole, so none is needed.
_HOP_BY_HOP = frozenset(
    """connection keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding
    upgrade""".split()
)


def finish_response(turn: Turn, response: Response, now: float, nonces: bytes) -> Kept | None:
    """Decide what is kept of a webhook's turn, seal it, and make its response one that can be sent.

    Headers that are the server's are dropped, and those about caches are added. What the server could not send
    is refused: if the server found out, its 500 would come after the state was kept.

    Args:
        turn: A turn whose app has answered.
        response: The app's; its headers are changed in place.
        now: Unix time in seconds.
        nonces: 48 random bytes, never used before.

    Returns:
        What the store is to do, and the reply that it is to record; or None, to abort.

    Raises:
        StateError: The state cannot be kept.
        AssertionError: HTTP does not allow the status, a header or the length. The message shows no value.
    """
    config, status = turn.config, response.status
    outcome = finish(turn, int(status[:3]), now, nonces[:NONCE_BYTES])
    if not (status.isascii() and status.isprintable()) and not _is_sendable(status):
        raise AssertionError("the app's status has a character that HTTP does not allow")
    headers: list[tuple[str, str]] = []
    missing = config.cache_headers.copy()
    bodiless = "0" if status[:3] in ("204", "304") else None
    for name, value in response.headers:
        if not (name.isascii() and name.replace("-", "").isalnum()) and not _is_token(name):
            raise AssertionError("a header of the app's has a name that HTTP does not allow")
        if not (value.isascii() and value.isprintable()) and not _is_sendable(value):
            raise AssertionError(
                f"the app's header {name} has a character that HTTP does not allow"
            )
        lower = name.lower()
        if lower in _HOP_BY_HOP:
            continue
        sent = value.strip(" \t")  # no recipient reads these (RFC 9110 §5.5), and h11 refuses them
        ours = config.cache_headers.get(lower)
        missing.pop(lower, None)
        if ours and ours[1].lower() not in sent.lower().replace(" ", "").split(","):
            sent = f"{sent}, {ours[1]}" if sent else ours[1]
        elif lower == "content-length" and sent not in (str(len(response.body)), bodiless):
            raise AssertionError("the app's Content-Length is not the length of its body")
        elif lower == "set-cookie" and config.in_cookie:
            log_once(
                config.logged,
                "the app sets a cookie of its own beside the conversation's: "
                "Twilio promises to keep one cookie only",
            )
        headers.append((name, sent))
    response.headers[:] = [*headers, *missing.values()]
    if outcome is None:
        return None
    recorded = turn.claim.fingerprint is not None  # otherwise a repetition is to run again
    return outcome, seal_reply(turn, response, now, nonces[NONCE_BYTES:]) if recorded else None


def check_free(claim: Claim) -> None:
    """Refuse a turn that would wait for a turn of this context, or could deadlock with another context.

    A call's turn comes first: the turn of its pair may be taken inside it, but not the reverse.

    Raises:
        UsageError: There is such a turn.
    """
    running = [each for cell in _running.get() for each in cell]
    if any(each.name == claim.name for each in running):
        raise UsageError(
            "A turn of this conversation runs here already, and this would wait for it or break it. "
            "In its webhook use state_from(environ) and client.messages.create(), inside turn() the state you have, and in "
            "an answer function turn.state and turn.reply()"
        )
    if claim.call and any(
        not each.call and claim.listed_under in ("", each.name) for each in running
    ):
        raise UsageError(
            "A turn of a pair runs here, and a call's turn inside it could wait for a turn that waits for "
            "this one. Take the call's turn first, and the pair's inside it"
        )
