"""The codec: what goes in comes out equal and of the same type, or does not go in."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, namedtuple
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate import SealError, StateError
from convostate.sealing import codec
from convostate.sealing.codec import MAX_DEPTH, decode, encode, heaviest

BERLIN = ZoneInfo("Europe/Berlin")
OFFSETS = st.timedeltas(
    min_value=timedelta(hours=-23, minutes=-59), max_value=timedelta(hours=23, minutes=59)
)
DATETIMES = st.datetimes(
    timezones=st.builds(
        timezone, OFFSETS | OFFSETS.map(lambda o: timedelta(minutes=o // timedelta(minutes=1)))
    )
)
TEXT = st.text(st.characters(codec="utf-8"))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1), st.lists(st.integers(0, 9), min_size=1, max_size=80).map(tuple), st.integers(-2000, 2000),
)  # fmt: skip
HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False), TEXT, st.binary(),
    st.dates(), DATETIMES, DECIMALS, st.uuids(),
)  # fmt: skip
FROZEN = st.recursive(HASHABLE, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
KEYS = TEXT | st.integers(-(2**70), 2**70)
VALUES = st.recursive(
    FROZEN | st.sets(FROZEN, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)  # fmt: skip
STATES = st.dictionaries(KEYS, VALUES, max_size=5)


def typed(value: Any) -> Any:
    """A value with the types of all its parts, so that `==` compares both."""
    if isinstance(value, dict):
        return dict, [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [typed(item) for item in value]
    if isinstance(value, set):
        return set, sorted(repr(typed(item)) for item in value)
    if isinstance(value, float):
        return float, math.copysign(1, value), value
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    if type(value) is datetime:
        return datetime, value.replace(tzinfo=None, fold=0), value.utcoffset()
    return type(value), value


@pytest.mark.unmeasured
@given(STATES)
def test_what_the_codec_takes_comes_back_equal_and_of_the_same_type(state: dict[Any, Any]) -> None:
    data = encode(state)
    back = decode(data)
    assert back == state
    assert typed(back) == typed(state)
    assert encode(back) == data


ODD: list[Any] = [
    True, False, 0, 1, -(2**64), 2**64, 10**4000, 0.0, -0.0, math.inf, -math.inf, 5e-324, "", "\0", "\ufffe", "\U0010ffff", b"", bytes(range(256)),
    Decimal("1.10"), Decimal("-0"), Decimal("0E+7"), Decimal("1E+999999"), Decimal("1E-999999"), Decimal("9" * 100), date.min, date.max,
    datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc), datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=-1))), datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=-1))),
    datetime(1890, 1, 1, tzinfo=BERLIN), datetime(2024, 7, 1, 12, 30, tzinfo=BERLIN), UUID(int=0), UUID(int=2**128 - 1),
    (), ((), ((),)), set(), {(), (1, (2,))}, {1, "1", b"1", None}, [], {}, [[]], {"": {0: {"0": 1}}}, {str(n) for n in range(60)},
]  # fmt: skip


def test_an_odd_value_comes_back(subtests: pytest.Subtests) -> None:
    for value in ODD:
        with subtests.test(value=repr(value)[:40]):
            back = decode(encode({"value": value}))
            assert back is not None
            assert typed(back["value"]) == typed(value)


def test_encoding_leaves_every_container_as_it_is() -> None:
    def made() -> dict[str, Any]:
        return {
            "dict": {"a": (1, 2), "b": {3}, "c": Decimal("-0"), "d": "x"},
            "list": [(1, [(2,)]), {3}, Decimal("-0"), "x"],
            "tuple": ([(1,)], {"a": {2}}),
        }

    state = made()
    encode(state)
    assert typed(state) == typed(made())


def test_a_datetime_of_a_place_comes_back_with_its_instant_and_its_offset() -> None:
    twice = [datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]
    back = decode(encode({"twice": twice}))
    assert back is not None
    assert [moment.utcoffset() for moment in back["twice"]] == [
        timedelta(hours=2),
        timedelta(hours=1),
    ]
    assert [moment.timestamp() for moment in back["twice"]] == [
        moment.timestamp() for moment in twice
    ]


class FrozenDatetime(datetime):
    pass


class FrozenDate(date):
    pass


def test_p13_a_test_that_freezes_the_clock_keeps_its_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    real = {"at": [datetime(2026, 11, 26, 12, tzinfo=timezone.utc)], "on": date(2026, 11, 26)}
    frozen = {"at": [FrozenDatetime(2026, 11, 26, 12, tzinfo=timezone.utc)], "on": FrozenDate(2026, 11, 26)}  # fmt: skip
    with pytest.raises(StateError, match="FrozenDatetime"):
        encode(frozen)

    monkeypatch.setattr(codec, "datetime", FrozenDatetime)  # as freezegun does in every module
    monkeypatch.setattr(codec, "date", FrozenDate)
    assert encode(frozen) == encode(real)
    assert type(decode(encode(frozen))["on"]) is date  # type: ignore[index]


def test_dates_and_times_are_written_as_cbor2_does() -> None:
    for offset in (0, 60, -330):
        at = datetime(2026, 11, 26, 12, 30, 1, 5, tzinfo=timezone(timedelta(minutes=offset)))
        assert encode({"at": at, "on": at.date()}) == cbor2.dumps({"at": at, "on": at.date()})


def test_a38_similar_keys_are_kept_apart() -> None:
    state = {1: "int", "1": "str", -1: "", "": 0, 0: ""}
    assert list((decode(encode(state)) or {}).items()) == list(state.items())


class Text(str):
    __slots__ = ()


class Small(IntEnum):
    ONE = 1


class Zone(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


Point = namedtuple("Point", "x y")
UNFIT: dict[str, tuple[Any, str, str]] = {
    "a38 not a number": (math.nan, "$.a", "a float that is not a number"),
    "a38 not a number, deep": ([1, {"b": (2.0, math.nan)}], "$.a[1].b[1]", "a float that is not a number"),
    "a38 a lone surrogate": (["ok", "\ud800"], "$.a[1]", "a str with a lone surrogate"),
    "a38 a lone surrogate in a set": ({"\udfff"}, "$.a[0]", "a str with a lone surrogate"),
    "a38 a lone surrogate as a key": ({"\ud800": 1}, "$.a (a key)", "a str with a lone surrogate"),
    "an object": (object(), "$.a", "a object"),
    "a frozenset": ([frozenset()], "$.a[0]", "a frozenset"),
    "a bytearray": ({"b": bytearray()}, "$.a.b", "a bytearray"),
    "a range": (range(3), "$.a", "a range"),
    "a complex": (1j, "$.a", "a complex"),
    "a time": (time(1), "$.a", "a datetime.time"),
    "a timedelta": (timedelta(1), "$.a", "a datetime.timedelta"),
    "a fraction": (Fraction(1, 2), "$.a", "a fractions.Fraction"),
    "a function": (len, "$.a", "a builtin_function_or_method"),
    "a subclass of str": (Text("x"), "$.a", "Text"),
    "a subclass of int": (Small.ONE, "$.a", "Small"),
    "a subclass of tuple": (Point(1, 2), "$.a", "Point"),
    "a subclass of dict": (OrderedDict(a=1), "$.a", "a collections.OrderedDict"),
    "another subclass of dict": ({"b": Counter("x")}, "$.a.b", "a collections.Counter"),
    "a naive datetime": (datetime(2024, 1, 1), "$.a", "a datetime without a time zone"),  # noqa: DTZ001  # what is refused
    "a datetime whose zone has no offset": (datetime(2024, 1, 1, tzinfo=Zone()), "$.a", "a datetime without a time zone"),
    "a decimal that is not a number": (Decimal("nan"), "$.a", "a Decimal that is not finite"),
    "an infinite decimal": (Decimal("-inf"), "$.a", "a Decimal that is not finite"),
    "a key that is a bool": ({True: 1}, "$.a", "a dict with a key of type bool"),
    "a key that is None": ([{None: 1}], "$.a[0]", "a dict with a key of type NoneType"),
    "a key that is a float": ({1.5: 1}, "$.a", "a dict with a key of type float"),
    "a key that is a tuple": ({(1,): 1}, "$.a", "a dict with a key of type tuple"),
    "a key that is a subclass of str": ({Text("x"): 1}, "$.a", "a dict with a key of type Text"),
    "in a tuple in a list": ([({"b c": [0, 1j]},)], "$.a[0][0]['b c'][1]", "a complex"),
    "under a number": ({5: 1j}, "$.a[5]", "a complex"),
    "under a huge number": ({10**5000: 1j}, "$.a[\u2026]", "a complex"),
    "under a long key": ({"k" * 100: 1j}, f"$.a['{'k' * 64}\u2026']", "a complex"),
}  # fmt: skip


@pytest.mark.parametrize(("key", "shown"), [
    ("+19000000090", "['+***90']"), ("a1234567", "['a***67']"), ("1234567", "['***67']"), ("0000000", "['***00']"),
    ("123456", "['123456']"), (15550100001, "[***01]"), (-1234567, "[-***67]"), (123456, "[123456]"),
    (10**18, "[***00]"), (2**63, "[***08]"), (2**64, "[…]"), (10**20, "[…]"),
])  # fmt: skip
def test_a_key_that_may_be_a_phone_number_is_shown_by_its_last_two_digits(
    key: Any, shown: str
) -> None:
    with pytest.raises(StateError) as caught:
        encode({key: object()})
    assert f"at ${shown} is" in str(caught.value)


@pytest.mark.parametrize(("value", "place", "problem"), UNFIT.values(), ids=UNFIT)
def test_a_value_that_cannot_be_kept_is_named_by_its_place_and_type(
    value: Any, place: str, problem: str
) -> None:
    with pytest.raises(StateError) as caught:
        encode({"fine": 1, "a": value})
    message = str(caught.value)
    assert message.startswith(f"the state cannot be kept: at {place} is ")
    assert problem in message


def test_a_key_of_the_state_itself_is_checked() -> None:
    with pytest.raises(StateError, match=r"at \$ is a dict with a key of type bool"):
        encode({True: 1})
    with pytest.raises(StateError, match=r"at \$ \(a key\) is a str with a lone surrogate"):
        encode({"\ud800": 1})


def nested(depth: int, leaf: Any, kind: str) -> Any:
    for _ in range(depth):
        leaf = {"list": [leaf], "dict": {"a": leaf}, "tuple": (leaf,)}[kind]
    return leaf


@pytest.mark.parametrize("kind", ["list", "dict", "tuple"])
@pytest.mark.parametrize(
    "leaf",
    [1, 1.5, "x", None, Decimal(1), datetime(2024, 1, 1, tzinfo=timezone.utc), UUID(int=1)],
    ids=repr,
)
def test_a38_values_stand_at_most_32_containers_deep(kind: str, leaf: Any) -> None:
    fine = {"a": nested(MAX_DEPTH, leaf, kind)}
    assert decode(encode(fine)) == fine
    with pytest.raises(StateError, match=f"a {kind} more than 32 deep"):
        encode({"a": nested(MAX_DEPTH + 1, leaf, kind)})


@pytest.mark.parametrize("kind", ["list", "dict", "tuple"])
def test_a38_what_is_deeper_than_the_stack_is_refused(kind: str) -> None:
    with pytest.raises(StateError, match=f"a {kind} more than 32 deep"):
        encode({"a": nested(100_000, 1, kind)})


def test_a38_a_cycle_is_refused() -> None:
    listed: list[Any] = []
    listed += [listed, listed]
    mapped: dict[str, Any] = {}
    mapped["again"] = mapped
    for cyclic in ({"a": listed}, mapped):
        with pytest.raises(StateError, match="more than 32 deep"):
            encode(cyclic)


def read(data: bytes) -> Any:
    """The state, or the reason why there is none."""
    try:
        return decode(data)
    except SealError as error:
        return error.reason


@given(st.binary())
def test_any_bytes_are_a_state_or_a_seal_error(data: bytes) -> None:
    found = read(data)
    assert found in ("malformed", None) or type(found) is dict


@pytest.mark.parametrize("data", [
    b"", b"\xff", b"\xa1", b"\xa1\x01", encode({"a": 1})[:-1], cbor2.dumps([1]), cbor2.dumps("a"), cbor2.dumps(1), cbor2.dumps(True),
    cbor2.dumps(cbor2.CBORTag(258, [[1]])), cbor2.dumps({"a": cbor2.CBORTag(0x7475706D, "x")}), b"\x81" * 10_000, b"\x9f" * 1000,
    b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
])  # fmt: skip
def test_anything_but_a_state_is_malformed(data: bytes) -> None:
    with pytest.raises(SealError) as caught:
        decode(data)
    assert caught.value.reason == "malformed"


def test_the_end_of_a_conversation_decodes_as_none() -> None:
    assert decode(encode(None)) is None
    assert decode(encode({})) == {}


def test_the_heaviest_keys_come_first_with_their_bytes() -> None:
    state = {"small": 1, "cart": list(range(100)), 7: "x" * 50, "b c": "y" * 40, "note": ""}
    assert heaviest(state) == [
        ("cart", "cart", len(encode({"cart": state["cart"]}))),
        (7, "[7]", 54),
        ("b c", "['b c']", 47),
    ]
    assert heaviest({}) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"phone": {"+15557654321": object()}}, r"\$\.phone\['\+\*\*\*21'\]"),
        ({"room 12345": object()}, r"\$\['room 12345'\]"),
    ],
)
def test_a_number_in_a_key_is_masked_in_the_message(state: dict[str, Any], said: str) -> None:
    with pytest.raises(StateError, match=said):
        encode(state)
