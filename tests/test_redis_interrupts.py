"""A turn interrupted at any point: no wrong value, no leaked connection, no lease that stays (F17)."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

from redis import Redis

from convostate.stores import RedisStore
from convostate.stores.base import Keep, Replay, Reply
from convostate.stores.redis.client import Pool
from tests.redis_servers import wait_until
from tests.redis_stage import BASE, claim, count_in, token

if TYPE_CHECKING:
    from types import FrameType

    from tests.redis_servers import RedisServer

WATCHED = ("convostate/stores/", "redis/connection.py", "redis/_parsers/")


class InterruptAt:
    """Raises KeyboardInterrupt at the n-th line that is run in the store or in redis-py."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame: FrameType, event: str, _: object) -> InterruptAt | None:
        if event == "call":
            return self if any(part in frame.f_code.co_filename for part in WATCHED) else None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def turn(store: RedisStore, fingerprint: str) -> int | None:
    """Take a turn as the middleware does; None where it was answered before."""
    begun = store.begin(claim(fingerprint), "", 0)
    if isinstance(begun, Replay):
        return None
    try:
        number = count_in(begun.token) + 1
        store.commit(begun, Keep(token(number), 3600), Reply(b"sealed", redirects=False), 0)
        return number
    finally:
        store.abort(begun)


def test_f17_interrupted_at_any_line_the_next_turn_is_right(server: RedisServer) -> None:
    server.admin.flushall()
    store = RedisStore(Redis(port=server.port), lease_s=0.05)
    count, line, interrupted, untraced = 0, 0, True, sys.gettrace()
    while interrupted:
        line += 3
        fingerprint, interrupted = f"request{line}", False
        sys.settrace(InterruptAt(line))
        try:
            turn(store, fingerprint)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(untraced)

        # Either it has happened or it has not; the repetition makes it so, once.
        again = turn(store, fingerprint)
        assert again in (None, count + 1)
        count += 1
        assert count_in(store.peek(claim(), 0)) == count

    assert line > 200, "the turn has fewer lines than were meant to be interrupted"
    gc.collect()
    pool = store._turns.clients.current()._route
    assert isinstance(pool, Pool)
    assert len(pool._alive) <= 2
    wait_until(lambda: server.admin.info("clients")["connected_clients"] <= 4)
    wait_until(lambda: not server.admin.exists(f"{BASE}l"), "a lease that ends")


WITH_GEVENT = """
from gevent import monkey; monkey.patch_all()
import random, sys, gevent
from convostate.stores import RedisStore
from tests.redis_stage import add_one, claim, count_in

store, chance = RedisStore.from_url(sys.argv[1], lease_s=0.2), random.Random(7)
timed_out = []

def work(worker):
    for number in range(20):
        fingerprint = f"{worker}.{number}"
        for patience in (chance.uniform(0.00005, 0.003), 20):
            try:
                with gevent.Timeout(patience):
                    add_one(store, fingerprint, str(worker % 4) * 22)
                    break
            except gevent.Timeout:
                timed_out.append(fingerprint)

gevent.joinall([gevent.spawn(work, worker) for worker in range(8)], raise_error=True)
assert timed_out
print(*(count_in(store.peek(claim(name=str(name) * 22), 0)) for name in range(4)))
"""


def test_f17_greenlets_that_time_out_leave_nothing_lost_and_nothing_doubled(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    ran = subprocess.run(
        [sys.executable, "-c", WITH_GEVENT, server.url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.stdout.split() == ["40"] * 4, ran.stderr
