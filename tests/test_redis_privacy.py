"""What lies in Redis: P2, P3, P5, and the bytes of F31."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from convostate.stores import RedisStore
from tests.conversing import ADA, US, World
from tests.drivers import each_driver
from tests.redis_stage import add_one, each_server, fresh_world

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer

BODY = "the canary sings at 2200"


server = each_server()


driver = each_driver(autouse=False)


@pytest.fixture
def world(server: RedisServer, driver: None) -> World:  # noqa: ARG001  # it decides which store is made
    return fresh_world(server)


def everything(server: RedisServer) -> dict[bytes, bytes]:
    """Every key and its value; a list, which holds tokens of turns, as DUMP has it."""
    values = {}
    for key in server.admin.scan_iter():
        read = server.admin.get if server.admin.type(key) == b"string" else server.admin.dump
        value = read(key)
        assert isinstance(value, bytes)
        values[key] = value
    return values


def test_p02_neither_numbers_nor_texts_nor_plain_values_lie_in_redis(
    server: RedisServer, world: World
) -> None:
    seen: dict[bytes, bytes] = {}
    log = world.handle

    def handle(state: object, webhook: object) -> str | None:
        seen.update(everything(server))  # with the lease
        return log(state, webhook)  # type: ignore[arg-type]  # as they came

    world.handle = handle
    for body in (BODY, f"{BODY} again", "STOP"):
        world.phone.text(body)
        seen.update(everything(server))

    assert {key[28:29] for key in seen} == {b"", b"l", b"o", b"r"}
    for key, value in seen.items():
        assert re.fullmatch(rb"cs1:\{[A-Za-z0-9_-]{22}\}[a-z]?[A-Za-z0-9_-]{0,22}", key)
        for part in (key, value):
            assert b"canary" not in part
            assert b"log" not in part
            assert b"Response" not in part
            assert not any(number[-7:].encode() in part for number in (ADA, US))


def test_p03_forget_leaves_nothing_but_a_standing_stop(server: RedisServer, world: World) -> None:
    for number in range(20):
        world.phone.text(f"{BODY} {number}")
    assert server.admin.dbsize() == 21
    world.conversations.forget(ours=US, theirs=ADA)
    assert server.admin.dbsize() == 0

    world.phone.text("STOP")
    world.conversations.forget(ours=US, theirs=ADA)
    assert [key[-2:] for key in server.admin.keys("*")] == [b"}o"]


def test_p03_end_leaves_the_replies_for_repetitions(server: RedisServer, world: World) -> None:
    first = world.phone.text(BODY)
    world.conversations.end(ours=US, theirs=ADA)
    assert [key[-1:] for key in server.admin.keys("*")] == [b"r"]
    assert world.phone.resend().body == first.body


def test_p05_f25_every_key_expires_within_its_bound(server: RedisServer, world: World) -> None:
    bounds_s = {b"}": 4 * 3600, b"l": 16, b"q": 10, b"o": 30 * 86400, b"r": 600}
    checked = set()
    log = world.handle

    def check() -> None:
        for key in server.admin.scan_iter():
            kind = key[28:29] or b"}"
            left_ms = server.admin.pttl(key)
            assert 0 < left_ms <= bounds_s[kind] * 1000, key
            checked.add(kind)

    def handle(state: object, webhook: object) -> str | None:
        check()
        return log(state, webhook)  # type: ignore[arg-type]  # as they came

    world.handle = handle
    for body in ("hi", "there", "STOP", "START"):
        world.phone.text(body, deliveries=2)
        check()
    assert checked >= {b"}", b"l", b"o", b"r"}


@pytest.mark.unmeasured
def test_f31_a_conversation_at_rest_takes_at_most_400_bytes_and_a_reply_490_more(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    store = RedisStore.from_url(server.url)
    names = [f"{number:022d}" for number in range(20_000)]
    add_one(store, "request", "first".ljust(22))
    record = server.admin.get(f"cs1:{{{'first'.ljust(22)}}}r")
    assert isinstance(record, bytes)
    record += bytes(241 - len(b"sealed"))  # the demo's reply, sealed, has 241 bytes

    def filled(suffix: str, value: bytes) -> float:
        before = server.admin.info("memory")["used_memory"]
        with server.admin.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.set(f"cs1:{{{name}}}{suffix}", value, px=600_000)
            pipe.execute()
        grown: int = server.admin.info("memory")["used_memory"] - before
        return grown / len(names)

    assert filled("", bytes(177)) <= 400
    assert filled("r", record) <= 490
