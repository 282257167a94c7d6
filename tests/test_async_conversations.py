"""AsyncConversations, and what both doors do together on one store."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostate import (
    AsyncConversations,
    ConversationExistsError,
    ConversationMiddleware,
    Conversations,
    State,
    StateError,
    StoreError,
    UsageError,
    state_from,
)
from convostate import asgi as asgi_door
from convostate.stores import MemoryStore, RedisStore
from convostate.stores.redis import aio
from convostate.stores.redis.client import TIMEOUT_S
from convostate.testing import TwilioSimulator
from tests.conversing import ADA, PAIR, TOKEN, US, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from redis import Redis

PATIENCE_S = 60


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Callable[[], AsyncConversations]:
    """Makes the conversations of one store, inside a loop."""
    if request.param == "memory":
        store = MemoryStore(max_waiting=100)
        return lambda: AsyncConversations(settings(), store=store)
    client: Redis = request.getfixturevalue("redis")
    client.flushall()
    address = client.connection_pool.connection_kwargs
    url = f"redis://127.0.0.1:{address['port']}/0"
    return lambda: AsyncConversations(settings(store=url, max_waiting=100))


def test_a_turn_is_kept_and_the_next_one_finds_it(make: Callable[[], AsyncConversations]) -> None:
    async def turns() -> None:
        conversations = make()
        async with conversations.turn(**PAIR) as state:
            assert state.is_new
            state["step"] = 1
        async with conversations.turn(**PAIR) as state:
            assert dict(state) == {"step": 1}
        assert await conversations.peek(**PAIR) == {"step": 1}
        await conversations.end(**PAIR)
        assert await conversations.peek(**PAIR) is None
        await conversations.forget(**PAIR)
        await conversations.store.close()

    run(turns())


@pytest.mark.parametrize("error", [ValueError("the block's own"), asyncio.CancelledError()])
def test_a_turn_that_raises_or_is_cancelled_keeps_nothing_and_lets_go(
    make: Callable[[], AsyncConversations], error: BaseException
) -> None:
    async def turns() -> None:
        conversations = make()

        async def broken() -> None:
            async with conversations.turn(**PAIR) as state:
                state["step"] = 1
                raise error

        with pytest.raises(type(error)):
            await broken()
        async with conversations.turn(**PAIR) as state:
            assert state.is_new
        await conversations.store.close()

    run(turns())


def test_a_turn_that_is_cancelled_while_it_waits_leaves_the_queue(
    make: Callable[[], AsyncConversations],
) -> None:
    async def turns() -> None:
        conversations = make()

        async def wait() -> None:
            async with conversations.turn(**PAIR):
                raise AssertionError("it had its turn")

        async with conversations.turn(**PAIR):
            waiting = contextvars.Context().run(asyncio.create_task, wait())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with conversations.turn(**PAIR) as state:
            state["n"] = 1
        await conversations.store.close()

    run(turns())


def test_a_turn_inside_its_own_turn_is_a_usage_error(
    make: Callable[[], AsyncConversations],
) -> None:
    async def turns() -> None:
        conversations = make()
        async with conversations.turn(**PAIR):
            with pytest.raises(UsageError, match="runs here already"):
                async with conversations.turn(**PAIR):
                    pass
        await conversations.store.close()

    run(turns())


def test_a_state_that_cannot_be_kept_is_a_state_error(
    make: Callable[[], AsyncConversations],
) -> None:
    async def turns() -> None:
        conversations = make()
        with pytest.raises(StateError, match=r"\$\.x"):
            async with conversations.turn(**PAIR) as state:
                state["x"] = object()
        assert await conversations.peek(**PAIR) is None
        await conversations.store.close()

    run(turns())


class Client:
    """A twilio client whose messages are awaited."""

    account_sid = None

    def __init__(self, error: Exception | None = None) -> None:
        self.messages = self
        self.sent: list[dict[str, Any]] = []
        self.error = error

    async def create_async(self, **message: Any) -> str:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.sent.append(message)
        return "sent"


def test_start_awaits_the_client_and_the_reply_finds_the_state(
    make: Callable[[], AsyncConversations],
) -> None:
    async def start() -> None:
        conversations, client = make(), Client()
        message: Any = await conversations.start(
            client, from_=US, to=ADA, body="Still coming at 9?", state={"step": "confirm"}
        )
        assert message == "sent"
        assert client.sent == [{"to": ADA, "from_": US, "body": "Still coming at 9?"}]
        assert await conversations.peek(**PAIR) == {"step": "confirm"}
        with pytest.raises(ConversationExistsError):
            await conversations.start(client, from_=US, to=ADA, if_exists="refuse")
        with pytest.raises(OSError, match="no network"):
            await conversations.start(Client(OSError("no network")), from_=US, to=ADA, state={"step": "other"})  # fmt: skip
        assert await conversations.peek(**PAIR) == {"step": "confirm"}
        await conversations.store.close()

    run(start())


def test_what_cannot_hold_conversations_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="server-side"):
        AsyncConversations(settings(store="cookie"))
    with pytest.raises(UsageError, match=r"AsyncConversations\(store=middleware.store\)"):
        AsyncConversations(settings())
    with pytest.raises(UsageError, match="store must be"):
        AsyncConversations(settings(), store=object())  # type: ignore[arg-type]  # on purpose


def test_sixty_four_writers_run_in_order_on_one_loop(
    make: Callable[[], AsyncConversations],
) -> None:
    async def write() -> list[Any]:
        conversations = make()

        async def add(index: int) -> None:
            async with conversations.turn(**PAIR) as state:
                state.setdefault("log", []).append(index)

        tasks = []
        for index in range(64):
            tasks.append(asyncio.create_task(add(index)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        state = await conversations.peek(**PAIR)
        await conversations.store.close()
        assert state is not None
        return list(state["log"])

    log = run(write())
    assert sorted(log) == list(range(64))


@pytest.fixture
def url(redis: Redis) -> str:
    redis.flushall()
    address = redis.connection_pool.connection_kwargs
    return f"redis://127.0.0.1:{address['port']}/0"


async def count_async(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":  # so that the middleware closes its store
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    state = state_from(scope)
    state["n"] = state.get("n", 0) + 1
    headers = [(b"content-type", b"text/xml")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = f"<Response><Message>{state['n']}</Message></Response>".encode()
    await send({"type": "http.response.body", "body": body})


def count_sync(environ: Any, start_response: Any) -> list[bytes]:
    state = state_from(environ)
    state["n"] = state.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [f"<Response><Message>{state['n']}</Message></Response>".encode()]


@pytest.mark.unmeasured
def test_a_wsgi_and_an_asgi_app_alternate_on_one_conversation(url: str) -> None:
    apps: list[Any] = [
        ConversationMiddleware(count_sync, settings(store=url)),
        asgi_door.ConversationMiddleware(count_async, settings(store=url)),
    ]
    phones = [TwilioSimulator(app, auth_token=TOKEN).phone(ADA, texting=US) for app in apps]
    counts = [phones[turn % 2].text("hi").messages for turn in range(1000)]
    assert counts == [[str(n)] for n in range(1, 1001)]
    with Conversations(settings(store=url)).turn(**PAIR) as state:
        assert type(state) is State
        assert state["n"] == 1000


def test_a_reply_that_one_door_recorded_is_replayed_by_the_other(url: str) -> None:
    asgi_app: Any = asgi_door.ConversationMiddleware(count_async, settings(store=url))
    wsgi_app = ConversationMiddleware(count_sync, settings(store=url))
    from tests.asgi_served import serve_asgi
    from tests.served import serve, signed, text

    environ = signed(text(), token=TOKEN)
    status, headers, body = serve_asgi(asgi_app, environ, asgi_app.store.close)
    again = serve(wsgi_app, environ)
    assert (status, body) == (again.status, again.body) == (200, b"<Response><Message>1</Message></Response>")  # fmt: skip
    assert headers["Content-Type"] == again.headers["Content-Type"]


def test_a_reply_of_redis_that_comes_in_the_round_in_which_its_timeout_fires_is_read(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a burst: the loop is busy for as long as the timeout, and then the reply is here."""
    send = aio.AsyncioTransport.send
    busy = (
        "local i = 0 while i < 2000000 do i = i + 1 end return 'here'"  # not in the round of `send`
    )

    def stand_still() -> None:
        end = time.monotonic() + TIMEOUT_S + aio.LAG_S / 2
        while time.monotonic() < end:
            pass

    async def send_and_stand_still(self: aio.AsyncioTransport, *command: Any) -> None:
        await send(self, *command)
        asyncio.get_running_loop().call_soon(stand_still)

    async def ask() -> bytes:
        store = aio.AsyncRedisStore.from_url(url)
        pool: Any = await (await store.clients.current().route()).to("key")
        transport = aio.AsyncioTransport(pool)
        await transport.connect()
        try:
            reply: bytes = await transport.exchange("EVAL", busy, 0)
        finally:
            transport.close()
            await store.close()
        return reply

    monkeypatch.setattr(aio.AsyncioTransport, "send", send_and_stand_still)
    assert run(ask()) == b"here"


