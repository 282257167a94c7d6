"""F17 through the ASGI door: a request cancelled at any await has happened or has not, and holds nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from convostate import state_from
from convostate.asgi import ConversationMiddleware
from convostate.stores import MemoryStore
from convostate.stores.aio import InLoop, LoopBell
from convostate.stores.base import Claim
from convostate.stores.redis.aio import EXCHANGES, AsyncioPool, AsyncRedisStore
from tests.asgi_served import Sent, receiving, scope_of
from tests.served import settings, signed, text
from tests.test_redis_cancel import cancelled, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from convostate.stores.base import Begun, Headers, Replay
    from tests.redis_servers import RedisServer

    Message = MutableMapping[str, Any]


class SlowSent(Sent):
    """A server that suspends once it has taken a message, as it does while the client is slow."""

    async def __call__(self, message: Message) -> None:
        await super().__call__(message)
        await asyncio.sleep(0)


def slowly(receive: Callable[[], Awaitable[Message]]) -> Callable[[], Awaitable[Message]]:
    async def wait() -> Message:
        await asyncio.sleep(0)
        return await receive()

    return wait


class BoomError(Exception):
    """What the app raises."""


class App:
    """Counts texts, and suspends before, in and after its response.

    Attributes:
        go_on: What it waits for before it answers.
        runs: How often it ran.
        fails: It raises instead of ending its response.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.fails = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.runs += 1
        state = state_from(scope)
        state["n"] = state.get("n", 0) + 1
        number = str(state["n"]).encode()
        await asyncio.sleep(0)
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": number[:1], "more_body": True})
        if self.fails:
            raise BoomError
        await send({"type": "http.response.body", "body": number[1:]})
        await asyncio.sleep(0)  # a background task


class Suspending(InLoop):
    """A store of one's own that does nothing against cancellations, and suspends before it commits and aborts."""

    async def begin(self, claim: Claim, cookies: str, now: float) -> Begun | Replay:  # noqa: ARG002
        store: Any = self.store
        found: Begun | Replay = await store.begin_with(LoopBell(), claim, now)
        return found

    async def commit(self, *args: Any) -> Headers:
        await asyncio.sleep(0)
        headers: Headers = self.store.commit(*args)
        return headers

    async def abort(self, begun: Begun) -> None:
        await asyncio.sleep(0)
        self.store.abort(begun)


class Installation:
    """The app behind the middleware, and what lies in its store."""

    def __init__(self, kind: str, server: RedisServer) -> None:
        self.app = App()
        self.memory = MemoryStore(max_waiting=8)
        self.redis = AsyncRedisStore.from_url(server.url)
        self.server = server if kind == "redis" else None
        stores: dict[str, Any] = {
            "memory": self.memory, "redis": self.redis, "own": Suspending(self.memory),
        }  # fmt: skip
        self.middleware = ConversationMiddleware(
            self.app, settings(store="memory"), store=stores[kind]
        )

    async def ask(self, number: int, sent: Sent) -> None:
        """Deliver a text; the same number is a repeated delivery."""
        sid = f"SM{number:032x}"
        named = text(MessageSid=sid, SmsSid=sid, SmsMessageSid=sid)
        scope, body = scope_of(signed(named))
        half = len(body) // 2
        with suppress(BoomError):
            await self.middleware(scope, slowly(receiving(body[:half], body[half:])), sent)

    async def count(self, number: int) -> int:
        """Deliver a text and return what the app answers."""
        sent = SlowSent()
        await self.ask(number, sent)
        assert sent.status == 200, number
        assert sent.is_complete
        return int(sent.body)

    def held(self) -> list[Any]:
        """The leases that are held and the turns that wait."""
        if self.server is not None:
            return [*self.server.admin.keys("cs1:*}l"), *self.server.admin.keys("cs1:*}q")]
        found = [self.memory.queue(Claim(name)) for name in self.memory._conversations]
        return [one for one in found if one.lease_s is not None or one.waiting]

    def waits(self) -> bool:
        """Whether a turn waits."""
        if self.server is not None:
            return bool(self.server.admin.keys("cs1:*}q"))
        return any(self.memory.queue(Claim(name)).waiting for name in self.memory._conversations)

    async def settle(self) -> None:
        """Wait for what goes on after a cancellation, and check that nothing is held."""
        for _ in range(2000):
            if not self.held() and not self.middleware.tasks._running:
                break
            await asyncio.sleep(0.001)
        assert self.held() == []
        assert not self.middleware.tasks._running
        pool = self.redis.clients.current()._route
        if isinstance(pool, AsyncioPool):
            for _ in range(2000):  # the subscription may be asking
                if pool.slots._value == EXCHANGES:
                    break
                await asyncio.sleep(0.001)
            assert pool.slots._value == EXCHANGES, "a connection is held for ever"
            assert len(pool._idle) <= 8


@pytest.fixture(params=["memory", "redis", "own"])
def install(request: pytest.FixtureRequest, server: RedisServer) -> Callable[[], Installation]:
    """Makes an installation, in the loop that runs."""
    server.admin.flushall()
    return lambda: Installation(request.param, server)


@pytest.mark.parametrize("fails", [False, True])
def test_f17_a_request_cancelled_at_any_await_has_happened_or_has_not(
    install: Callable[[], Installation], fails: bool
) -> None:
    async def history() -> int:
        there, number, more = install(), 0, True
        while more:
            number += 1
            sent = SlowSent()
            there.app.fails = fails
            more = await cancelled(there.ask(number, sent), number)
            there.app.fails = False
            await there.settle()
            runs = there.app.runs
            assert await there.count(number) == number
            assert there.app.runs == runs or not sent.is_complete  # what was answered is kept
        await there.middleware.store.close()
        return number

    assert run(history()) > 5


def test_f17_a_request_cancelled_at_any_await_while_it_waits_gives_its_place_up(
    install: Callable[[], Installation],
) -> None:
    async def history() -> int:
        there, awaits, more = install(), 0, True
        while more:
            awaits += 1
            there.app.go_on.clear()
            first = asyncio.create_task(there.count(2 * awaits - 1))
            while there.app.runs < 1:
                await asyncio.sleep(0)
            waiting = asyncio.create_task(cancelled(there.ask(2 * awaits, SlowSent()), awaits))
            while not (waiting.done() or there.waits()):
                await asyncio.sleep(0.001)
            there.app.go_on.set()
            assert await first == 2 * awaits - 1
            more = await waiting
            await there.settle()
            assert await there.count(2 * awaits) == 2 * awaits
            there.app.runs = 0
        await there.middleware.store.close()
        return awaits

    assert run(history()) > 5
