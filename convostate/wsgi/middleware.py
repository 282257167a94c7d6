"""ConversationMiddleware for WSGI: it brings the clock, the random bytes, the store and the app together.

path guarded? → read_request → authenticate → store.begin → open_turn
→ the app, its response collected → finish → store.commit → start_response, once
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from convostate.errors import StoreError
from convostate.events import turns_logger
from convostate.middleware import Middleware
from convostate.sealing.token import NONCE_BYTES
from convostate.state import CLOCK_KEY, STATE_KEY, TURN_KEY, WEBHOOK_KEY
from convostate.stores import store_for
from convostate.stores.base import Replay, blocking
from convostate.turns import (
    MAX_RESPONSE_BYTES,
    Response,
    Turn,
    finish_response,
    log_clocks,
    open_reply,
    open_turn,
    too_large,
    webhook_turn,
    without_store,
)
from convostate.twilio.authenticate import authenticate
from convostate.twilio.webhook import Webhook
from convostate.wsgi.request import StreamError, arrival_of, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from convostate.events import TurnEvent
    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.twilio.signature import Request

# The last two come from headers spelled Content_Length, which some servers keep and some apps confuse.
_DROPPED = (
    STATE_KEY, TURN_KEY, "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE",
)  # fmt: skip


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
    arrival_of = staticmethod(arrival_of)
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
        if self._guards is not None and not self._guards(path):
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
            response = self._refuse(error, request, environ, began_s)
        else:
            environ = dict(environ)
            environ["wsgi.input"] = BytesIO(request.body)
            environ["CONTENT_LENGTH"] = str(len(request.body))
            for key in _DROPPED:
                environ.pop(key, None)
            environ[WEBHOOK_KEY] = webhook
            token = environ.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")
            defers = self._defers is not None and self._defers(path)
            turn = webhook_turn(
                webhook, request, signed, token, self.turn_config, began_s, defers=defers
            )
            del signed  # error trackers show the variables of each frame
            if turn is None:
                return self.app(environ, start_response)
            response = self._take(turn, environ)
        start_response(response.status, response.headers)
        return [response.body]

    def _take(self, turn: Turn, environ: WSGIEnvironment) -> Response:
        """Take a turn, and report it to the hook and the log."""
        watched = self._on_turn is not None or turns_logger.isEnabledFor(logging.INFO)
        store = self.observer.timed(self.store, turn) if watched else self.store
        response: Response | None = None
        try:
            response = self._run(turn, store, environ)
        finally:
            turn.leave()
            if turn.begun is not None:  # not committed
                store.abort(turn.begun)
            if response is None:
                turn.came_to("aborted", "exception")
            if watched:
                self.observer.report(turn, response)
        return response

    def _run(self, turn: Turn, store: Store, environ: WSGIEnvironment) -> Response:
        """Hold the conversation, run the app, commit what it left; `_take` releases it."""
        clock: Callable[[], float] = environ.get(CLOCK_KEY, time.time)
        turn.store_decides = not self.turn_config.in_cookie and CLOCK_KEY not in environ
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
        if turn.skew_s:
            blocking(log_clocks)(turn, self.store)
        app_began_s = time.perf_counter()
        try:
            response = collect(self.app, environ)
        except ResponseTooLargeError as error:
            return too_large(turn, error.status)
        finally:
            turn.app_s = time.perf_counter() - app_began_s
        now = clock()
        kept = finish_response(turn, response, now, os.urandom(2 * NONCE_BYTES))
        if kept is None or turn.begun is None:
            return response
        try:
            if turn.deferred is not None:
                self._announce(turn, now)
            response.headers.extend(store.commit(turn.begun, *kept, now))
        except StoreError as error:
            return without_store(turn, error) or response
        turn.begun = None
        return response


class ResponseTooLargeError(Exception):
    """The app's response is longer than Twilio accepts. Never leaves this file."""

    def __init__(self, status: str | None) -> None:
        super().__init__()
        self.status = status


@dataclass(slots=True)
class _Collector:
    """One response while it is collected."""

    status: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        if exc_info:
            try:
                if self.size:  # a server would have sent the headers by now
                    raise exc_info[1].with_traceback(exc_info[2])  # type: ignore[union-attr]  # given by PEP 3333
            finally:
                exc_info = None  # keeps no frame alive
        elif self.status is not None:
            raise AssertionError("the app called start_response twice without exc_info")
        if type(status) is not str or status[3:4] != " " or not status[:3].isdecimal():
            raise AssertionError("the app's status is not a str such as '200 OK'")
        if status < "200":
            raise AssertionError("the app's status is below 200, so the response would never come")
        if type(headers) is not list:
            raise AssertionError("the app's headers are not a list")
        for header in headers:
            if (
                type(header) is not tuple
                or len(header) != 2
                or not type(header[0]) is type(header[1]) is str
            ):
                raise AssertionError("a header of the app's is not a tuple of two str")
        self.status, self.headers = status, headers.copy()
        return self.write

    def write(self, chunk: bytes, /) -> None:
        if not isinstance(chunk, bytes):
            raise AssertionError("the app's response body is not bytes")
        self.size += len(chunk)
        if self.size > MAX_RESPONSE_BYTES:
            raise ResponseTooLargeError(self.status)
        if self.status is None and chunk:
            raise AssertionError("the app sent a body before it called start_response")
        self.chunks.append(chunk)


def collect(app: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Run the app, collect its whole response and close it.

    This deliberately breaks PEP 3333's rule that middleware passes each block on at once: the app may change
    the state until its response ends, and the state goes into the headers. TwiML is small.

    Raises:
        ResponseTooLargeError: The response is longer than 65,536 bytes; it is closed.
        AssertionError: The app breaks PEP 3333.
        BaseException: Whatever the app raises, `close` included.
    """
    collector = _Collector()
    iterable: Iterable[Any] = app(environ, collector.start_response)
    try:
        for chunk in iterable:
            collector.write(chunk)
    finally:
        close = getattr(iterable, "close", None)
        if close is not None:
            close()
    if collector.size > MAX_RESPONSE_BYTES:  # the app swallowed what write() raised
        raise ResponseTooLargeError(collector.status)
    if collector.status is None:
        raise AssertionError("the app never called start_response")
    return Response(collector.status, collector.headers, b"".join(collector.chunks))
