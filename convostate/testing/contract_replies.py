"""The tests of recorded replies, and of erasing what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate.stores.base import REPLY_S, End, Keep, Leave, Reply
from convostate.testing.contract_setting import Setting, assert_lost

if TYPE_CHECKING:
    from convostate.stores.base import Store


class Replies(Setting):
    """A request that has been answered is answered from the record."""

    def test_a_repeated_request_gets_the_recorded_reply(self, store: Store) -> None:
        replies = {name: bytes(range(256)) + name.encode() for name in "abcd"}
        for name, sealed in replies.items():
            self.answer(store, self.claim(name), sealed)

        assert {name: self.replayed(store, self.claim(name)) for name in replies} == replies
        assert self.replayed(store, self.claim("e")) is None
        assert self.replayed(store, self.claim("a", name="b")) is None

    def test_a_request_without_a_fingerprint_always_runs(self, store: Store) -> None:
        self.answer(store, self.claim(None), b"sealed")
        assert self.replayed(store, self.claim(None)) is None

    def test_a_turn_without_a_reply_records_none(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600), self.claim("request"))
        assert self.replayed(store, self.claim("request")) is None

    def test_a_turn_that_leaves_or_ends_the_state_has_its_reply_recorded(
        self, store: Store
    ) -> None:
        self.take_turn(store, Leave(), self.claim("a"), Reply(b"left", redirects=False))
        ending = End(self.token("end"), 3600)
        self.take_turn(store, ending, self.claim("b"), Reply(b"ended", redirects=False))

        assert self.replayed(store, self.claim("a")) == b"left"
        assert self.replayed(store, self.claim("b")) == b"ended"

    def test_an_aborted_request_runs_again(self, store: Store) -> None:
        store.abort(self.begin(store, self.claim("request")))
        assert self.replayed(store, self.claim("request")) is None

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
        self.answer(store, second, b"message", redirects=False)
        assert self.replayed(store, second) == b"message"
        # What ends the redirects answers all requests alike.
        assert self.replayed(store, first) == b"message"

    def test_a_reply_that_replaced_another_is_erased_with_all_before_and_after(
        self, store: Store
    ) -> None:
        claims = [self.claim(name) for name in ("before", "redirected", "between", "after")]
        for claim in (*claims[:3], self.claim("redirected", idempotency="again"), claims[3]):
            self.answer(store, claim, b"redirect", redirects=True)
        store.erase(self.claim(), replies=True)

        assert [self.replayed(store, claim) for claim in claims] == [None] * 4

    def test_a_reply_that_replaced_another_is_erased_when_all_that_came_between_have_expired(
        self, store: Store
    ) -> None:
        claims = [self.claim(name) for name in ("redirected", "between", "newest")]
        for claim in claims:
            self.answer(store, claim, b"redirect", redirects=True)
        self.advance(store, REPLY_S - 10)
        again = self.claim("redirected", idempotency="again")
        self.answer(store, again, b"message")
        self.advance(store, 20)
        assert self.replayed(store, again) == b"message"
        store.erase(self.claim(), replies=True)

        assert self.replayed(store, again) is None

    def test_a_reply_without_a_redirect_is_replayed_whatever_the_idempotency(
        self, store: Store
    ) -> None:
        self.answer(store, self.claim("r", idempotency="first"), b"sealed")
        assert self.replayed(store, self.claim("r", idempotency="second")) == b"sealed"


class Erasure(Setting):
    """What is erased does not come back."""

    def test_erase_removes_the_state_and_leaves_other_conversations(self, store: Store) -> None:
        for name in "ab":
            self.take_turn(store, Keep(self.token(name), 3600), self.claim(name=name))
        store.erase(self.claim(name="a"), replies=False)
        store.erase(self.claim(name="c"), replies=True)

        assert self.kept(store, self.claim(name="a")) is None
        assert self.kept(store, self.claim(name="b")) == self.token("b")

    @pytest.mark.parametrize("write_first", [False, True])
    def test_a_turn_in_flight_cannot_bring_it_back(self, store: Store, write_first: bool) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        claim = self.claim("request")
        begun = self.begin(store, claim)
        if write_first:
            store.write(begun, self.token("b"), 3600, self.now)
        store.erase(claim, replies=True)

        reply = Reply(b"sealed", redirects=False)
        assert_lost(lambda: store.write(begun, self.token("c"), 3600, self.now))
        assert_lost(lambda: store.commit(begun, Keep(self.token("c"), 3600), reply, self.now))
        assert self.kept(store) is None
        assert self.replayed(store, claim) is None

    @pytest.mark.parametrize("answered", [1, 2, 20])
    def test_replies_are_erased_only_where_that_is_asked_for(
        self, store: Store, answered: int
    ) -> None:
        claims = [self.claim(f"request{number}") for number in range(answered)]
        for claim in [*claims, *claims[:1]]:
            if self.replayed(store, claim) is None:
                self.answer(store, claim, b"sealed")

        store.erase(claims[0], replies=False)
        assert [self.replayed(store, claim) for claim in claims] == [b"sealed"] * answered
        store.erase(claims[0], replies=True)
        assert [self.replayed(store, claim) for claim in claims] == [None] * answered

    def test_a_standing_stop_survives_erasure(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600, opted_out=True))
        store.erase(self.claim(), replies=True)
        begun = self.begin(store)
        store.abort(begun)

        assert begun.opted_out
        assert begun.token is None
