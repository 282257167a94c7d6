"""Histories: what many workers did to one conversation, under faults (F30) and on real servers."""

from __future__ import annotations

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

import pytest

from convostate.stores import RedisStore
from convostate.testing import TwilioSimulator
from tests.conversing import ADA, TOKEN, US, World
from tests.redis_servers import RedisServer, redis_server
from tests.redis_stage import log_of
from tests.serving import serving
from tests.toxics import Proxy, proxied

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

WORKERS = 8
FAULTS = 12  # all eight kinds, some twice
FEWEST = 4  # texts of each worker, however slow the machine
TRIES = 200  # of one text; Twilio's own patience is shorter, the faults end sooner


class Chaos(threading.Thread):
    """Makes faults come and go."""

    def __init__(self, server: RedisServer, proxy: Proxy, seed: int) -> None:
        super().__init__()
        self._server, self._proxy, self._random = server, proxy, Random(seed)
        self.ended = threading.Event()

    def run(self) -> None:
        faults = [
            self.lose,
            self.cut,
            self.stop,
            self.flush,
            self.kill,
            self.delay,
            self.swallow,
            self.fill,
        ]
        for number in range(FAULTS):
            if self.ended.wait(0.05):
                break
            faults[number % len(faults)](self._random.uniform(0.02, 0.7))
        self.ended.set()

    def lose(self, seconds: float) -> None:
        self._proxy.lose_chance = 0.1
        self.ended.wait(seconds)
        self._proxy.lose_chance = 0

    def cut(self, _: float) -> None:
        self._proxy.cut_all()

    def stop(self, seconds: float) -> None:
        self._server.pause()
        self.ended.wait(seconds)
        self._server.go_on()

    def flush(self, _: float) -> None:
        self._server.admin.script_flush()

    def kill(self, _: float) -> None:
        self._server.admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def delay(self, seconds: float) -> None:
        self._proxy.latency_s, self._proxy.jitter = 0.02, True
        self.ended.wait(seconds)
        self._proxy.latency_s = 0

    def swallow(self, seconds: float) -> None:
        self._proxy.hole = True
        self.ended.wait(seconds)
        self._proxy.hole = False
        self._proxy.cut_all()

    def fill(self, seconds: float) -> None:
        self._server.admin.config_set("maxmemory", "1")
        self.ended.wait(seconds / 4)
        self._server.admin.config_set("maxmemory", "0")


@pytest.mark.parametrize("seed", [1, 2])
def test_f30_under_faults_every_answered_text_is_in_the_list_exactly_once(seed: int) -> None:
    with redis_server() as server, proxied(server.port, seed) as proxy:
        tick = threading.Event()

        chaos = Chaos(server, proxy, seed)

        def write(worker: int) -> int:
            """Write texts as long as faults come, and a few more, each until it is answered."""
            world = World(RedisStore.from_url(proxy.url, max_waiting=2 * WORKERS, lease_s=1.5))
            number = 0
            while number < FEWEST or not chaos.ended.is_set():
                status = world.phone.text(f"{worker}.{number}").status
                for _ in range(TRIES):
                    if status == 200:
                        break
                    assert status == 503
                    tick.wait(0.05)
                    status = world.phone.resend().status
                assert status == 200
                number += 1
                tick.wait(0.02)
            return number

        chaos.start()
        with ThreadPoolExecutor(WORKERS) as pool:
            writing = [pool.submit(write, worker) for worker in range(WORKERS)]
            try:
                answered = [future.result(120) for future in writing]
            finally:
                chaos.ended.set()
                chaos.join(30)
        log = log_of(World(RedisStore.from_url(server.url)))

    assert set(Counter(log).values()) == {1}
    assert min(answered) >= FEWEST
    for worker in range(WORKERS):
        own = [body for body in log if body.startswith(f"{worker}.")]
        assert own == [f"{worker}.{number}" for number in range(answered[worker])]


@pytest.fixture(params=["gunicorn sync", "gunicorn gthread", "gunicorn gevent"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    environ = {"WEB_CONCURRENCY": "2", "CONVOSTATE_MAX_WAITING": "64"}
    with (
        redis_server() as redis,
        serving(
            request.param, "convostate.demo.counter:app", CONVOSTATE_STORE=redis.url, **environ
        ) as server,
    ):
        yield server.url


def test_f30_on_gunicorn_no_text_is_lost_and_none_counted_twice(url: str) -> None:
    def write(_: int) -> list[int]:
        phone = TwilioSimulator(url, TOKEN).phone(ADA, texting=US)
        counted = []
        for _ in range(8):
            reply = phone.text("hi", deliveries=2)
            first, second = (delivery.messages for delivery in reply.deliveries)
            assert first == second
            counted.append(int(re.findall("[0-9]+", first[0])[0]))
        return counted

    with ThreadPoolExecutor(6) as pool:
        counted = list(pool.map(write, range(6)))

    assert sorted(number for own in counted for number in own) == list(range(1, 49))
    assert all(own == sorted(own) for own in counted)
