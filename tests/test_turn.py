"""A turn: what is opened, what may be written, and what is kept of it."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, get_args

import pytest

from convostate import Keyring, PhonePair, SealError, StateError, StoreError, Webhook
from convostate.sealing.codec import encode, prefixed
from convostate.sealing.token import Opened, Sealer, SealingPurpose, conversation_context
from convostate.state import CLOCK_KEY, WEBHOOK_KEY
from convostate.state_view import unkept_state
from convostate.stores.base import End, Keep, Leave
from convostate.turns import Turn, without_store
from tests.served import ACCOUNT, ADA, BOB, KEY, NOW, OTHER_KEY, US
from tests.turning import (
    COOKIE,
    HOUR,
    PAIR,
    SERVER,
    cookie_config,
    finished,
    kept,
    nonce,
    opened,
    server_config,
)

if TYPE_CHECKING:
    from convostate.errors import StoreReason
    from convostate.turns import TurnConfig

each_config = pytest.mark.parametrize("config", [COOKIE, SERVER], ids=["cookie", "server"])


def moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, timezone.utc)


@each_config
def test_a_first_turn_opens_a_new_state_that_lasts_for_the_lifetime(config: TurnConfig) -> None:
    state = opened(config=config).state
    assert (state, state.is_new, state.lost, state.pair) == ({}, True, None, PAIR)
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 4 * HOUR))


@each_config
def test_what_is_kept_is_found_again_with_its_moments(config: TurnConfig) -> None:
    state = opened(kept({"a": [1]}, config=config), NOW + HOUR, config).state
    assert (state, state.is_new, state.lost) == ({"a": [1]}, False, None)
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 4 * HOUR))


@each_config
def test_every_turn_begins_the_lifetime_anew_and_the_conversation_keeps_its_start(
    config: TurnConfig,
) -> None:
    token = kept({"a": 1}, config=config)
    for turn_number in range(1, 5):
        turn = opened(token, NOW + 3 * HOUR * turn_number, config)
        assert turn.state == {"a": 1}
        outcome = finished(turn, NOW + 3 * HOUR * turn_number)
        assert isinstance(outcome, Keep)
        assert outcome.lifetime_s == 4 * HOUR
        token = outcome.token
    state = opened(token, NOW + 12 * HOUR, config).state
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 16 * HOUR))


@each_config
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
    config: TurnConfig, after: float, there: bool
) -> None:
    state = opened(kept({"a": 1}, config=config), NOW + after, config).state
    assert (state.is_new, state == {"a": 1}) == (not there, there)
    assert (state.lost and state.lost.reason) == (None if there else "expired")


def test_a_shorter_lifetime_of_the_settings_or_of_one_turn_ends_sooner() -> None:
    half = cookie_config(lifetime="30m")
    token = kept({"a": 1}, config=half)
    assert opened(token, NOW + 1799, half).state == {"a": 1}
    assert opened(token, NOW + 1800, half).state.is_new

    turn = opened(token, NOW, half)
    turn.state.lifetime = timedelta(minutes=10)
    outcome = finished(turn, NOW)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == 600
    assert opened(outcome.token, NOW + 599, half).state == {"a": 1}
    assert opened(outcome.token, NOW + 600, half).state.is_new
    assert opened(outcome.token, NOW + 599, half).state.lifetime == timedelta(
        minutes=30
    )  # for one turn only


@each_config
@pytest.mark.parametrize("status", [400, 404, 500, 503, 599])
def test_a_failed_answer_keeps_nothing(config: TurnConfig, status: int) -> None:
    turn = opened(kept({"a": 1}, config=config), config=config)
    turn.state["a"] = 2
    assert finished(turn, status=status) is None
    ended = opened(kept({"a": 1}, config=config), config=config, kind="message", opt_out="STOP")
    ended.state.end()
    assert finished(ended, status=status) is None


@each_config
@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_any_other_answer_keeps_the_state(config: TurnConfig, status: int) -> None:
    turn = opened(kept({"a": 1}, config=config), config=config)
    turn.state["a"] = 2
    outcome = finished(turn, status=status)
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, config=config).state == {"a": 2}


@each_config
def test_a_change_deep_within_is_kept(config: TurnConfig) -> None:
    turn = opened(kept({"cart": [{"n": 1}]}, config=config), config=config)
    turn.state["cart"][0]["n"] = 2
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, config=config).state == {"cart": [{"n": 2}]}


@each_config
def test_a_new_empty_untouched_conversation_leaves_nothing(config: TurnConfig) -> None:
    assert finished(opened(config=config)) == Leave()
    assert finished(opened(b"\1" * 200, config=config)) == Leave()


@each_config
def test_a_new_empty_but_touched_conversation_is_kept(config: TurnConfig) -> None:
    turn = opened(config=config)
    turn.state["a"] = 1
    del turn.state["a"]
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    again = opened(outcome.token, NOW + HOUR, config)
    assert (again.state.is_new, again.state.started_at) == (False, moment(NOW))
    assert isinstance(finished(again), Keep)  # no longer new


@each_config
def test_an_ended_conversation_opens_as_a_new_one_and_nothing_is_lost(config: TurnConfig) -> None:
    turn = opened(kept({"a": 1}, config=config), config=config)
    turn.state.end()
    outcome = finished(turn)
    assert isinstance(outcome, End)
    state = opened(outcome.token, NOW + HOUR, config).state
    assert (state, state.is_new, state.lost, state.started_at) == (
        {},
        True,
        None,
        moment(NOW + HOUR),
    )


@pytest.mark.parametrize(("opt_out", "config", "outcome", "opted_out"), [
    ("STOP", COOKIE, End, True), ("STOP", SERVER, End, True), ("STOP", cookie_config(on_opt_out="keep"), Keep, True),
    ("STOP", server_config(on_opt_out="keep"), Keep, True), ("START", SERVER, Keep, False), ("HELP", SERVER, Keep, None),
    (None, SERVER, Keep, None),
])  # fmt: skip
def test_p4_a_stop_ends_the_conversation_after_the_turn(
    opt_out: Any, config: TurnConfig, outcome: type, opted_out: bool | None
) -> None:
    turn = opened(kept({"a": 1}, config=config), config=config, kind="message", opt_out=opt_out)
    assert turn.state == {"a": 1}
    turn.state["b"] = 2
    found = finished(turn)
    assert type(found) is outcome
    assert isinstance(found, (Keep, End))
    assert found.opted_out is opted_out
    assert opened(found.token, config=config).state.is_new == (outcome is End)


def test_p4_a_stop_is_remembered_without_a_conversation() -> None:
    keeping = server_config(on_opt_out="keep")
    assert finished(opened(config=keeping, kind="message", opt_out="STOP")) == Leave(opted_out=True)
    outcome = finished(opened(config=SERVER, kind="message", opt_out="STOP"))
    assert isinstance(outcome, End)
    assert outcome.opted_out is True


@pytest.mark.parametrize(("token", "config", "message"), [
    (None, COOKIE, "CONVOSTATE_STORE=redis"), (kept({"a": 1}), COOKIE, "CONVOSTATE_STORE=redis"),
    (None, SERVER, "never begins a conversation"), (b"\1" * 200, SERVER, "never begins a conversation"),
])  # fmt: skip
def test_a_status_reads_and_does_not_write_if_the_store_cannot(
    token: bytes | None, config: TurnConfig, message: str
) -> None:
    turn = opened(token, config=config, kind="message-status")
    with pytest.raises(StateError, match=message):
        turn.state["a"] = 2
    with pytest.raises(StateError, match=message):
        turn.state.end()
    assert finished(turn) == Leave()


def test_a_status_writes_into_a_conversation_but_never_moves_its_end() -> None:
    turn = opened(kept({"a": 1}, config=SERVER), NOW + 3 * HOUR, SERVER, kind="message-status")
    turn.state["delivered"] = True
    outcome = finished(turn, NOW + 3 * HOUR)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == HOUR
    state = opened(outcome.token, NOW + 3.5 * HOUR, SERVER).state
    assert (state, state.expires_at) == ({"a": 1, "delivered": True}, moment(NOW + 4 * HOUR))

    shorter = opened(kept({"a": 1}, config=SERVER), NOW, SERVER, kind="message-status")
    shorter.state.lifetime = timedelta(minutes=1)
    outcome = finished(shorter, NOW)
    assert isinstance(outcome, Keep)
    assert outcome.lifetime_s == 60


def test_a_status_that_takes_longer_than_the_conversation_writes_nothing() -> None:
    turn = opened(kept({"a": 1}, config=SERVER), NOW + 4 * HOUR - 1, SERVER, kind="message-status")
    turn.state["delivered"] = True
    assert finished(turn, NOW + 4 * HOUR) == Leave()


def test_a_state_that_does_not_open_is_replaced_and_its_reason_kept() -> None:
    token = kept({"a": 1})
    other_key = cookie_config(keys=OTHER_KEY)
    bob = PhonePair(ACCOUNT, US, BOB)
    swapped = PhonePair(ACCOUNT, ADA, US)
    for turn, reason in (
        (opened(b""), "malformed"), (opened(b"\2" + token[1:]), "version"), (opened(token, config=other_key), "unknown-key"),
        (opened(token[:-1] + b"\0"), "forged"), (opened(token, pair=bob), "forged"), (opened(token, pair=swapped), "forged"),
        (opened(kept({"a": 1}, config=SERVER)), "forged"), (opened(token, NOW + 5 * HOUR), "expired"), (opened(token, NOW - HOUR), "expired"),
    ):  # fmt: skip
        state = turn.state
        assert (state, state.is_new) == ({}, True)
        assert isinstance(state.lost, SealError)
        assert state.lost.reason == reason
        assert state.lost.__traceback__ is None
    lost = StoreError("down", "no answer")
    assert opened(lost=lost).state.lost is lost


@pytest.mark.parametrize(("reason", "on_outage", "defers", "runs"), [
    ("down", "empty", False, True), ("busy", "empty", False, False), ("lost", "empty", False, False),
    ("down", "empty", True, False), ("down", "refuse", False, False),
])  # fmt: skip
def test_the_app_runs_without_its_store_only_during_an_outage_that_the_settings_allow(
    reason: StoreReason, on_outage: str, defers: bool, runs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = server_config(on_outage=on_outage)
    error = StoreError(reason, "no answer")

    before = Turn(config, PAIR, "message", defers=defers)  # its `begin` failed
    response = without_store(before, error)
    assert (response is None) is runs
    assert before.outcome == ("" if runs else "unavailable")
    assert (before.lost is None) is not runs

    after = opened(config=config, kind="message", defers=defers)  # its `commit` failed
    caplog.clear()
    response = without_store(after, error)
    assert (response is None) is runs
    assert after.outcome == ("unwritten" if runs else "unavailable")
    assert after.lost is None
    [record] = caplog.records
    assert f"({reason})" in record.getMessage()


def test_f26_through_a_rotation_a_conversation_goes_on() -> None:
    token = kept({"a": 1})
    both, after = cookie_config(keys=f"{OTHER_KEY},{KEY}"), cookie_config(keys=OTHER_KEY)
    outcome = finished(opened(token, config=both))
    assert isinstance(outcome, Keep)
    assert opened(outcome.token, config=after).state == {"a": 1}
    assert opened(token, config=after).state.is_new


@pytest.mark.parametrize(("sealer", "purpose"), [
    (COOKIE.sealer, "cookie"), (SERVER.sealer, "state"), (COOKIE.call_sealer, "call"), (SERVER.call_sealer, "call"),
    (SERVER.reply_sealer, "reply"),
])  # fmt: skip
def test_a32_each_kind_of_token_has_a_purpose_that_no_other_opens(
    sealer: Sealer, purpose: SealingPurpose
) -> None:
    content = Opened(int(NOW * 1000), int((NOW + HOUR) * 1000), 0, b"x")
    token = sealer.seal(content, b"context", nonce())
    for each in get_args(SealingPurpose):
        other = Sealer(Keyring.parse(KEY), each, int(HOUR * 1000))
        if each == purpose:
            assert other.open(token, b"context", int(NOW * 1000)) == content
        else:
            with pytest.raises(SealError) as caught:
                other.open(token, b"context", int(NOW * 1000))
            assert caught.value.reason == "forged"


def test_a34_in_a_cookie_a_token_of_more_than_four_hours_does_not_open() -> None:
    now_ms, four_hours_ms = int(NOW * 1000), int(4 * HOUR * 1000)

    def opens(config: TurnConfig, span_ms: int) -> bool:
        content = Opened(now_ms, now_ms + span_ms, now_ms, encode({"a": 1}))
        token = config.sealer.seal(content, conversation_context(PAIR), nonce())
        return not opened(token, config=config).state.is_new

    assert opens(COOKIE, four_hours_ms)
    assert not opens(COOKIE, four_hours_ms + 1)
    assert opens(SERVER, four_hours_ms + 1)


def test_p9_in_a_cookie_a_calls_data_begins_with_16_bytes_that_name_the_call() -> None:
    call = (ACCOUNT, "CA" + "1" * 32)
    turn = opened(kind="call", call=call)
    turn.state["a"] = 1
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    name = hashlib.sha256(prefixed(*(part.encode() for part in call))).digest()[:16]
    data = COOKIE.call_sealer.open(outcome.token, conversation_context(PAIR), int(NOW * 1000)).data
    assert data == name + encode({"a": 1})


def test_a_state_that_is_not_stored_begins_with_the_webhook_and_lasts_like_one_in_a_cookie() -> (
    None
):
    webhook = Webhook("other", None, {}, "https://example.com/sms")
    state = unkept_state({WEBHOOK_KEY: webhook, CLOCK_KEY: lambda: NOW})

    assert state is not None
    assert (state.started_at, state.expires_at) == (moment(NOW), moment(NOW + 4 * HOUR))
    assert (state.lifetime, state.is_new) == (timedelta(hours=4), True)
    assert unkept_state({WEBHOOK_KEY: None}) is unkept_state({}) is None


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
    assert len(kept({"a": "x" * 100_000}, config=SERVER)) > 100_000


def test_a_state_that_cannot_be_kept_is_refused() -> None:
    for config in (COOKIE, SERVER):
        turn = opened(config=config)
        turn.state["a"] = object()
        with pytest.raises(StateError, match=r"at \$\.a is a object"):
            finished(turn)
