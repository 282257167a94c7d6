"""Workers: threads and tasks that answer what is due, renew their leases, and stop."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock  # noqa: TID251  # as apps use it in their tests

import pytest
from twilio.rest import Client

from convostate import StoreError, UsageError, replies
from convostate.stores import MemoryStore, memory_work
from convostate.stores.base import ThreadBell
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, BOB, TOKEN, US
from tests.deferring import Deferring, client_for_asyncio, log_and_reply
from tests.redis_servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate import Answering

PATIENCE_S = 20.0


@pytest.fixture
def world() -> Iterator[Deferring]:
    """Threads that answer at once."""
    world = Deferring("threads", MemoryStore())
    with world.twilio.caught_clients():
        workers = world.conversations.start_workers(2)
        yield world
        workers.stop(0)


class Steps:
    """What happens in the workers, for a test that waits for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: list[str] = []

    def note(self, what: str) -> None:
        with self._changed:
            self._seen.append(what)
            self._changed.notify_all()

    def wait(self, *expected: str) -> None:
        """Wait until exactly these were noted, in any order."""
        with self._changed:
            found = self._changed.wait_for(lambda: len(self._seen) >= len(expected), PATIENCE_S)
            assert found, self._seen
            assert sorted(self._seen) == sorted(expected)
            self._seen.clear()


def test_threads_answer_what_comes(world: Deferring) -> None:
    steps = Steps()

    def answer(turn: Answering) -> None:
        log_and_reply(turn)
        steps.note(" ".join(turn.state["log"]))

    world.answer = answer
    world.phone().text("hello")
    steps.wait("hello")
    world.phone().text("again")
    steps.wait("hello again")


def test_two_people_are_answered_side_by_side_and_one_person_in_order(world: Deferring) -> None:
    steps, both = Steps(), threading.Barrier(2)

    def answer(turn: Answering) -> None:
        both.wait(PATIENCE_S)
        steps.note(f"{turn.pair.theirs} {turn.texts[0].body}")

    world.answer = answer
    world.phone().text("hello")
    world.phone(BOB).text("hello")
    steps.wait(f"{world.phone().number} hello", f"{BOB} hello")


def test_the_lease_of_an_answer_that_runs_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "RENEW_S", 0.0)
    world, steps, renewed = Deferring("threads", MemoryStore()), Steps(), threading.Event()
    store, ends = world.conversations.store, list[float]()
    renew = store.work.renew

    async def noted(*args: Any) -> None:
        await renew(*args)
        (kept,) = store._conversations.values()
        ends.append(kept.work.lease.ends)
        if len(ends) == 3:
            renewed.set()

    monkeypatch.setattr(store.work, "renew", noted)

    def answer(turn: Answering) -> None:
        assert renewed.wait(PATIENCE_S)
        log_and_reply(turn)
        steps.note("answered")

    world.answer = answer
    with world.twilio.caught_clients():
        workers = world.conversations.start_workers()
        world.phone().text("hello")
        steps.wait("answered")
        workers.stop()

    assert ends == sorted({*ends})
    assert world.phone().state == {"log": ["hello"]}
    assert [message.body for message in world.phone().inbox] == ["hello"]


def test_a_lease_that_cannot_be_renewed_keeps_no_other_from_being_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for constant in ("RENEW_S", "OUTAGE_S"):
        monkeypatch.setattr(replies, constant, 0.0)
    world, both, renewed = Deferring("threads", MemoryStore()), threading.Barrier(3), set[str]()
    done, work = threading.Event(), world.conversations.store.work
    renew = work.renew

    async def failing(taken: Any, *args: Any) -> None:
        renewed.add(taken.hint.name)
        if len(renewed) == 1:
            raise StoreError("down", "the first one's node does not answer")
        await renew(taken, *args)
        done.set()

    def answer(turn: Answering) -> None:
        both.wait(PATIENCE_S)
        assert done.wait(PATIENCE_S)
        log_and_reply(turn)

    world.answer = answer
    world.phone().text("hello")
    world.phone(BOB).text("hello")
    with world.twilio.caught_clients():
        workers = world.conversations.start_workers(2)
        both.wait(PATIENCE_S)
        monkeypatch.setattr(work, "renew", failing)
        workers.stop()

    assert len(renewed) == 2
    assert world.phone().state == world.phone(BOB).state == {"log": ["hello"]}


def test_an_answer_that_never_returns_is_given_up_and_others_go_on() -> None:
    world, steps = Deferring("threads", MemoryStore(), longest_answer="1s"), Steps()
    never = threading.Event()

    def answer(turn: Answering) -> None:
        if turn.texts[0].body == "hang":
            steps.note("hangs")
            never.wait()
        log_and_reply(turn)
        steps.note("answered")

    world.answer = answer
    with world.twilio.caught_clients():
        workers = world.conversations.start_workers(1)
        world.phone().text("hang")
        steps.wait("hangs")
        world.phone(BOB).text("hello")
        steps.wait("answered")
        workers.stop(0)
        never.set()
        steps.wait("answered")  # too late: nothing of it is kept

    assert world.phone().state is None
    assert world.phone().inbox == []
    assert world.backlog()[:3] == (1, False, 0)


