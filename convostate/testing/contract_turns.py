"""The tests of turns: what they hold, what they leave, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate.stores.base import OPT_OUT_S, End, Keep, Leave, Outcome, Reply
from convostate.testing.contract_setting import Setting, assert_lost

if TYPE_CHECKING:
    from convostate.stores.base import Store


class Turns(Setting):
    """A conversation is held by one turn, has a lifetime, and a STOP stands longer than that."""

    def test_a_state_is_gone_after_its_lifetime_and_not_before(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 60))
        self.advance(store, 59)
        assert self.kept(store) == self.token("a")
        assert store.peek(self.claim(), self.now) == self.token("a")

        self.advance(store, 2)
        assert self.kept(store) is None
        assert store.peek(self.claim(), self.now) is None

    def test_every_commit_begins_the_lifetime_anew(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 60))
        self.advance(store, 50)
        self.take_turn(store, Keep(self.token("b"), 60))
        self.advance(store, 50)

        assert self.kept(store) == self.token("b")

    def test_a_state_that_expires_during_a_turn_is_written_by_its_commit(
        self, store: Store
    ) -> None:
        self.take_turn(store, Keep(self.token("a"), 2))
        begun = self.begin(store)
        self.advance(store, 3)
        store.commit(begun, Keep(self.token("b"), 60), None, self.now)

        assert begun.token == self.token("a")
        assert self.kept(store) == self.token("b")

    def test_two_conversations_do_not_see_or_hold_up_each_other(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        held = self.begin(store)

        assert self.kept(store, self.claim(name="b")) is None
        store.commit(held, Keep(self.token("c"), 3600), None, self.now)
        assert self.kept(store, self.claim(name="b")) is None

    def test_a_turn_is_committed_once(self, store: Store) -> None:
        begun = self.begin(store)
        store.commit(begun, Keep(self.token("a"), 3600), None, self.now)

        assert_lost(lambda: store.commit(begun, Keep(self.token("b"), 3600), None, self.now))
        assert self.kept(store) == self.token("a")

    def test_an_aborted_turn_cannot_be_committed(self, store: Store) -> None:
        begun = self.begin(store)
        store.abort(begun)

        assert_lost(lambda: store.commit(begun, Keep(self.token("a"), 3600), None, self.now))
        assert self.kept(store) is None

    def test_abort_after_commit_does_not_let_go_what_the_next_turn_holds(
        self, store: Store
    ) -> None:
        first = self.begin(store)
        store.commit(first, Keep(self.token("a"), 3600), None, self.now)
        second = self.begin(store)
        store.abort(first)
        store.commit(second, Keep(self.token("b"), 3600), None, self.now)

        assert self.kept(store) == self.token("b")

    def test_after_its_lease_a_turn_writes_nothing(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        claim = self.claim("request")
        begun = self.begin(store, claim)
        self.expire_lease(store, begun)

        reply = Reply(b"sealed", redirects=False)
        assert_lost(lambda: store.write(begun, self.token("b"), 3600, self.now))
        assert_lost(lambda: store.commit(begun, Keep(self.token("b"), 3600), reply, self.now))
        store.abort(begun)
        assert self.replayed(store, claim) is None
        assert self.kept(store) == self.token("a")

    def test_what_is_written_during_a_turn_is_there_at_once_and_stays(self, store: Store) -> None:
        begun = self.begin(store)
        store.write(begun, self.token("a"), 3600, self.now)
        assert store.peek(self.claim(), self.now) == self.token("a")

        store.write(begun, self.token("b"), 3600, self.now)
        store.commit(begun, Leave(), None, self.now)
        assert self.kept(store) == self.token("b")

    def test_a_turn_can_write_that_there_is_no_state_and_commit_after_it(
        self, store: Store
    ) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        begun = self.begin(store)
        store.write(begun, None, 3600, self.now)
        assert store.peek(self.claim(), self.now) is None

        store.commit(begun, Keep(self.token("b"), 3600), None, self.now)
        assert self.kept(store) == self.token("b")

    def test_a_stop_stands_for_its_time(self, store: Store) -> None:
        self.take_turn(store, End(self.token("end"), 3600, opted_out=True))
        self.advance(store, OPT_OUT_S - 1)
        assert self.opted_out(store)

        self.advance(store, 2)
        assert not self.opted_out(store)

    @pytest.mark.parametrize("outcome", ["keep", "end", "leave"])
    def test_every_outcome_sets_leaves_and_lifts_a_stop(self, store: Store, outcome: str) -> None:
        def turn(opted_out: bool | None) -> bool:
            outcomes: dict[str, Outcome] = {
                "keep": Keep(self.token("a"), 3600, opted_out),
                "end": End(self.token("end"), 3600, opted_out),
                "leave": Leave(opted_out),
            }
            self.take_turn(store, outcomes[outcome])
            return self.opted_out(store)

        assert [turn(None), turn(True), turn(None), turn(False)] == [False, True, True, False]

    def opted_out(self, store: Store) -> bool:
        """Whether a STOP stands."""
        begun = self.begin(store)
        store.abort(begun)
        return begun.opted_out
