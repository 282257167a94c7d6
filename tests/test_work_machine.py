"""Mailbox, outbox, dead letters and leases of two stores, against plain lists that do the same."""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from convostate.errors import StoreError
from convostate.stores import MemoryStore, RedisStore
from convostate.stores.base import Claim, End, Keep, Leave, Reply
from convostate.stores.work import BlockingWork, DeadLetter, Hint, Taken

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE = "queue".ljust(22, "-")
NAMES = ["ada".ljust(22, "-"), "bob".ljust(22, "-")]
BURST_S = 1.5
START = 1_700_000_000.0
names = st.sampled_from(NAMES)
counts = st.integers(0, 3)


class Model:
    """What a conversation must have."""

    def __init__(self) -> None:
        self.mailbox: list[tuple[float, bytes]] = []
        self.outbox: list[bytes] = []
        self.dead: list[tuple[bool, bytes, float]] = []
        self.state: bytes | None = None
        self.batch: list[bytes] = []
        self.tries = 0
        self.not_before = 0.0
        self.taken: Taken | None = None

    def texts(self) -> list[bytes]:
        return [text for _, text in self.mailbox]


def some(ready: Callable[[Model], object]) -> Callable[[WorkMachine], bool]:
    """Whether a conversation is ready for a step."""
    return lambda self: any(map(ready, self.models.values()))


def is_answered(model: Model) -> bool:
    return model.taken is not None and bool(model.taken.texts and model.batch)


