"""Turns through the whole middleware on a real Redis: F19 to F25, F28, F29, and what a turn costs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, state_from
from convostate.errors import StoreError
from convostate.stores import RedisStore
from convostate.stores.base import Begun, Leave
from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, message
from tests.conversing import ADA, TOKEN, US, World, settings
from tests.drivers import each_driver
from tests.redis_servers import IN_SCRIPTS, wait_until
from tests.redis_stage import claim, each_server, fresh_world, log_of, name_of
from tests.toxics import proxied

if TYPE_CHECKING:
    from convostate import State, Webhook
    from tests.redis_servers import RedisServer


server = each_server()


_driver = each_driver()


PATIENCE_S = 20


@pytest.fixture
def world(server: RedisServer) -> World:
    return fresh_world(server)


def test_a_turn_is_two_round_trips(server: RedisServer) -> None:
    server.admin.flushall()
    with proxied(server.port) as proxy:
        world = World(RedisStore.from_url(proxy.url))
        world.phone.text("the scripts are known from here on")
        server.admin.config_resetstat()
        before = proxy.requests
        for number in range(10):
            assert world.phone.text(str(number)).status == 200
        assert proxy.requests - before == 20

    stats = server.admin.info("commandstats")
    counted = {name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()}
    sent = {name: calls for name, calls in counted.items() if name not in IN_SCRIPTS}
    sent = {name: calls for name, calls in sent.items() if not name.startswith("config")}
    assert sent == {"evalsha": 20}


def test_a_repeated_delivery_is_one_round_trip(server: RedisServer, world: World) -> None:
    world.phone.text("hi")
    server.admin.config_resetstat()
    world.phone.resend()
    assert server.admin.info("commandstats")["cmdstat_evalsha"]["calls"] == 1


def test_a_turn_that_finds_no_place_to_wait_is_one_round_trip(server: RedisServer) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url, max_waiting=0)
    held = store.begin(claim(), "", 0)
    assert isinstance(held, Begun)
    server.admin.config_resetstat()
    with pytest.raises(StoreError, match="too many texts"):
        store.begin(claim(), "", 0)
    assert server.admin.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
    store.commit(held, Leave(), None, 0)


def test_an_unproven_request_never_reaches_redis(server: RedisServer, world: World) -> None:
    server.admin.config_resetstat()
    world.phone.break_signature()
    assert world.phone.text("hi").status == 403
    assert "cmdstat_evalsha" not in server.admin.info("commandstats")


@pytest.mark.unmeasured
def test_f19_texts_at_once_are_neither_lost_nor_doubled(server: RedisServer) -> None:
    server.admin.flushall()
    worlds = [World(RedisStore.from_url(server.url, max_waiting=64)) for _ in range(4)]

    def write(number: int) -> list[int]:
        phone = worlds[number % 4].phone
        return [phone.text(f"{number}.{turn}", deliveries=2).status for turn in range(5)]

    with ThreadPoolExecutor(16) as pool:
        statuses = [status for texted in pool.map(write, range(16)) for status in texted]

    assert set(statuses) == {200}
    log = log_of(worlds[0])
    assert sorted(log) == sorted(f"{number}.{turn}" for number in range(16) for turn in range(5))
    for number in range(16):
        own = [body for body in log if body.startswith(f"{number}.")]
        assert own == [f"{number}.{turn}" for turn in range(5)]


def test_f19_texts_run_in_the_order_in_which_they_asked_for_the_lease(
    server: RedisServer, world: World
) -> None:
    queue = f"cs1:{{{name_of(world)}}}q"
    go_on, log = threading.Event(), world.handle

    def hold_the_first(state: State, webhook: Webhook) -> str | None:
        if webhook.body == "0":
            assert go_on.wait(PATIENCE_S)
        return log(state, webhook)

    world.handle = hold_the_first
    with ThreadPoolExecutor(8) as pool:
        replies = [pool.submit(world.phone.text, "0")]
        wait_until(lambda: server.admin.exists(queue[:-1] + "l"))
        for number in range(1, 8):
            replies.append(pool.submit(world.phone.text, str(number)))
            wait_until(lambda number=number: server.admin.llen(queue) == number)  # type: ignore[misc]  # a default is no type
        go_on.set()
        assert {reply.result(PATIENCE_S).status for reply in replies} == {200}
    assert log_of(world) == [str(number) for number in range(8)]


@pytest.mark.parametrize("first", ["finishes", "fails", "raises"])
def test_f20_f21_the_same_message_at_two_workers_runs_once_unless_the_first_fails(
    server: RedisServer, world: World, first: str
) -> None:
    other = World(RedisStore.from_url(server.url))
    inside, go_on, calls = threading.Event(), threading.Event(), []
    log = world.handle

    def handle(state: State, webhook: Webhook) -> str | None:
        calls.append(webhook.body)
        if len(calls) == 1:
            inside.set()
            assert go_on.wait(PATIENCE_S)
            if first == "fails":
                raise SystemExit
            if first == "raises":
                raise LookupError
        return log(state, webhook)

    world.handle = other.handle = handle
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(world.phone.text, "hi")
        assert inside.wait(PATIENCE_S)
        other.phone._last = world.phone._last
        two = pool.submit(other.phone.resend)
        wait_until(lambda: server.admin.llen(f"cs1:{{{name_of(world)}}}q"), "a second delivery")
        go_on.set()
        second = two.result(PATIENCE_S)
        if first == "finishes":
            assert one.result(PATIENCE_S).body == second.body
        else:
            assert isinstance(one.exception(PATIENCE_S), (SystemExit, LookupError))

    assert second.status == 200
    assert len(calls) == (1 if first == "finishes" else 2)
    assert log_of(world) == ["hi"]


def texting(server: RedisServer, app: Answering, **changes: Any) -> TwilioSimulator:
    """A Twilio that texts an app with a conversation in Redis."""
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    return TwilioSimulator(ConversationMiddleware(app, settings(), store=store), TOKEN, **changes)


def test_f22_a_redirect_to_the_same_url_runs_again_and_its_repetition_does_not(
    server: RedisServer,
) -> None:
    app = Answering(Answer("<Response><Redirect>/sms</Redirect></Response>"), message("there"))
    phone = texting(server, app).phone(ADA, texting=US)

    assert phone.text("hi").messages == ["there"]
    assert phone.resend().messages == ["there"]
    assert len(app.asked) == 2


def test_f22_the_fallback_url_runs_for_the_same_message(server: RedisServer) -> None:
    app = Answering(Answer(status="500 Internal Server Error"), message("from the fallback"))
    twilio = texting(server, app, fallback_url="https://example.com/fallback")

    assert twilio.phone(ADA, texting=US).text("hi").messages == ["from the fallback"]
    assert [asked.path for asked in app.asked] == ["/sms", "/fallback"]


def test_a_call_is_never_replayed(server: RedisServer) -> None:
    app = Answering(message("first"), message("second"))
    phone = texting(server, app).phone(ADA, texting=US)
    call = phone.call().params["CallSid"]
    phone.call(CallSid=call, Digits="1")
    phone.call(CallSid=call, Digits="1")
    assert len(app.asked) == 3


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 500, 503])
def test_f23_a_reply_that_twilio_discards_leaves_the_state_and_the_lease(
    server: RedisServer, world: World, status: int
) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/elsewhere":  # as a redirect wants it
            start_response("204 No Content", [])
            return []
        state_from(environ)["status"] = status
        headers = [("Location", "/elsewhere")] if status == 302 else []
        start_response(f"{status} Whatever", headers)
        return []

    middleware = ConversationMiddleware(app, settings(), store=world.store)
    phone: Any = TwilioSimulator(middleware, TOKEN).phone(ADA, texting=US)
    phone.text("hi")

    kept = world.conversations.peek(ours=US, theirs=ADA)
    assert kept == ({"status": status} if status < 400 else None)
    assert not server.admin.exists(f"cs1:{{{name_of(world)}}}l")


@pytest.mark.parametrize("how", ["end", "forget"])
def test_f24_what_is_ended_while_a_text_runs_does_not_come_back(world: World, how: str) -> None:
    world.phone.text("before")
    log = world.handle

    def handle(state: State, webhook: Webhook) -> str | None:
        with ThreadPoolExecutor(1) as pool:  # another worker
            pool.submit(getattr(world.conversations, how), ours=US, theirs=ADA).result(PATIENCE_S)
        return log(state, webhook)

    world.handle = handle
    assert world.phone.text("during").status == 503
    assert world.conversations.peek(ours=US, theirs=ADA) is None
    world.handle = log
    assert world.phone.resend().status == 200  # Twilio's repetition
    assert log_of(world) == ["during"]


def test_f25_a_state_that_expires_while_the_app_runs_is_kept(
    server: RedisServer, world: World
) -> None:
    world.phone.text("before")
    log = world.handle

    def handle(state: State, webhook: Webhook) -> str | None:
        server.admin.delete(f"cs1:{{{name_of(world)}}}")
        return log(state, webhook)

    world.handle = handle
    assert world.phone.text("during").status == 200
    assert log_of(world) == ["before", "during"]
