"""What an operator does or suffers: outages (F28), clocks that differ (F29), keys that rotate (F26)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate import Keyring, Settings, UsageError
from convostate.stores import RedisStore
from tests.conversing import KEY, TOKEN, World
from tests.drivers import each_driver
from tests.redis_servers import redis_server
from tests.redis_stage import fresh_world, name_of

if TYPE_CHECKING:
    from convostate import State, Webhook
    from convostate.testing.reply import Reply
    from tests.redis_servers import RedisServer

NEW_KEY = "n8P0YxZr3cV7dQkL2mTfWb5sHaJe9uGiXo1RqBt4wMU"


_driver = each_driver()


@pytest.fixture
def world(server: RedisServer) -> World:
    return fresh_world(server)


@pytest.mark.parametrize("on_outage", ["refuse", "empty"])
def test_f28_on_outage_decides_whether_the_app_runs_without_its_redis(on_outage: str) -> None:
    with redis_server() as server:
        world = World(RedisStore.from_url(server.url), on_outage=on_outage)
        world.phone.text("before")
        server.kill()
        reply = world.phone.text("during")
        if on_outage == "refuse":
            assert reply.status == 503
            assert reply.state is None
        else:
            assert reply.status == 200
            assert reply.state == {"log": ["during"]}
            assert reply.state.lost.reason == "down"  # type: ignore[attr-defined]  # a State


@pytest.mark.parametrize("on_outage", ["refuse", "empty"])
def test_f28_an_outage_at_commit_is_503_or_unwritten_and_the_log_says_what_to_check(
    on_outage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server() as server:
        world = World(RedisStore.from_url(server.url), on_outage=on_outage)
        log = world.handle

        def handle(state: State, webhook: Webhook) -> str | None:
            server.kill()
            return log(state, webhook)

        world.handle = handle
        assert world.phone.text("hi").status == (503 if on_outage == "refuse" else 200)
        assert "Check that it runs" in caplog.text
        server.start()
        assert server.admin.dbsize() == 0


@pytest.mark.parametrize("on_outage", ["refuse", "empty"])
def test_f28_busy_is_503_either_way(server: RedisServer, on_outage: str) -> None:
    server.admin.flushall()
    world = World(RedisStore.from_url(server.url, wait_s=0.2), on_outage=on_outage)
    server.admin.set(f"cs1:{{{name_of(world)}}}l", "another turn", px=60_000)
    world.handle = lambda *_: pytest.fail("the app was called")
    assert world.phone.text("hi").status == 503


@pytest.mark.parametrize(
    ("ahead_s", "kept"), [(60, True), (-59, True), (5 * 3600, False), (-5 * 3600, False)]
)
def test_f29_hosts_whose_clocks_differ_by_a_minute_share_a_conversation(
    server: RedisServer, world: World, ahead_s: int, kept: bool
) -> None:
    other = World(RedisStore.from_url(server.url))
    other.simulator.clock.advance(seconds=ahead_s)
    world.phone.text("here")
    reply = other.phone.text("there")

    assert reply.status == 200
    assert reply.state == {"log": ["here", "there"] if kept else ["there"]}


def test_f26_the_sealing_key_rotates_and_nothing_is_lost(server: RedisServer) -> None:
    server.admin.flushall()
    new = NEW_KEY
    fleet = {
        "old": World(RedisStore.from_url(server.url)),
        "reads both": World(RedisStore.from_url(server.url), keys=f"{KEY},{new}", index_key=KEY),
        "writes new": World(RedisStore.from_url(server.url), keys=f"{new},{KEY}", index_key=KEY),
        "new": World(RedisStore.from_url(server.url), keys=new, index_key=KEY),
    }
    steps = ["old", "reads both", "old", "reads both", "writes new", "reads both", "writes new",
             "new", "writes new", "new"]  # fmt: skip
    for number, step in enumerate(steps):
        assert fleet[step].phone.text(str(number)).state == {
            "log": [str(earlier) for earlier in range(number + 1)]
        }, step


def test_f26_a_key_that_was_dropped_no_longer_opens_what_it_sealed(server: RedisServer) -> None:
    server.admin.flushall()
    World(RedisStore.from_url(server.url)).phone.text("secret")
    new = World(RedisStore.from_url(server.url), keys=NEW_KEY, index_key=KEY)
    reply: Reply = new.phone.text("hi")
    assert reply.state == {"log": ["hi"]}
    assert reply.state.lost.reason == "unknown-key"  # type: ignore[attr-defined]  # a State


def test_f26_another_index_key_names_another_conversation(server: RedisServer) -> None:
    server.admin.flushall()
    World(RedisStore.from_url(server.url)).phone.text("before")
    other = World(RedisStore.from_url(server.url), index_key=NEW_KEY)
    assert other.phone.text("after").state == {"log": ["after"]}
    with pytest.raises(UsageError, match="CONVOSTATE_INDEX_KEY"):
        Settings(auth_token=TOKEN, keys=Keyring.parse(f"{KEY},{NEW_KEY}"), store="memory")
