"""The strict form parser: one spelling, one reading, nothing repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convostate.errors import RequestError
from convostate.twilio import form as module  # for what it keeps
from convostate.twilio.form import EMPTY, MAX_FIELDS, names_of_query, parse_form, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.twilio.form import Form

NAMES = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs", "Zs"], exclude_characters="&=?#%/;+[]\ufeff"
    ),
    min_size=1,
).map(lambda name: f"x{name}x")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
PAIRS = st.lists(st.tuples(NAMES, VALUES), min_size=1)


def refused(raw: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        parse_form(raw)
    return caught.value


@pytest.mark.unmeasured
@given(PAIRS)
def test_what_an_encoder_writes_is_read_as_the_standard_library_reads_it(
    pairs: list[tuple[str, str]],
) -> None:
    raw = urlencode(pairs)

    form = parse_form(raw.encode())

    assert form.items() == parse_qsl(raw, keep_blank_values=True) == pairs
    assert form.first == dict(reversed(pairs))


def statuses(read: Callable[[], Form], expected: list[tuple[str, str]]) -> int:
    """The status of a refusal; 200 where the form holds what is expected."""
    try:
        form = read()
    except RequestError as error:
        return error.status
    assert [pair for pair in form.items() if pair != ("", "")] == expected
    return 200


def as_the_standard_library(text: str) -> list[tuple[str, str]]:
    return [pair for pair in parse_qsl(text, keep_blank_values=True) if pair != ("", "")]


@pytest.mark.parametrize("read", [parse_form, lambda raw: parse_query(raw.decode("latin-1"))], ids=["form", "query"])  # fmt: skip
def test_a_byte_that_every_encoder_escapes_is_refused_bare(read: Callable[[bytes], Form]) -> None:
    def is_read(byte: int) -> bool:
        try:
            return bool(read(b"Body=a%cb=c" % byte))
        except RequestError:
            return False

    assert {byte for byte in range(256) if is_read(byte)} == {*range(0x21, 0x7F)} - {*b";%"}


@given(st.binary() | st.text("a=&+%2Bb;").map(str.encode))
def test_any_bytes_are_a_form_or_a_request_error(raw: bytes) -> None:
    expected = as_the_standard_library(raw.decode("latin-1"))
    assert statuses(lambda: parse_form(raw), expected) in {200, 400, 403}


@given(st.text(st.characters(codec="ascii")) | st.text("a=&+%2Bb;"))
def test_any_text_is_a_query_or_a_request_error(query: str) -> None:
    expected = as_the_standard_library(query)
    assert statuses(lambda: parse_query(query), expected) in {200, 400, 403}


@pytest.mark.parametrize(("raw", "first"), [
    pytest.param(b"", {}, id="nothing"),
    pytest.param(b"a=", {"a": ""}, id="a16 a blank value"),
    pytest.param(b"FromCity=&From=%2B1", {"FromCity": "", "From": "+1"}, id="a16 a blank value before another"),
    pytest.param(b"a=b+c", {"a": "b c"}, id="a space as plus"),
    pytest.param(b"a=b%20c", {"a": "b c"}, id="a space escaped"),
    pytest.param(b"a=b=c", {"a": "b=c"}, id="an equals sign in a value"),
    pytest.param(b"a=%C3%A9", {"a": "\u00e9"}, id="utf-8"),
    pytest.param(b"a=%c3%a9", {"a": "\u00e9"}, id="lower-case digits throughout"),
    pytest.param(b"a=%F0%9F%98%80", {"a": "\U0001f600"}, id="an emoji"),
    pytest.param(b"a=%EF%BB%BFb", {"a": "\ufeffb"}, id="a14 a byte order mark is kept"),
    pytest.param(b"a=1&a=2", {"a": "1"}, id="the first of a repeated name"),
    pytest.param(b"a=%0D%0A", {"a": "\r\n"}, id="a newline"),
    pytest.param(b"a=\\x41%5C%0A\\", {"a": "\\x41\\\n\\"}, id="backslashes"),
    pytest.param(b"a='(*)!~", {"a": "'(*)!~"}, id="what encoders leave bare"),
    pytest.param(b"CallSid=CA1&to=x", {"CallSid": "CA1", "to": "x"}, id="a parameter of a voice client"),
    pytest.param(b"from=%2B1&to=2&callSid=CA1", {"from": "+1", "to": "2", "callSid": "CA1"}, id="g6 names of an account's own"),
    pytest.param(b"Body=a%00b", {"Body": "a\0b"}, id="g7 a nul in a text"),
])  # fmt: skip
def test_a_form_is_read(raw: bytes, first: dict[str, str]) -> None:
    assert parse_form(raw).first == first


@pytest.mark.parametrize(("raw", "status"), [
    pytest.param(b"a", 400, id="no equals sign"),
    pytest.param(b"a=1&", 400, id="an empty field at the end"),
    pytest.param(b"&a=1", 400, id="an empty field at the start"),
    pytest.param(b"a=1&&b=2", 400, id="an empty field"),
    pytest.param(b"=1", 400, id="no name"),
    pytest.param(b"a=1;b=2", 400, id="a13 a semicolon"),
    pytest.param(b"a=\x00", 400, id="a14 a nul"),
    pytest.param(b"a=\xc3\xa9", 400, id="a14 bare utf-8"),
    pytest.param(b"a=%FF", 400, id="a14 no utf-8"),
    pytest.param(b"a=%C0%AF", 400, id="a14 overlong"),
    pytest.param(b"a=%ED%A0%80", 400, id="a14 a lone surrogate"),
    pytest.param(b"a=%C3", 400, id="a14 cut off"),
    pytest.param(b"\xef\xbb\xbfa=1", 400, id="a14 a bare byte order mark"),
    pytest.param(b"a=b c", 400, id="a bare space"),
    pytest.param(b"a=b\nc", 400, id="a bare newline"),
    pytest.param(b"a=%41", 400, id="an escaped letter"),
    pytest.param(b"a=%30", 400, id="an escaped digit"),
    pytest.param(b"a=%", 400, id="a lone percent sign"),
    pytest.param(b"a=%2", 400, id="half an escape"),
    pytest.param(b"a=%zz", 400, id="no hexadecimal digits"),
    pytest.param(b"a=%5X", 400, id="one hexadecimal digit"),
    pytest.param(b"a=%c3%a9%zz", 400, id="no hexadecimal digits among lower-case ones"),
    pytest.param(b"a=\x7f", 400, id="a bare delete"),
    pytest.param(b"a=%+1", 400, id="a sign in an escape"),
    pytest.param(b"a=%2B&b=%2b", 400, id="digits in both cases"),
    pytest.param(b"a=%cA", 400, id="digits in both cases of one escape"),
    pytest.param(b"a=%2b", 400, id="one lower-case escape, as one changed byte makes it"),
    pytest.param(b"From%00=%2B1", 400, id="a12 a nul in a name"),
    pytest.param(b"+From=%2B1", 400, id="a12 a blank before a name"),
    pytest.param(b"From+=%2B1", 400, id="a12 a blank behind a name"),
    pytest.param(b"%46rom=%2B1", 400, id="a12 an escaped name"),
    pytest.param(b"From%5B%5D=%2B1", 403, id="a12 brackets"),
    pytest.param(b"From[]=%2B1", 403, id="a12 bare brackets"),
    pytest.param(b"From=%2B2&from=%2B1", 403, id="a12 lower case"),
    pytest.param(b"SmsSid=SM1&FROM=%2B1", 403, id="a12 upper case in a message"),
    pytest.param(b"MessageSid=SM1&Smssid=SM1", 403, id="a12 a sid in another case"),
    pytest.param(b"From%E2%80%8B=%2B1", 403, id="a12 a zero-width space"),
    pytest.param(b"%EF%BB%BFFrom=%2B1", 403, id="a12 a byte order mark before a name"),
    pytest.param(b"CallSid=CA1&From[]=%2B1", 403, id="a12 brackets in a call"),
    pytest.param(b"a%26b=1", 400, id="an ampersand in a name"),
    pytest.param(b"a%3Db=1", 400, id="an equals sign in a name"),
    pytest.param(b"a%3Fb=1", 400, id="a question mark in a name"),
    pytest.param(b"a%0Ab=1", 400, id="a newline in a name"),
])  # fmt: skip
def test_what_has_another_reading_is_refused(raw: bytes, status: int) -> None:
    assert refused(raw).status == status
    assert refused(b"Body=hi&" + raw).status == status


def test_a25_a_form_of_a_thousand_fields_is_read_and_a_longer_one_refused() -> None:
    fields = [f"x{number}=1" for number in range(MAX_FIELDS)]

    assert len(parse_form("&".join(fields).encode()).first) == MAX_FIELDS
    assert refused("&".join([*fields, "y=1"]).encode()).status == 400
    assert refused("&".join(f"x{number}=1" for number in range(100_000)).encode()).status == 400
    assert refused(b"&" * 100_000).status == 400
    usual = "&".join(["From=1"] * MAX_FIELDS)
    assert refused(f"{usual}&From=1".encode()).status == 400


def test_a25_a_name_of_a_million_characters_is_a_name() -> None:
    assert parse_form(b"x" * 1_000_000 + b"=1").first == {"x" * 1_000_000: "1"}


def test_a_refusal_shows_nothing_of_the_form() -> None:
    for raw in (b"Canary=%FF", b"Canary=1&", b"Canary%00=Canary", b"Canary", b"From[]=Canary"):
        assert "Canary" not in str(refused(raw))


@pytest.mark.parametrize(
    "query", ["next=%2fhome&From=%2B15550100001", "flag", "a=1&&b=2", "a=%cA%B1"]
)
def test_the_developers_own_part_of_a_query_may_be_spelled_otherwise(query: str) -> None:
    assert parse_query(query).items() == [
        pair for pair in parse_qsl(query, keep_blank_values=True) if pair != ("", "")
    ]


@pytest.mark.parametrize(
    "query",
    ["a=1;b=2", "%46rom=%2B1", "a%00=", "a=%FF", "a=\u00e9", "a= b", "From[]=1", "From=1&from=1"],
)
def test_a_query_with_another_reading_is_refused(query: str) -> None:
    with pytest.raises(RequestError):
        parse_query(query)


def test_an_empty_form_and_an_empty_query_are_the_empty_form() -> None:
    assert parse_form(b"") is parse_query("") is EMPTY


@pytest.mark.parametrize(
    "spelling", ["From", "%46rom", quote_plus("From"), "Fr%6Fm", "x;From", "x&From"]
)
def test_a11_names_in_the_query_of_a_post_are_found_however_they_are_spelled(spelling: str) -> None:
    assert "From" in names_of_query(f"{spelling}=%2B1")
    assert "From" not in names_of_query(f"x={quote(spelling)}")


PIECES = ["a", "&", "=", "+", "%20", "%2B", "%26", "%3D", "%C3%A9", "%c3%a9", "%FF", "%00", "%zz", "%41", "\\", "\\x41", ";", " ", "\x7f", "\xe9", "Body=", "&From=", "&To="]  # fmt: skip


@pytest.mark.unmeasured
@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
@settings(max_examples=300)
def test_a_form_whose_shape_is_known_is_read_like_any_other(text: str) -> None:
    raw = f"Body={text}&To=%2B15550100099".encode("latin-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SHAPES", {})
        strict = read_or_refused(raw)
        module.learn(parse_form(b"Body=a&To=b"))
        assert read_or_refused(raw) == strict


def read_or_refused(raw: bytes) -> object:
    try:
        return parse_form(raw).items()
    except RequestError as error:
        return error.status, error.category, str(error)


def test_the_shape_of_a_form_is_learned_once_twilio_has_signed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_SHAPES", {})

    raw = b"To=%2B15550100099&ApiVersion=x&NumMedia=0&From=%2B15550100001&Label=a"
    assert parse_form(raw).is_unknown
    assert parse_form(raw).is_unknown
    assert module._SHAPES == {}

    module.learn(parse_form(raw))
    known = parse_form(raw)
    assert not known.is_unknown
    assert list(known.first.items()) == [
        ("To", "+15550100099"), ("ApiVersion", "x"), ("NumMedia", "0"), ("From", "+15550100001"), ("Label", "a"),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [b"Body=a&To", b"To&Body=a", b"Body=a&To=b&", b"Body&=aTo=b"])
def test_a_field_without_an_equals_sign_is_malformed_among_known_names_too(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHAPES", {})
    for known in (b"Body=a&To=b", b"To=b&Body=a", b"Body=a&To=b&From=c"):
        module.learn(parse_form(known))
    with pytest.raises(RequestError, match="malformed"):
        parse_form(raw)


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b"Body=a=b&To=%2Bc", {"Body": "a=b", "To": "+c"}),
        (b"Body=%252B+%2B&To=%2B%2B", {"Body": "%2B +", "To": "++"}),
        (b"Body=%252b+%2b&To=%2b", {"Body": "%2b +", "To": "+"}),
    ],
    ids=["a bare equals sign", "plus signs and an escaped escape", "lower case"],
)
def test_a_value_is_read_alike_whether_or_not_the_names_are_known(
    raw: bytes, values: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SHAPES", {})
    assert parse_form(raw).first == values
    module.learn(parse_form(b"Body=a&To=b"))
    assert parse_form(raw).first == values
