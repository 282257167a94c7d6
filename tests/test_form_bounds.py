"""The bounds of a form, to the field, and the names that only look like others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import convostate.twilio.form
from convostate.errors import RequestError
from convostate.twilio.form import MAX_FIELDS, learn, parse_form, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.twilio.form import Form, Shape


def answer(read: Callable[[], Form]) -> int:
    try:
        read()
    except RequestError as error:
        return error.status
    return 200


def status(raw: str) -> tuple[int, int]:
    """How a form and the same text as a query are answered."""
    return answer(lambda: parse_form(raw.encode())), answer(lambda: parse_query(raw))


def test_a_thousand_fields_are_read_and_one_more_is_refused() -> None:
    """What Django and Werkzeug take, too."""
    assert MAX_FIELDS == 1000
    for names in ([f"n{number}" for number in range(1001)], ["a"] * 1001):
        fields = [f"{name}=1" for name in names]
        assert status("&".join(fields[:1000])) == (200, 200)
        assert status("&".join(fields)) == (400, 400)


@pytest.mark.parametrize("name", ["XFrom", "FromX", "From.", "From-", "_From", "Froms", "FromTo", "MessageSidX"])  # fmt: skip
def test_a_name_that_only_holds_another_one_is_a_name(name: str) -> None:
    assert status(f"{name}=1") == (200, 200)


@pytest.mark.parametrize("around", ["%20", "+", "%09", "%0D", "%0A", "%5B", "%5D", "%EF%BB%BF", "%E2%80%8B"])  # fmt: skip
def test_a_name_that_some_parser_trims_to_another_one_is_refused(around: str) -> None:
    for name in (f"{around}From", f"From{around}", f"{around}From{around}"):
        assert set(status(f"{name}=1")) <= {400, 403}
        assert set(status(f"{name}=1&From=2")) <= {400, 403}


@pytest.mark.parametrize("char", ["%01", "%0F", "%10", "%1F", "%7F", "%26", "%3D", "%3F", "%23", "%25", "%2F", "%3B", "%2B"])  # fmt: skip
def test_a_name_holds_neither_a_control_nor_what_belongs_to_a_url(char: str) -> None:
    assert status(f"x{char}y=1") == (400, 400)
    assert status(f"x=y{char}z") == (200, 200)
    assert status("x%21y=1") == (200, 200)


def test_the_shapes_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[int, list[tuple[object, Shape]]] = {}
    monkeypatch.setattr(convostate.twilio.form, "_SHAPES", kept)
    monkeypatch.setattr(convostate.twilio.form, "_MOST_SHAPES", 2)

    for raw in (b"From=1", b"To=1", b"Body=1", b"other=1", b"To=1&To=2"):
        learn(parse_form(raw))
    assert [shape.names for _, shape in kept[0]] == [("From",), ("To",)]
    learn(parse_form(b"From=1&To=1"))
    assert {fields: len(alike) for fields, alike in kept.items()} == {0: 2, 1: 1}


def test_o12_a_long_form_is_not_compared_with_the_shapes_and_a_short_one_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[int] = []
    kept = {0: [(lambda text: compared.append(len(text)), None)]}
    monkeypatch.setattr(convostate.twilio.form, "_SHAPES", kept)

    for chars in (100, 8192):
        assert parse_form(b"Body=" + b"x" * (chars - 5)).is_unknown
    assert compared == [100, 8192]
    assert not parse_form(b"Body=" + b"x" * 8188).is_unknown  # so that it is not learned twice
    assert compared == [100, 8192]


def test_a_client_may_call_its_own_parameter_to_and_a_person_may_not() -> None:
    assert status("to=1&MessageSid=SM1") == (403, 403)
    assert status("to=1&To=1") == (403, 403)
    assert status("to=1&To=1&CallSid=CA1") == (200, 200)
    assert status("to=1&callSid=CA1") == (200, 200)
    assert status("To%5B%5D=1&CallSid=CA1") == (403, 403)


@pytest.mark.parametrize("escapes", ["%c3%a9", "%c3%9f", "%d0%9b", "%0a%0d", "%20%2f", "%C3%A9", "%c3%A9", "%C3%a9%C3%A9", "%2f", "%2F", "%2f%3d", "%2f%3D", "%c", "%", "%zz", "%41", "%7a"])  # fmt: skip
def test_escapes_are_written_in_one_case_and_a_lone_one_in_upper_case(escapes: str) -> None:
    one_case = escapes in (
        "%c3%a9",
        "%c3%9f",
        "%d0%9b",
        "%0a%0d",
        "%C3%A9",
        "%2F",
        "%2f%3d",
    )
    as_query = escapes not in ("%c", "%", "%zz", "%41", "%7a")
    assert status(f"Body={escapes}") == (200 if one_case else 400, 200 if as_query else 400)
    # The second time the names are known, and nothing else changes.
    assert status(f"Body={escapes}")[0] == (200 if one_case else 400)
