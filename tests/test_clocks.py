"""O1, F29: hosts whose clocks differ. A server-side store decides when a state expires, not the seal's times."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, Conversations, state_from
from convostate.errors import SealError
from convostate.sealing.keys import Keyring
from convostate.sealing.token import Opened, Sealer
from convostate.state import CLOCK_KEY
from convostate.stores import RedisStore
from convostate.stores.base import Claim
from convostate.stores.redis.aio import AsyncRedisStore
from convostate.testing import TwilioSimulator
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, KEY, PAIR, TOKEN, US, World
from tests.redis_servers import let_time_pass, redis_server, wait_until
from tests.redis_stage import fresh_world, log_of
from tests.served import serve, signed, text
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.testing import Phone
    from tests.redis_servers import RedisServer

HOUR = 3600


def preload() -> str:
    """Debian's faketime, as the dynamic linker takes it."""
    assert shutil.which("faketime"), "install Debian's faketime"
    [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return str(library)


@pytest.fixture(params=[HOUR, -61])
def hosts(request: pytest.FixtureRequest) -> Iterator[tuple[list[Phone], list[list[str]]]]:
    """One person's phone at two hosts of one Redis, the second with another clock, and their logs."""
    with redis_server() as redis, ExitStack() as running:
        phones, logs = [], []
        for ahead_s in (0, request.param):
            clock = {"LD_PRELOAD": preload(), "FAKETIME": f"{ahead_s:+d}s"} if ahead_s else {}
            clock |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "CONVOSTATE_STORE": redis.url}
            host = running.enter_context(serving("wsgiref", "convostate.demo.counter:app", **clock))
            phones.append(TwilioSimulator(host.url, TOKEN).phone(ADA, texting=US))
            logs.append(host.log)
        yield phones, logs


@pytest.mark.unmeasured
def test_o1_no_text_of_two_hosts_whose_clocks_differ_is_lost_and_a_warning_says_by_how_much(
    hosts: tuple[list[Phone], list[list[str]]], request: pytest.FixtureRequest
) -> None:
    phones, logs = hosts
    counted = []
    for number in range(8):
        reply = phones[number % 2].text(str(number), deliveries=2)
        assert len({delivery.body for delivery in reply.deliveries}) == 1
        counted += [int(found) for found in re.findall("[0-9]+", reply.messages[0])]
    assert counted == list(range(1, 9))

    ahead_s = request.node.callspec.params["hosts"]
    wait_until(lambda: all(map(warnings_in, logs)), "a warning in both logs")
    for log, seen_s, own_s in zip(logs, (ahead_s, -ahead_s), (0, ahead_s), strict=True):
        [line] = warnings_in(log)  # once in each process
        found = re.findall(r"(\d+) s (ahead of|behind)", line)
        (by, way), (own_by, own_way) = found
        assert (abs(int(by) - abs(seen_s)) <= 1, way) == (True, apart(seen_s))
        assert abs(int(own_by) - abs(own_s)) <= 1
        assert own_s == 0 or own_way == apart(own_s)


def warnings_in(log: list[str]) -> list[str]:
    return [line for line in log if "Synchronise" in line]


def apart(seconds: float) -> str:
    return "ahead of" if seconds > 0 else "behind"


@pytest.fixture
def world(server: RedisServer) -> World:
    return fresh_world(server)


def conversations(world: World, ahead_s: float, monkeypatch: pytest.MonkeyPatch) -> Conversations:
    """What a host has whose clock is ahead; from here on, all code sees that clock."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    return Conversations(world.settings, store=world.store, clock=time.time)


@pytest.mark.parametrize("ahead_s", [HOUR * 5, -HOUR * 5])
def test_f29_peek_turn_and_start_see_the_state_whatever_the_clock(
    world: World, ahead_s: float, monkeypatch: pytest.MonkeyPatch, server: RedisServer
) -> None:
    with Conversations(world.settings, store=world.store).turn(**PAIR) as state:
        state["log"] = ["before"]
    elsewhere = conversations(world, ahead_s, monkeypatch)
    peeked = elsewhere.peek(**PAIR)
    assert peeked == {"log": ["before"]}
    with elsewhere.turn(**PAIR) as state:
        assert state.lost is None
        assert abs(state.expires_at.timestamp() - time.time() - 4 * HOUR) < 60  # by its own clock
        state["log"].append("there")

    with pytest.raises(LookupError):
        elsewhere.start(Failing(), to=ADA, from_=US, body="hi", state={}, account_sid=None)
    [key] = server.admin.keys("cs1:*}")
    assert 4 * HOUR - 60 < server.admin.ttl(key) <= 4 * HOUR  # what was there, for as long
    assert elsewhere.peek(**PAIR) == {"log": ["before", "there"]}


class Failing:
    """A client of Twilio's that cannot send."""

    account_sid = None

    @property
    def messages(self) -> Any:
        raise LookupError


