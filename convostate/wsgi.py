"""ConversationMiddleware: where the clock, the randomness, the store and the core meet.

path guarded? → read_request → authenticate → store.begin → open_turn
→ the app, its response collected → finish → store.commit → start_response, once
"""

from __future__ import annotations

import logging
import os
import time
from io import BytesIO
from typing import TYPE_CHECKING

from convostate.core.names import conversation_context, idempotency_hash
from convostate.core.outcome import Claim
from convostate.core.reply import Answer, open_reply, seal_reply
from convostate.core.seal import NONCE_BYTES
from convostate.core.state import OVER
from convostate.core.turn import Turn, authenticate, finish, open_turn
from convostate.core.webhook import Webhook
from convostate.errors import RequestError, StoreError, UsageError
from convostate.guarded_paths import guard
from convostate.refusals import RefusalLog
from convostate.running import Running
from convostate.settings import Settings
from convostate.stores import Store, store_for
from convostate.stores.contract import Begun, Headers, Replay
from convostate.wsgi_environ import CLOCK_KEY, STATE_KEY, WEBHOOK_KEY
from convostate.wsgi_request import read_request
from convostate.wsgi_response import MAX_RESPONSE_BYTES, ResponseTooLargeError, collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from convostate.core.pair import PhonePair
    from convostate.core.signature import Request

logger = logging.getLogger("convostate")

_STATUS = {
    400: "400 Bad Request",
    403: "403 Forbidden",
    405: "405 Method Not Allowed",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}

_NAMELESS, _NAMELESS_PLAIN = (
    Claim(""),
    Claim("", secure=False),
)  # a cookie needs no name to be found by


