"""StoreContract: the promises of a `Store`, as tests for a store of your own to inherit.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            with closing(MyStore(max_waiting=self.max_waiting)) as store:
                yield store

`AsyncStoreContract` has the same tests for an `AsyncStore`; its fixture is ``async_store``. Every test
begins with an empty store. No test sleeps or depends on its speed. Tests of turns that wait for each
other use threads.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from convostate.errors import StoreError, UsageError
from convostate.stores.base import (
    MOST_TEXTS,
    OPT_OUT_S,
    REPLY_S,
    WORK_S,
    AsyncStore,
    Begun,
    Claim,
    End,
    Headers,
    Keep,
    Leave,
    Outcome,
    Replay,
    Reply,
)
from convostate.stores.work import LENT_S, LONGEST_BURST_S, BlockingWork, DeadLetter, Taken
from convostate.testing.event_loop import blocking_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.stores.base import Store

    Turn = Future[Begun | Replay]

PATIENCE_S = 30.0  # longer than any intended wait: after it the store hangs
PAUSE_S = 0.1  # how long a test waits to see that something does not happen
_HEAD = b"\x01" + bytes(8)  # version and key id of a token; see sealing.token
SEALED = Reply(b"sealed", redirects=False)


class _Contract:
    """What the contracts need of a store, and steps that their tests take.

    Attributes:
        max_waiting: How many turns of one conversation may wait at once in the fixture's store.
        wait_s: How long a turn may wait there, in seconds; the tests need more than 0.5.
        now: Unix time in seconds, as `advance` moves it.
    """

    max_waiting = 2
    wait_s = 8.0
    now = 1_800_000_000.0
    _cookies = ""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store; your class overrides this fixture."""
        raise UsageError(
            "StoreContract has no store to test. Give your test class a fixture named store "
            "that returns an empty one"
        )

    def advance(self, store: Store, seconds: float) -> None:  # noqa: ARG002  # a subclass may need it
        """Let time pass. If the store has a clock of its own, override this and move that clock."""
        self.now += seconds

    def expire_lease(self, store: Store, begun: Begun) -> None:  # noqa: ARG002  # a subclass needs them
        """Let the lease of a running turn end, as if its worker had died or been too slow."""
        raise UsageError(
            "Only your store knows how its leases end. Write the method "
            "expire_lease(self, store, begun) in your test class"
        )

    def waiting(self, store: Store, claim: Claim) -> int | None:  # noqa: ARG002  # a subclass may need them
        """How many turns of a conversation wait, or None if the store does not know."""
        return None

    @staticmethod
    def claim(fingerprint: str | None = None, name: str = "a", idempotency: str = "") -> Claim:
        """A claim; short values are padded."""
        key = None if fingerprint is None else fingerprint.ljust(22, "-")
        return Claim(name.ljust(22, "-"), key, idempotency.encode().ljust(8, b"\0"))

    @staticmethod
    def token(mark: str, content: bytes = b"") -> bytes:
        """A token as a store sees it; the mark is its nonce."""
        return _HEAD + mark.encode().ljust(24, b"\0") + content.ljust(80, b"\xff")

    def keep(self, mark: str, lifetime_s: float = 3600) -> Keep:
        """An outcome that keeps a token with this mark."""
        return Keep(self.token(mark), lifetime_s)

    def begin(self, store: Store, claim: Claim | None = None) -> Begun:
        """Begin a turn; a replay fails the test."""
        begun = store.begin(claim or self.claim(), self._cookies, self.now)
        assert isinstance(begun, Begun)
        return begun

    def commit(
        self, store: Store, begun: Begun, outcome: Outcome, reply: Reply | None = None
    ) -> Headers:
        """Commit a turn, and store the cookie that it sets."""
        headers = store.commit(begun, outcome, reply, self.now)
        for name, value in headers:
            if name == "Set-Cookie":
                self._cookies = value.partition(";")[0]
        return headers

    def take_turn(
        self, store: Store, outcome: Outcome, claim: Claim | None = None, reply: Reply | None = None
    ) -> Headers:
        """Begin and commit a turn."""
        return self.commit(store, self.begin(store, claim), outcome, reply)

    def seen(self, store: Store, claim: Claim | None = None) -> Begun:
        """The next turn, which is aborted."""
        begun = self.begin(store, claim)
        store.abort(begun)
        return begun

    def kept(self, store: Store, claim: Claim | None = None) -> bytes | None:
        """The token that the next turn gets."""
        return self.seen(store, claim).token

    def answer(self, store: Store, claim: Claim, sealed: bytes, *, redirects: bool = False) -> None:
        """Take a turn and record its reply."""
        self.take_turn(store, self.keep("t"), claim, Reply(sealed, redirects))

    def replayed(self, store: Store, claim: Claim) -> bytes | None:
        """The recorded reply to a request, or None if there is no record."""
        result = store.begin(claim, "", self.now)
        if isinstance(result, Replay):
            return result.sealed
        store.abort(result)
        return None

    @contextmanager
    def waiting_turns(self, store: Store) -> Iterator[Callable[..., list[Turn]]]:
        """A function that begins turns which wait, in threads that have ended after the block."""
        tick = threading.Event()

        def wait(count: int = 1, claim: Claim | None = None) -> list[Turn]:
            claim, turns = claim or self.claim(), []
            for _ in range(count):
                before = self.waiting(store, claim)
                turn = pool.submit(store.begin, claim, "", self.now)
                for _ in range(int(PATIENCE_S / 0.005) if before is not None else 1):
                    tick.wait(PAUSE_S if before is None else 0.005)
                    if turn.done() or (self.waiting(store, claim) or 0) > (before or 0):
                        break
                assert not turn.done(), "the turn did not wait"
                turns.append(turn)
            return turns

        with ThreadPoolExecutor(32) as pool:
            yield wait

    @staticmethod
    def began(turn: Turn) -> Begun:
        """The result of a turn that waited and runs now."""
        begun = turn.result(PATIENCE_S)
        assert isinstance(begun, Begun)
        return begun

    @staticmethod
    @contextmanager
    def refused(reason: str) -> Iterator[None]:
        """Check that the block raises a StoreError with this reason."""
        with pytest.raises(StoreError) as caught:
            yield
        assert caught.value.reason == reason


