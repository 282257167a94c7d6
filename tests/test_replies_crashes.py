"""A process that deals with texts for later dies, or loses an answer of Redis, at each step of the protocol."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions

from convostate.errors import StoreError
from convostate.stores import RedisStore
from convostate.stores.redis import work as redis_work
from convostate.stores.redis.client import Transport
from convostate.stores.redis.connection import Connection
from tests.deferring import Deferring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from convostate import Answering

STEPS = 12  # more than a webhook or a worker takes


class DiedError(BaseException):
    """The process is gone."""


class Mortal:
    """Dies before or after a step: a script that is run, the function, a message that is sent."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._left, self._after = step, after
        self.steps: list[str] = []
        self.dead = False

    def step(self, name: str, do: Callable[[], Any]) -> Any:
        if self.dead:
            raise DiedError
        self.steps.append(name)
        self._left -= 1
        if self._left >= 0:
            return do()
        self.dead = True
        if self._after:
            do()
        raise DiedError


@pytest.fixture
def world(redis: Redis) -> Iterator[Deferring]:
    redis.flushall()
    made = Deferring("threads", RedisStore(redis))
    yield made
    made.close()


def lapse(redis: Redis) -> None:
    """Let the leases of whoever died end, and what was lent come again."""
    for key in redis.keys("*}[al]"):
        redis.delete(key)
    for key in redis.keys("*}z"):
        redis.zadd(key, dict.fromkeys(redis.zrange(key, 0, -1), 0))  # type: ignore[type-var]


def run_mortally(
    monkeypatch: pytest.MonkeyPatch, world: Deferring, mortal: Mortal, work: Callable[[], Any]
) -> bool:
    """Whether it died."""
    run, answers, answer = Connection.run, world.conversations.deferred, world.answer
    send = answers._send

    async def mortal_run(self: Connection, script: Any, *args: Any, **named: Any) -> Any:
        async def asked() -> Any:
            return await run(self, script, *args, **named)

        return mortal.step(script.sha, lambda: _finished(asked()))

    async def mortal_send(*args: Any) -> Any:
        return mortal.step("send", lambda: _finished(send(*args)))

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "run", mortal_run)
        patched.setattr(answers, "_send", mortal_send)
        patched.setattr(world, "answer", lambda turn: mortal.step("function", lambda: answer(turn)))
        with suppress(DiedError):
            work()
    world.conversations.store.close()
    return mortal.dead


def _finished(work: Any) -> Any:
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it has suspended")


def recovered(world: Deferring, redis: Redis) -> list[str]:
    """What is sent after all leases have ended."""
    sent = []
    for _ in range(3):
        lapse(redis)
        with suppress(StoreError):  # if the answer of DUE was lost, what it lent comes again
            sent += world.work()
        world.twilio.clock.advance(minutes=2)  # what was tried too often
    return sent


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS))
def test_a_worker_that_dies_at_any_step_loses_and_doubles_nothing(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    ada = world.phone()
    ada.text("one")
    ada.text("two")
    mortal = Mortal(step, after=after)

    died = run_mortally(monkeypatch, world, mortal, world.work)
    ada.text("three")
    recovered(world, redis)

    assert died or step >= 8  # DUE, TAKE, function, KEEP, send, SETTLE, REST, SCHEDULE
    assert ada.state == {"log": ["one", "two", "three"]}
    assert world.backlog() == (0, False, 0, 0)
    sent = [message.body for message in ada.inbox]
    if died and mortal.steps[-1] == "send" and after:
        assert sent.pop(0) == sent[0]  # Twilio has answered, and it was not struck off
    elif died and mortal.steps[-2:-1] == ["send"] and not after:
        assert sent.pop(0) == sent[0]
    assert sent in (["one two", "one two three"], ["one two three"])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(4))
