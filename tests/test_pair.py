"""PhonePair: one identity, compared exactly, never printed."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate import PhonePair, UsageError
from convostate.sealing.token import conversation_context
from convostate.twilio.webhook import mask
from tests.served import ACCOUNT, ADA, US

ADDRESSES = [
    ADA, "15550100001", f"whatsapp:{ADA}", f"Whatsapp:{ADA}", "55555", "PIZZA", "pizza", "client:ada", "sip:ada@example.com",
    "whatsapp:US.1349", "+\uff11\uff15\uff15\uff15", "+\u0661\u0665\u0665\u0665", "\u00e9", "e\u0301", "x" * 256,
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_any_text_without_a_space(address: str) -> None:
    assert PhonePair(ACCOUNT, US, address).theirs == address
    assert PhonePair(ACCOUNT, address, ADA).ours == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        f"{ADA} ",
        f" {ADA}",
        "a\nb",
        "a\tb",
        "a\0b",
        "x" * 257,
        "\u00a0",
        "\u200b",
        "\ud800",
        "\ufeff1",
        None,
        15550100001,
        b"+1",
    ],
)
@pytest.mark.parametrize("part", ["account_sid", "ours", "theirs"])
def test_a36_an_invalid_address_makes_no_pair(part: str, address: Any) -> None:
    with pytest.raises(
        UsageError, match=rf"^PhonePair: {part} is not an address\. Give 1 to 256 printable"
    ):
        PhonePair(**{"account_sid": ACCOUNT, "ours": US, "theirs": ADA, part: address})


def test_a36_similar_addresses_are_different_people() -> None:
    pairs = [PhonePair(ACCOUNT, US, address) for address in ADDRESSES]
    assert len({*pairs}) == len({conversation_context(pair) for pair in pairs}) == len(ADDRESSES)
    assert PhonePair(ACCOUNT, US, ADA) != PhonePair(ACCOUNT, ADA, US)
    assert PhonePair(ACCOUNT, US, ADA) == PhonePair(ACCOUNT, US, ADA)


@given(*[st.lists(st.text("ab", min_size=1, max_size=3), min_size=3, max_size=3)] * 2)
def test_two_pairs_are_never_bound_to_the_same_bytes(one: list[str], other: list[str]) -> None:
    contexts = conversation_context(PhonePair(*one)), conversation_context(PhonePair(*other))
    assert (contexts[0] == contexts[1]) == (one == other)


def test_what_a_token_is_bound_to_is_spelled_with_lengths() -> None:
    assert (
        conversation_context(PhonePair("AC1", "+1", "\u00e9"))
        == b"\0\0\0\x03AC1\0\0\0\x02+1\0\0\0\x02\xc3\xa9"
    )


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_p7_a_printed_pair_shows_two_characters_at_most(address: str) -> None:
    shown = mask(address)
    assert shown.removeprefix("***") == (address[-2:] if len(address) > 4 else "")
    pair = PhonePair(ACCOUNT, "+15550100099", f"+4930{address}77")
    for printed in (repr(pair), str(pair), f"{pair}", f"{pair!s:>5}"):
        assert printed.count("***") == 3
        assert f"+4930{address}" not in printed
        assert "0100099" not in printed


def test_a_pair_is_frozen() -> None:
    pair = PhonePair(ACCOUNT, US, ADA)
    for name in ("account_sid", "ours", "theirs"):
        with pytest.raises(FrozenInstanceError):
            setattr(pair, name, "x")
    assert {pair: 1}[PhonePair(ACCOUNT, US, ADA)] == 1
    assert all(one != other for one, other in itertools.combinations([pair, "x", None], 2))
