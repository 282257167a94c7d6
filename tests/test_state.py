"""State: a dict that knows whether it was touched, when it ends, and when it may not be written."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from convostate import PhonePair, SealError, State, StateError, StoreError, UsageError
from convostate.state import OVER, READ_ONLY_IN_COOKIE, READ_ONLY_STATUS
from tests.served import ACCOUNT, ADA, US

if TYPE_CHECKING:
    from collections.abc import Callable

PAIR = PhonePair(ACCOUNT, US, ADA)
HOUR_MS = 3_600_000


def state(content: dict[Any, Any] | None = None, **changes: Any) -> State:
    given = {
        "pair": PAIR,
        "started_ms": 0,
        "expires_ms": 4 * HOUR_MS,
        "lifetime_ms": 4 * HOUR_MS,
        **changes,
    }
    return State(content, **given)


def merge(target: State) -> None:
    target |= {"a": 2}


def set_lifetime(target: State) -> None:
    target.lifetime = timedelta(hours=1)


WRITES: dict[str, tuple[Callable[[State], object], dict[Any, Any]]] = {
    "set": (lambda s: s.__setitem__("b", 2), {"a": 1, "b": 2}),
    "delete": (lambda s: s.__delitem__("a"), {}),
    "clear": (lambda s: s.clear(), {}),
    "pop": (lambda s: s.pop("a"), {}),
    "pop what is not there": (lambda s: s.pop("x", None), {"a": 1}),
    "popitem": (lambda s: s.popitem(), {}),
    "setdefault": (lambda s: s.setdefault("b", 2), {"a": 1, "b": 2}),
    "setdefault of what is there": (lambda s: s.setdefault("a", 2), {"a": 1}),
    "update": (lambda s: s.update({"a": 2}), {"a": 2}),
    "update by name": (lambda s: s.update(b=2), {"a": 1, "b": 2}),
    "merge": (merge, {"a": 2}),
    "lifetime": (set_lifetime, {"a": 1}),
    "end": (lambda s: s.end(), {"a": 1}),
}
READS: dict[str, Callable[[State], object]] = {
    "get": lambda s: s.get("a"), "item": lambda s: s["a"], "in": lambda s: "a" in s, "len": len, "iterate": list, "items": lambda s: list(s.items()),
    "equal": lambda s: s == {"a": 1}, "copy": lambda s: s.copy(), "or": lambda s: s | {"b": 2}, "json": json.dumps, "repr": repr,
    "lifetime": lambda s: s.lifetime, "expires": lambda s: s.expires_at, "pair": lambda s: s.pair,
}  # fmt: skip


@pytest.mark.parametrize(("write", "after"), WRITES.values(), ids=WRITES)
def test_a_write_does_what_a_dict_does_and_touches(
    write: Callable[[State], object], after: dict[Any, Any]
) -> None:
    written = state({"a": 1})
    write(written)
    assert (written, written.touched) == (after, True)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_does_not_touch_and_is_always_allowed(read: Callable[[State], object]) -> None:
    untouched = state({"a": 1}, locked=OVER)
    read(untouched)
    assert (untouched, untouched.touched) == ({"a": 1}, False)


@pytest.mark.parametrize("error", [OVER, READ_ONLY_IN_COOKIE, READ_ONLY_STATUS])
@pytest.mark.parametrize(("write", "_after"), WRITES.values(), ids=WRITES)
def test_a_locked_state_refuses_every_write_and_says_why(
    write: Callable[[State], object], _after: dict[Any, Any], error: UsageError | StateError
) -> None:
    locked = state({"a": 1})
    locked.locked = error
    with pytest.raises(type(error)) as caught:
        write(locked)
    assert str(caught.value) == str(error)
    assert caught.value is not error  # or each turn would keep the tracebacks of the ones before
    assert (dict(locked), locked.touched, locked.ended) == ({"a": 1}, False, False)


def test_after_the_end_nothing_more_is_written() -> None:
    ended = state({"a": 1})
    ended.end()
    assert ended.ended
    assert ended == {"a": 1}
    writes: list[Callable[[], object]] = [lambda: ended.update(a=2), ended.clear, ended.end]
    for write in writes:
        with pytest.raises(UsageError, match=r"has been ended.*call clear\(\) instead"):
            write()


def test_a_new_state_is_empty_and_an_empty_one_need_not_be_new() -> None:
    assert (state(None).is_new, state({}).is_new, state({"a": 1}).is_new) == (True, False, False)
    assert state(None) == state({}) == {}


@pytest.mark.parametrize("content", [None, {}, {"a": 1}], ids=["new", "empty", "kept"])
def test_a_copy_that_is_not_stored_is_writable_and_as_new_as_its_original(
    content: dict[str, Any] | None,
) -> None:
    error = SealError("forged", "x")
    original = state(content, lost=error, locked=OVER)
    found = original.unkept()
    assert (found, found.is_new, found.lost) == (original, content is None, error)
    assert (found.pair, found.started_at, found.expires_at, found.lifetime) == (
        PAIR, original.started_at, original.expires_at, original.lifetime,
    )  # fmt: skip
    found["b"] = 2
    assert "b" not in original


def test_the_moments_are_aware_and_in_utc() -> None:
    opened = state(None, started_ms=1_700_000_000_123, expires_ms=1_700_003_600_000)
    assert opened.started_at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=timezone.utc)
    assert opened.expires_at == datetime(2023, 11, 14, 23, 13, 20, tzinfo=timezone.utc)
    assert opened.started_at.utcoffset() == opened.expires_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "lifetime", [timedelta(seconds=1), timedelta(minutes=30), timedelta(hours=4)]
)
def test_a_lifetime_may_be_as_long_as_the_settings_say(lifetime: timedelta) -> None:
    shortened = state({})
    shortened.lifetime = lifetime
    assert shortened.lifetime == lifetime


@pytest.mark.parametrize("lifetime", [
    timedelta(0), timedelta(milliseconds=999), timedelta(seconds=-1), timedelta(hours=4, microseconds=1), timedelta(days=1), timedelta.max,
    timedelta.min, 60, 60.0, "1h", None,
])  # fmt: skip
def test_a_longer_or_another_lifetime_is_refused(lifetime: Any) -> None:
    shortened = state({})
    with pytest.raises(
        UsageError, match=r"14400 s\. Raise CONVOSTATE_LIFETIME, or give a shorter one$"
    ):
        shortened.lifetime = lifetime
    assert shortened.lifetime == timedelta(hours=4)


def test_a_repr_shows_the_keys_and_no_value() -> None:
    shown = state({"step": "canary", 5: ["canary"]})
    for printed in (repr(shown), str(shown), f"{shown}"):
        assert printed == "State(keys=['step', 5])"


def test_a_repr_masks_a_key_that_may_be_a_phone_number_and_takes_any_key() -> None:
    shown = state({"+15550100001": 1, 15550100002: 2, 10**5000: 3, ("canary",): 4})
    assert repr(shown) == "State(keys=['+***01', '***02', '…', '<tuple>'])"


@pytest.mark.parametrize("lost", [None, SealError("forged", "x"), StoreError("down", "x")])
def test_a_state_has_what_was_lost(lost: SealError | StoreError | None) -> None:
    assert state(None, lost=lost).lost is lost


def test_a_state_is_a_dict_and_is_copied_like_one() -> None:
    original = state({"a": [1]})
    assert isinstance(original, dict)
    for copied in (original.copy(), dict(original), {**original}, copy.deepcopy(original)):
        assert copied == original
    copy.deepcopy(original)["a"].append(2)
    assert original == {"a": [1]}
    with pytest.raises(TypeError, match="unhashable"):
        hash(original)


def copyreg_round_trip(original: State) -> Any:
    """What a task queue does with an argument."""
    make, arguments = original.__reduce__()
    return make(*arguments)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, copyreg_round_trip])
def test_a_copy_is_a_plain_dict_which_may_be_handed_on(copied: Callable[[State], Any]) -> None:
    original = state({"a": [1]})
    found = copied(original)

    assert type(found) is dict
    assert found == {"a": [1]}
    found["b"] = 2
    assert "b" not in original
