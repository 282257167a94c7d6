"""One installation: an app that does what a test tells it, its conversations, and a Twilio for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from convostate import ConversationMiddleware, Conversations, Settings, state_from, webhook_from
from convostate.asgi import ConversationMiddleware as AsgiDoor
from convostate.sealing.names import Names
from convostate.sealing.token import conversation_context
from convostate.stores import MemoryStore, RedisStore
from convostate.stores.base import Claim
from convostate.testing import TwilioSimulator
from convostate.testing.configured import ACCOUNT_SID
from convostate.twilio.webhook import PhonePair
from tests.drivers import is_looped

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from convostate import State, Webhook
    from convostate.stores import Store

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
KEY = "x7iiBl0tHjvhJ5yrfV3ABILCQgSMgjK8u-1eHxxMpg8"
PAIR = {"ours": US, "theirs": ADA}

Handler = Callable[["State", "Webhook"], str | None]


def settings(**changes: Any) -> Settings:
    """Settings with a server-side store and an account."""
    given = {"auth_token": TOKEN, "keys": KEY, "store": "memory", "account_sid": ACCOUNT_SID}
    return Settings(**{**given, **changes})


def log_texts(state: State, webhook: Webhook) -> str | None:
    """Append each text to ``state["log"]``; note a delivery where there is a conversation."""
    if webhook.kind == "message-status":
        if not state.is_new:
            state[webhook.params["MessageStatus"]] = True
        return None
    state.setdefault("log", []).append(webhook.body)
    return repr(dict(state))


class World:
    """An installation.

    Args:
        store: Where its conversations are. The texts take the ASGI door if it is the store of an event loop.
        **changes: Settings that are different.

    Attributes:
        handle: What the app does with a state and a webhook; it answers what this returns.
    """

    def __init__(self, store: Store, **changes: Any) -> None:
        self.settings = settings(**changes)
        self.store = store
        self.handle: Handler = log_texts
        self.middleware: Any
        if is_looped(store):
            inner: Any = store
            self.middleware = AsgiDoor(self._asgi_app, self.settings, store=inner.store)
        else:
            self.middleware = ConversationMiddleware(self._app, self.settings, store=store)
        self.simulator = TwilioSimulator(self.middleware, TOKEN)
        self.client = self.simulator.rest_client()
        self.conversations = Conversations(self.settings, store=store, clock=self.simulator.clock)
        self.phone = self.simulator.phone(ADA, texting=US)

    def _app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
        return [self._answer(environ)]

    async def _asgi_app(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("this app has no lifespan")
        body = await asyncio.to_thread(self._answer, scope)  # what a test does there may block
        headers = [(b"content-type", b"text/xml; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, environ: Any) -> bytes:
        said = self.handle(state_from(environ), webhook_from(environ))
        message = "" if said is None else f"<Message>{said}</Message>"
        return f"<Response>{message}</Response>".encode()

    def start(self, state: dict[Any, Any] | None = None, **more: Any) -> Any:
        """Start Ada's conversation with the text "hello"."""
        message = {"to": ADA, "from_": US, "body": "hello", "state": state, **more}
        return self.conversations.start(self.client, **message)

    def peek(self) -> dict[Any, Any] | None:
        """Ada's state as a plain dict, or None."""
        state = self.conversations.peek(**PAIR)
        return None if state is None else dict(state)

    def put(self, state: dict[Any, Any]) -> None:
        """Begin Ada's conversation with a state, out of anybody's sight."""
        with self.conversations.turn(**PAIR) as began:
            began.clear()
            began.update(state)

    def sealed(self) -> bytes | None:
        """Ada's state as the store has it."""
        return self.store.peek(CLAIM, self.simulator.clock.now())


CLAIM = Claim(
    Names(settings().keys.keys[0]).conversation(
        conversation_context(PhonePair(ACCOUNT_SID, US, ADA))
    )
)


def end_lease(store: Store) -> None:
    """Have Ada's lease end as if its 16 seconds had passed."""
    if isinstance(store, MemoryStore):
        with store._lock:
            kept = store._conversations.get(CLAIM.name)
            if kept is not None and kept.holder is not None:
                kept.holder.ends = 0.0
                kept.wake_next(always=True)
    elif isinstance(store, RedisStore):
        client: Any = store._turns.clients.current()._make_client()
        lease, queue = (f"cs1:{{{CLAIM.name}}}{what}" for what in "lq")
        client.delete(lease)
        for token in client.lrange(queue, 0, -1):  # so that they ask at once
            client.rpush(lease.encode() + token, "1")
            client.pexpire(lease.encode() + token, 300)
