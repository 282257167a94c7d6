"""How a state becomes bytes, and bytes become text.

State ⇄ bytes: CBOR (RFC 8949), exact types only.

A decoded value is equal to the original and of the same type. A value of any other type, a subclass
included, is a `StateError` that names its place. Encodings that CBOR leaves open:

    tuple               tag 0x7475706C ("tupl") around an array
    set                 tag 258 around an array, in the order of the items' encodings
    date                tag 1004 around ISO 8601 text
    datetime            tag 0; with seconds in its offset tag 0x7475706D around an array of its
                        local time as ISO 8601 text and its offset in microseconds
    negative zero       Decimal("-0") and the like: tag 0x7475706E around the text
    Serialized          tag 0x7475706F around the text

Bytes ⇄ text: base64url without padding (RFC 4648 §5). Decoding accepts only what encoding makes, so each text
is the only one for its bytes.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Set
from dataclasses import is_dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from math import isnan
from typing import TYPE_CHECKING, Any
from uuid import UUID

import cbor2

from convostate.errors import SealError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DEPTH = 32  # of nested containers; deeper ones are cyclic or a mistake

# Tags of the range that RFC 8949 §9.2 assigns first come, first served: "tupl" in ASCII and the next ones.
_TUPLE_TAG = 0x7475706C
_DATETIME_TAG = 0x7475706D
_DECIMAL_TAG = 0x7475706E
_SERIALIZED_TAG = 0x7475706F
SERIALIZED_HEAD = b"\xda" + _SERIALIZED_TAG.to_bytes(4, "big")
"""The tag as CBOR writes it: a state without these bytes has no `Serialized` in it."""
_DATE_TAG = 1004  # RFC 8943
_SET_TAG = 258  # https://www.iana.org/assignments/cbor-tags

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/", b"+/!!")
_length = struct.Struct(">I").pack
_NUMBER = re.compile(r"[0-9]{5,}(?=[0-9]{2})")
_ATOMS = frozenset({str, int, bool, type(None), bytes, UUID})
_KEYS = frozenset({str, int})
_CONTAINERS = frozenset({dict, list, tuple, set})
_PLAIN_TYPES = (str, int, float, bytes, dict, list, tuple, set, Decimal, UUID)
_MICROSECOND = timedelta(microseconds=1)
_KEY_CHARS = 64  # of a key in a message


class Serialized(str):
    """The text that the serializer of a framework's session wrote for a value.

    The session turns it back into the value; everything else sees a str.
    """

    __slots__ = ()


class _Unfit(Exception):  # noqa: N818  # never leaves this file
    """A value that cannot be kept, with the way to it, innermost first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.way: list[str] = []


def encode(state: Mapping[Any, Any] | None) -> bytes:
    """Turn a state into CBOR.

    Args:
        state: A dict of None, bool, int, float, str, bytes, list, dict (with str or int keys), set,
            tuple, aware datetime, date, finite Decimal and UUID, at most 32 deep; or None.

    Raises:
        StateError: It holds something else; names the place and the type, never the value.
    """
    try:
        return cbor2.dumps(None if state is None else _fit_dict(dict(state), 0))
    except _Unfit as unfit:
        place, problem = "$" + "".join(reversed(unfit.way)), unfit.problem
    except UnicodeEncodeError:
        place, problem = (
            _place_of_surrogate(state),
            "a str with a lone surrogate, which UTF-8 cannot carry",
        )
    raise StateError(f"the state cannot be kept: at {place} is {problem}")


def decode(data: bytes) -> dict[Any, Any] | None:
    """Turn CBOR back into the state it was made from.

    Raises:
        SealError: ``malformed``, the bytes are not those of a state.
    """
    try:
        state = cbor2.loads(data, semantic_decoders=_DECODERS)
    except Exception:  # noqa: BLE001  # a hostile or newer value may fail in many ways
        state = NotImplemented
    if state is not None and type(state) is not dict:
        raise SealError("malformed", "the token's content is not a state")
    return state