def test_a_client_that_never_returns_is_given_up_and_its_reply_is_not_sent_again() -> None:
    world, steps = Deferring("threads", MemoryStore(), longest_answer="1s"), Steps()
    never = threading.Event()

    async def send(_account_sid: str, _message: dict[str, Any]) -> None:
        steps.note("sends")
        never.wait()

    world.conversations.deferred._send = send
    workers = world.conversations.start_workers()
    world.phone().text("hello")
    steps.wait("sends")
    wait_until(lambda: world.backlog() == (0, False, 0, 1), "a dead letter", PATIENCE_S)
    workers.stop(0)
    never.set()

    assert [letter.reason for _, letter in world.conversations.dead_letters()] == ["unknown"]


def test_an_answer_that_is_given_up_on_a_loop_is_not_put_back_untried_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Deferring("loop", MemoryStore(), longest_answer="1s")
    work, tries = world.conversations.store.work, list[int]()
    rest = work.rest

    async def noted(taken: Any, failed: int, *args: Any) -> None:
        tries.append(failed)
        await rest(taken, failed, *args)

    async def serve() -> None:
        never = asyncio.Event()
        world.conversations.deferred._call = lambda _turn: never.wait()
        workers = world.conversations.start_workers()
        while not tries:
            await asyncio.sleep(0.01)
        workers.stop(0)
        await workers.wait()

    monkeypatch.setattr(work, "rest", noted)
    world.phone().text("hello")
    asyncio.run(serve())

    assert tries == [1]


def test_a_graceful_stop_lets_answers_end_and_takes_nothing_more(world: Deferring) -> None:
    steps, go_on = Steps(), threading.Event()

    def answer(turn: Answering) -> None:
        steps.note("begun")
        go_on.wait(PATIENCE_S)
        log_and_reply(turn)

    world.answer = answer
    world.phone().text("hello")
    steps.wait("begun")
    stopping = threading.Thread(target=world.conversations.deferred.workers.stop)
    stopping.start()
    world.phone(BOB).text("hello")
    go_on.set()
    stopping.join(PATIENCE_S)

    assert world.phone().state == {"log": ["hello"]}
    assert world.backlog(BOB) == (1, False, 0, 0)


@pytest.mark.parametrize("door", ["threads", "loop"])
def test_a_stop_without_grace_puts_answers_back_untried(door: str) -> None:
    world, steps, go_on = Deferring(door, MemoryStore()), Steps(), threading.Event()

    def answer(turn: Answering) -> None:
        steps.note("begun")
        go_on.wait(PATIENCE_S)
        log_and_reply(turn)

    world.answer = answer
    world.phone().text("hello")
    if door == "threads":
        workers = world.conversations.start_workers()
        steps.wait("begun")
        workers.stop(0)
        go_on.set()
    else:
        hanging = asyncio.Event()

        async def stop() -> None:
            world.conversations.deferred._call = lambda _turn: hanging.wait()
            workers = world.conversations.start_workers()
            while not workers.running:
                await asyncio.sleep(0)
            (run,) = workers.running
            while run.taken is None:
                await asyncio.sleep(0)
            workers.stop(0)
            await workers.wait()

        asyncio.run(stop())

    assert world.backlog() == (1, False, 0, 0)
    store = getattr(world.conversations.store, "store", world.conversations.store)
    assert [kept.work.tries for kept in store._conversations.values()] == [0]


def test_tasks_answer_many_at_once() -> None:
    world = Deferring("loop", MemoryStore())
    count, most = 0, 0

    async def serve() -> None:
        nonlocal count, most
        done = asyncio.Event()
        all_run = asyncio.Event()

        async def call(turn: Answering) -> None:
            nonlocal count, most
            count += 1
            most = max(most, count)
            if count == 50:
                all_run.set()
            await all_run.wait()
            turn.state["answered"] = True
            if len(answered) == 49:
                done.set()
            answered.append(turn.pair.theirs)

        answered: list[str] = []
        world.conversations.deferred._call = call
        workers = world.conversations.start_workers()
        await asyncio.wait_for(done.wait(), PATIENCE_S)
        workers.stop()
        await workers.wait()
        assert len({*answered}) == 50

    for number in range(50):
        world.phone(f"+155501{number:05}").text("hello")
    asyncio.run(serve())

    assert most == 50


def test_workers_are_started_once_and_again_after_a_stop(world: Deferring) -> None:
    with pytest.raises(UsageError, match="running already"):
        world.conversations.start_workers()
    world.conversations.deferred.workers.stop(0)
    world.conversations.start_workers()


