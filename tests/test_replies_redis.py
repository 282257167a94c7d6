"""Texts that are answered later: several hosts, each kind of server, and what comes between two steps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, Conversations, Keyring
from convostate.stores import RedisStore
from convostate.stores.redis import work as redis_work
from convostate.stores.redis.aio import AsyncRedisStore
from convostate.stores.redis.client import Transport
from convostate.stores.redis.store import RedisTurns
from tests.conversing import ADA, KEY, TOKEN, US
from tests.deferring import Deferring
from tests.redis_servers import redis_server
from tests.test_redis_cluster import cluster
from tests.test_redis_sentinel import sentinel_of
from tests.test_redis_tls_acl import documented_rights, rights_of_work, tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from convostate import Answering


@pytest.fixture
def world(redis: Redis) -> Iterator[Deferring]:
    redis.flushall()
    made = Deferring("threads", RedisStore(redis))
    yield made
    made.close()


@pytest.mark.parametrize("script", ["REST", "TAKE"])
def test_a_text_that_comes_while_a_worker_puts_its_hint_away_is_answered(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    """Between the step that finds nothing left, and SCHEDULE, which removes the hint."""
    ada, ask = world.phone(), RedisTurns.ask
    came: list[int] = []
    ada.text("one")
    if script == "TAKE":  # a hint whose text somebody else has answered
        hints = redis.keys("*}z")[0]
        (name,) = redis.zrange(hints, 0, -1)
        world.work()
        redis.zadd(hints, {name: 0})  # type: ignore[type-var]

    async def interrupted(self: Any, which: Any, *args: Any, **named: Any) -> Any:
        found = await ask(self, which, *args, **named)
        if (
            which is getattr(redis_work, script)
            and not came
            and found[1:] in ([b"done", 0], [b"nothing"])
        ):
            came.append(ada.text("two").status)
        return found

    monkeypatch.setattr(RedisTurns, "ask", interrupted)
    sent = world.work()

    assert came == [200]
    assert sent[-1] == "one two"
    assert world.backlog() == (0, False, 0, 0)
    assert redis.keys("*}z") == []


def test_an_answer_is_lost_if_a_process_that_does_not_know_of_workers_wrote_the_state_meanwhile(
    world: Deferring, redis: Redis
) -> None:
    """As one of 0.1.0 does in a rolling deploy."""
    answer = world.answer

    def interrupted(turn: Answering) -> None:
        world.answer = answer
        redis.set(name_of(world), b"\x01" + bytes(112), px=60_000)
        turn.reply("of an older state")

    world.answer = interrupted
    world.phone().text("hello")

    assert world.work() == []
    assert world.backlog() == (1, True, 0, 0)
    redis.delete(f"{name_of(world)}a")
    world.twilio.clock.advance(seconds=60)
    assert world.work() == ["hello"]


def test_a_turn_that_waits_for_an_answer_is_let_in_when_the_worker_rests(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_work, "HANDOVER_MS", 60_000)
    base, waiter, answer = name_of(world), b"a turn's own id.", world.answer

    def while_one_waits(turn: Answering) -> None:
        redis.rpush(f"{base}q", waiter)
        answer(turn)

    world.answer = while_one_waits
    world.phone().text("hello")
    world.work()

    assert redis.get(f"{base}l") == waiter
    assert redis.lrange(f"{base}l".encode() + waiter, 0, -1) == [b"1"]


def test_the_oldest_dead_letters_of_a_conversation_make_room(
    world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_work, "_MOST_LETTERS", 2)
    for code in (21610, 63016, 30007):
        world.twilio.refuse_sends(code, times=1)
        world.phone().text("hello")
        world.work()

    reasons = [letter.reason for _, letter in world.conversations.dead_letters()]
    assert reasons == ["63016", "30007"]


def name_of(world: Deferring) -> str:
    """The key of Ada's state."""
    turn: Any = world.conversations._turn(US, ADA, None)
    return f"cs1:{{{turn.claim.name}}}"