def _fit(value: Any, depth: int) -> Any:
    """Check `value` and replace what CBOR alone would change; the same object if nothing changes."""
    kind = type(value)
    if kind is float and isnan(value):
        raise _Unfit("a float that is not a number, which never equals itself. Write None")
    if kind in _ATOMS or kind is float:
        return value
    if depth > MAX_DEPTH and kind in _CONTAINERS:
        raise _Unfit(f"a {kind.__name__} more than {MAX_DEPTH} deep")
    fit = _FITTERS.get(kind)
    if fit is None and kind in (date, datetime):  # freezegun replaces both names in every module
        fit = _fit_date if kind is date else _fit_datetime
    if fit is None:
        name = f"{kind.__module__}.{kind.__qualname__}".replace("builtins.", "")
        raise _Unfit(f"a {name}. {_advice(kind)}")
    return fit(value, depth)


def _advice(kind: type) -> str:
    """What to write instead of a value whose type is not kept."""
    if issubclass(kind, Enum):
        return "Write its .value"
    like = next((plain for plain in _PLAIN_TYPES if issubclass(kind, plain)), None)
    if like is not None:
        return f"Write {like.__name__}(…) of it"
    if is_dataclass(kind):
        return "Write dataclasses.asdict(…) of it"
    if issubclass(kind, (bytearray, memoryview)):
        return "Write bytes(…) of it"
    if issubclass(kind, Set):
        return "Write set(…) of it"
    if issubclass(kind, timedelta):
        return "Write its .total_seconds()"
    return "Write what you need of it as str, int, list or dict"


def _fit_dict(value: dict[Any, Any], depth: int) -> dict[Any, Any]:
    fitted = value
    for key, item in value.items():
        if type(key) not in _KEYS:
            write = "its .value" if isinstance(key, Enum) else "str(…) of it"
            raise _Unfit(
                f"a dict with a key of type {type(key).__name__}; keys are str or int. Write {write}"
            )
        if type(item) in _ATOMS:
            continue
        try:
            changed = _fit(item, depth + 1)
        except _Unfit as unfit:
            unfit.way.append(_step(key))
            raise
        if changed is not item:
            fitted = dict(value) if fitted is value else fitted
            fitted[key] = changed
    return fitted


def _fit_items(value: list[Any], depth: int) -> list[Any]:
    fitted = value
    for index, item in enumerate(value):
        if type(item) in _ATOMS:
            continue
        try:
            changed = _fit(item, depth + 1)
        except _Unfit as unfit:
            unfit.way.append(f"[{index}]")
            raise
        if changed is not item:
            fitted = list(value) if fitted is value else fitted
            fitted[index] = changed
    return fitted


