"""Any bytes as a cookie give a state or a SealError; what opens has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate import SealError, State
from convostate.sealing.codec import from_base64url, to_base64url
from convostate.sealing.token import Opened
from convostate.stores import CookieStore
from convostate.stores.base import Begun, Claim
from tests.served import NOW
from tests.turning import COOKIE, kept, opened

STORE = CookieStore()
CLAIM = Claim("")
TOKEN = kept({"messagecount": 1})
OLDER = kept({"messagecount": 0})
TEXT = to_base64url(TOKEN)


def found(cookies: str) -> bytes | None:
    begun = STORE.begin(CLAIM, cookies, NOW)
    assert isinstance(begun, Begun)
    return begun.token


def state_of(cookies: str) -> State:
    return opened(found(cookies)).state


HEADERS = st.one_of(
    st.text(st.characters(max_codepoint=255)),
    st.text(st.characters(max_codepoint=255)).map(lambda value: f"convostate={value}"),
    st.binary(max_size=300).map(lambda raw: f"convostate={to_base64url(raw)}"),
    st.binary(max_size=300).map(lambda raw: f"convostate={to_base64url(TOKEN[:33] + raw)}"),
    st.tuples(st.integers(0, len(TEXT)), st.text(max_size=3), st.integers(0, 3)).map(
        lambda cut: f"convostate={TEXT[: cut[0]]}{cut[1]}{TEXT[cut[0] + cut[2] :]}"
    ),
)


@pytest.mark.unmeasured
@given(HEADERS)
def test_any_bytes_as_a_cookie_are_a_state_or_a_seal_error(cookies: str) -> None:
    state = state_of(cookies)

    if state.is_new:
        assert state == {}
        assert state.lost is None or isinstance(state.lost, SealError)
    else:
        assert state == {"messagecount": 1}
        assert TEXT in cookies


@given(st.binary(max_size=200), st.integers(0, 4 * 3_600_000), st.integers(-(10**6), 0))
def test_whatever_opens_re_encodes_identically(data: bytes, span: int, started: int) -> None:
    now = int(NOW * 1000)
    content = Opened(now, now + span, now + started, data)
    token = COOKIE.sealer.seal(content, b"context", bytes(24))
    text = to_base64url(token)

    assert from_base64url(text) == token
    if span:
        again = COOKIE.sealer.open(token, b"context", now)
        assert again == content
        assert COOKIE.sealer.seal(again, b"context", bytes(24)) == token


@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_a33_one_other_character_opens_nothing(index: int, other: str) -> None:
    changed = TEXT[:index] + other + TEXT[index + 1 :]
    assert changed == TEXT or state_of(f"convostate={changed}").is_new
    assert not state_of(f"convostate={TEXT}").is_new


@pytest.mark.parametrize("value", [
    pytest.param(f"{TEXT}=", id="padded"), pytest.param(f"{TEXT}==", id="padded twice"), pytest.param(TEXT[:-1], id="cut"),
    pytest.param(TEXT.translate(str.maketrans("-_", "+/")) + "+", id="base64"), pytest.param(TEXT + "A", id="longer"),
    pytest.param(TOKEN.hex(), id="hexadecimal"), pytest.param("%41" + TEXT[1:], id="percent"), pytest.param(TEXT.lower(), id="lower case"),
    pytest.param("", id="empty"), pytest.param("A" * 1_000_000, id="a megabyte"),
    pytest.param(TEXT * 5000, id="a megabyte of ours"), pytest.param("A" * 4096, id="as long as a cookie may be"),
])  # fmt: skip
def test_a33_another_spelling_opens_nothing(value: str) -> None:
    state = state_of(f"convostate={value}")
    assert (state, state.is_new) == ({}, True)
    assert isinstance(state.lost, SealError)
    assert state.lost.reason in {"malformed", "version", "unknown-key"}


NOISE = "; ".join(f"c{number}=x" for number in range(200))
BEFORE = ["", "a=b; ", "path=/; ", "expires=0; ", "bad name=1; ", "=nameless; ", "nameless; ", "$Version=1; ", '"=x; ', f"{NOISE}; ", "\xff=\xff; ",
          "convostate; ", "convostate=; ", "convostate=short; ", "convostatex=1; ", "xconvostate=1; ", "a=b,", ";;; ", "Convostate=x; "]  # fmt: skip


BEHIND = ["", "; a=b", "; path=/", ",a=b", "; convostate=short", f"; {NOISE}", ";", "; =", "; \xff"]


@pytest.mark.parametrize("before", BEFORE)
def test_a35_our_cookie_is_found_among_others(before: str) -> None:
    for behind in BEHIND:
        assert state_of(f"{before}convostate={TEXT}{behind}") == {"messagecount": 1}, behind
        assert state_of(f"{before}convostat={TEXT}{behind}").is_new, behind


@pytest.mark.parametrize("between", ["; ", ";", ", ", ","])
def test_a35_of_two_cookies_the_first_well_formed_one_counts(between: str) -> None:
    older = to_base64url(OLDER)
    assert state_of(f"convostate={TEXT}{between}convostate={older}") == {"messagecount": 1}
    assert state_of(f"convostate={older}{between}convostate={TEXT}") == {"messagecount": 0}
    assert state_of(f"convostate=x{between}convostate={TEXT}") == {"messagecount": 1}


@pytest.mark.parametrize("cookies", ["", "a=b", "convostatex=1", "session=convostate"])
def test_no_cookie_of_ours_loses_nothing(cookies: str) -> None:
    assert found(cookies) is None
    assert state_of(cookies).lost is None


@pytest.mark.parametrize(
    "value", [f'"{TEXT}"', f"{TEXT[:50]} {TEXT[50:]}", f"{TEXT} x", f" {TEXT} "]
)
def test_a35_a_value_without_a_name_is_ours_or_ignored(value: str) -> None:
    state = state_of(f"convostate={value}")
    assert state == ({} if state.is_new else {"messagecount": 1})
