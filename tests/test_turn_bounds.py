"""The bounds of a turn, to the byte and to the millisecond."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convostate import StateError
from convostate.stores.base import End, Keep, Leave
from tests.served import NOW
from tests.turning import COOKIE, HOUR, SERVER, finished, kept, opened


def test_a_token_of_exactly_the_most_bytes_is_kept_and_one_more_is_an_error() -> None:
    size = len(kept({"a": "x" * 200}))
    turn = opened(config=replace(COOKIE, most_bytes=size))
    too_large = opened(config=replace(COOKIE, most_bytes=size - 1))
    for each in (turn, too_large):
        each.state["a"] = "x" * 200

    assert isinstance(finished(turn), Keep)
    with pytest.raises(StateError, match="too large"):
        finished(too_large)


def test_what_was_written_past_the_state_is_kept_too() -> None:
    """`dict.update(state, …)` goes around every guard, and a framework's session may do it."""
    turn = opened()
    dict.update(turn.state, {"a": 1})

    assert isinstance(finished(turn), Keep)
    assert isinstance(finished(opened()), Leave)


@pytest.mark.parametrize(("late_ms", "known"), [(-1, True), (0, False), (1, False)])
def test_a_state_opens_until_the_millisecond_of_its_end(late_ms: int, known: bool) -> None:
    token = kept({"a": 1})

    state = opened(token, NOW + 4 * HOUR + late_ms / 1000).state
    assert state.is_new is not known
    assert (state.lost is None) is known


@pytest.mark.parametrize(("left_ms", "kept_on"), [(2, True), (1, True), (0, False)])
def test_a_status_keeps_a_state_for_what_is_left_of_its_time(left_ms: int, kept_on: bool) -> None:
    turn = opened(kept({"a": 1}, config=SERVER), config=SERVER, kind="message-status")
    turn.state["a"] = 2

    outcome = finished(turn, NOW + 4 * HOUR - left_ms / 1000)
    assert isinstance(outcome, Keep if kept_on else Leave)
    if isinstance(outcome, Keep):
        assert outcome.lifetime_s == left_ms / 1000


def test_an_ended_conversation_is_known_for_a_lifetime() -> None:
    turn = opened(kept({"a": 1}))
    turn.state.end()

    outcome = finished(turn)
    assert isinstance(outcome, End)
    assert outcome.lifetime_s == 4 * HOUR


def test_a_merge_leaves_the_state_what_it_is() -> None:
    state = same = opened().state
    state |= {"a": 1}

    assert state is same
    assert dict(state) == {"a": 1}
