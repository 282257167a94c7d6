"""Turns, clock jumps, key rotations and swapped cookies: at every step a plain dict for each pair."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from werkzeug.http import parse_cookie

from convostate import PhonePair, SealError, State
from convostate.sealing.token import conversation_context
from convostate.stores import CookieStore, MemoryStore
from convostate.stores.base import Begun, Claim
from convostate.turns import configure
from tests.served import ACCOUNT, ADA, BOB, KEY, NOW, OTHER_KEY, US, settings
from tests.turning import finished, opened

if TYPE_CHECKING:
    from convostate.turns import Turn, TurnConfig

THIRD_KEY = "7xJtDd_Ye3pUXVjJ7C0tDt1zSg2pIqQ1yF7sK0cQn3w"
PAIRS = [PhonePair(ACCOUNT, US, ADA), PhonePair(ACCOUNT, US, BOB), PhonePair(ACCOUNT, BOB, US)]
LIFETIME = 4 * 3600.0
pairs = st.sampled_from(PAIRS)
names = st.sampled_from(["a", "b", 1, "1"])
values = st.sampled_from([None, True, 0, 1, "x", b"x", 1.5, (), [1, [2]], {"n": {1}}])
statuses = st.sampled_from([200, 200, 200, 302, 400, 500])


class Expected:
    """What a conversation must hold."""

    def __init__(self, content: dict[Any, Any], started: float, expires: float) -> None:
        self.content = content
        self.started = started
        self.expires = expires


class Conversations(RuleBasedStateMachine):
    """Drives the core and one store; `expected` is the model."""

    server_side: bool

    def __init__(self) -> None:
        super().__init__()
        self.now = self.written = NOW
        self.keys = [KEY, OTHER_KEY, THIRD_KEY]
        self.ring = [KEY]
        self.store = MemoryStore() if self.server_side else CookieStore()
        self.jar: dict[PhonePair, str] = {}
        self.sealed_with: dict[PhonePair, str] = {}
        self.expected: dict[PhonePair, Expected] = {}

    @property
    def config(self) -> TurnConfig:
        given = settings(
            keys=",".join(self.ring),
            index_key=KEY,
            store="memory" if self.server_side else "cookie",
        )
        return configure(given, self.store)[2]

    def begin(self, pair: PhonePair) -> tuple[Begun, Turn]:
        claim = Claim(self.config.names.conversation(conversation_context(pair)))
        begun = self.store.begin(claim, self.jar.get(pair, ""), self.now)
        assert isinstance(begun, Begun)
        return begun, opened(begun.token, self.now, self.config, pair=pair)

    def commit(self, pair: PhonePair, begun: Begun, turn: Turn, status: int) -> bool:
        outcome = finished(turn, self.now, status)
        if outcome is None:
            self.store.abort(begun)
            return False
        for _name, header in self.store.commit(begun, outcome, None, self.now):
            self.jar[pair] = header.partition(";")[0]
            assert "convostate" in parse_cookie(self.jar[pair])
        self.written = max(self.written, self.now)
        return True

    def check(self, pair: PhonePair, state: State) -> None:
        expected = self.expected.get(pair)
        if expected is not None and not self.now < expected.expires:
            expected = None
        if expected is not None and self.sealed_with[pair] not in self.ring:
            expected = None
        if expected is None:
            assert (state, state.is_new) == ({}, True)
            return
        assert (state, state.is_new, state.lost) == (expected.content, False, None)
        assert [type(state[name]) for name in expected.content] == [
            type(value) for value in expected.content.values()
        ]
        assert (state.started_at.timestamp(), state.expires_at.timestamp()) == (
            expected.started,
            expected.expires,
        )

    @rule(
        pair=pairs,
        items=st.dictionaries(names, values, max_size=2),
        gone=st.lists(names, max_size=1),
        status=statuses,
    )
    def turn(self, pair: PhonePair, items: dict[Any, Any], gone: list[Any], status: int) -> None:
        begun, turn = self.begin(pair)
        self.check(pair, turn.state)
        is_new, started = turn.state.is_new, turn.state.started_at.timestamp()
        content = {**turn.state, **items}
        turn.state.update(items)
        for name in gone:
            turn.state.pop(name, None)
            content.pop(name, None)
        if self.commit(pair, begun, turn, status):
            self.expected[pair] = Expected(
                content, self.now if is_new else started, self.now + LIFETIME
            )
            self.sealed_with[pair] = self.ring[0]

    @rule(pair=pairs, status=statuses)
    def look(self, pair: PhonePair, status: int) -> None:
        """Every good answer sends the state on for another lifetime; of nothing it sends nothing."""
        begun, turn = self.begin(pair)
        self.check(pair, turn.state)
        expected = None if turn.state.is_new else self.expected[pair]
        if self.commit(pair, begun, turn, status) and expected is not None:
            expected.expires = self.now + LIFETIME
            self.sealed_with[pair] = self.ring[0]

    @rule(pair=pairs, status=statuses)
    def end(self, pair: PhonePair, status: int) -> None:
        begun, turn = self.begin(pair)
        self.check(pair, turn.state)
        turn.state.end()
        if self.commit(pair, begun, turn, status):
            self.expected.pop(pair, None)

    @rule(seconds=st.sampled_from([0.001, 1.0, 60.0, 3600.0, LIFETIME - 1, LIFETIME, 2 * LIFETIME]))
    def advance(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)

    @rule(seconds=st.sampled_from([1.0, 59.0, 3600.0]))
    def set_back(self, seconds: float) -> None:
        """Another host's clock, which may be a minute behind the one that wrote last.

        Not back before an expiry: a store may have swept what had expired.
        """
        expired = [each.expires for each in self.expected.values() if each.expires <= self.now]
        self.now = max(round(self.now - seconds, 3), self.written - 60, *expired)

    @rule(first=st.sampled_from([0, 1, 2]), others=st.sets(st.sampled_from([0, 1, 2]), max_size=2))
    def rotate(self, first: int, others: set[int]) -> None:
        self.ring = [self.keys[number] for number in dict.fromkeys([first, *sorted(others)])]

    @rule(pair=pairs, other=pairs)
    def send_the_cookie_of_another(self, pair: PhonePair, other: PhonePair) -> None:
        """A token of one pair is nothing to another one."""
        if self.server_side or pair == other or other not in self.jar:
            return
        begun = self.store.begin(Claim(""), self.jar[other], self.now)
        assert isinstance(begun, Begun)
        state = opened(begun.token, self.now, self.config, pair=pair).state
        assert (state, state.is_new) == ({}, True)
        assert isinstance(state.lost, SealError)

    @initialize()
    def open_all(self) -> None:
        for pair in PAIRS:
            begun, turn = self.begin(pair)
            self.check(pair, turn.state)
            self.store.abort(begun)

    @invariant()
    def no_two_pairs_share_a_token(self) -> None:
        assert all(
            self.jar[one] != self.jar[other]
            for one, other in product(self.jar, self.jar)
            if one != other
        )


class InCookies(Conversations):
    server_side = False


class InMemory(Conversations):
    server_side = True


for machine in (InCookies, InMemory):
    machine.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30)
TestInCookies, TestInMemory = InCookies.TestCase, InMemory.TestCase
pytestmark = pytest.mark.slow
