"""ConversationMiddleware for WSGI: where the clock, the randomness, the store and the app meet.

path guarded? → read_request → authenticate → store.begin → open_turn
→ the app, its response collected → finish → store.commit → start_response, once
"""

from __future__ import annotations

import os
import time
from io import BytesIO
from typing import TYPE_CHECKING

from convostate.environ import CLOCK_KEY, STATE_KEY, TURN_KEY, WEBHOOK_KEY
from convostate.errors import StoreError
from convostate.middleware import Middleware
from convostate.sealing.token import NONCE_BYTES
from convostate.stores import store_for
from convostate.stores.base import Replay, blocking
from convostate.turns import (
    Response,
    Turn,
    finish,
    finish_headers,
    log_clocks,
    open_reply,
    open_turn,
    seal_reply,
    too_large,
    webhook_turn,
    without_store,
)
from convostate.twilio.authenticate import authenticate
from convostate.twilio.webhook import Webhook
from convostate.wsgi.request import StreamError, arrival_of, read_request
from convostate.wsgi.response import ResponseTooLargeError, collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from convostate.events import TurnEvent
    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.twilio.signature import Request


class ConversationMiddleware(Middleware):
    """Wraps a WSGI app: verifies each webhook, opens its conversation's state, seals what the app left.

    The app finds the state with `state_from(environ)` and the webhook with `webhook_from(environ)`.

    Args:
        app: The WSGI app.
        settings: None reads them from the environment variables.
        store: A store of your own; None takes the one that the settings name.
        on_turn: Is called with a `TurnEvent` after each turn and each refused request, in the thread
            that serves it; what it raises is logged once and stops nothing.

    Raises:
        UsageError: The settings are wrong, the app is wrapped already, or it is not a WSGI app.
    """

    interface = "WSGI"
    make_store = staticmethod(store_for)
    _announce = blocking(Middleware.announce)
    app: WSGIApplication
    store: Store

    def __init__(
        self,
        app: WSGIApplication,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        super().__init__(app, settings, store=store, on_turn=on_turn)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = environ.get("PATH_INFO", "")
        if not self._guards(path):
            self._pass_by(environ, path, signed="HTTP_X_TWILIO_SIGNATURE" in environ)
            return self.app(environ, start_response)
        if type(environ.get(WEBHOOK_KEY)) is Webhook:  # verified by the middleware of an outer app
            return self.app(environ, start_response)
        began_s = time.perf_counter()
        request: Request | None = None
        try:
            request = read_request(environ, self._public_url, self._max_body_bytes)
            webhook, signed = authenticate(request, self._secrets)
        except StreamError as error:
            raise error.raised  # noqa: B904  # as if the app had read it: it is the server's own
        except Exception as error:  # noqa: BLE001  # what surprises the verification is not verified
            response = self._refuse(
                error, request, lambda: arrival_of(environ, self._public_url, self.app), began_s
            )
        else:
            environ = dict(environ)
            environ["wsgi.input"] = BytesIO(request.body)
            environ["CONTENT_LENGTH"] = str(len(request.body))
            # The last two are an unsigned header's, spelled Content_Length: some servers tell them apart
            # and some apps do not.
            for key in (
                STATE_KEY,
                TURN_KEY,
                "HTTP_TRANSFER_ENCODING",
                "HTTP_CONTENT_LENGTH",
                "HTTP_CONTENT_TYPE",
            ):
                environ.pop(key, None)
            environ[WEBHOOK_KEY] = webhook
            token = environ.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")
            turn = webhook_turn(
                webhook, request, signed, token, self._config, began_s, defers=self._defers(path)
            )
            if turn is None:
                return self.app(environ, start_response)
            response = self._take(turn, environ)
        start_response(response.status, response.headers)
        return [response.body]

    def _take(self, turn: Turn, environ: WSGIEnvironment) -> Response:
        """Take a turn, and report it if somebody wants to know."""
        watched = self._observer.active
        store = self._observer.timed(self.store, turn) if watched else self.store
        response: Response | None = None
        try:
            response = self._run(turn, store, environ)
        finally:
            turn.leave()
            if turn.begun is not None:  # it is not committed
                store.abort(turn.begun)
            if response is None:
                turn.came_to("aborted", "exception")
            if watched:
                self._observer.report(turn, response)
        return response

    def _run(self, turn: Turn, store: Store, environ: WSGIEnvironment) -> Response:
        """Hold the conversation, run the app, commit what it left; `_take` lets go."""
        clock: Callable[[], float] = environ.get(CLOCK_KEY, time.time)
        turn.store_decides = not self._config.in_cookie and CLOCK_KEY not in environ
        now = clock()
        try:
            found = store.begin(turn.claim, environ.get("HTTP_COOKIE", ""), now)
            if isinstance(found, Replay):
                return open_reply(turn, found, now)
            turn.begun = found
        except StoreError as error:
            unavailable = without_store(turn, error)
            if unavailable is not None:
                return unavailable
        environ[STATE_KEY] = open_turn(turn, now)
        environ[TURN_KEY] = turn
        self._log_clocks(turn)
        app_began_s = time.perf_counter()
        try:
            response = collect(self.app, environ)
        except ResponseTooLargeError:
            return too_large(turn)
        finally:
            turn.app_s = time.perf_counter() - app_began_s
        now = clock()
        nonces = os.urandom(2 * NONCE_BYTES)
        outcome = finish(turn, int(response.status[:3]), now, nonces[:NONCE_BYTES])
        if finish_headers(response, self._config):
            self._warn_of_cookies()
        if outcome is None or turn.begun is None:
            return response
        reply = None
        if turn.claim.fingerprint is not None:
            reply = seal_reply(turn, response, now, nonces[NONCE_BYTES:])
        try:
            if turn.deferred is not None:
                self._announce(turn, now)
            response.headers.extend(store.commit(turn.begun, outcome, reply, now))
        except StoreError as error:
            return without_store(turn, error) or response
        turn.begun = None
        return response

    def _log_clocks(self, turn: Turn) -> None:
        if turn.skew_s:
            ask = getattr(self.store, "clock_ahead_s", None)
            log_clocks(turn, ask and ask(turn.claim))