def test_workers_of_a_loop_are_started_in_one() -> None:
    with pytest.raises(UsageError, match="such as in its lifespan"):
        Deferring("loop", MemoryStore()).conversations.start_workers()


@pytest.mark.parametrize(
    ("door", "client", "match"),
    [
        ("threads", client_for_asyncio(), "Make it without http_client"),
        ("loop", Client(ACCOUNT_SID, TOKEN), "http_client=AsyncTwilioHttpClient"),
        (
            "loop",
            SimpleNamespace(messages=SimpleNamespace(create=print)),
            r"needs .*create_async\(\)",
        ),
    ],
)
def test_workers_are_not_started_with_a_client_of_the_other_kind(
    door: str, client: Any, match: str
) -> None:
    world = Deferring(door, MemoryStore())
    world.conversations.client = client
    with pytest.raises(UsageError, match=match):
        world.conversations.start_workers()
    world.conversations.client = lambda _account_sid: client  # it is asked when there is a reply
    world.phone().text("hello")
    assert world.work() == []
    assert world.backlog() == (0, False, 1, 0)


def test_a_mock_of_a_client_may_send() -> None:
    world = Deferring("threads", MemoryStore())
    world.conversations.client = client = MagicMock()
    world.conversations.start_workers().stop(0)
    world.phone().text("hello")
    assert world.work() == []
    client.messages.create.assert_called_once_with(to=ADA, from_=US, body="hello")


def test_a_system_without_threads_for_the_moment_is_logged_once_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replies, "OUTAGE_S", 0.0)
    monkeypatch.setattr(memory_work, "LENT_S", 0.0)
    world, steps, failures = Deferring("threads", MemoryStore()), Steps(), iter(range(3))
    begin = replies.ThreadWorkers._begin

    def failing(self: Any, run: Any) -> None:
        if next(failures, None) is not None:
            raise RuntimeError("can't start new thread")
        begin(self, run)

    monkeypatch.setattr(replies.ThreadWorkers, "_begin", failing)
    world.answer = lambda _turn: steps.note("answered")
    world.phone().text("hello")
    workers = world.conversations.start_workers(1)
    steps.wait("answered")
    workers.stop()

    assert caplog.text.count("no work can be taken; tried again every second (RuntimeError at") == 1


def test_workers_that_were_started_before_a_fork_are_named(
    world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[str] = []

    def view(environ: Any) -> None:
        with pytest.raises(UsageError) as caught:
            world.conversations.answer_later(environ)
        errors.append(str(caught.value))

    world.view = view
    monkeypatch.setattr(os, "getpid", lambda: -1)
    world.phone().text("hello")

    assert errors[0].endswith("Call it in each process, or run: convostate work")


def test_a_store_that_is_down_is_logged_once_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(replies, "OUTAGE_S", 0.0)
    world, steps = Deferring("threads", MemoryStore()), Steps()
    work = world.conversations.store.work
    due, failures = work.due, iter(range(3))

    async def failing(*args: Any) -> Any:
        if next(failures, None) is not None:
            raise StoreError("down", "it does not answer")
        return await due(*args)

    monkeypatch.setattr(work, "due", failing)
    world.answer = lambda _turn: steps.note("answered")
    world.phone().text("hello")
    workers = world.conversations.start_workers()
    steps.wait("answered")
    workers.stop()

    assert caplog.text.count("until the store answers: it does not answer (down)") == 1
    assert caplog.text.count("work is taken again") == 1


PATCHED_LATE = """
from convostate.stores.base import ThreadBell
from gevent import monkey; monkey.patch_all()
import gevent

def wait():
    try:
        bell.wait(5).send(None)
    except StopIteration:
        print("woken")

def ring():
    print("rings")
    bell.ring()

bell = ThreadBell()
gevent.joinall([gevent.spawn(wait), gevent.spawn(ring)], raise_error=True)
"""


def test_a_greenlet_that_waits_lets_others_run_if_gevent_patches_after_the_import() -> None:
    """As under ``gunicorn -k gevent --preload``."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PATCHED_LATE],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["rings", "woken"]


def test_a_signal_handler_may_ring_at_any_moment_of_the_wait() -> None:
    """As SIGTERM of ``convostate work`` does, in the thread that waits."""
    bell, rings = ThreadBell(), list[str]()

    def interrupt(_frame: Any, event: str, _arg: Any) -> Any:
        if event == "line":
            rings.append(event)
            bell.ring()
        return interrupt

    def work() -> None:
        sys.settrace(interrupt)
        with suppress(StopIteration):
            bell.wait(0).send(None)

    waiting = threading.Thread(target=work, daemon=True)
    waiting.start()
    waiting.join(PATIENCE_S)

    assert rings
    assert not waiting.is_alive()
