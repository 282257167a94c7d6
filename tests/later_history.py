"""Texts that are answered later while workers are killed and Redis stands still; ``python -m tests.later_history``.

    python -m tests.later_history --texts 100000 --conversations 500 --workers 4 --seconds 600

Threads play webhooks: each text is numbered within its conversation, and repeated until it is kept, as Twilio
does. Processes answer with a function that appends the numbers to the state and replies with them. A Redis
that is left alone records what is sent. In the end each conversation must have every number once, in order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

from convostate import Answering, Conversations, PhonePair, Webhook, replies
from convostate.errors import StoreError
from convostate.sealing.codec import to_base64url
from convostate.stores import RedisStore
from convostate.stores.base import Begun, Leave, Reply
from convostate.testing.configured import ACCOUNT_SID
from convostate.turns import Turn
from tests.conversing import US, settings
from tests.redis_servers import redis_server, wait_until

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer

LEASE_S = 3.0  # instead of 30, so that a run of a minute sees many end
PATIENCE_S = 120.0
THREADS = 4  # of each worker


class Verdict(NamedTuple):
    """What became of the texts.

    Attributes:
        texts: How many were kept.
        answers: How many times the function's state was kept.
        lost: Numbers that no state has.
        doubled: Numbers that a state has twice.
        disordered: Conversations whose numbers are out of order, in the state or in the replies.
        unsent: Numbers that are in no reply.
        sent_twice: Replies that were sent more than once.
        kills: How many workers were killed.
        stops: How often Redis stood still.
        seconds: How long it took.
    """

    texts: int
    answers: int
    lost: int
    doubled: int
    disordered: int
    unsent: int
    sent_twice: int
    kills: int
    stops: int
    seconds: float


class _Messages:
    """Twilio, as far as sending goes: the Redis that is left alone."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(url)

    def create(self, *, to: str, from_: str, body: str) -> None:
        assert from_ == US
        self.redis.rpush(f"sent:{to}", body)


class _Client:
    def __init__(self, url: str) -> None:
        self.messages = _Messages(url)


def work(url: str, referee: str) -> None:
    """Be a worker until killed."""
    shorten_leases()
    client: Any = _Client(referee)
    conversations = Conversations(settings(), store=RedisStore.from_url(url), client=client)
    pause = threading.Event()

    @conversations.answers
    def answer(turn: Answering) -> None:
        numbers = [int(text.body) for text in turn.texts]
        turn.state["seen"] = turn.state.get("seen", []) + numbers
        turn.state["answers"] = turn.state.get("answers", 0) + 1
        pause.wait(random.random() / 50)
        for number in numbers:
            turn.reply(str(number))

    client.messages.redis.sadd("ready", os.getpid())
    replies.ThreadWorkers(conversations.deferred, THREADS).run()


def shorten_leases() -> None:
    """Have leases end, and be renewed, ten times as fast."""
    replies.ANSWER_LEASE_S = LEASE_S  # type: ignore[attr-defined, assignment]  # imported there
    replies.RENEW_S = LEASE_S / 3


class _Webhooks:
    """Some conversations' texts, each kept once."""

    def __init__(self, url: str, people: list[str], each: int, seed: int, until: float) -> None:
        self.store = RedisStore.from_url(url)
        self.conversations = Conversations(settings(), store=self.store)
        self._sealer = replies.WorkSealer(self.conversations.settings)
        self.kept = dict.fromkeys(people, 0)
        self._each, self._random = each, random.Random(seed)
        self._pace_s = max(0.0, until) / max(1, len(people) * each)
        self._pause = threading.Event()

    def run(self) -> None:
        open_people = list(self.kept)
        began = time.monotonic()
        done = 0
        while open_people:
            number = self._random.choice(open_people)
            self._text(number, self.kept[number])
            self.kept[number] += 1
            done += 1
            if self.kept[number] == self._each:
                open_people.remove(number)
            ahead_s = began + done * self._pace_s - time.monotonic()
            if ahead_s > 0:
                self._pause.wait(ahead_s)
        self.store.close()

    def _text(self, theirs: str, count: int) -> None:
        pair = PhonePair(ACCOUNT_SID, US, theirs)
        fingerprint = to_base64url(os.urandom(16))
        config = self.conversations.turn_config
        twice = self._random.random() < 0.02
        while True:
            turn = Turn(config, pair, "message", fingerprint=fingerprint, defers=True)
            webhook = Webhook("message", pair, {"Body": str(count)}, "https://example.com/sms")
            begun = None
            try:
                begun = self.store.begin(turn.claim, "", time.time())
                if not isinstance(begun, Begun):
                    return  # it was kept before, and Twilio did not hear of it
                text = [dict(webhook.params), webhook.url]
                sealed = self._sealer.seal(turn.claim.name, pair, time.time(), text=text)
                queue = self.conversations.deferred.queue
                _finished(self.store.work.defer(begun, queue, sealed, None))
                self.store.commit(begun, Leave(), Reply(b"reply", redirects=False), time.time())
            except StoreError:
                self._pause.wait(0.05)
            else:
                if not twice:
                    return
                twice = False
            finally:
                if isinstance(begun, Begun):
                    self.store.abort(begun)