class _AnyStoreContract(_Contract):
    """The tests of every store."""

    server_side = True

    def test_it_says_whether_it_is_server_side_and_how_long_a_token_may_be(
        self, store: Store
    ) -> None:
        assert store.server_side is self.server_side
        assert store.most_bytes is None or store.most_bytes > 1024

    def test_a_state_and_the_store_survive_a_close(self, store: Store) -> None:
        self.take_turn(store, self.keep("a"))
        store.close()
        store.close()
        assert self.kept(store) == self.token("a")

    def test_a_new_conversation_has_no_token(self, store: Store) -> None:
        claim = self.claim()
        begun = self.begin(store, claim)
        assert (begun.claim, begun.token, begun.opted_out) == (claim, None, False)

    def test_a_token_comes_back_byte_for_byte_until_another_replaces_it(self, store: Store) -> None:
        token = self.token("a", content=bytes(range(256)))
        headers = self.take_turn(store, Keep(token, 3600))
        assert all(type(part) is str for header in headers for part in header)
        assert self.kept(store) == token

        self.take_turn(store, self.keep("b"))
        assert self.kept(store) == self.token("b")

    @pytest.mark.parametrize("kept_before", [True, False])
    def test_after_an_end_there_is_no_state(self, store: Store, kept_before: bool) -> None:
        if kept_before:
            self.take_turn(store, self.keep("a"))
        self.take_turn(store, End(self.token("end"), 3600))
        # A store that cannot delete returns the sealed ending.
        assert self.kept(store) == (None if self.server_side else self.token("end"))

    def test_a_turn_that_leaves_the_state_or_is_aborted_changes_nothing(self, store: Store) -> None:
        self.take_turn(store, Leave())
        assert self.kept(store) is None

        self.take_turn(store, self.keep("a"))
        self.take_turn(store, Leave())
        begun = self.begin(store)
        store.abort(begun)
        assert [begun.token, self.kept(store)] == [self.token("a")] * 2

    def test_abort_may_be_called_twice_and_without_a_begin(self, store: Store) -> None:
        begun = self.begin(store)
        store.abort(begun)
        store.abort(begun)
        store.abort(Begun(Claim("X" * 22), None))
        assert self.kept(store) is None


