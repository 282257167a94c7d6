"""ConversationMiddleware for ASGI: FastAPI, Starlette, Quart, Litestar, Django's ASGI application.

path guarded? → read_body → authenticate → store.begin → open_turn
→ the app, its response collected → at its last body: finish → store.commit → the response is sent

What the app does after its last body, such as background tasks, runs outside the conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convostate.asgi.request import (
    ClientGoneError,
    arrival_of,
    headers_of,
    read_body,
    request_of,
    routed_paths,
    verified_headers,
)
from convostate.asgi.response import UNCOLLECTED, Collector, send_response
from convostate.asgi.session import ConversationSession
from convostate.errors import RequestError, StoreError, UsageError
from convostate.middleware import Middleware
from convostate.sealing.token import NONCE_BYTES
from convostate.state import CLOCK_KEY, STATE_KEY, TURN_KEY, WEBHOOK_KEY
from convostate.state_view import Backing, unkept_state
from convostate.stores import async_store_for
from convostate.stores.aio import Tasks, as_async_store
from convostate.stores.base import Replay
from convostate.turns import (
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from convostate.asgi.request import ASGIApp, Message, Receive, Scope, Send
    from convostate.events import TurnEvent
    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import AsyncStore
    from convostate.turns import Kept
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

    The app finds the state with `state_from(scope)`, or as its session in ``scope["session"]`` (Starlette's
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
    make_store = staticmethod(async_store_for)
    arrival_of = staticmethod(arrival_of)
    app: ASGIApp
    store: AsyncStore

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings | None = None,
        *,
        store: Store | AsyncStore | None = None,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        self._misuse: UsageError | None = None
        self.tasks = Tasks()
        self.backing = Backing(json.dumps, json.loads)  # as Starlette's SessionMiddleware
        try:
            store = None if store is None else as_async_store(store)
            super().__init__(app, settings, store=store, on_turn=on_turn)
        except UsageError as error:
            if not _in_event_loop():
                raise
            self.app = app
            self._misuse = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request, one WebSocket, or the lifespan."""
        kind = scope["type"]
        if self._misuse is not None:
            if kind == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(self._misuse)})
            # After that message as well: Starlette's TestClient waits for it.
            raise UsageError(*self._misuse.args)
        if kind == "lifespan":
            await self.app(scope, receive, send)
            await self.store.close()
        elif (
            kind not in ("http", "websocket")
            or not self._is_guarded(scope)
            or type(scope.get(WEBHOOK_KEY)) is Webhook
        ):
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
        if self._guards is None:
            return True
        paths = routed_paths(scope)
        if any(map(self._guards, paths)):
            return True
        signed = any(name == b"x-twilio-signature" for name, _ in scope["headers"])
        self._pass_by(scope, paths[-1], signed=signed)
        return False

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of a guarded path."""
        began_s = time.perf_counter()
        headers = headers_of(scope)
        request: Request | None = None
        try:
            body = await read_body(headers, receive, self._max_body_bytes)
        except ClientGoneError:
            return
        except RequestError as error:  # any other exception goes to the server
            await send_response(self._refuse(error, None, scope, began_s), send)
            return
        try:
            request = request_of(scope, headers, body, self._public_url)
            webhook, signed = authenticate(request, self._secrets)
        except Exception as error:  # noqa: BLE001  # a request that breaks the verification is not verified
            await send_response(self._refuse(error, request, scope, began_s), send)
            return
        scope = {**scope, "headers": verified_headers(scope, body), WEBHOOK_KEY: webhook}
        scope.pop(STATE_KEY, None)
        scope.pop(TURN_KEY, None)
        receive = _replaying(body, receive)
        token = headers.get(b"i-twilio-idempotency-token", "")
        defers = self._defers is not None and any(map(self._defers, routed_paths(scope)))
        turn = webhook_turn(
            webhook, request, signed, token, self.turn_config, began_s, defers=defers
        )
        # Error trackers show the variables of each frame, and these hold the text.
        del body, signed
        if turn is not None:
            cookies = headers.get(b"cookie", "")
            await _Running(self, turn, scope, send).take(cookies, receive)
            return
        # Apps without sessions of their own get one that is not kept.
        if "session" not in scope and (unkept := unkept_state(scope)) is not None:
            scope["session"] = ConversationSession(unkept, self.backing)
        await self.app(scope, receive, send)

    def _authenticate_handshake(self, request: Request) -> Webhook:
        try:
            return authenticate(request, self._secrets)[0]
        except RequestError:
            # Twilio signs some handshakes with a slash behind the path:
            # https://www.twilio.com/docs/usage/security#validating-requests-are-coming-from-twilio
            path, mark, query = request.url.partition("?")
            with suppress(RequestError):
                return authenticate(replace(request, url=f"{path}/{mark}{query}"), self._secrets)[0]
            raise

    async def _open_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Verify a handshake before the app can accept it; a WebSocket belongs to no conversation."""
        began_s = time.perf_counter()
        headers = headers_of(scope)
        request: Request | None = None
        try:
            request = request_of(scope, headers, b"", self._public_url)
            webhook = self._authenticate_handshake(request)
        except Exception as error:  # noqa: BLE001  # as in a request
            self._refuse(error, request, scope, began_s)
            await send({"type": "websocket.close", "code": 1008})
            return
        webhook = Webhook("other", None, webhook.params, webhook.url)
        await self.app({**scope, WEBHOOK_KEY: webhook}, receive, send)