class WorkMachine(RuleBasedStateMachine):
    """Webhooks, workers that die, stops; time moves only when a step says so."""

    store: Any

    def make_store(self) -> Any:
        return MemoryStore()

    @initialize()
    def begin(self) -> None:
        self.store = self.make_store()
        self.work: Any = BlockingWork(self.store.work)
        self.now = START
        self.models = {name: Model() for name in NAMES}
        self.hints: dict[str, Hint] = {}
        self.gone: list[tuple[str, Taken]] = []
        self.answered: Counter[bytes] = Counter()

    def turn(self, name: str, outcome: Any, text: bytes | None = None) -> None:
        claim = Claim(name, secrets.token_hex(11), defers=True)
        begun = self.store.begin(claim, "", self.now)
        if text is not None:
            self.work.defer(begun, QUEUE, text, self.now)
        self.store.commit(begun, outcome, Reply(b"reply", redirects=False), self.now)

    @rule(name=names, count=st.integers(1, 3))
    def texts_come(self, name: str, count: int) -> None:
        for _ in range(count):
            text = secrets.token_bytes(12)
            self.turn(name, Leave(), text)
            self.models[name].mailbox.append((self.now, text))

    @rule(name=names, again=st.integers(0, 4))
    def a_stop_comes(self, name: str, again: int) -> None:
        if again:  # they are rare
            return
        self.turn(name, End(b"", 60, opted_out=True), secrets.token_bytes(12))
        self.drop(name)

    @rule(name=names, replies=st.booleans(), again=st.integers(0, 4))
    def it_is_erased(self, name: str, replies: bool, again: int) -> None:
        if again:
            return
        self.store.erase(Claim(name), replies=replies)
        self.drop(name)

    def drop(self, name: str) -> None:
        taken = self.models[name].taken
        if taken is not None:
            self.gone.append((name, taken))
        self.models[name] = Model()

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(burst=st.sampled_from([0, 0, BURST_S]), seconds=st.sampled_from([0, 0, 11, 31]))
    def a_worker_takes(self, burst: float, seconds: float) -> None:
        self.now += seconds
        self.hints.update({hint.name: hint for hint in self.work.due(QUEUE, 10, self.now)})
        if not self.hints:
            return
        hint = self.hints.pop(next(iter(self.hints)))
        model = self.models[hint.name]
        taken = self.work.take(hint, burst, 3600, self.now)
        first = not (model.outbox or model.batch)
        quiet = min(model.mailbox[-1][0] + burst, model.mailbox[0][0] + 10) if model.mailbox else 0
        waits = max(model.not_before, quiet if burst and first else 0) > self.now
        if model.taken is not None or not (model.mailbox or model.outbox) or waits:
            assert taken is None
            return
        model.tries += 1
        if not model.outbox and not model.batch:
            model.batch = model.texts()
        assert taken is not None
        assert taken.tries == model.tries
        assert taken.replies == model.outbox
        assert taken.texts == ([] if model.outbox else model.batch)
        assert taken.begun.token == model.state
        model.taken = taken

    @precondition(some(is_answered))
    @rule(replies=counts)
    def it_keeps(self, replies: int) -> None:
        name = next(name for name, model in self.models.items() if (is_answered)(model))
        model = self.models[name]
        taken = model.taken
        assert taken is not None
        made = [secrets.token_bytes(12) for _ in range(replies)]
        token = b"\x01" + secrets.token_bytes(112)
        self.work.keep(taken, Keep(token, 1e6), made, self.now)
        self.answered.update(model.batch)
        del model.mailbox[: len(model.batch)]
        model.state, model.batch, model.tries = token, [], 0
        model.outbox += made

    @precondition(some(lambda model: model.taken and model.outbox))
    @rule(reason=st.sampled_from(["", "21610"]))
    def it_settles_the_first_reply(self, reason: str) -> None:
        name = next(name for name, model in self.models.items() if model.taken and model.outbox)
        model = self.models[name]
        taken = model.taken
        assert taken is not None
        self.work.settle(taken, model.outbox[:1], reason, self.now)
        reply = model.outbox.pop(0)
        model.tries = 0
        if reason:
            model.dead.append((False, reply, self.now))

    @precondition(some(is_answered))
    @rule(which=counts)
    def it_buries_texts(self, which: int) -> None:
        name = next(name for name, model in self.models.items() if (is_answered)(model))
        model = self.models[name]
        taken = model.taken
        assert taken is not None
        buried = model.batch[which:] or model.batch[-1:]
        self.work.settle(taken, buried, "failed", self.now)
        model.mailbox = [each for each in model.mailbox if each[1] not in buried]
        model.batch = [text for text in model.batch if text not in buried]
        model.dead += [(True, text, self.now) for text in buried]
        model.tries = 0

    @precondition(some(lambda model: model.taken))
    @rule(tries=counts, seconds=st.sampled_from([0, 1, 10]))
    def it_rests(self, tries: int, seconds: float) -> None:
        name = next(name for name, model in self.models.items() if model.taken)
        model = self.models[name]
        taken = model.taken
        assert taken is not None
        self.work.rest(taken, tries, seconds, self.now)
        kept = bool(model.batch or tries)
        model.taken, model.tries = None, tries
        model.not_before = self.now + seconds if kept else 0
        self.gone.append((name, taken))

    @precondition(lambda self: self.gone)
    @rule()
    def who_has_lost_it_cannot_write(self) -> None:
        name, taken = self.gone.pop()
        before = self.store.peek(Claim(name), self.now)
        attempts: list[Callable[[], Any]] = [
            lambda: self.work.keep(taken, Keep(b"\x01" * 113, 60), [b"late"], self.now),
            lambda: self.work.settle(taken, taken.texts or [b"x"], "late", self.now),
            lambda: self.work.rest(taken, 0, 0, self.now),
            lambda: self.work.renew(taken, 60),
        ]
        for attempt in attempts:
            reason = ""
            try:
                attempt()
            except StoreError as error:
                reason = error.reason
            assert reason == "lost"
        assert self.store.peek(Claim(name), self.now) == before

    @rule(retry=st.booleans())
    def somebody_looks_at_dead_letters(self, retry: bool) -> None:
        if any(model.taken is not None for model in self.models.values()):
            return
        found: dict[str, list[DeadLetter]] = {}
        for hint in self.work.dead(QUEUE):
            found[hint.name] = self.work.letters(hint, retry=retry, now=self.now)
        for name, model in self.models.items():
            letters = [(each.is_text, each.entry, each.at_s) for each in found.get(name, [])]
            assert letters == model.dead
            if retry:
                texts = [(at, entry) for is_text, entry, at in letters if is_text]
                model.mailbox[len(model.batch) : len(model.batch)] = texts
                model.outbox += [entry for is_text, entry, _ in letters if not is_text]
                model.dead = []

    @invariant()
    def all_is_there(self) -> None:
        for name, model in getattr(self, "models", {}).items():
            backlog = self.work.backlog(Claim(name))
            assert backlog == (
                len(model.mailbox), model.taken is not None, len(model.outbox), len(model.dead),
            )  # fmt: skip

    def teardown(self) -> None:
        """Whatever has happened, what is left is answered and sent, in order, once each."""
        if not hasattr(self, "models"):
            return
        for name in NAMES:
            taken = self.models[name].taken
            if taken is not None:
                with suppress(StoreError):
                    self.work.rest(taken, 0, 0, self.now)
        left = {name: (model.texts(), list(model.outbox)) for name, model in self.models.items()}
        done: dict[str, tuple[list[bytes], list[bytes]]] = {name: ([], []) for name in NAMES}
        for _ in range(8):
            self.now += 3600
            for hint in self.work.due(QUEUE, 10, self.now):
                taken = self.work.take(hint, 0, 60, self.now)
                if taken is None:
                    continue
                done[hint.name][0].extend(taken.texts)
                done[hint.name][1].extend(taken.replies)
                if taken.texts:
                    self.work.keep(taken, Leave(), [], self.now)
                self.work.settle(taken, taken.replies, "", self.now)
                self.work.rest(taken, 0, 0, self.now)
        assert done == left
        assert all(count == 1 for count in self.answered.values())
        assert self.work.due(QUEUE, 10, self.now + 3600) == []
        self.store.close()


WorkMachine.TestCase.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
TestInMemory = WorkMachine.TestCase
pytestmark = pytest.mark.slow


def test_a_redis_does_the_same(redis: Any, request: pytest.FixtureRequest) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class InRedis(WorkMachine):
        def make_store(self) -> Any:
            redis.flushall()
            return RedisStore(redis)

    slow = request.config.getoption("-m") == "slow"
    run_state_machine_as_test(
        InRedis,
        settings=hypothesis_settings(
            max_examples=200 if slow else 25,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
