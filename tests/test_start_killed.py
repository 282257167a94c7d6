"""A process that is killed while Twilio has its message leaves the state in place, and no one waits for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from convostate.stores import RedisStore
from tests.conversing import ADA, KEY, TOKEN, US, World, end_lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

# Its client dies instead of answering. Arguments: the store's URL, and the account.
WORKER = f"""
import os, signal, sys
from twilio.http import HttpClient
from twilio.rest import Client
from convostate import Conversations, Settings

class Fatal(HttpClient):
    def __init__(self):
        pass
    def request(self, *_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

url, account = sys.argv[1:]
conversations = Conversations(Settings(auth_token={TOKEN!r}, keys={KEY!r}, store=url))
client = Client(account, {TOKEN!r}, http_client=Fatal())
conversations.start(client, to={ADA!r}, from_={US!r}, body="hello", state={{"step": "new"}})
"""


@pytest.fixture
def world(redis: Redis) -> Iterator[World]:
    redis.flushall()
    store = RedisStore(redis)
    yield World(store)
    store._turns.clients.current().moved()  # which closes its idle connections


def test_the_reply_finds_the_state_once_the_lease_has_ended(world: World, redis: Redis) -> None:
    world.put({"step": "old"})
    port = redis.connection_pool.connection_kwargs["port"]
    arguments = [f"redis://127.0.0.1:{port}/0", world.simulator.account_sid]

    killed = subprocess.run([sys.executable, "-c", WORKER, *arguments], check=False)
    lease_ms = [redis.pttl(key) for key in redis.keys("*}l")]
    end_lease(world.store)
    reply = world.phone.text("yes")

    assert killed.returncode == -signal.SIGKILL
    assert len(lease_ms) == 1
    assert 0 < lease_ms[0] <= 16_000
    assert reply.messages == ["{'step': 'new', 'log': ['yes']}"]
    assert world.peek() == {"step": "new", "log": ["yes"]}