@pytest.fixture(params=[HOUR, -HOUR])
def jump(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets all clocks of this process jump."""
    real, ahead_s = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s[0])
    return lambda: ahead_s.append(ahead_s.pop() + request.param)


def half_an_hour(world: World) -> Conversations:
    """What a host has whose conversation lasts for 30 minutes more."""
    host = Conversations(world.settings, store=world.store, clock=time.time)
    with host.turn(**PAIR) as state:
        state["log"] = ["before"]
        state.lifetime = timedelta(minutes=30)
    return host


def left_s(server: RedisServer) -> int:
    [key] = server.admin.keys("cs1:*}")
    return int(server.admin.ttl(key))


def test_o1_a_clock_that_jumps_while_a_message_is_sent_loses_nothing_of_what_is_restored(
    world: World, jump: Callable[[], None], server: RedisServer
) -> None:
    class Jumping(Failing):
        @property
        def messages(self) -> Any:
            jump()
            raise LookupError

    host = half_an_hour(world)
    with pytest.raises(LookupError):
        host.start(Jumping(), to=ADA, from_=US, body="hi", state={}, account_sid=None)

    assert HOUR / 2 - 60 < left_s(server) <= HOUR / 2
    assert host.peek(**PAIR) == {"log": ["before"]}


def test_o1_a_clock_that_jumps_during_a_status_turn_neither_loses_its_write_nor_moves_the_expiry(
    world: World, jump: Callable[[], None], server: RedisServer
) -> None:
    host = half_an_hour(world)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        jump()
        state_from(environ)["log"].append("status")
        start_response("204 No Content", [])
        return []

    status = {**text("hi"), "From": US, "To": ADA, "MessageStatus": "read", "SmsStatus": "read"}
    environ = signed({**status, "AccountSid": ACCOUNT_SID}, token=TOKEN)
    del environ[CLOCK_KEY]
    middleware = ConversationMiddleware(app, host.settings, store=world.store)
    assert serve(middleware, environ, outside=False).status == 204

    assert host.peek(**PAIR) == {"log": ["before", "status"]}
    assert HOUR / 2 - 60 < left_s(server) <= HOUR / 2


def test_o1_a_state_expires_by_each_hosts_own_clock_when_the_server_drops_it(
    world: World, monkeypatch: pytest.MonkeyPatch, server: RedisServer
) -> None:
    with Conversations(world.settings, store=world.store).turn(**PAIR) as state:
        state["log"] = []
    let_time_pass(server.admin, HOUR)
    [key] = server.admin.keys("cs1:*}")
    before = server.admin.pttl(key)
    elsewhere = conversations(world, 5 * HOUR, monkeypatch)
    with elsewhere.turn(**PAIR) as state:
        left_s = state.expires_at.timestamp() - time.time()
    assert abs(left_s - before / 1000) < 30


def test_a_seal_outside_its_times_opens_only_if_the_store_decides() -> None:
    sealer = Sealer(Keyring.parse(KEY), "state", 1000)
    token = sealer.seal(Opened(5000, 6000, 5000, b""), b"context", bytes(24))
    assert sealer.open(token, b"context", None).expires_ms == 6000
    for now_ms in (6000, 10**9):
        with pytest.raises(SealError) as caught:
            sealer.open(token, b"context", now_ms)
        assert caught.value.reason == "expired"
    longer = sealer.seal(Opened(5000, 6001, 5000, b""), b"context", bytes(24))
    with pytest.raises(SealError):  # than any lifetime: nobody seals that
        sealer.open(longer, b"context", None)


def test_o1_with_a_tests_clock_the_seal_decides(world: World, server: RedisServer) -> None:
    world.phone.text("before")
    world.simulator.clock.advance(hours=5)
    assert server.admin.keys("cs1:*}")  # the server's clock has not moved
    world.phone.text("after")
    assert log_of(world) == ["after"]


def test_o1_a_difference_within_5_s_is_not_logged(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Conversations(world.settings, store=world.store).turn(**PAIR) as state:
        state["log"] = []
    near = conversations(world, 2, monkeypatch)  # a busy machine adds to the difference
    with near.turn(**PAIR), caplog.at_level(logging.WARNING):
        assert caplog.messages == []
    far = conversations(world, 90, monkeypatch)
    for _ in range(3):
        with far.turn(**PAIR):
            pass
    assert len([line for line in caplog.messages if "another host's clock" in line]) == 1


def test_o1_a_user_who_may_not_ask_for_the_time_gets_the_warning_without_a_referee(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server.admin.flushall()
    server.admin.acl_setuser(
        "app", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"],
        commands=["-time"],
    )  # fmt: skip
    url = f"redis://app:secret@127.0.0.1:{server.port}/0"
    world = World(RedisStore.from_url(url))
    assert isinstance(world.store, RedisStore)
    assert world.store.clock_ahead_s(Claim("a" * 22)) is None
    with Conversations(world.settings, store=world.store).turn(**PAIR) as state:
        state["log"] = []
    with conversations(world, 600, monkeypatch).turn(**PAIR):
        pass
    [line] = [line for line in caplog.messages if "another host's clock" in line]
    assert "600 s behind this host's. No state is lost" in line


@pytest.mark.parametrize("ahead_s", [0, HOUR, -HOUR])
def test_both_drivers_measure_the_servers_clock(
    server: RedisServer, ahead_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    measured = RedisStore.from_url(server.url).clock_ahead_s(Claim("a" * 22))
    assert measured is not None
    assert abs(measured - ahead_s) < 1

    async def measure() -> float | None:
        store = AsyncRedisStore.from_url(server.url)
        try:
            return await store.clock_ahead_s(Claim("a" * 22))
        finally:
            await store.close()

    assert abs((asyncio.run(measure()) or 0) - ahead_s) < 1
