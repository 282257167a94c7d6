"""Bytes as text: each has one spelling, and each spelling one reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate.sealing.codec import from_base64url, prefixed, to_base64url


@pytest.mark.parametrize("third", range(64))
def test_every_last_character_is_kept(third: int) -> None:
    text = to_base64url(bytes([0, 0, third]))

    assert len(text) == 4
    assert from_base64url(text) == bytes([0, 0, third])


@given(st.binary())
def test_what_is_encoded_decodes(data: bytes) -> None:
    assert from_base64url(to_base64url(data)) == data


@pytest.mark.parametrize("text", ["AA==", "AB", "A", "A A", "AA\n", "A+", "A/", "AAé", "AAA=", "=", "AAA+", "AAA/", "AAA!", "\ud800"])  # fmt: skip
def test_another_spelling_of_base64url_is_refused(text: str) -> None:
    assert from_base64url(text) is None


def test_no_two_lists_of_parts_are_joined_alike() -> None:
    lists = [(b"a", b"b"), (b"ab",), (b"ab", b""), (b"", b"ab"), (b"a", b"b", b""), ()]

    assert len({prefixed(*parts) for parts in lists}) == len(lists)
    assert prefixed(b"a", b"") == b"\0\0\0\1a\0\0\0\0"