def test_a_dead_letter_is_listed_although_somebody_looks_before_it_is_there(
    world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the step that lists the conversation and SETTLE."""
    ask = RedisTurns.ask

    async def interrupted(self: Any, which: Any, *args: Any, **named: Any) -> Any:
        if which is redis_work.SETTLE:
            assert world.conversations.dead_letters() == []
        return await ask(self, which, *args, **named)

    monkeypatch.setattr(RedisTurns, "ask", interrupted)
    world.twilio.refuse_sends(63016, times=1)
    world.phone().text("hello")
    world.work()

    assert [letter.reason for _, letter in world.conversations.dead_letters()] == ["63016"]


def test_a_burst_of_three_texts_on_three_hosts_is_one_turn_with_one_reply(redis: Redis) -> None:
    redis.flushall()
    world = Deferring("threads", RedisStore(redis), burst="1.5s")
    clock = world.twilio.clock
    hosts = [Deferring("threads", RedisStore(redis), clock, burst="1.5s") for _ in range(3)]
    answered: list[int] = []
    answer = world.answer

    def counted(turn: Any) -> None:
        answered.append(len(turn.texts))
        answer(turn)

    world.answer = counted
    for host, body in zip(hosts, ("I", "am", "here"), strict=True):
        host.phone().text(body)
        assert world.work() == []
    clock.advance(seconds=2)

    assert world.work() == ["I am here"]
    assert answered == [3]
    for made in (world, *hosts):
        made.close()


def test_two_processes_with_different_settings_share_the_work(redis: Redis) -> None:
    """The path is the web's, burst and longest answer are the worker's, keys may be in rotation."""
    redis.flushall()
    new = Keyring.generate()
    web = Deferring("threads", RedisStore(redis), burst="0s")
    worker = Deferring(
        "threads",
        RedisStore(redis),
        defer_paths=None,
        burst="2s",
        keys=f"{new},{KEY}",
        index_key=KEY,
    )
    web.phone().text("hello")

    assert web.twilio.work(worker.conversations) == []
    web.twilio.clock.advance(seconds=2)
    assert [message.body for message in web.twilio.work(worker.conversations)] == ["hello"]
    web.phone().text("again")  # the state was sealed with a key that the web does not have
    web.twilio.clock.advance(seconds=2)
    assert [message.body for message in web.twilio.work(worker.conversations)] == ["hello again"]
    for made in (web, worker):
        made.close()


def test_two_apps_on_one_redis_do_not_share_work(world: Deferring, redis: Redis) -> None:
    other = Deferring("threads", RedisStore(redis), keys=Keyring.generate())
    world.phone().text("hello")

    assert world.twilio.work(other.conversations) == []
    assert world.work() == ["hello"]
    other.close()


def test_redis_sees_no_number_and_no_text_and_every_key_expires(
    world: Deferring, redis: Redis
) -> None:
    world.twilio.refuse_sends(63016, times=1)
    world.phone().text("secret words")
    world.work()
    world.twilio.refuse_sends(20500, times=1)
    world.phone().text("more secret words")
    world.work()
    world.phone().text("even more")

    keys: Any = redis.keys("*")
    assert {key[-1:] for key in keys} >= {b"m", b"u", b"t", b"x", b"z"}
    for key in keys:
        assert redis.pttl(key) > 0, key
        dumped = key + redis.dump(key)
        assert b"secret" not in dumped
        assert ADA[1:].encode() not in dumped


@pytest.mark.parametrize("door", ["threads", "loop"])
def test_a_cluster_keeps_the_work_of_a_conversation_in_its_slot(door: str) -> None:
    with cluster() as masters:
        url = "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in masters)
        store: Any = (RedisStore if door == "threads" else AsyncRedisStore).from_url(url)
        world = Deferring(door, store)
        people = [f"+155501{number:05}" for number in range(40)]
        for number in people:
            world.phone(number).text("hello")
        queues = [key for master in masters for key in master.admin.keys("*}z")]
        assert len({*queues}) > 8
        assert all(master.admin.keys("*}z") and master.admin.keys("*}m") for master in masters)

        assert len(world.work()) == 40
        for number in people:
            assert world.phone(number).text("STOP").status == 200
        assert [key for master in masters for key in master.admin.keys("*}[mutxa]")] == []
        world.close()


@contextmanager
def reached(how: str, door: str, folder: Path) -> Iterator[str]:
    """The URL of a server."""
    if how == "TLS":
        with tls_server(folder) as (port, certificate):
            yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    elif how == "Sentinel":
        with redis_server() as master, sentinel_of(master) as sentinel:
            yield f"redis+sentinel://127.0.0.1:{sentinel.port}/texts"
    else:
        with redis_server() as server:
            rights = [*documented_rights(asyncio=door == "loop"), *rights_of_work()]
            server.admin.execute_command("ACL", "SETUSER", "app", "on", ">secret", *rights)
            yield f"redis://app:secret@127.0.0.1:{server.port}/0"
            assert server.admin.execute_command("ACL", "LOG") == []


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", ["TLS", "Sentinel", "least rights"])
@pytest.mark.parametrize("door", ["threads", "loop"])
def test_texts_are_answered_refused_and_retried_on(how: str, door: str, tmp_path: Path) -> None:
    with reached(how, door, tmp_path) as url:
        store: Any = (RedisStore if door == "threads" else AsyncRedisStore).from_url(url)
        world = Deferring(door, store)
        world.twilio.refuse_sends(63016, times=1)
        world.phone().text("one")
        assert world.work() == []
        [(_, letter)] = world.run(world.conversations.dead_letters(retry=True))
        assert letter.reason == "63016"
        world.phone().text("two")
        assert world.work() == ["one", "one two"]
        world.phone().text("three")
        assert world.phone().text("STOP").status == 200
        assert world.backlog() == (0, False, 0, 0)
        world.close()


def test_a_webhook_takes_three_round_trips_and_other_turns_two(
    world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, attempt = [0], Transport.exchange

    async def counted(self: Any, *command: Any, idle: bool = False) -> Any:
        reply = await attempt(self, *command, idle=idle)
        count[0] += 1  # not for a script that this server has not seen yet
        return reply

    monkeypatch.setattr(Transport, "exchange", counted)
    world.phone().text("hello")
    assert count == [3]
    count[0] = 0
    app = ConversationMiddleware(world._wsgi, world.settings, store=world.conversations.store)
    assert app.settings.defer_paths == ("/sms",)
    world.view = lambda _environ: None  # a text that the app answers itself
    world.phone().text("hello")
    assert count == [2]


def test_a_waiting_webhook_and_a_running_answer_hold_no_connection_of_the_pool(
    redis: Redis,
) -> None:
    redis.flushall()
    port = redis.connection_pool.connection_kwargs["port"]
    store = RedisStore.from_url(f"redis://127.0.0.1:{port}/0?max_connections=1")
    world = Deferring("threads", store)
    ada, answer = world.phone(), world.answer

    def slow(turn: Any) -> None:
        assert ada.text("meanwhile").status == 200
        world.answer = answer
        answer(turn)

    world.answer = slow
    ada.text("hello")

    assert world.work() == ["hello", "hello meanwhile"]
    assert Conversations(world.settings, store=store).settings.auth_token == TOKEN
    world.close()