def _fit_datetime(value: datetime, _depth: int) -> Any:
    offset = value.utcoffset()
    if offset is None:
        raise _Unfit(
            "a datetime without a time zone. Write one with, such as datetime.now(timezone.utc)"
        )
    if offset % timedelta(minutes=1) == timedelta(0):
        text = value.isoformat()
        return cbor2.CBORTag(0, text if offset else text.replace("+00:00", "Z"))
    # ISO 8601 has no seconds in an offset, and `datetime.fromisoformat` drops those below one second.
    local = value.replace(tzinfo=None).isoformat()
    return cbor2.CBORTag(_DATETIME_TAG, [local, offset // _MICROSECOND])


def _fit_date(value: date, _depth: int) -> Any:
    return cbor2.CBORTag(_DATE_TAG, value.isoformat())


def _datetime(local: str, offset_us: int) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=timezone(offset_us * _MICROSECOND))


def _fit_decimal(value: Decimal, _depth: int) -> Any:
    if not value.is_finite():
        raise _Unfit("a Decimal that is not finite. Write None")
    return (
        cbor2.CBORTag(_DECIMAL_TAG, str(value)) if value.is_zero() and value.is_signed() else value
    )


_FITTERS: dict[type, Callable[[Any, int], Any]] = {
    dict: _fit_dict,
    list: _fit_items,
    tuple: lambda value, depth: cbor2.CBORTag(_TUPLE_TAG, _fit_items(list(value), depth)),
    set: lambda value, depth: cbor2.CBORTag(
        _SET_TAG, sorted(_fit_items(list(value), depth), key=cbor2.dumps)
    ),
    # cbor2 keeps the types that it finds first. Those may be freezegun's, and then it encodes no others.
    datetime: _fit_datetime,
    date: _fit_date,
    Decimal: _fit_decimal,
    Serialized: lambda value, _depth: cbor2.CBORTag(_SERIALIZED_TAG, str(value)),
}

TYPES = _ATOMS | {float} | _FITTERS.keys()
"""The types of the values that are kept, if their content is."""

# Not a tag hook: that one is handed the lists within as tuples.
_DECODERS: dict[int, Callable[[Any, bool], Any]] = {
    _TUPLE_TAG: lambda value, _immutable: tuple(value),
    _SET_TAG: lambda value, _immutable: set(value),
    _DATETIME_TAG: lambda value, _immutable: _datetime(*value),
    _DECIMAL_TAG: lambda value, _immutable: Decimal(value),
    _SERIALIZED_TAG: lambda value, _immutable: Serialized(value),
}


def shown_key(key: Any) -> str | int:
    """A key as it may be shown: of a possible phone number only the last two digits."""
    if isinstance(key, str):
        return _NUMBER.sub("***", key)
    if not isinstance(key, int):
        return f"<{type(key).__name__}>"  # not to be kept
    if key.bit_length() > 64:  # str() of a huge one raises
        return "…"
    masked = _NUMBER.sub("***", str(key))
    return masked if "*" in masked else key


def _step(key: Any) -> str:
    shown = shown_key(key)
    if isinstance(key, int):
        return f"[{shown}]"
    shown = str(shown)
    shown = shown if len(shown) <= _KEY_CHARS else f"{shown[:_KEY_CHARS]}…"
    return f".{shown}" if shown.isidentifier() else f"[{shown!r}]"


def _place_of_surrogate(value: Any, place: str = "$") -> str:
    """The place of the first str that UTF-8 cannot carry, or ""."""
    if isinstance(value, str):
        return place if any("\ud800" <= char <= "\udfff" for char in value) else ""
    if isinstance(value, dict):
        steps = [(item, place + ascii(_step(key))[1:-1]) for key, item in value.items()]
        steps += [(key, f"{place} (a key)") for key in value]
    elif isinstance(value, (list, tuple, set)):
        steps = [(item, f"{place}[{index}]") for index, item in enumerate(value)]
    else:
        return ""
    return next(filter(None, (_place_of_surrogate(item, step) for item, step in steps)), "")


def encoded_bytes(value: Any) -> int:
    """How many bytes a value of a decoded state takes."""
    return len(cbor2.dumps(_fit(value, 1)))


def heaviest(state: Mapping[Any, Any], count: int = 3) -> list[tuple[Any, str, int]]:
    """The keys that take the most room, heaviest first: the key, how it may be shown, and its bytes."""
    sizes = [(key, _step(key).lstrip("."), len(encode({key: item}))) for key, item in state.items()]
    return sorted(sizes, key=lambda size: -size[2])[:count]


def to_base64url(data: bytes) -> str:
    """Encode without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """Decode what `to_base64url` made; None for anything else, other spellings included."""
    try:
        raw = text.encode("ascii").translate(_FROM_URL)
        data = binascii.a2b_base64(raw + b"==")  # more padding than is missing does not matter
    except ValueError:
        return None
    return data if binascii.b2a_base64(data, newline=False).rstrip(b"=") == raw else None


def prefixed(*parts: bytes) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each with its u32 length before it, big-endian."""
    joined = b""
    for part in parts:
        joined += _length(len(part)) + part
    return joined
