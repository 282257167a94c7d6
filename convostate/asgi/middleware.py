"""ConversationMiddleware for ASGI: FastAPI, Starlette, Quart, Litestar, Django's ASGI application.

path guarded? → read_body → authenticate → store.begin → open_turn
→ the app, its response collected → at its last body: finish → store.commit → the response is sent

What the app does after its last body, such as background tasks, runs without the conversation.
"""

from __future__ import annotations

import asyncio
import os
import time
from time import perf_counter
from typing import TYPE_CHECKING, Any

from convostate.asgi.request import (
    ClientGoneError,
    headers_of,
    read_body,
    request_of,
    routed_paths,
    verified_headers,
)
from convostate.asgi.response import UNCOLLECTED, Collector, send_response
from convostate.environ import CLOCK_KEY, STATE_KEY, WEBHOOK_KEY
from convostate.errors import RequestError, StoreError, UsageError
from convostate.middleware import Middleware
from convostate.sealing.token import NONCE_BYTES
from convostate.state import OVER
from convostate.stores.aio import Tasks
from convostate.stores.base import Replay
from convostate.turns import (
    MAX_RESPONSE_BYTES,
    Response,
    Turn,
    finish,
    open_reply,
    open_turn,
    seal_reply,
    too_large,
    webhook_turn,
    without_store,
)
from convostate.twilio.authenticate import authenticate
from convostate.twilio.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.asgi.request import ASGIApp, Message, Receive, Scope, Send
    from convostate.events import TurnEvent
    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import AsyncStore, Outcome, Reply
    from convostate.twilio.signature import Request

_REPLACED = (
    "Another session middleware has replaced the conversation's session, and would write what the app "
    "keeps in it readable into a cookie of its own. Add ConversationMiddleware before SessionMiddleware: "
    "in Starlette and FastAPI the middleware that is added last is the outer one"
)


