"""The tests of turns that wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate.stores.base import Begun, Keep, Replay, Reply
from convostate.testing.contract_setting import PATIENCE_S, Setting, assert_busy, assert_lost

if TYPE_CHECKING:
    from convostate.stores.base import Store


class Waiting(Setting):
    """Turns wait for each other, in order, and not for ever."""

    def test_a_turn_waits_for_the_one_before_and_sees_what_it_left(self, store: Store) -> None:
        held = self.begin(store)
        with self.in_threads() as threads:
            next_turn = threads.begin(store, self.claim())
            store.commit(held, Keep(self.token("a"), 3600), None, self.now)
            begun = next_turn.result(PATIENCE_S)

        assert isinstance(begun, Begun)
        assert begun.token == self.token("a")
        store.abort(begun)

    def test_turns_run_in_the_order_of_their_begin(self, store: Store) -> None:
        held = self.begin(store)
        order = []
        with self.in_threads() as threads:
            waiting = [threads.begin(store, self.claim()) for _ in range(self.max_waiting)]
            store.commit(held, Keep(self.token("0"), 3600), None, self.now)
            for number, future in enumerate(waiting, 1):
                begun = future.result(PATIENCE_S)
                assert isinstance(begun, Begun)
                order.append(begun.token)
                store.commit(begun, Keep(self.token(str(number)), 3600), None, self.now)

        assert order == [self.token(str(number)) for number in range(self.max_waiting)]

    def test_beyond_max_waiting_the_store_is_busy(self, store: Store) -> None:
        held = self.begin(store)
        with self.in_threads() as threads:
            waiting = [threads.begin(store, self.claim()) for _ in range(self.max_waiting)]
            assert_busy(lambda: self.begin(store))
            store.abort(held)
            for future in waiting:
                begun = future.result(PATIENCE_S)
                assert isinstance(begun, Begun)
                store.abort(begun)

        assert self.kept(store) is None

    def test_one_that_waited_too_long_is_told_that_the_store_is_busy(self, store: Store) -> None:
        held = self.begin(store)
        assert_busy(lambda: self.begin(store))
        store.commit(held, Keep(self.token("a"), 3600), None, self.now)

        assert self.kept(store) == self.token("a")

    @pytest.mark.parametrize("ends_by", ["abort", "erase", "lease"])
    def test_the_next_turn_begins_however_the_one_before_ends(
        self, store: Store, ends_by: str
    ) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        held = self.begin(store)
        with self.in_threads() as threads:
            next_turn = threads.begin(store, self.claim())
            if ends_by == "abort":
                store.abort(held)
            elif ends_by == "erase":
                store.erase(self.claim(), replies=False)
            else:
                self.expire_lease(store, held)
            begun = next_turn.result(PATIENCE_S)

        assert isinstance(begun, Begun)
        assert begun.token == (None if ends_by == "erase" else self.token("a"))
        assert_lost(lambda: store.commit(held, Keep(self.token("b"), 3600), None, self.now))
        store.commit(begun, Keep(self.token("c"), 3600), None, self.now)
        assert self.kept(store) == self.token("c")

    def test_a_repeated_delivery_waits_for_the_first_and_gets_its_reply(self, store: Store) -> None:
        claim = self.claim("request")
        held = self.begin(store, claim)
        with self.in_threads() as threads:
            again = [threads.begin(store, claim) for _ in range(self.max_waiting)]
            reply = Reply(b"sealed", redirects=False)
            store.commit(held, Keep(self.token("a"), 3600), reply, self.now)
            assert [future.result(PATIENCE_S) for future in again] == [Replay(b"sealed")] * len(
                again
            )

        assert self.kept(store) == self.token("a")  # and nothing is held

    def test_a_repeated_delivery_runs_where_the_first_failed(self, store: Store) -> None:
        claim = self.claim("request")
        held = self.begin(store, claim)
        with self.in_threads() as threads:
            again = threads.begin(store, claim)
            store.abort(held)
            begun = again.result(PATIENCE_S)

        assert isinstance(begun, Begun)
        store.abort(begun)

    def test_of_many_turns_at_once_none_is_lost_and_none_is_doubled(self, store: Store) -> None:
        turns = range(10)

        def add(_: int) -> int:
            for _ in turns:
                begun = self.begin(store)
                count = 0 if begun.token is None else begun.token[-1]
                token = self.token(str(count + 1), content=bytes(79) + bytes([count + 1]))
                store.commit(begun, Keep(token, 3600), None, self.now)
            return len(turns)

        with self.in_threads() as threads:
            # As many as can run and wait without one being told that the store is busy.
            done = sum(threads.pool.map(add, range(self.max_waiting + 1)))

        token = self.kept(store)
        assert token is not None
        assert token[-1] == done
