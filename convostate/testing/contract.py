"""StoreContract: what a `Store` promises, as tests that a store of your own can inherit.

::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self):
            with closing(MyStore(max_waiting=self.max_waiting)) as store:
                yield store

Every test begins with an empty store. None sleeps and none depends on how fast it runs; those in which
turns wait for each other use threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostate.errors import UsageError
from convostate.stores.base import Begun, Claim, End, Keep, Leave
from convostate.testing.contract_replies import Erasure, Replies
from convostate.testing.contract_setting import Setting
from convostate.testing.contract_turns import Turns
from convostate.testing.contract_waiting import Waiting

if TYPE_CHECKING:
    from convostate.stores.base import Store

_AT_SERVER = (Turns, Replies, Erasure, Waiting)


class StoreContract(Turns, Replies, Erasure, Waiting, Setting):
    """The tests of a store; inherit, and give it a fixture ``store`` that makes an empty one.

    Attributes:
        server_side: What the store's `server_side` is. Where False, the tests of what needs a memory of
            its own are not collected.
        max_waiting: How many turns of one conversation may wait at once in the store of the fixture.
        wait_s: How long one may wait there, in seconds; more than 0.5, for the other tests.
        now: Unix time in seconds, as `advance` moves it.
    """

    server_side = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.server_side:
            for group in _AT_SERVER:
                for name in vars(group):
                    if name.startswith("test_"):
                        setattr(cls, name, None)

    @pytest.fixture
    def store(self) -> Store:
        """An empty store; the subclass makes it."""
        raise UsageError(
            "StoreContract has no store to test. Give your test class a fixture named store "
            "that returns an empty one"
        )

    def test_it_says_whether_it_remembers_by_itself(self, store: Store) -> None:
        assert store.server_side is self.server_side

    def test_it_says_how_long_a_token_may_be(self, store: Store) -> None:
        assert store.most_bytes is None or store.most_bytes > 1024

    def test_what_is_kept_outlasts_a_close_and_so_does_the_store(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        store.close()
        store.close()

        assert self.kept(store) == self.token("a")

    def test_where_nothing_is_kept_there_is_no_token(self, store: Store) -> None:
        claim = self.claim()
        begun = self.begin(store, claim)

        assert begun.claim == claim
        assert begun.token is None
        assert begun.opted_out is False

    def test_what_is_kept_comes_back_byte_for_byte(self, store: Store) -> None:
        token = self.token("a", content=bytes(range(256)))
        headers = self.take_turn(store, Keep(token, 3600))

        assert all(type(part) is str for header in headers for part in header)
        assert self.kept(store) == token

    def test_a_later_token_replaces_an_earlier_one(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        self.take_turn(store, Keep(self.token("b"), 3600))

        assert self.kept(store) == self.token("b")

    def test_after_an_end_there_is_no_state(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        self.take_turn(store, End(self.token("end"), 3600))

        # A store that cannot delete gives the sealed ending.
        assert self.kept(store) == (None if self.server_side else self.token("end"))

    def test_to_end_what_is_not_there_does_nothing(self, store: Store) -> None:
        self.take_turn(store, End(self.token("end"), 3600))

        assert self.kept(store) == (None if self.server_side else self.token("end"))

    def test_leave_leaves_the_state_as_it_was(self, store: Store) -> None:
        self.take_turn(store, Leave())
        assert self.kept(store) is None

        self.take_turn(store, Keep(self.token("a"), 3600))
        self.take_turn(store, Leave())
        assert self.kept(store) == self.token("a")

    def test_an_aborted_turn_changes_nothing(self, store: Store) -> None:
        self.take_turn(store, Keep(self.token("a"), 3600))
        begun = self.begin(store)
        store.abort(begun)

        assert begun.token == self.token("a")
        assert self.kept(store) == self.token("a")

    def test_abort_may_be_called_twice_and_for_a_lease_that_is_none(self, store: Store) -> None:
        begun = self.begin(store)
        store.abort(begun)
        store.abort(begun)
        store.abort(Begun(Claim("X" * 22), None))

        assert self.kept(store) is None
