"""What the tests of RedisStore have at hand, at the store and through the whole middleware."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from convostate.errors import StoreError
from convostate.sealing.token import conversation_context
from convostate.stores import RedisStore
from convostate.stores.base import Begun, Claim, Keep, Replay, Reply
from convostate.testing.configured import ACCOUNT_SID
from convostate.twilio.webhook import PhonePair
from tests.conversing import ADA, US, World
from tests.redis_servers import BINARIES, redis_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.sealing.names import Names
    from tests.redis_servers import RedisServer

NAME = "conversation".ljust(22, "-")
BASE = f"cs1:{{{NAME}}}"


def each_server(scope: Literal["function", "module"] = "module") -> Any:
    """A fixture for a module's `server`: one after another of every kind that is installed."""

    @pytest.fixture(scope=scope, params=BINARIES, name="server")
    def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
        with redis_server(binary=BINARIES[request.param]) as running:
            yield running

    return server


def claim(fingerprint: str | None = None, name: str = NAME) -> Claim:
    """A claim; the fingerprint is padded to its length."""
    return Claim(name, None if fingerprint is None else fingerprint.ljust(22, "-"))


def token(count: int) -> bytes:
    """A token that holds a number, unique as a sealed state is."""
    return b"\x01" + os.urandom(32) + count.to_bytes(4, "big") + bytes(76)


def count_in(state: bytes | None) -> int:
    """The number in a token; 0 for none."""
    return 0 if state is None else int.from_bytes(state[33:37], "big")


def begin(store: RedisStore, asked: Claim | None = None) -> Begun:
    """Begin a turn that is no replay."""
    begun = store.begin(asked or claim(), "", 0)
    assert isinstance(begun, Begun)
    return begun


def add_one(store: RedisStore, fingerprint: str | None = None, name: str = NAME) -> int | None:
    """Take a turn that counts, and return its number; None where it was answered before."""
    asked = claim(fingerprint, name)
    begun = store.begin(asked, "", 0)
    if isinstance(begun, Replay):
        return None
    number = count_in(begun.token) + 1
    try:
        reply = Reply(b"sealed", redirects=False)
        store.commit(begun, Keep(token(number), 3600), reply, 0)
    finally:
        store.abort(begun)
    return number


@contextmanager
def refused(reason: str = "down") -> Iterator[list[StoreError]]:
    """Check that the block raises a StoreError of that reason; gives it."""
    caught: list[StoreError] = []
    try:
        yield caught
    except StoreError as error:
        caught.append(error)
    assert caught, "nothing was refused"
    assert caught[0].reason == reason, caught[0]


def fresh_world(server: RedisServer) -> World:
    """An installation whose Redis has nothing in it."""
    server.admin.flushall()
    return World(RedisStore.from_url(server.url, max_waiting=8))


def name_of(world: World) -> str:
    """The name of Ada's conversation in the store."""
    names: Names = world.middleware.turn_config.names
    return names.conversation(conversation_context(PhonePair(ACCOUNT_SID, US, ADA)))


def log_of(world: World) -> list[str]:
    """The texts in Ada's state, as another turn sees them."""
    found = world.conversations.peek(ours=US, theirs=ADA)
    return [] if found is None else list(found.get("log", []))