class ConversationMiddleware:
    """Wraps a WSGI app: proves each webhook, opens its conversation's state, seals what the app left.

    The app finds the state with `state_from(environ)` and the webhook with `webhook_from(environ)`.

    Args:
        app: The WSGI app.
        settings: None reads them from the environment variables.
        store: A store of your own; None takes the one that the settings name.

    Raises:
        UsageError: The settings are wrong, or the app is wrapped already.
    """

    def __init__(
        self, app: WSGIApplication, settings: Settings | None = None, *, store: Store | None = None
    ) -> None:
        if _is_wrapped(app):
            raise UsageError(
                "This app is wrapped already. Wrap it once, with one ConversationMiddleware(app)"
            )
        if not callable(app):
            raise UsageError(
                "ConversationMiddleware takes a WSGI app. Give it a callable, such as app.wsgi_app"
            )
        settings = Settings.from_environ() if settings is None else settings
        if not isinstance(settings, Settings) or isinstance(store, str):
            raise UsageError(
                "Settings and a Store are wanted. Write Settings(auth_token=…, keys=…, store=…)"
            )
        if store is None:
            store = store_for(
                settings.store, cookie_name=settings.cookie_name, max_waiting=settings.max_waiting
            )
        self.app = app
        self.settings = settings
        self.store = store
        self._terms = settings.terms(
            server_side=store.server_side, most_bytes=getattr(store, "most_bytes", None)
        )
        self._secrets = settings.secrets()
        self._refusals = RefusalLog(self._secrets)
        self._guards = guard(settings.paths)
        self._told_of_cookies = False
        self._cache_headers = {"cache-control": ("Cache-Control", "no-store")}
        if not store.server_side:
            self._cache_headers["vary"] = ("Vary", "Cookie")

    def __repr__(self) -> str:
        return f"ConversationMiddleware({self.settings!r})"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self._guards(environ.get("PATH_INFO", "")):
            environ.setdefault(WEBHOOK_KEY, None)  # for the message of state_from()
            return self.app(environ, start_response)
        if type(environ.get(WEBHOOK_KEY)) is Webhook:  # proven by the middleware of an outer app
            return self.app(environ, start_response)
        request: Request | None = None
        try:
            request = read_request(environ, self.settings.public_url, self.settings.max_body_bytes)
            webhook, signed = authenticate(request, self._secrets)
        except Exception as error:  # noqa: BLE001  # what surprises the verification is not proven
            self._refusals.log(error, request, environ)
            return _refuse(start_response, error.status if isinstance(error, RequestError) else 403)
        inner = dict(environ)
        inner["wsgi.input"] = BytesIO(request.body)
        inner["CONTENT_LENGTH"] = str(len(request.body))
        inner.pop("HTTP_TRANSFER_ENCODING", None)
        inner.pop(STATE_KEY, None)
        inner[WEBHOOK_KEY] = webhook
        if webhook.pair is None:
            return self.app(inner, start_response)
        answer = self._take_turn(inner, request, webhook, webhook.pair, signed)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _take_turn(
        self,
        environ: WSGIEnvironment,
        request: Request,
        webhook: Webhook,
        pair: PhonePair,
        signed: str,
    ) -> Answer:
        """Hold the conversation, run the app, let go."""
        clock: Callable[[], float] = environ.get(CLOCK_KEY, time.time)
        now = clock()
        context = conversation_context(pair)
        claim = self._claim(environ, request, webhook, context, signed)
        begun: Begun | None = None
        lost: StoreError | None = None
        try:
            held = self.store.begin(claim, environ.get("HTTP_COOKIE", ""), now)
            if isinstance(held, Replay):
                return open_reply(held.sealed, context, claim.fingerprint or "", now, self._terms)
            begun = held
        except StoreError as error:
            if error.reason != "down" or self.settings.on_outage == "refuse":
                return self._unavailable(error, context)
            lost = error.with_traceback(None)
        running = Running(claim.name) if claim.name else None
        try:
            turn = open_turn(
                pair,
                begun.token if begun is not None else None,
                now,
                self._terms,
                kind=webhook.kind,
                opt_out=webhook.opt_out_type,
                context=context,
                lost=lost,
            )
            if turn.state.lost is not None:
                self._say("a fresh state, the earlier one is lost", turn.state.lost.reason, context)
            environ[STATE_KEY] = turn.state
            return self._run(environ, turn, begun, clock)
        finally:
            if running is not None:
                running.end()
            if begun is not None:
                self.store.abort(begun)  # does nothing after a commit

    def _run(
        self,
        environ: WSGIEnvironment,
        turn: Turn,
        begun: Begun | None,
        clock: Callable[[], float],
    ) -> Answer:
        """Run the app and commit what it left; the caller aborts where this does not get so far."""
        context = turn.context
        try:
            answer = collect(self.app, environ)
        except ResponseTooLargeError:
            what = f"answered 500: the app's response is over {MAX_RESPONSE_BYTES} bytes"
            self._say(what, "Twilio's error 11750", context)
            return _empty(500)
        finally:
            turn.state.lock(OVER)
        now = clock()
        status = int(answer.status[:3])
        outcome = finish(turn, status, now, os.urandom(NONCE_BYTES), self._terms)
        self._add_ours(answer.headers)
        if outcome is None or begun is None:
            return answer
        reply = None
        if begun.claim.fingerprint is not None:
            fingerprint, nonce = begun.claim.fingerprint, os.urandom(NONCE_BYTES)
            reply = seal_reply(answer, context, fingerprint, now, nonce, self._terms)
        try:
            answer.headers.extend(self.store.commit(begun, outcome, reply, now))
        except StoreError as error:
            if error.reason == "lost" or self.settings.on_outage == "refuse":
                return self._unavailable(error, context)
            self._say("the state could not be written", error.reason, context)
        return answer

    def _claim(
        self,
        environ: WSGIEnvironment,
        request: Request,
        webhook: Webhook,
        context: bytes,
        signed: str,
    ) -> Claim:
        secure = request.url.startswith("https:")
        if not self.store.server_side:
            return _NAMELESS if secure else _NAMELESS_PLAIN
        names = self._terms.names
        return Claim(
            names.conversation(context),
            # A caller who presses the same digit twice sends identical requests: calls run again.
            names.fingerprint(request.method, signed) if webhook.kind != "call" else None,
            idempotency_hash(environ.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")),
            secure,
        )

    def _add_ours(self, headers: Headers) -> None:
        """Merge what a turn's reply says about caches into the collected headers."""
        missing = self._cache_headers
        for index, (name, value) in enumerate(headers):
            lower = name.lower()
            if lower in self._cache_headers:
                ours = self._cache_headers[lower]
                headers[index] = (name, _joined(value, ours[1]))
                missing = {other: header for other, header in missing.items() if other != lower}
            elif lower == "set-cookie":
                self._tell_of_cookies()
        headers += missing.values()

    def _tell_of_cookies(self) -> None:
        """Say once what an app that sets cookies of its own cannot count on."""
        if not self.store.server_side and not self._told_of_cookies:
            self._told_of_cookies = True
            logger.warning(
                "the app sets a cookie of its own beside the conversation's: "
                "Twilio promises to keep one cookie only"
            )

    def _unavailable(self, error: StoreError, context: bytes) -> Answer:
        self._say(f"answered 503: {error}", error.reason, context)
        return _empty(503)

    def _say(self, what: str, reason: str, context: bytes) -> None:
        logger.warning("conversation %s: %s (%s)", self._terms.names.log_id(context), what, reason)


def _is_wrapped(app: object) -> bool:
    """Whether the middleware is in a stack of WSGI apps, under `app` or `wsgi_app` as most name it."""
    for _ in range(20):  # a stack of middleware, not a cycle
        if app is None or isinstance(app, ConversationMiddleware):
            break
        app = getattr(app, "wsgi_app", None) or getattr(app, "app", None)
    return isinstance(app, ConversationMiddleware)


def _joined(value: str, ours: str) -> str:
    """A header's value with our word in it, once."""
    if ours.lower() in (part.strip().lower() for part in value.split(",")):
        return value
    return f"{value}, {ours}" if value else ours


def _empty(status: int) -> Answer:
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "0"),
        ("Cache-Control", "no-store"),
    ]
    return Answer(
        _STATUS[status], headers + ([("Allow", "GET, POST")] if status == 405 else []), b""
    )


def _refuse(start_response: StartResponse, status: int) -> Iterable[bytes]:
    answer = _empty(status)
    start_response(answer.status, answer.headers)
    return [answer.body]
