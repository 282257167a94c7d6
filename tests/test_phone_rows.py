"""A state as rows, and what changed from one to another."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from convostate.phone.rows import MAX_ROWS, compare, rows


def marks(before: dict[Any, Any], after: dict[Any, Any]) -> list[tuple[str, str, str]]:
    return [(row["key"], row["text"], row["mark"]) for row in compare(rows(before), rows(after))]


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (None, "None", "None"),
        (True, "True", "bool"),
        (7, "7", "int"),
        ("", "", "str"),
        ("two\nlines", "two\nlines", "str"),
        (b"\x00\xff", "00 ff", "bytes"),
        (Decimal("3.50"), "3.50", "Decimal"),
        (date(2030, 1, 2), "2030-01-02", "date"),
        (datetime(2030, 1, 2, 3, tzinfo=timezone.utc), "2030-01-02 03:00:00+00:00", "datetime"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", "UUID"),
        ([], "0 items", "list"),
    ],
)
def test_each_type_is_spelled_out(value: object, text: str, kind: str) -> None:
    (row,) = rows({"key": value})

    assert (row["key"], row["text"], row["type"], row["depth"]) == ("key", text, kind, 0)


def test_what_is_inside_stands_below_and_deeper() -> None:
    shown = rows({"cart": [{"what": "tea"}], 7: ("x",)})

    assert [(row["depth"], row["key"], row["text"]) for row in shown] == [
        (0, "cart", "1 item"),
        (1, "0", "1 item"),
        (2, "what", "tea"),
        (0, "7", "1 item"),
        (1, "0", "x"),
    ]


def test_new_changed_gone_and_unchanged_items_are_distinguished() -> None:
    before = {"kept": 1, "changed": "a", "gone": 2, "typed": 1}
    after = {"kept": 1, "changed": "b", "typed": "1", "new": 3}

    assert marks(before, after) == [
        ("kept", "1", "same"),
        ("changed", "b", "changed"),
        ("typed", "1", "changed"),
        ("new", "3", "added"),
        ("gone", "2", "removed"),
    ]
    (changed,) = (r for r in compare(rows(before), rows(after)) if r["key"] == "changed")
    assert changed["was"] == "a"


def test_of_what_is_gone_only_the_uppermost_is_named() -> None:
    assert marks({"cart": {"tea": [1, 2]}}, {}) == [("cart", "1 item", "removed")]
    assert marks({"cart": {"tea": 1, "milk": 2}}, {"cart": {"milk": 2}}) == [
        ("cart", "1 item", "changed"),
        ("milk", "2", "same"),
        ("cart.tea", "1", "removed"),
    ]


def test_the_members_of_a_set_are_known_by_what_they_are() -> None:
    assert marks({"likes": {"a", "b"}}, {"likes": {"b", "c"}}) == [
        ("likes", "2 items", "same"),
        ("·", "b", "same"),
        ("·", "c", "added"),
        ("likes.a", "a", "removed"),
    ]


def test_an_endless_state_is_cut() -> None:
    cut = rows({"list": list(range(10_000))})
    assert (len(cut), cut[-1]["text"]) == (MAX_ROWS + 1, "and more")
    whole = rows({"list": list(range(MAX_ROWS - 1))})
    assert (len(whole), whole[-1]["text"]) == (MAX_ROWS, str(MAX_ROWS - 2))
    (row,) = rows({"long": "x" * 10_000})
    assert len(row["text"]) < 500
