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

from convostate.environ import CLOCK_KEY, STATE_KEY, WEBHOOK_KEY, layers
from convostate.errors import RequestError, StoreError, UsageError
from convostate.events import TurnObserver
from convostate.paths import guard
from convostate.recorded_replies import open_reply, seal_reply
from convostate.refusals import RefusalLog
from convostate.running import Running
from convostate.sealing.names import conversation_context, idempotency_hash
from convostate.sealing.token import NONCE_BYTES
from convostate.settings import Settings
from convostate.state import OVER
from convostate.stores import Store, store_for
from convostate.stores.base import Answer, Begun, Claim, Headers, Replay
from convostate.turns import Turn, finish, open_turn, terms_of
from convostate.twilio.authenticate import authenticate
from convostate.twilio.webhook import Webhook
from convostate.wsgi.request import arrival_of, read_request
from convostate.wsgi.response import (
    MAX_RESPONSE_BYTES,
    ResponseTooLargeError,
    collect,
    empty_answer,
    joined,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from convostate.events import TimedStore, TurnEvent, TurnWatch
    from convostate.twilio.pair import PhonePair
    from convostate.twilio.signature import Request

logger = logging.getLogger("convostate")

# A cookie needs no name to be found by.
_NAMELESS, _NAMELESS_PLAIN = Claim(""), Claim("", secure=False)


class ConversationMiddleware:
    """Wraps a WSGI app: proves each webhook, opens its conversation's state, seals what the app left.

    The app finds the state with `state_from(environ)` and the webhook with `webhook_from(environ)`.

    Args:
        app: The WSGI app.
        settings: None reads them from the environment variables.
        store: A store of your own; None takes the one that the settings name.
        on_turn: Is called with a `TurnEvent` after each turn and each refused request, in the thread
            that serves it; what it raises is logged once and stops nothing.

    Raises:
        UsageError: The settings are wrong, or the app is wrapped already.
    """

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        if any(isinstance(layer, ConversationMiddleware) for layer in layers(app)):
            raise UsageError(
                "This app is wrapped already. Wrap it once, with one ConversationMiddleware(app)"
            )
        if not callable(app):
            raise UsageError(
                "ConversationMiddleware takes a WSGI app. Give it a callable, such as app.wsgi_app"
            )
        settings = Settings.from_environ() if settings is None else settings
        if store is None and isinstance(settings, Settings):
            store = store_for(settings)
        if not isinstance(settings, Settings) or not hasattr(store, "most_bytes"):
            raise UsageError(
                "Settings and a Store are wanted. Write Settings(auth_token=…, keys=…, store=…)"
            )
        self.app = app
        self.settings = settings
        self.store: Store = store
        self._terms = terms_of(settings, server_side=store.server_side, most_bytes=store.most_bytes)
        self._secrets = settings.secrets()
        self._refusals = RefusalLog(self._secrets)
        self._observer = TurnObserver(on_turn, self._terms.names.log_id)
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
            if "HTTP_X_TWILIO_SIGNATURE" in environ:
                self._refusals.log_unguarded(environ.get("PATH_INFO", ""))
            return self.app(environ, start_response)
        if type(environ.get(WEBHOOK_KEY)) is Webhook:  # proven by the middleware of an outer app
            return self.app(environ, start_response)
        watch = self._observer.watch()
        request: Request | None = None
        try:
            request = read_request(environ, self.settings.public_url, self.settings.max_body_bytes)
            webhook, signed = authenticate(request, self._secrets)
        except Exception as error:  # noqa: BLE001  # what surprises the verification is not proven
            public_url = self.settings.public_url
            self._refusals.log(error, request, lambda: arrival_of(environ, public_url, self.app))
            answer = empty_answer(error.status if isinstance(error, RequestError) else 403)
            if watch is not None:
                watch.refused(error, request, answer)
            start_response(answer.status, answer.headers)
            return [answer.body]
        inner = dict(environ)
        inner["wsgi.input"] = BytesIO(request.body)
        inner["CONTENT_LENGTH"] = str(len(request.body))
        inner.pop("HTTP_TRANSFER_ENCODING", None)
        inner.pop(STATE_KEY, None)
        inner[WEBHOOK_KEY] = webhook
        if webhook.pair is None:
            return self.app(inner, start_response)
        if watch is None:
            answer = self._take_turn(inner, request, webhook, webhook.pair, signed, None)
        else:
            with watch:
                answer = self._take_turn(inner, request, webhook, webhook.pair, signed, watch)
                watch.answer = answer
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _take_turn(
        self,
        environ: WSGIEnvironment,
        request: Request,
        webhook: Webhook,
        pair: PhonePair,
        signed: str,
        watch: TurnWatch | None,
    ) -> Answer:
        """Hold the conversation, run the app, let go."""
        clock: Callable[[], float] = environ.get(CLOCK_KEY, time.time)
        now = clock()
        context = conversation_context(pair)
        store: Store | TimedStore = self.store
        if watch is not None:
            watch.proven(webhook.kind, context, request)
            store = watch.store(self.store)
        claim = self._claim(environ, request, webhook, context, signed)
        begun: Begun | None = None
        lost: StoreError | None = None
        try:
            held = store.begin(claim, environ.get("HTTP_COOKIE", ""), now)
            if isinstance(held, Replay):
                return open_reply(held.sealed, context, claim.fingerprint or "", now, self._terms)
            begun = held
        except StoreError as error:
            if error.reason != "down" or self.settings.on_outage == "refuse":
                return self._unavailable(error, context, watch)
            lost = StoreError(error.reason, str(error))  # its frames and its cause stay here
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
                self._say(f"a fresh state: {turn.state.lost}", turn.state.lost.reason, context)
                if watch is not None:
                    watch.lost(turn.state.lost.reason)
            environ[STATE_KEY] = turn.state
            return self._run(environ, turn, begun, clock, store, watch)
        finally:
            if running is not None:
                running.end()
            if begun is not None:
                store.abort(begun)  # does nothing after a commit

    def _run(
        self,
        environ: WSGIEnvironment,
        turn: Turn,
        begun: Begun | None,
        clock: Callable[[], float],
        store: Store | TimedStore,
        watch: TurnWatch | None,
    ) -> Answer:
        """Run the app and commit what it left; the caller aborts where this does not get so far."""
        context = turn.context
        try:
            if watch is None:
                answer = collect(self.app, environ)
            else:
                with watch.app():
                    answer = collect(self.app, environ)
        except ResponseTooLargeError:
            if watch is not None:
                watch.too_large()
            what = f"answered 500: the app's response is over {MAX_RESPONSE_BYTES} bytes"
            self._say(what, "Twilio's error 11750", context)
            return empty_answer(500)
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
            answer.headers.extend(store.commit(begun, outcome, reply, now))
        except StoreError as error:
            if error.reason == "lost" or self.settings.on_outage == "refuse":
                return self._unavailable(error, context, watch)
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
                headers[index] = (name, joined(value, ours[1]))
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

    def _unavailable(self, error: StoreError, context: bytes, watch: TurnWatch | None) -> Answer:
        if watch is not None:
            watch.unavailable(error)
        self._say(f"answered 503: {error}", error.reason, context)
        return empty_answer(503)

    def _say(self, what: str, reason: str, context: bytes) -> None:
        logger.warning("conversation %s: %s (%s)", self._terms.names.log_id(context), what, reason)