class ConversationMiddleware(Middleware):
    """Wraps an ASGI app: verifies each webhook, opens its conversation's state, seals what the app left.

        app.add_middleware(ConversationMiddleware)      # Starlette, FastAPI
        app = ConversationMiddleware(app)               # any ASGI app

    The app finds the state with `state_from(scope)`, in ``scope["session"]`` (Starlette's
    ``request.session``), and the webhook with `webhook_from(scope)`.

    Args:
        app: The ASGI app.
        settings: None reads them from the environment variables.
        store: A store of your own, for asyncio or one that blocks, which then runs in threads; None takes
            the one that the settings name.
        on_turn: Is called with a `TurnEvent` after each turn and each refused request, in the event
            loop; what it raises is logged once and stops nothing.

    Raises:
        UsageError: The settings are wrong, the app is wrapped already, or it is not an ASGI app. Inside
            a running event loop, where servers swallow what a constructor raises, the server's start-up
            fails with it instead, and each request raises it.
    """

    interface = "ASGI"
    app: ASGIApp
    store: AsyncStore  # type: ignore[assignment]  # this door's kind

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings | None = None,
        *,
        store: Store | AsyncStore | None = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        self._misuse: UsageError | None = None
        self._tasks = Tasks()
        try:
            super().__init__(app, settings, store=store, on_turn=on_turn)
        except UsageError as error:
            if not _in_event_loop():
                raise
            self.app = app
            self._misuse = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket, or the lifespan."""
        kind = scope["type"]
        if self._misuse is not None:
            if kind != "lifespan":
                raise UsageError(*self._misuse.args)
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._misuse)})
        elif kind == "lifespan":
            await self.app(scope, receive, send)
            await self.store.close()
        elif kind not in ("http", "websocket") or not self._is_guarded(scope):
            await self.app(scope, receive, send)
        elif type(scope.get(WEBHOOK_KEY)) is Webhook:  # verified by the middleware of an outer app
            await self.app(scope, receive, send)
        elif not _in_event_loop():
            raise UsageError(
                "convostate.asgi runs on asyncio, and this event loop is another. Run the server with asyncio"
            )
        elif kind == "http":
            await self._serve(scope, receive, send)
        else:
            await self._open_websocket(scope, receive, send)

    def _is_guarded(self, scope: Scope) -> bool:
        paths = routed_paths(scope)
        if any(map(self._guards, paths)):
            return True
        signed = any(name == b"x-twilio-signature" for name, _ in scope["headers"])
        self._pass_by(scope, paths[-1], signed=signed)
        return False

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a guarded path."""
        began_s = perf_counter()
        headers = headers_of(scope)
        request: Request | None = None
        try:
            body = await read_body(headers, receive, self._max_body_bytes)
            request = request_of(scope, headers, body, self._public_url)
            webhook, signed = self._authenticate(request)
        except ClientGoneError:
            return
        except RequestError as error:
            await send_response(self._refuse(error, request, headers, began_s), send)
            return
        scope = {**scope, "headers": verified_headers(scope, body), WEBHOOK_KEY: webhook}
        scope.pop(STATE_KEY, None)
        receive = _replaying(body, receive)
        if webhook.pair is None:
            await self.app(scope, receive, send)
            return
        idempotency_token = headers.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")
        turn = webhook_turn(
            webhook, webhook.pair, request, signed, idempotency_token, self._config, began_s
        )
        await _WebhookTurn(self, turn, scope, headers.get("HTTP_COOKIE", "")).run(receive, send)

    def _authenticate(self, request: Request) -> tuple[Webhook, str]:
        try:
            return authenticate(request, self._secrets)
        except RequestError:
            raise
        except Exception as error:  # noqa: BLE001  # what surprises the verification is not verified
            raise RequestError(
                403, "surprise", f"{type(error).__name__} while verifying it"
            ) from None

    async def _open_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify a handshake before the app can accept it; a WebSocket belongs to no conversation."""
        began_s = perf_counter()
        headers = headers_of(scope)
        request: Request | None = None
        try:
            request = request_of(scope, headers, b"", self._public_url)
            webhook, _ = self._authenticate(request)
        except RequestError as error:
            # Twilio signs some handshakes with a slash behind the path:
            # https://www.twilio.com/docs/usage/security#validating-requests-are-coming-from-twilio
            path, mark, query = request.url.partition("?") if request else ("", "", "")
            try:
                if request is None:
                    raise error
                webhook, _ = self._authenticate(request._replace(url=f"{path}/{mark}{query}"))
            except RequestError:
                self._refuse(error, request, headers, began_s)
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
        webhook = Webhook("other", None, webhook.params, webhook.url)
        await self.app({**scope, WEBHOOK_KEY: webhook}, receive, send)


class _WebhookTurn:
    """One turn: the app runs inside it, and the last body of its response ends it."""

    def __init__(
        self, middleware: ConversationMiddleware, turn: Turn, scope: Scope, cookies: str
    ) -> None:
        offered = scope.get("extensions") or {}
        scope["extensions"] = {name: offered[name] for name in offered if name not in UNCOLLECTED}
        self._middleware = middleware
        self._turn = turn
        self._scope = scope
        self._cookies = cookies
        self._clock: Callable[[], float] = scope.get(CLOCK_KEY, time.time)
        self._store: AsyncStore = middleware.timed(turn)
        self._collector = Collector(MAX_RESPONSE_BYTES)
        self._app_began_s = 0.0
        self._failure: Exception | None = None
        self._is_over = self._is_settled = False

    async def run(self, receive: Receive, send: Send) -> None:
        """Hold the conversation, run the app, let go."""
        try:
            response = await self._begin()
            if response is None:
                await self._run_app(receive, send)
            else:
                await self._settle(response)
                await send_response(response, send)
        finally:
            if not self._is_settled:
                await self._settle(None)

    async def _begin(self) -> Response | None:
        """Wait for the conversation's earlier turns, and open its state; or what is answered instead."""
        turn, now = self._turn, self._clock()
        try:
            found = await self._store.begin(turn.claim, self._cookies, now)
            if isinstance(found, Replay):
                return open_reply(turn, found, now)
            turn.begun = found
        except StoreError as error:
            unavailable = without_store(turn, error)
            if unavailable is not None:
                return unavailable
        self._scope[STATE_KEY] = self._scope["session"] = open_turn(turn, now)
        turn.enter()
        return None

    async def _run_app(self, receive: Receive, send: Send) -> None:
        async def collect(message: Message) -> None:
            if self._is_over:  # what comes after the response changes nothing
                if self._collector.is_too_large:
                    raise OSError("the response is over")  # as servers do for a client that has gone
                return
            self._collector.add(message)
            if self._collector.is_complete or self._collector.is_too_large:
                await self._respond(send)

        self._app_began_s = perf_counter()
        try:
            await self._middleware.app(self._scope, receive, collect)
        except Exception:
            if self._failure is None and not self._collector.is_too_large:
                raise
        finally:
            self._turn.state.lock(OVER)
        if self._failure is not None:  # whatever the app made of it
            raise self._failure

    async def _respond(self, send: Send) -> None:
        """End the turn and answer; the app goes on without the conversation."""
        turn = self._turn
        self._is_over = True
        turn.app_s = perf_counter() - self._app_began_s
        turn.state.lock(OVER)
        try:
            if self._collector.is_too_large:
                response = await self._settle(too_large(turn))
            else:
                response = await self._settle(*self._finish())
        except Exception as error:
            self._failure = error
            raise
        assert response is not None
        await send_response(response, send)

    def _finish(self) -> tuple[Response, Outcome | None, Reply | None, float]:
        """Decide and seal what is kept.

        Raises:
            StateError: The state cannot be kept.
            UsageError: Another middleware has replaced the session.
        """
        turn = self._turn
        if self._scope.get("session") is not turn.state:
            raise UsageError(_REPLACED)
        response = self._collector.response()
        now = self._clock()
        nonces = os.urandom(2 * NONCE_BYTES)
        outcome = finish(turn, int(response.status[:3]), now, nonces[:NONCE_BYTES])
        self._middleware.add_cache_headers(response.headers)
        reply = None if outcome is None else seal_reply(turn, response, now, nonces[NONCE_BYTES:])
        return response, outcome, reply, now

    async def _settle(
        self,
        response: Response | None,
        outcome: Outcome | None = None,
        reply: Reply | None = None,
        now: float = 0.0,
    ) -> Response | None:
        """Commit or abort, and report; carried out also if the request is cancelled meanwhile.

        Args:
            response: What is answered; None if an exception goes on to the server.
            outcome: What the store is to do; None to abort.
            reply: What it records.
            now: Unix time in seconds.

        Returns:
            The response with the store's headers, or a 503.
        """
        self._is_settled = True
        settled: Response | None = await self._middleware.carry_out(
            self._settled(response, outcome, reply, now)
        )
        return settled

    async def _settled(
        self, response: Response | None, outcome: Outcome | None, reply: Reply | None, now: float
    ) -> Response | None:
        turn = self._turn
        try:
            if outcome is not None and turn.begun is not None and response is not None:
                response.headers.extend(
                    await self._store.commit(turn.begun, outcome, reply, now)
                )
        except StoreError as error:
            response = without_store(turn, error) or response
        finally:
            turn.leave()
            if turn.begun is not None:
                await self._store.abort(turn.begun)  # does nothing after a commit
        if response is None:
            turn.came_to("aborted", "exception")
        self._middleware.report(turn, response)
        return response


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Give the app the verified body, then what the server says."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _in_event_loop() -> bool:
    """Whether this runs in a loop of asyncio's."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