class StoreContract(_AnyStoreContract):
    """The tests of a store. Derive a class with a fixture ``store`` that makes an empty store.

    Attributes:
        server_side: The store's `server_side`. If False, the tests that only a server-side store can
            pass are not collected.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.server_side:
            for name in vars(StoreContract):
                if name.startswith("test_"):
                    setattr(cls, name, None)

    # Turns: one turn holds a conversation, its state has a lifetime, and a STOP outlasts the state.

    def test_a_state_is_gone_after_its_lifetime_and_not_before(self, store: Store) -> None:
        self.take_turn(store, self.keep("a", 60))
        self.advance(store, 59)
        assert self.kept(store) == store.peek(self.claim(), self.now) == self.token("a")

        self.advance(store, 2)
        assert self.kept(store) is store.peek(self.claim(), self.now) is None

    def test_it_reports_the_remaining_lifetime_or_leaves_that_to_the_token(
        self, store: Store
    ) -> None:
        self.take_turn(store, self.keep("a", 100))
        self.advance(store, 50)
        assert 45 < (self.seen(store).left_s or 50) <= 50
        assert self.seen(store, self.claim(name="b")).left_s is None

    def test_every_commit_restarts_the_lifetime(self, store: Store) -> None:
        for mark in "ab":
            self.take_turn(store, self.keep(mark, 60))
            self.advance(store, 50)
        assert self.kept(store) == self.token("b")

    def test_a_state_that_expires_during_a_turn_is_written_by_its_commit(
        self, store: Store
    ) -> None:
        self.take_turn(store, self.keep("a", 2))
        begun = self.begin(store)
        self.advance(store, 3)
        self.commit(store, begun, self.keep("b", 60))
        assert (begun.token, self.kept(store)) == (self.token("a"), self.token("b"))

    def test_two_conversations_do_not_see_or_block_each_other(self, store: Store) -> None:
        self.take_turn(store, self.keep("a"))
        held = self.begin(store)
        assert self.kept(store, self.claim(name="b")) is None
        self.commit(store, held, self.keep("c"))
        assert self.kept(store, self.claim(name="b")) is None

    def test_a_turn_is_committed_once_and_not_after_an_abort(self, store: Store) -> None:
        begun = self.begin(store)
        self.commit(store, begun, self.keep("a"))
        with self.refused("lost"):
            self.commit(store, begun, self.keep("b"))

        begun = self.begin(store)
        store.abort(begun)
        with self.refused("lost"):
            self.commit(store, begun, self.keep("c"))
        assert self.kept(store) == self.token("a")

    def test_abort_after_commit_does_not_release_the_next_turn(self, store: Store) -> None:
        first = self.begin(store)
        self.commit(store, first, self.keep("a"))
        second = self.begin(store)
        store.abort(first)
        self.commit(store, second, self.keep("b"))
        assert self.kept(store) == self.token("b")

    def test_a_turn_writes_nothing_after_its_lease(self, store: Store) -> None:
        self.take_turn(store, self.keep("a"))
        claim = self.claim("request")
        begun = self.begin(store, claim)
        self.expire_lease(store, begun)

        with self.refused("lost"):
            store.write(begun, self.token("b"), 3600, self.now)
        with self.refused("lost"):
            self.commit(store, begun, self.keep("b"), SEALED)
        store.abort(begun)
        assert self.replayed(store, claim) is None
        assert self.kept(store) == self.token("a")

    def test_a_write_during_a_turn_takes_effect_at_once_and_lasts(self, store: Store) -> None:
        self.take_turn(store, self.keep("before"))
        begun = self.begin(store)
        for token in (self.token("a"), None, self.token("b")):
            store.write(begun, token, 3600, self.now)
            assert store.peek(self.claim(), self.now) == token
        self.commit(store, begun, Leave())
        assert self.kept(store) == self.token("b")

        begun = self.begin(store)
        store.write(begun, None, 3600, self.now)
        self.commit(store, begun, self.keep("c"))
        assert self.kept(store) == self.token("c")

    def test_a_stop_lasts_for_its_time(self, store: Store) -> None:
        self.take_turn(store, End(self.token("end"), 3600, opted_out=True))
        self.advance(store, OPT_OUT_S - 1)
        assert self.seen(store).opted_out

        self.advance(store, 2)
        assert not self.seen(store).opted_out

    @pytest.mark.parametrize("kind", [Keep, End, Leave])
    def test_every_outcome_sets_leaves_and_lifts_a_stop(self, store: Store, kind: Any) -> None:
        results = []
        for opted_out in (None, True, None, False):
            args = () if kind is Leave else (self.token("a"), 3600)
            self.take_turn(store, kind(*args, opted_out))
            results.append(self.seen(store).opted_out)
        assert results == [False, True, True, False]

    # Replies: a repeated request gets the recorded reply.

    def test_a_repeated_request_gets_the_recorded_reply(self, store: Store) -> None:
        replies = {name: bytes(range(256)) + name.encode() for name in "abcd"}
        for name, sealed in replies.items():
            self.answer(store, self.claim(name), sealed)

        assert {name: self.replayed(store, self.claim(name)) for name in replies} == replies
        assert self.replayed(store, self.claim("e")) is None
        assert self.replayed(store, self.claim("a", name="b")) is None

    def test_without_a_fingerprint_a_reply_or_a_commit_a_request_runs_again(
        self, store: Store
    ) -> None:
        self.answer(store, self.claim(), b"sealed")
        assert self.replayed(store, self.claim()) is None
        self.take_turn(store, self.keep("a"), self.claim("request"))
        assert self.replayed(store, self.claim("request")) is None
        store.abort(self.begin(store, self.claim("request")))
        assert self.replayed(store, self.claim("request")) is None

    def test_the_reply_of_a_turn_that_leaves_or_ends_the_state_is_recorded(
        self, store: Store
    ) -> None:
        for outcome in (Leave(), End(self.token("end"), 3600)):
            claim = self.claim(type(outcome).__name__)
            self.take_turn(store, outcome, claim, SEALED)
            assert self.replayed(store, claim) == b"sealed"

    def test_a_reply_is_forgotten_after_its_time(self, store: Store) -> None:
        self.answer(store, self.claim("request"), b"sealed")
        self.advance(store, REPLY_S - 1)
        assert self.replayed(store, self.claim("request")) == b"sealed"

        self.advance(store, 2)
        assert self.replayed(store, self.claim("request")) is None

    @pytest.mark.parametrize("others", [0, 1, 3])
    def test_a_redirect_to_the_same_url_runs_and_its_retry_does_not(
        self, store: Store, others: int
    ) -> None:
        first, second = (self.claim("r", idempotency=name) for name in ("first", "second"))
        self.answer(store, first, b"redirect", redirects=True)
        for number in range(others):
            self.answer(store, self.claim(f"other{number}"), b"other")

        assert self.replayed(store, first) == b"redirect"
        assert self.replayed(store, second) is None
        self.answer(store, second, b"message")
        # The reply that ends the redirects answers both requests.
        assert [self.replayed(store, claim) for claim in (second, first)] == [b"message"] * 2

    @pytest.mark.parametrize("expire", [False, True])
    def test_a_reply_that_replaced_another_is_erased_with_the_others(
        self, store: Store, expire: bool
    ) -> None:
        claims = [self.claim(name) for name in ("before", "redirected", "between")]
        for claim in claims:
            self.answer(store, claim, b"redirect", redirects=True)
        if expire:
            self.advance(store, REPLY_S - 10)
        again = self.claim("redirected", idempotency="again")
        self.answer(store, again, b"message")
        if expire:
            self.advance(store, 20)
        self.answer(store, self.claim("after"), b"message")
        assert self.replayed(store, again) == b"message"
        store.erase(self.claim(), replies=True)

        claims += [again, self.claim("after")]
        assert [self.replayed(store, claim) for claim in claims] == [None] * 5

    # Erasure: an erased conversation does not come back.

    def test_erase_removes_the_state_and_no_other_conversation(self, store: Store) -> None:
        for name in "ab":
            self.take_turn(store, self.keep(name), self.claim(name=name))
        store.erase(self.claim(name="a"), replies=False)
        store.erase(self.claim(name="c"), replies=True)

        assert self.kept(store, self.claim(name="a")) is None
        assert self.kept(store, self.claim(name="b")) == self.token("b")

    @pytest.mark.parametrize("write_first", [False, True])
    def test_a_running_turn_cannot_restore_an_erased_state(
        self, store: Store, write_first: bool
    ) -> None:
        self.take_turn(store, self.keep("a"))
        claim = self.claim("request")
        begun = self.begin(store, claim)
        if write_first:
            store.write(begun, self.token("b"), 3600, self.now)
        store.erase(claim, replies=True)

        with self.refused("lost"):
            store.write(begun, self.token("c"), 3600, self.now)
        with self.refused("lost"):
            self.commit(store, begun, self.keep("c"), SEALED)
        assert self.kept(store) is None
        assert self.replayed(store, claim) is None

    @pytest.mark.parametrize("answered", [1, 2, 20])
    def test_replies_are_erased_only_on_request(self, store: Store, answered: int) -> None:
        claims = [self.claim(f"request{number}") for number in range(answered)]
        for claim in [*claims, *claims[:1]]:
            if self.replayed(store, claim) is None:
                self.answer(store, claim, b"sealed")

        for replies, expected in ((False, b"sealed"), (True, None)):
            store.erase(claims[0], replies=replies)
            assert [self.replayed(store, claim) for claim in claims] == [expected] * answered

    def test_a_stop_survives_erasure(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600, opted_out=True))
        store.erase(self.claim(), replies=True)
        begun = self.seen(store)
        assert (begun.opted_out, begun.token) == (True, None)

    # Waiting: turns wait for each other, in order, for a limited time.

    def test_turns_run_in_order_and_see_the_state_of_the_turn_before(self, store: Store) -> None:
        held, order = self.begin(store), []
        with self.waiting_turns(store) as wait:
            turns = wait(self.max_waiting)
            self.commit(store, held, self.keep("0"))
            for number, turn in enumerate(turns, 1):
                begun = self.began(turn)
                order.append(begun.token)
                self.commit(store, begun, self.keep(str(number)))
        assert order == [self.token(str(number)) for number in range(self.max_waiting)]

    def test_beyond_max_waiting_the_store_is_busy(self, store: Store) -> None:
        held = self.begin(store)
        with self.waiting_turns(store) as wait:
            turns = wait(self.max_waiting)
            with self.refused("busy"):
                self.begin(store)
            store.abort(held)
            for turn in turns:
                store.abort(self.began(turn))
        assert self.kept(store) is None

    def test_a_turn_that_waits_too_long_finds_the_store_busy(self, store: Store) -> None:
        held = self.begin(store)
        with self.refused("busy"):
            self.begin(store)
        self.commit(store, held, self.keep("a"))
        assert self.kept(store) == self.token("a")

    @pytest.mark.parametrize("ends_by", ["abort", "erase", "lease"])
    def test_the_next_turn_begins_however_the_turn_before_ends(
        self, store: Store, ends_by: str
    ) -> None:
        self.take_turn(store, self.keep("a"))
        held = self.begin(store)
        with self.waiting_turns(store) as wait:
            [turn] = wait()
            if ends_by == "abort":
                store.abort(held)
            elif ends_by == "erase":
                store.erase(self.claim(), replies=False)
            else:
                self.expire_lease(store, held)
            begun = self.began(turn)

        assert begun.token == (None if ends_by == "erase" else self.token("a"))
        with self.refused("lost"):
            self.commit(store, held, self.keep("b"))
        self.commit(store, begun, self.keep("c"))
        assert self.kept(store) == self.token("c")

    def test_a_repeated_delivery_waits_for_the_first_and_gets_its_reply(self, store: Store) -> None:
        claim = self.claim("request")
        held = self.begin(store, claim)
        with self.waiting_turns(store) as wait:
            again = wait(self.max_waiting, claim)
            self.commit(store, held, self.keep("a"), SEALED)
            replays = [turn.result(PATIENCE_S) for turn in again]
        assert replays == [Replay(b"sealed")] * self.max_waiting
        assert self.kept(store) == self.token("a")  # and the conversation is free

    def test_a_repeated_delivery_runs_if_the_first_failed(self, store: Store) -> None:
        claim = self.claim("request")
        held = self.begin(store, claim)
        with self.waiting_turns(store) as wait:
            [again] = wait(1, claim)
            store.abort(held)
            store.abort(self.began(again))

    def test_of_many_concurrent_turns_each_takes_effect_once(self, store: Store) -> None:
        turns = range(10)

        def add(_: int) -> int:
            for _ in turns:
                begun = self.begin(store)
                count = 1 if begun.token is None else begun.token[-1] + 1
                token = self.token(str(count), content=bytes(79) + bytes([count]))
                store.commit(begun, Keep(token, 3600), None, self.now)
            return len(turns)

        with ThreadPoolExecutor(32) as pool:
            # As many as can run and wait without one finding that the store is busy.
            done = sum(pool.map(add, range(self.max_waiting + 1)))
        token = self.kept(store)
        assert token is not None
        assert token[-1] == done


class WorkStoreContract(_Contract):
    """The tests of the attribute ``work`` of a store, a `WorkStore`. Derive a class as from `StoreContract`."""

    queue = "queue".ljust(22, "-")
    _texts = 0

    @pytest.fixture
    def work(self, store: Any) -> Any:
        """The store's `WorkStore` as the tests call it, with plain functions."""
        return BlockingWork(store.work)

    def deferring(self, name: str = "a") -> Claim:
        """The claim of a new text, whose reply is recorded."""
        self._texts += 1
        return self.claim(f"text{self._texts}", name)._replace(defers=True)

    def text(
        self, store: Store, work: Any, text: bytes, name: str = "a", outcome: Outcome | None = None
    ) -> None:
        """Take a turn that defers a text."""
        begun = self.begin(store, self.deferring(name))
        work.defer(begun, self.queue, text, self.now)
        self.commit(store, begun, outcome or Leave(), SEALED)

    def take(self, work: Any, *, burst_s: float = 0, lease_s: float = 60) -> list[Taken]:
        """Take all conversations that are due."""
        hints = work.due(self.queue, 10, self.now)
        taken = [work.take(hint, burst_s, lease_s, self.now) for hint in hints]
        return [each for each in taken if each is not None]

    def rest(self, work: Any, taken: Taken, tries: int = 0, seconds: float = 0) -> None:
        """Let go of a conversation."""
        work.rest(taken, tries, seconds, self.now)

    def finish(
        self, work: Any, taken: Taken, *replies: bytes, outcome: Outcome | None = None
    ) -> None:
        """Keep an answer."""
        work.keep(taken, outcome or Leave(), list(replies), self.now)

    def check_lost(self, work: Any, taken: Taken) -> None:
        """Check that a worker can do nothing any more."""
        for call in (
            lambda: work.renew(taken, 60),
            lambda: self.finish(work, taken, b"late", outcome=self.keep("late")),
            lambda: work.settle(taken, taken.texts or taken.replies, "late", self.now),
            lambda: self.rest(work, taken),
        ):
            with self.refused("lost"):
                call()

    def test_a_text_is_answered_with_the_state_that_it_found(self, store: Store, work: Any) -> None:
        self.take_turn(store, self.keep("a"))
        self.text(store, work, bytes(range(256)))

        [taken] = self.take(work)
        assert (taken.texts, taken.replies, taken.tries) == ([bytes(range(256))], [], 1)
        assert (taken.hint.name, taken.hint.queue) == (self.claim().name, self.queue)
        assert (taken.begun.token, taken.begun.opted_out) == (self.token("a"), False)
        assert work.backlog(self.claim()) == (1, True, 0, 0)

    def test_only_a_commit_defers_a_text(self, store: Store, work: Any) -> None:
        for end in ("abort", "lease"):
            begun = self.begin(store, self.deferring())
            work.defer(begun, self.queue, b"text", self.now)
            assert self.take(work) == []  # the turn is still running
            if end == "lease":
                self.expire_lease(store, begun)
                with self.refused("lost"):
                    self.commit(store, begun, Leave(), SEALED)
            store.abort(begun)
            self.advance(store, 60)
            assert self.take(work) == []
            assert work.backlog(self.claim()).texts == 0

    def test_texts_are_answered_together_and_later_ones_by_the_next_answer(
        self, store: Store, work: Any
    ) -> None:
        self.text(store, work, b"one")
        self.text(store, work, b"two")
        [taken] = self.take(work)
        self.text(store, work, b"three")
        assert taken.texts == [b"one", b"two"]
        assert self.take(work) == []  # another worker has it, although its text has just arrived

        self.finish(work, taken)
        self.rest(work, taken)
        [taken] = self.take(work)
        assert (taken.texts, taken.tries) == ([b"three"], 1)

    def test_a_failed_answer_is_tried_again_with_the_same_texts_when_it_is_time(
        self, store: Store, work: Any
    ) -> None:
        self.text(store, work, b"one")
        [taken] = self.take(work)
        self.text(store, work, b"two")
        self.rest(work, taken, tries=1, seconds=10)
        self.text(store, work, b"three")
        for seconds in (0, 9):
            self.advance(store, seconds)
            assert self.take(work) == []

        self.advance(store, 2)
        [taken] = self.take(work)
        assert (taken.texts, taken.tries) == ([b"one"], 2)

    def test_a_worker_whose_lease_has_ended_can_do_nothing_and_its_try_counts(
        self, store: Store, work: Any
    ) -> None:
        self.text(store, work, b"text")
        [dead] = self.take(work)
        work.renew(dead, 0.05)
        tick = threading.Event()
        for _ in range(int(PATIENCE_S / 0.01)):
            if not work.backlog(self.claim()).answering:
                break
            tick.wait(0.01)
        self.check_lost(work, dead)
        assert work.backlog(self.claim()) == (1, False, 0, 0)
        assert store.peek(self.claim(), self.now) is None

        self.advance(store, 60)
        [taken] = self.take(work)
        assert (taken.texts, taken.tries) == ([b"text"], 2)
        self.check_lost(work, dead)

    def test_a_hint_is_lent_to_one_caller_and_comes_again(self, store: Store, work: Any) -> None:
        for name in "ab":
            self.text(store, work, b"text", name)
        hints = [hint for most in (1, 10) for hint in work.due(self.queue, most, self.now)]
        assert sorted(hint.name for hint in hints) == [self.claim(name=name).name for name in "ab"]
        assert work.due(self.queue, 1, self.now) == []

        self.advance(store, LENT_S + 1)
        assert len(work.due(self.queue, 1, self.now)) == 1
        assert work.due("another".ljust(22, "-"), 10, self.now) == []

    @pytest.mark.parametrize("kind", [Keep, End, Leave])
    def test_an_answer_writes_the_state_and_is_sent_before_the_next_one(
        self, store: Store, work: Any, kind: Any
    ) -> None:
        self.take_turn(store, self.keep("a"))
        self.text(store, work, b"one")
        [taken] = self.take(work)
        self.text(store, work, b"two")
        outcome = Leave() if kind is Leave else kind(self.token("b"), 3600)
        self.finish(work, taken, b"first", b"second", outcome=outcome)
        kept = {Keep: self.token("b"), End: None, Leave: self.token("a")}[kind]
        assert store.peek(self.claim(), self.now) == kept
        assert work.backlog(self.claim()) == (1, True, 2, 0)

        self.rest(work, taken)
        [taken] = self.take(work)
        assert (taken.texts, taken.replies) == ([], [b"first", b"second"])
        work.settle(taken, [b"first"], "", self.now)
        self.rest(work, taken, tries=1, seconds=10)
        assert self.take(work) == []
        self.advance(store, 11)
        [taken] = self.take(work)
        assert (taken.texts, taken.replies, taken.tries) == ([], [b"second"], 2)
        work.settle(taken, [b"second"], "", self.now)
        self.rest(work, taken)
        [taken] = self.take(work)
        assert (taken.texts, taken.replies, taken.tries) == ([b"two"], [], 1)

    def test_dead_letters_are_listed_until_they_are_retried_before_later_texts(
        self, store: Store, work: Any
    ) -> None:
        self.text(store, work, b"one")
        [taken] = self.take(work)
        work.settle(taken, [b"one"], "failed", self.now)
        self.text(store, work, b"two")
        self.rest(work, taken)
        [taken] = self.take(work)
        self.finish(work, taken, b"reply")
        work.settle(taken, [b"reply"], "21610", self.now)
        self.rest(work, taken)
        assert work.dead("another".ljust(22, "-")) == []

        self.text(store, work, b"three")
        for retry in (False, True):
            [hint] = work.dead(self.queue)
            letters = work.letters(hint, retry=retry, now=self.now)
            assert [letter._replace(at_s=0) for letter in letters] == [
                DeadLetter(True, "failed", 0, b"one"),
                DeadLetter(False, "21610", 0, b"reply"),
            ]
            assert all(abs(letter.at_s - self.now) < 1 for letter in letters)
        assert work.dead(self.queue) == []
        assert work.backlog(self.claim()) == (2, False, 1, 0)
        [taken] = self.take(work)
        assert taken.replies == [b"reply"]
        work.settle(taken, [b"reply"], "", self.now)
        self.rest(work, taken)
        [taken] = self.take(work)
        assert taken.texts == [b"one", b"three"]

    def test_an_answer_waits_until_the_person_is_silent_but_not_forever(
        self, store: Store, work: Any
    ) -> None:
        for number in range(LONGEST_BURST_S):
            self.text(store, work, b"%d" % number)
            assert self.take(work, burst_s=1.5) == []
            self.advance(store, 1)
        [taken] = self.take(work, burst_s=1.5)
        assert taken.texts == [b"%d" % number for number in range(LONGEST_BURST_S)]
        self.finish(work, taken)
        self.rest(work, taken)

        self.text(store, work, b"one")
        self.advance(store, 1)
        assert self.take(work, burst_s=1.5) == []
        self.advance(store, 1)
        assert len(self.take(work, burst_s=1.5)) == 1

    def test_a_full_mailbox_takes_nothing_more_until_it_is_emptied(
        self, store: Store, work: Any
    ) -> None:
        for number in range(MOST_TEXTS):
            self.text(store, work, b"%d" % number)
        with self.refused("busy"):
            self.text(store, work, b"too many", outcome=self.keep("a"))
        self.text(store, work, b"another's", "b")
        assert store.peek(self.claim(), self.now) is None
        assert work.backlog(self.claim()).texts == MOST_TEXTS

        for taken in self.take(work):
            self.finish(work, taken)
            self.rest(work, taken)
        self.text(store, work, b"again")

    @pytest.mark.parametrize("how", ["stop", "end", "forget"])
    def test_nothing_is_left_to_be_sent_after_a_stop_and_an_erasure(
        self, store: Store, work: Any, how: str
    ) -> None:
        for text in (b"one", b"two"):
            self.text(store, work, text)
            [taken] = self.take(work)
            self.finish(work, taken, b"reply to " + text, outcome=self.keep(text.decode()))
            if text == b"one":
                work.settle(taken, [b"reply to one"], "21610", self.now)
                self.rest(work, taken)
        self.text(store, work, b"three")
        assert work.backlog(self.claim()) == (1, True, 1, 1)

        if how == "stop":
            self.text(store, work, b"STOP", outcome=End(self.token("end"), 60, opted_out=True))
        else:
            store.erase(self.claim(), replies=how == "forget")
        assert work.backlog(self.claim()) == (0, False, 0, 0)
        self.check_lost(work, taken)
        self.advance(store, 60)
        assert self.take(work) == []
        assert [work.letters(hint, retry=True, now=self.now) for hint in work.dead(self.queue)] in (
            [],
            [[]],
        )
        assert self.kept(store) is None

    def test_other_turns_wait_for_an_answer_and_new_texts_do_not(
        self, store: Store, work: Any
    ) -> None:
        self.text(store, work, b"one")
        [taken] = self.take(work)
        with self.waiting_turns(store) as wait:
            [turn] = wait()
            self.text(store, work, b"two")
            assert not turn.done()
            self.finish(work, taken, outcome=self.keep("a"))
            self.rest(work, taken)
            begun = self.began(turn)
            assert begun.token == self.token("a")
            assert self.take(work) == []  # a worker does not wait, but looks again
            store.abort(begun)
        self.advance(store, 1)
        [taken] = self.take(work)
        assert taken.texts == [b"two"]

    def test_nothing_is_kept_for_longer_than_a_day(self, store: Store, work: Any) -> None:
        self.text(store, work, b"one")
        [taken] = self.take(work)
        self.finish(work, taken, b"refused", b"reply")
        work.settle(taken, [b"refused"], "21610", self.now)
        self.rest(work, taken)
        self.text(store, work, b"two")
        self.advance(store, WORK_S - 60)
        [taken] = self.take(work)
        assert taken.replies == [b"reply"]
        self.rest(work, taken)

        self.advance(store, WORK_S + 60)
        assert self.take(work) == []
        hints = work.dead(self.queue)
        assert [work.letters(hint, retry=False, now=self.now) for hint in hints] in ([], [[]])

    def test_it_goes_by_its_own_clock_if_it_is_given_no_time(self, store: Store, work: Any) -> None:
        self.now = time.time()
        begun = self.begin(store, self.deferring())
        work.defer(begun, self.queue, b"text", None)
        self.commit(store, begun, Leave(), SEALED)
        [hint] = work.due(self.queue, 10, None)
        taken = work.take(hint, 0, 60, None)
        assert taken.texts == [b"text"]
        work.settle(taken, [b"text"], "failed", None)
        work.rest(taken, 0, 0, None)
        [letter] = work.letters(hint, retry=False, now=None)
        assert abs(letter.at_s - self.now) < 3600


class _AsyncContract(_Contract):
    """For the tests of an asyncio store."""

    @pytest.fixture
    def async_store(self) -> AsyncStore:
        """An empty store; your class overrides this fixture."""
        raise UsageError(
            "AsyncStoreContract has no store to test. Give your test class a fixture named async_store "
            "that returns an empty one"
        )

    @pytest.fixture
    def store(self, async_store: AsyncStore) -> Iterator[Any]:
        """The store as the tests call it: its coroutines run on an event loop in a thread."""
        with blocking_store(async_store) as store, closing(store):
            yield store


class AsyncStoreContract(_AsyncContract, StoreContract):
    """The same tests for an asyncio store. Derive a class with a fixture ``async_store``.

    The methods `advance`, `expire_lease` and `waiting` get a blocking view of that store.
    """


class AsyncWorkStoreContract(_AsyncContract, WorkStoreContract):
    """The tests of the attribute ``work`` of an asyncio store. Derive a class as from `AsyncStoreContract`."""

    @pytest.fixture
    def work(self, store: Any) -> Any:
        """The store's `WorkStore` as the tests call it."""
        return store.work