class _Running:
    """One turn, from its begin to its commit.

    Attributes:
        session: The state as the app's session.
        is_over: The app has answered; what it sends later is ignored.
        is_settled: The turn has been committed or aborted, or is being so.
        failure: Why the response could not be sent.
    """

    session: ConversationSession
    is_over = is_settled = False
    failure: Exception | None = None

    def __init__(self, door: ConversationMiddleware, turn: Turn, scope: Scope, send: Send) -> None:
        offered = scope.get("extensions") or {}
        scope["extensions"] = {name: offered[name] for name in offered if name not in UNCOLLECTED}
        self.door, self.turn, self.scope, self.send = door, turn, scope, send
        self.clock: Callable[[], float] = scope.get(CLOCK_KEY, time.time)
        turn.store_decides = not turn.config.in_cookie and CLOCK_KEY not in scope
        self.store = door.observer.timed(door.store, turn)
        self.collector = Collector()

    async def take(self, cookies: str, receive: Receive) -> None:
        """Take the conversation, run the app, release the conversation."""
        try:
            response = await self._begin(cookies)
            if response is None:
                await self._run_app(receive)
            else:
                await self._settle(response)
                await send_response(response, self.send)
        finally:
            if not self.is_settled:
                await self._settle(None)

    async def _begin(self, cookies: str) -> Response | None:
        """Wait for the conversation's earlier turns and open its state, or return what is answered instead."""
        turn, scope, now = self.turn, self.scope, self.clock()
        try:
            found = await self.store.begin(turn.claim, cookies, now)
            if isinstance(found, Replay):
                return open_reply(turn, found, now)
            turn.begun = found
        except StoreError as error:
            unavailable = without_store(turn, error)
            if unavailable is not None:
                return unavailable
        scope[STATE_KEY] = open_turn(turn, now)
        scope["session"] = self.session = ConversationSession(turn.state, self.door.backing)
        scope[TURN_KEY] = turn
        if turn.skew_s:
            await log_clocks(turn, self.door.store)
        return None

    async def _run_app(self, receive: Receive) -> None:
        self.app_began_s = time.perf_counter()
        try:
            await self.door.app(self.scope, receive, self._collect)
        except Exception:
            if self.failure is None and not self.collector.is_too_large:
                raise
        finally:
            self.turn.leave()
        if self.failure is not None:  # also if the app has caught it
            raise self.failure

    async def _collect(self, message: Message) -> None:
        """The app's `send`. The last body of its response ends the turn."""
        collector = self.collector
        if not self.is_over:
            collector.add(message)
            if collector.is_complete or collector.is_too_large:
                await self._respond()
        elif collector.is_too_large:
            raise OSError("the response is over")  # as servers do when the client has gone

    async def _respond(self) -> None:
        """End the turn and send the response. The app goes on outside the conversation."""
        self.is_over = True
        turn, response = self.turn, self.collector.response()
        turn.app_s = time.perf_counter() - self.app_began_s
        turn.leave()
        try:
            if self.collector.is_too_large:
                settled = await self._settle(too_large(turn, response.status))
            else:
                self._check_session()
                now = self.clock()
                kept = finish_response(turn, response, now, os.urandom(2 * NONCE_BYTES))
                settled = await self._settle(response, kept, now)
        except Exception as error:
            self.failure = error
            raise
        assert settled is not None
        await send_response(settled, self.send)

    def _check_session(self) -> None:
        if self.scope.get("session") is not self.session:
            raise UsageError(_REPLACED)

    def _settle(
        self, response: Response | None, kept: Kept | None = None, now: float = 0.0
    ) -> Awaitable[Response | None]:
        """Commit what is kept, else abort; and report. This runs to its end even if the request is cancelled.

        Returns:
            The response with the store's headers, or a 503; None if an exception goes on to the server.
        """
        self.is_settled = True
        return asyncio.shield(self.door.tasks.start(self._settled(response, kept, now)))

    async def _settled(
        self, response: Response | None, kept: Kept | None, now: float
    ) -> Response | None:
        turn = self.turn
        try:
            if kept is not None and turn.begun is not None and response is not None:
                if turn.deferred is not None:
                    await self.door.announce(turn, now)
                response.headers.extend(await self.store.commit(turn.begun, *kept, now))
                turn.begun = None
        except StoreError as error:
            response = without_store(turn, error) or response
        finally:
            turn.leave()
            if turn.begun is not None:  # it is not committed
                await self.store.abort(turn.begun)
        if response is None:
            turn.came_to("aborted", "exception")
        self.door.observer.report(turn, response)
        return response


def _replaying(body: bytes, receive: Receive) -> Receive:
    """Give the app the verified body, then the server's messages."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _in_event_loop() -> bool:
    """Whether an asyncio event loop runs this code."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
