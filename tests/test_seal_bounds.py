"""Tokens of the shortest lengths, which only a holder of the key could seal."""

from __future__ import annotations

import pytest

from convostate import Keyring, SealError
from convostate.sealing.codec import prefixed
from convostate.sealing.token import HEAD_BYTES, PADDING_BYTES, TAG_BYTES, VERSION, XAES, Sealer
from tests.served import KEY

NONCE = bytes(range(24))
KEYRING = Keyring.parse(KEY)
SEALER = Sealer(KEYRING, "cookie", 3_600_000)
[THE_KEY] = KEYRING.keys


def sealed(plain: bytes) -> bytes:
    """A token with a right tag around any content at all."""
    associated = prefixed(bytes([VERSION]), THE_KEY.kid, b"cookie")
    cipher = XAES(THE_KEY.derive("cookie")).at(NONCE)
    head = bytes([VERSION]) + THE_KEY.kid + NONCE
    return head + cipher.encrypt(NONCE[12:], plain, associated + b"context")


def reason(token: bytes) -> str:
    with pytest.raises(SealError) as caught:
        SEALER.open(token, b"context", 1000)
    return caught.value.reason


def frame(length: int, data: bytes, size: int = PADDING_BYTES) -> bytes:
    times = [(0).to_bytes(8, "big"), (2000).to_bytes(8, "big"), (0).to_bytes(8, "big")]
    return (b"".join(times) + length.to_bytes(4, "big") + data).ljust(size, b"\0")


@pytest.mark.parametrize("size", [0, 1, 27, 28, 63, 65])
def test_a_content_of_another_length_than_ours_is_malformed(size: int) -> None:
    assert reason(sealed(bytes(size))) == "malformed"


def test_a_content_of_one_block_opens() -> None:
    assert len(sealed(frame(1, b"x"))) == HEAD_BYTES + PADDING_BYTES + TAG_BYTES
    assert SEALER.open(sealed(frame(1, b"x")), b"context", 1000).data == b"x"
    assert SEALER.open(sealed(frame(36, b"x" * 36)), b"context", 1000).data == b"x" * 36


@pytest.mark.parametrize("length", [0, 37, 64, 2**32 - 1])
def test_a_length_that_is_not_the_contents_is_malformed(length: int) -> None:
    assert reason(sealed(frame(length, b"x" * 36))) == "malformed"


def test_a_padding_of_a_whole_block_is_malformed() -> None:
    """One spelling: a content has one length."""
    assert reason(sealed(frame(36, b"x" * 36, 2 * PADDING_BYTES))) == "malformed"
    assert (
        SEALER.open(sealed(frame(37, b"x" * 37, 2 * PADDING_BYTES)), b"context", 1000).data
        == b"x" * 37
    )


def test_the_head_of_a_token_gives_its_version_and_key() -> None:
    head = sealed(b"")[:HEAD_BYTES]

    assert reason(head) == "malformed"
    assert reason(b"\x02" + head[1:]) == "version"
    assert reason(head[:1] + bytes(8) + head[9:]) == "unknown-key"
    assert reason(head[:-1]) == reason(b"\x02" + head[1:-1]) == reason(b"") == "malformed"