def _finished(work: Any) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it has suspended")


def _start(url: str, referee: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.later_history", "--worker", url, referee]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1])


def run(texts: int, conversations: int, workers: int, seconds: float, seed: int = 0) -> Verdict:
    """Run a history, and judge it.

    Args:
        texts: How many, in all.
        conversations: How many people write them.
        workers: How many processes answer.
        seconds: Over how long the texts come; workers are killed and Redis stands still for as long.
        seed: Of the order, the kills and the stops.
    """
    people = [f"+1555{number:07}" for number in range(conversations)]
    each, kills, stops = texts // conversations, 0, 0
    rng = random.Random(seed)
    began = time.monotonic()
    with ExitStack() as open_:
        server, referee = open_.enter_context(redis_server()), open_.enter_context(redis_server())
        running = [_start(server.url, referee.url) for _ in range(workers)]
        open_.callback(lambda: [each.kill() or each.wait() for each in running])  # type: ignore[func-returns-value]
        shares = [people[index::4] for index in range(4)]
        webhooks = [
            _Webhooks(server.url, share, each, seed + index, seconds)
            for index, share in enumerate(shares)
            if share
        ]
        threads = [threading.Thread(target=one.run, daemon=True) for one in webhooks]
        wait_until(lambda: referee.admin.scard("ready") == workers, "all workers", PATIENCE_S)
        for thread in threads:
            thread.start()
        pause = threading.Event()
        while any(thread.is_alive() for thread in threads):
            pause.wait(rng.uniform(0.3, 1.5))
            if rng.random() < 0.25:
                stops += 1
                server.pause()
                pause.wait(rng.uniform(0.1, 1.5))
                server.go_on()
                continue
            ready = [
                index
                for index, worker in enumerate(running)
                if referee.admin.sismember("ready", str(worker.pid))
            ]
            if ready:  # it takes a while until a new one works
                kills += 1
                victim = rng.choice(ready)
                running[victim].send_signal(signal.SIGKILL)
                running[victim].wait()
                running[victim] = _start(server.url, referee.url)
        store = RedisStore.from_url(server.url)
        open_.callback(store.close)
        client = Conversations(settings(), store=store)
        wait_until(lambda: _is_done(server), "every text's answer", PATIENCE_S)
        took_s = time.monotonic() - began
        return _judge(client, referee, people, each, kills, stops, took_s)


def _is_done(server: RedisServer) -> bool:
    return not server.admin.keys("cs1:*[mu]")


def _judge(
    conversations: Conversations,
    referee: RedisServer,
    people: list[str],
    each: int,
    kills: int,
    stops: int,
    seconds: float,
) -> Verdict:
    answers = lost = doubled = disordered = unsent = sent_twice = 0
    for theirs in people:
        state: Any = conversations.peek(ours=US, theirs=theirs) or {}
        seen: list[int] = state.get("seen", [])
        answers += state.get("answers", 0)
        found: Any = referee.admin.lrange(f"sent:{theirs}", 0, -1)
        sent = [int(number) for number in found]
        once = list(dict.fromkeys(sent))
        lost += len(set(range(each)) - set(seen))
        doubled += len(seen) - len(set(seen))
        unsent += len(set(seen) - set(sent))
        sent_twice += len(sent) - len(once)
        disordered += seen != sorted(seen) or once != sorted(once)
    return Verdict(
        len(people) * each, answers, lost, doubled, disordered, unsent, sent_twice, kills, stops,
        round(seconds, 1),
    )  # fmt: skip


def main() -> None:
    """Run one from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.later_history", description=__doc__)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--conversations", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(*given.worker)
        return
    verdict = run(given.texts, given.conversations, given.workers, given.seconds, given.seed)
    sys.stdout.write(f"{json.dumps(verdict._asdict())}\n")
    sys.exit(bool(verdict.lost or verdict.doubled or verdict.disordered or verdict.unsent))


if __name__ == "__main__":
    main()
