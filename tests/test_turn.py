"""A turn: what is opened, what may be written, and what is kept of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from convostate import PhonePair, SealError, StateError, StoreError, UsageError
from convostate.stores.base import End, Keep, Leave
from tests.served import ACCOUNT, ADA, BOB, KEY, NOW, OTHER_KEY, US
from tests.turning import (
    COOKIE,
    HOUR,
    PAIR,
    SERVER,
    cookie_terms,
    finished,
    kept,
    opened,
    server_terms,
)

if TYPE_CHECKING:
    from convostate.turns import Terms

each_terms = pytest.mark.parametrize("terms", [COOKIE, SERVER], ids=["cookie", "server"])


def moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, timezone.utc)


@each_terms
def test_a_first_turn_opens_a_new_state_that_lasts_for_the_lifetime(terms: Terms) -> None:
    state = opened(terms=terms).state
    assert (state, state.is_new, state.lost, state.pair) == ({}, True, None, PAIR)
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 4 * HOUR))


@each_terms
def test_what_is_kept_is_found_again_with_its_moments(terms: Terms) -> None:
    state = opened(kept({"a": [1]}, terms=terms), NOW + HOUR, terms).state
    assert (state, state.is_new, state.lost) == ({"a": [1]}, False, None)
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 4 * HOUR))


@each_terms
def test_every_turn_begins_the_lifetime_anew_and_the_conversation_keeps_its_start(
    terms: Terms,
) -> None:
    token = kept({"a": 1}, terms=terms)
    for turn_number in range(1, 5):
        turn = opened(token, NOW + 3 * HOUR * turn_number, terms)
        assert turn.state == {"a": 1}
        outcome = finished(turn, NOW + 3 * HOUR * turn_number, terms)
        assert isinstance(outcome, Keep)
        assert outcome.lifetime_s == 4 * HOUR
        token = outcome.token
    state = opened(token, NOW + 12 * HOUR, terms).state
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 16 * HOUR))


@each_terms
@pytest.mark.parametrize(
    ("after", "there"),
    [
        (3 * HOUR + 59 * 60, True),
        (4 * HOUR - 0.001, True),
        (4 * HOUR, False),
        (4 * HOUR + 60, False),
    ],
)
def test_a_state_is_there_until_its_lifetime_is_over(
    terms: Terms, after: float, there: bool
) -> None:
    state = opened(kept({"a": 1}, terms=terms), NOW + after, terms).state
    assert (state.is_new, state == {"a": 1}) == (not there, there)
    assert (state.lost and state.lost.reason) == (None if there else "expired")


def test_a_shorter_lifetime_of_the_settings_or_of_one_turn_ends_sooner() -> None:
    half = cookie_terms(lifetime="30m")
    token = kept({"a": 1}, terms=half)
    assert opened(token, NOW + 1799, half).state == {"a": 1}
    assert opened(token, NOW + 1800, half).state.is_new

    turn = opened(token, NOW, half)
    turn.state.lifetime = timedelta(minutes=10)
    outcome = finished(turn, NOW, half)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == 600
    assert opened(outcome.token, NOW + 599, half).state == {"a": 1}
    assert opened(outcome.token, NOW + 600, half).state.is_new
    assert opened(outcome.token, NOW + 599, half).state.lifetime == timedelta(
        minutes=30
    )  # for one turn only


@each_terms
@pytest.mark.parametrize("status", [400, 404, 500, 503, 599])
def test_a_failed_answer_keeps_nothing(terms: Terms, status: int) -> None:
    turn = opened(kept({"a": 1}, terms=terms), terms=terms)
    turn.state["a"] = 2
    assert finished(turn, terms=terms, status=status) is None
    ended = opened(kept({"a": 1}, terms=terms), terms=terms, kind="message", opt_out="STOP")
    ended.state.end()
    assert finished(ended, terms=terms, status=status) is None


@each_terms
@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_any_other_answer_keeps_the_state(terms: Terms, status: int) -> None:
    turn = opened(kept({"a": 1}, terms=terms), terms=terms)
    turn.state["a"] = 2
    outcome = finished(turn, terms=terms, status=status)
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, terms=terms).state == {"a": 2}


@each_terms
def test_a_change_deep_within_is_kept(terms: Terms) -> None:
    turn = opened(kept({"cart": [{"n": 1}]}, terms=terms), terms=terms)
    turn.state["cart"][0]["n"] = 2
    outcome = finished(turn, terms=terms)
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, terms=terms).state == {"cart": [{"n": 2}]}


@each_terms
def test_a_new_empty_untouched_conversation_leaves_nothing(terms: Terms) -> None:
    assert finished(opened(terms=terms), terms=terms) == Leave()
    assert finished(opened(b"\1" * 200, terms=terms), terms=terms) == Leave()


@each_terms
def test_a_new_empty_but_touched_conversation_is_kept(terms: Terms) -> None:
    turn = opened(terms=terms)
    turn.state["a"] = 1
    del turn.state["a"]
    outcome = finished(turn, terms=terms)
    assert isinstance(outcome, Keep)
    again = opened(outcome.token, NOW + HOUR, terms)
    assert (again.state.is_new, again.state.started_at) == (False, moment(NOW))
    assert isinstance(finished(again, terms=terms), Keep)  # no longer new


@each_terms
def test_an_ended_conversation_opens_as_a_new_one_and_nothing_is_lost(terms: Terms) -> None:
    turn = opened(kept({"a": 1}, terms=terms), terms=terms)
    turn.state.end()
    outcome = finished(turn, terms=terms)
    assert isinstance(outcome, End)
    state = opened(outcome.token, NOW + HOUR, terms).state
    assert (state, state.is_new, state.lost, state.started_at) == (
        {},
        True,
        None,
        moment(NOW + HOUR),
    )


@each_terms
def test_after_the_turn_the_state_takes_no_writes(terms: Terms) -> None:
    turn = opened(terms=terms)
    turn.state["a"] = 1
    finished(turn, terms=terms)
    with pytest.raises(UsageError, match=r"turn is over"):
        turn.state["a"] = 2
    assert turn.state == {"a": 1}


@pytest.mark.parametrize(("opt_out", "terms", "outcome", "opted_out"), [
    ("STOP", COOKIE, End, True), ("STOP", SERVER, End, True), ("STOP", cookie_terms(on_opt_out="keep"), Keep, True),
    ("STOP", server_terms(on_opt_out="keep"), Keep, True), ("START", SERVER, Keep, False), ("HELP", SERVER, Keep, None),
    (None, SERVER, Keep, None),
])  # fmt: skip
def test_p4_a_stop_ends_the_conversation_after_the_turn(
    opt_out: Any, terms: Terms, outcome: type, opted_out: bool | None
) -> None:
    turn = opened(kept({"a": 1}, terms=terms), terms=terms, kind="message", opt_out=opt_out)
    assert turn.state == {"a": 1}
    turn.state["b"] = 2
    found = finished(turn, terms=terms)
    assert type(found) is outcome
    assert isinstance(found, (Keep, End))
    assert found.opted_out is opted_out
    assert opened(found.token, terms=terms).state.is_new == (outcome is End)


def test_p4_a_stop_is_remembered_where_there_was_no_conversation() -> None:
    keeping = server_terms(on_opt_out="keep")
    assert finished(opened(terms=keeping, kind="message", opt_out="STOP"), terms=keeping) == Leave(
        opted_out=True
    )
    outcome = finished(opened(terms=SERVER, kind="message", opt_out="STOP"), terms=SERVER)
    assert isinstance(outcome, End)
    assert outcome.opted_out is True


@pytest.mark.parametrize(("token", "terms", "message"), [
    (None, COOKIE, "CONVOSTATE_STORE=redis"), (kept({"a": 1}), COOKIE, "CONVOSTATE_STORE=redis"),
    (None, SERVER, "never begins a conversation"), (b"\1" * 200, SERVER, "never begins a conversation"),
])  # fmt: skip
def test_a_status_reads_but_does_not_write_where_it_cannot(
    token: bytes | None, terms: Terms, message: str
) -> None:
    turn = opened(token, terms=terms, kind="message-status")
    with pytest.raises(StateError, match=message):
        turn.state["a"] = 2
    with pytest.raises(StateError, match=message):
        turn.state.end()
    assert finished(turn, terms=terms) == Leave()


def test_a_status_writes_into_a_conversation_but_never_moves_its_end() -> None:
    turn = opened(kept({"a": 1}, terms=SERVER), NOW + 3 * HOUR, SERVER, kind="message-status")
    turn.state["delivered"] = True
    outcome = finished(turn, NOW + 3 * HOUR, SERVER)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == HOUR
    state = opened(outcome.token, NOW + 3.5 * HOUR, SERVER).state
    assert (state, state.expires_at) == ({"a": 1, "delivered": True}, moment(NOW + 4 * HOUR))

    shorter = opened(kept({"a": 1}, terms=SERVER), NOW, SERVER, kind="message-status")
    shorter.state.lifetime = timedelta(minutes=1)
    outcome = finished(shorter, NOW, SERVER)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == 60


def test_a_status_that_takes_longer_than_the_conversation_writes_nothing() -> None:
    turn = opened(kept({"a": 1}, terms=SERVER), NOW + 4 * HOUR - 1, SERVER, kind="message-status")
    turn.state["delivered"] = True
    assert finished(turn, NOW + 4 * HOUR, SERVER) == Leave()


def test_a_state_that_does_not_open_is_replaced_and_the_reason_is_told() -> None:
    token = kept({"a": 1})
    other_key = cookie_terms(keys=OTHER_KEY)
    bob = PhonePair(ACCOUNT, US, BOB)
    swapped = PhonePair(ACCOUNT, ADA, US)
    for turn, reason in (
        (opened(b""), "malformed"), (opened(b"\2" + token[1:]), "version"), (opened(token, terms=other_key), "unknown-key"),
        (opened(token[:-1] + b"\0"), "forged"), (opened(token, pair=bob), "forged"), (opened(token, pair=swapped), "forged"),
        (opened(kept({"a": 1}, terms=SERVER)), "forged"), (opened(token, NOW + 5 * HOUR), "expired"), (opened(token, NOW - HOUR), "expired"),
    ):  # fmt: skip
        state = turn.state
        assert (state, state.is_new) == ({}, True)
        assert isinstance(state.lost, SealError)
        assert state.lost.reason == reason
        assert state.lost.__traceback__ is None
    lost = StoreError("down", "no answer")
    assert opened(lost=lost).state.lost is lost


def test_f26_through_a_rotation_a_conversation_goes_on() -> None:
    token = kept({"a": 1})
    both, after = cookie_terms(keys=f"{OTHER_KEY},{KEY}"), cookie_terms(keys=OTHER_KEY)
    outcome = finished(opened(token, terms=both), terms=both)
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, terms=after).state == {"a": 1}
    assert opened(token, terms=after).state.is_new


def test_a_state_too_large_for_a_cookie_is_refused_by_its_heaviest_keys() -> None:
    assert len(kept({"a": "x" * 2700})) <= (COOKIE.most_bytes or 0)
    turn = opened()
    turn.state.update({"note": "canary", "cart": ["canary"] * 400, "history": "canary" * 200})
    with pytest.raises(StateError) as caught:
        finished(turn)
    message = str(caught.value)
    assert "The heaviest keys: cart (2809 bytes), history (1212 bytes), note (13 bytes)" in message
    assert message.endswith("set CONVOSTATE_STORE=redis://\u2026")
    assert "canary" not in message
    assert len(kept({"a": "x" * 100_000}, terms=SERVER)) > 100_000


def test_a_state_that_cannot_be_kept_is_refused() -> None:
    for terms in (COOKIE, SERVER):
        turn = opened(terms=terms)
        turn.state["a"] = object()
        with pytest.raises(StateError, match=r"at \$\.a is a object"):
            finished(turn, terms=terms)
