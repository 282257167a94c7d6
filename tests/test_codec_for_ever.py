"""What CBOR leaves open stands as the first release wrote it: states of other releases must open."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from convostate.sealing import codec

WRITTEN: list[tuple[Any, str]] = [
    ((1,), "da7475706c8101"),
    ({1, 2}, "d90102820102"),
    (Decimal("-0"), "da7475706e622d30"),
    (
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(seconds=1))),
        "da7475706d8273323032362d30312d30325430333a30343a30351a000f4240",
    ),
    (
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        "c074323032362d30312d30325430333a30343a30355a",
    ),
    (
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(minutes=1))),
        "c07819323032362d30312d30325430333a30343a30352b30303a3031",
    ),
    (Decimal("1.5"), "c482200f"),
    (Decimal(0), "c4820000"),
    (None, "f6"),
]


@pytest.mark.parametrize(("value", "written"), WRITTEN, ids=[repr(value) for value, _ in WRITTEN])
def test_a_value_is_written_as_ever(value: Any, written: str) -> None:
    whole = bytes.fromhex(f"a16161{written}")

    assert codec.encode({"a": value}) == whole
    assert repr(codec.decode(whole)) == repr({"a": value})