def test_a_webhook_that_dies_at_any_step_leaves_no_text_unanswered(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch, step: int, after: bool
) -> None:
    ada = world.phone()
    mortal = Mortal(step, after=after)

    died = run_mortally(monkeypatch, world, mortal, lambda: ada.text("hello"))
    assert died is (step < 3)  # BEGIN, SCHEDULE, COMMIT
    lapse(redis)
    if died:
        ada.resend()  # Twilio was not answered
    recovered(world, redis)

    assert ada.state == {"log": ["hello"]}
    assert [message.body for message in ada.inbox] == ["hello"]
    assert redis.keys("*}[mutazl]") == []


@pytest.mark.parametrize("step", range(STEPS))
def test_an_answer_of_redis_that_is_lost_changes_nothing(
    world: Deferring,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: int,
) -> None:
    """Each script is then run twice, the second time as a repetition."""
    attempt, count = Transport.exchange, iter(range(STEPS * 2))

    async def deaf(self: Any, *command: Any, idle: bool = False) -> Any:
        found = await attempt(self, *command, idle=idle)
        is_first = command[4 + command[2]] == b"0"  # how the script was sent, behind its keys
        if is_first and next(count) == step:
            raise exceptions.TimeoutError
        return found

    ada, work = world.phone(), world.conversations.store.work
    take, tries = work.take, list[int]()

    async def counted(*args: Any) -> Any:
        taken = await take(*args)
        tries.extend([] if taken is None else [taken.tries])
        return taken

    monkeypatch.setattr(work, "take", counted)
    monkeypatch.setattr(Transport, "exchange", deaf)
    if ada.text("hello").status == 503:  # BEGIN is not asked again
        lapse(redis)
        ada.resend()
    with suppress(StoreError):  # nor is DUE
        world.work()
    assert [message.body for message in ada.inbox] == ([] if step == 3 else ["hello"])
    assert "ends early" not in caplog.text
    recovered(world, redis)

    assert tries == [1]

    assert ada.state == {"log": ["hello"]}
    assert [message.body for message in ada.inbox] == ["hello"]
    assert world.backlog() == (0, False, 0, 0)


def test_a_dead_letter_is_listed_although_its_worker_dies_right_after_it(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.twilio.refuse_sends(63016, times=1)
    world.phone().text("hello")
    mortal = Mortal(6, after=True)

    assert run_mortally(monkeypatch, world, mortal, world.work)

    assert mortal.steps[-3:] == ["send", redis_work.SCHEDULE.sha, redis_work.SETTLE.sha]
    assert [letter.reason for _, letter in world.conversations.dead_letters()] == ["63016"]
    assert recovered(world, redis) == []


def test_a_worker_that_dies_every_time_leaves_dead_letters_and_the_next_text_is_answered(
    world: Deferring, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = world.phone()
    ada.text("poison")
    for _ in range(4):
        mortal = Mortal(2, after=True)
        assert run_mortally(monkeypatch, world, mortal, world.work)
        assert mortal.steps[-1] == "function"
        lapse(redis)
    ada.text("hello")

    assert recovered(world, redis) == ["hello"]
    assert world.backlog() == (0, False, 0, 1)
    ((pair, letter),) = world.conversations.dead_letters()
    assert (pair, letter.is_text, letter.reason) == (ada.state and pair, True, "crashed")
    assert world.conversations.dead_letters(retry=True) == [(pair, letter)]
    assert world.conversations.dead_letters() == []
    assert world.work() == ["hello poison"]


def test_the_turn_that_was_begun_before_the_crash_writes_nothing_afterwards(
    world: Deferring, redis: Redis
) -> None:
    """The lease of a worker that stands still ends, another answers, and the first one comes back."""
    ada = world.phone()
    answer = world.answer

    def stands_still(turn: Answering) -> None:
        world.answer = answer
        lapse(redis)
        assert world.work() == ["hello"]
        turn.reply("too late")

    world.answer = stands_still
    ada.text("hello")
    world.work()

    assert ada.state == {"log": ["hello"]}
    assert [message.body for message in ada.inbox] == ["hello"]