@pytest.mark.unmeasured
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("place", ["memory", "redis"])
def test_two_thousand_texts_wait_at_once_without_a_thread(
    place: str, request: pytest.FixtureRequest
) -> None:
    from tests.asgi_served import Sent, receiving, scope_of
    from tests.served import signed, text

    store = "memory" if place == "memory" else request.getfixturevalue("url")

    async def answer_all() -> tuple[int, set[int], int]:
        gate = asyncio.Event()
        started = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal started
            started += 1
            await gate.wait()
            await count_async(scope, receive, send)

        middleware = asgi_door.ConversationMiddleware(app, settings(store=store))
        before = set(threading.enumerate())

        async def one(person: int, message: int) -> int:
            sid = f"SM{person:016d}{message:016d}"
            sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), sid)
            environ = signed(text(From=f"+1555{person:07d}", **sids), token=TOKEN)
            scope, body = scope_of(environ)
            scope.pop("convostate.clock")
            sent = Sent()
            await middleware(scope, receiving(body), sent)
            return sent.status

        tasks = [asyncio.create_task(one(person, 0)) for person in range(1000)]
        while started < 1000:
            await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(one(person, 1)) for person in range(1000)]
        await asyncio.sleep(0.2)
        threads = len(set(threading.enumerate()) - before)
        gate.set()
        statuses = await asyncio.gather(*tasks)
        await middleware.store.close()
        return len(statuses), set(statuses), threads

    assert run(answer_all()) == (2000, {200}, 0)


def test_a_store_that_is_down_is_a_store_error() -> None:
    async def ask() -> None:
        conversations = AsyncConversations(settings(store="redis://127.0.0.1:1/0"))
        with pytest.raises(StoreError) as raised:
            await conversations.peek(**PAIR)
        assert raised.value.reason == "down"
        await conversations.store.close()

    run(ask())


def test_a_store_that_blocks_runs_in_threads(redis: Redis) -> None:
    redis.flushall()

    async def turn() -> None:
        conversations = AsyncConversations(settings(), store=RedisStore(redis))
        async with conversations.turn(**PAIR) as state:
            state["n"] = 1
        assert await conversations.peek(**PAIR) == {"n": 1}
        await conversations.store.close()

    run(turn())
