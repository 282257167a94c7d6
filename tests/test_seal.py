"""Token v1: XAES-256-GCM by its published vectors, the layout byte by byte, and what opens where and when."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from convostate import Keyring, PhonePair, SealError
from convostate.sealing import codec
from convostate.sealing.codec import prefixed
from convostate.sealing.token import XAES, Opened, Sealer, SealingPurpose, conversation_context
from tests.served import ACCOUNT, ADA, BOB, KEY, OTHER_KEY, US

MINUTE, HOUR = 60_000, 3_600_000
NOW = 1_700_000_000_000
NONCE = bytes(range(24))
RING, OTHER_RING = Keyring.parse(KEY), Keyring.parse(OTHER_KEY)
CONTEXT = conversation_context(PhonePair(ACCOUNT, US, ADA))
SEALER = Sealer(RING, "cookie", 4 * HOUR)
CONTENT = Opened(NOW, NOW + 4 * HOUR, NOW - HOUR, codec.encode({"messagecount": 2}))
TOKEN = SEALER.seal(CONTENT, CONTEXT, NONCE)


def refusal(sealer: Sealer, token: bytes, context: bytes = CONTEXT, now_ms: int = NOW) -> str:
    """Why a token does not open."""
    with pytest.raises(SealError) as caught:
        sealer.open(token, context, now_ms)
    return caught.value.reason


def sealed(nonce: bytes, plain: bytes, associated: bytes, key: bytes) -> bytes:
    return XAES(key).at(nonce).encrypt(nonce[12:], plain, associated)


@pytest.mark.parametrize(("key", "associated", "expected"), [
    pytest.param(b"\x01" * 32, b"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271", id="no bit falls out of L"),
    pytest.param(b"\x03" * 32, b"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
                 id="a bit falls out of L"),
])  # fmt: skip
def test_xaes_gives_the_published_ciphertexts(key: bytes, associated: bytes, expected: str) -> None:
    nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX"
    found = sealed(nonce, b"XAES-256-GCM", associated, key)
    assert found.hex() == expected
    assert XAES(key).at(nonce).decrypt(nonce[12:], found, associated) == b"XAES-256-GCM"
    assert sealed(nonce[::-1], b"XAES-256-GCM", associated, key) != found


@pytest.mark.unmeasured
def test_xaes_gives_the_accumulated_hash_of_10_000_random_sealings() -> None:
    """https://c2sp.org/XAES-256-GCM: all inputs are drawn from one SHAKE-128, all outputs hashed by another."""
    drawn = hashlib.shake_128(b"").digest(10_000 * (32 + 24 + 2 * 256))
    outputs, at = hashlib.shake_128(), 0

    def draw(length: int) -> bytes:
        nonlocal at
        at += length
        return drawn[at - length : at]

    for _ in range(10_000):
        key, nonce = draw(32), draw(24)
        plain = draw(draw(1)[0])
        outputs.update(sealed(nonce, plain, draw(draw(1)[0]), key))
    assert (
        outputs.hexdigest(32) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
    )


def test_a_token_has_the_layout_of_the_docstring() -> None:
    key = RING.keys[0]
    associated = prefixed(b"\x01", key.kid, b"cookie", ACCOUNT.encode(), US.encode(), ADA.encode())
    plain = struct.pack(">QQQI", NOW, NOW + 4 * HOUR, NOW - HOUR, len(CONTENT.data)) + CONTENT.data
    plain += bytes(64 - len(plain))

    assert TOKEN[:33] == b"\x01" + key.kid + NONCE
    assert TOKEN[33:] == sealed(NONCE, plain, associated, key.derive("cookie"))
    assert associated == b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (b"\x01", key.kid, b"cookie", ACCOUNT.encode(), US.encode(), ADA.encode())
    )


def test_a_token_of_today_opens_for_ever() -> None:
    """Sealed by the first release: a change of any byte of the format fails here."""
    frozen = bytes.fromhex(FROZEN)
    assert frozen == TOKEN
    opened = SEALER.open(frozen, CONTEXT, NOW)
    assert opened == CONTENT
    assert codec.decode(opened.data) == {"messagecount": 2}
    assert opened.data.hex() == "a16c6d657373616765636f756e7402"


FROZEN = "01fd8023634ce36e10000102030405060708090a0b0c0d0e0f1011121314151617275c59879fb9cb15a701cfd119d00853520973e744f24d29ea8a025bb09f342c799104206d93b0d05f00a74a23a8f60da61e2d5966e0d1a5445a7e9f8d268e351f419bf644705f1b3454e6343d58f07b"


@pytest.mark.parametrize("length", [0, 1, 35, 36, 37, 99, 100, 101, 1000])
def test_a_length_shows_in_steps_of_64_bytes(length: int) -> None:
    token = SEALER.seal(replace(CONTENT, data=bytes(length)), CONTEXT, NONCE)
    assert len(token) == 33 + -(-(28 + length) // 64) * 64 + 16
    assert SEALER.open(token, CONTEXT, NOW).data == bytes(length)


def test_a32_a_token_opens_for_its_own_pair_alone() -> None:
    for pair in (
        PhonePair(ACCOUNT, US, BOB), PhonePair(ACCOUNT, ADA, US), PhonePair("AC" + "b" * 32, US, ADA), PhonePair(ACCOUNT, f"{US}+", ADA[1:]),
    ):  # fmt: skip
        assert refusal(SEALER, TOKEN, conversation_context(pair)) == "forged"
    assert (
        refusal(SEALER, TOKEN, b"") == refusal(SEALER, TOKEN, CONTEXT + prefixed(b"x")) == "forged"
    )
    assert SEALER.open(TOKEN, CONTEXT, NOW) == CONTENT


@pytest.mark.parametrize("purpose", ["state", "reply"])
def test_a32_a_token_opens_for_its_own_purpose_alone(purpose: SealingPurpose) -> None:
    other = Sealer(RING, purpose, 4 * HOUR)
    assert refusal(SEALER, other.seal(CONTENT, CONTEXT, NONCE)) == refusal(other, TOKEN) == "forged"
    assert other.open(other.seal(CONTENT, CONTEXT, NONCE), CONTEXT, NOW) == CONTENT


def test_a33_a_token_with_any_bit_flipped_does_not_open() -> None:
    reasons = set()
    for index in range(len(TOKEN)):
        for bit in range(8):
            changed = bytearray(TOKEN)
            changed[index] ^= 1 << bit
            reasons.add((min(index, 33), refusal(SEALER, bytes(changed))))
    assert reasons == {
        (0, "version"),
        *((i, "unknown-key") for i in range(1, 9)),
        *((i, "forged") for i in range(9, 34)),
    }


def test_a33_a_token_cut_or_lengthened_anywhere_does_not_open() -> None:
    for length in range(len(TOKEN)):
        assert refusal(SEALER, TOKEN[:length]) in {"malformed", "forged"}
        assert refusal(SEALER, TOKEN[length + 1 :]) in {"malformed", "version", "unknown-key"}
    for more in (b"\0", b"\xff", TOKEN, bytes(64), bytes(1_000_000)):
        assert refusal(SEALER, TOKEN + more) in {"malformed", "forged"}


def test_a33_a_token_of_another_version_key_or_nonce_does_not_open() -> None:
    for version in (0, 2, 255):
        assert refusal(SEALER, bytes([version]) + TOKEN[1:]) == "version"
    strange = Sealer(OTHER_RING, "cookie", 4 * HOUR).seal(CONTENT, CONTEXT, NONCE)
    assert refusal(SEALER, strange) == "unknown-key"
    both = Sealer(Keyring((*RING.keys, *OTHER_RING.keys)), "cookie", 4 * HOUR)
    assert both.open(strange, CONTEXT, NOW) == CONTENT
    assert refusal(both, TOKEN[:1] + OTHER_RING.keys[0].kid + TOKEN[9:]) == "forged"
    assert refusal(SEALER, TOKEN[:9] + NONCE[::-1] + TOKEN[33:]) == "forged"


def test_f26_through_a_rotation_tokens_open_until_their_key_is_gone() -> None:
    old, new = RING.keys[0], OTHER_RING.keys[0]
    reading, writing, after = (
        Sealer(Keyring(keys), "cookie", 4 * HOUR) for keys in ((old, new), (new, old), (new,))
    )
    assert SEALER.seal(CONTENT, CONTEXT, NONCE) == reading.seal(CONTENT, CONTEXT, NONCE) == TOKEN
    sealed_by_new = writing.seal(CONTENT, CONTEXT, NONCE)
    for sealer in (reading, writing):
        assert (
            sealer.open(TOKEN, CONTEXT, NOW) == sealer.open(sealed_by_new, CONTEXT, NOW) == CONTENT
        )
    assert after.open(sealed_by_new, CONTEXT, NOW) == CONTENT
    assert refusal(after, TOKEN) == refusal(SEALER, sealed_by_new) == "unknown-key"


@pytest.mark.parametrize(("issued", "expires", "opens"), [
    pytest.param(0, 4 * HOUR, True, id="fresh, the longest span"),
    pytest.param(-4 * HOUR + 1, 1, True, id="its last millisecond"),
    pytest.param(-4 * HOUR, 0, False, id="expired now"),
    pytest.param(-5 * HOUR, -HOUR, False, id="expired long ago"),
    pytest.param(0, 4 * HOUR + 1, False, id="a longer span than the store's"),
    pytest.param(-HOUR, 30 * 24 * HOUR, False, id="a span of thirty days"),
    pytest.param(MINUTE, HOUR, True, id="a clock a minute ahead"),
    pytest.param(MINUTE + 1, HOUR, False, id="a clock more than a minute ahead"),
    pytest.param(HOUR, 2 * HOUR, False, id="from the future"),
    pytest.param(1, 0, False, id="expired before it was issued"),
])  # fmt: skip
def test_a34_a_token_opens_within_its_span_of_time(issued: int, expires: int, opens: bool) -> None:
    content = Opened(NOW + issued, NOW + expires, NOW, b"")
    token = SEALER.seal(content, CONTEXT, NONCE)
    assert (
        (SEALER.open(token, CONTEXT, NOW) == content)
        if opens
        else (refusal(SEALER, token) == "expired")
    )


def test_o1_a_cookie_of_a_host_whose_clock_is_ahead_says_by_how_much() -> None:
    def why(issued: int, expires: int) -> str:
        with pytest.raises(SealError) as caught:
            SEALER.open(
                SEALER.seal(Opened(NOW + issued, NOW + expires, NOW, b""), CONTEXT, NONCE),
                CONTEXT,
                NOW,
            )
        return str(caught.value)

    assert "sealed 61 s in the future: synchronise the hosts' clocks" in why(61_000, HOUR)
    assert "clocks" not in why(-HOUR, 0)


@pytest.mark.parametrize("wrong", [
    pytest.param(struct.pack(">QQQI", NOW, NOW + HOUR, NOW, 37) + bytes(36), id="longer than it is"),
    pytest.param(struct.pack(">QQQI", NOW, NOW + HOUR, NOW, 2**32 - 1) + bytes(36), id="much longer than it is"),
    pytest.param(struct.pack(">QQQI", NOW, NOW + HOUR, NOW, 0) + b"\1" + bytes(35), id="padding that is no zero"),
    pytest.param(struct.pack(">QQQI", NOW, NOW + HOUR, NOW, 0) + bytes(35) + b"\1", id="a last byte that is no zero"),
    pytest.param(struct.pack(">QQQI", NOW, NOW + HOUR, NOW, 36) + bytes(36 + 64), id="a whole block of padding"),
])  # fmt: skip
def test_a_valid_tag_does_not_make_another_spelling_a_token(wrong: bytes) -> None:
    key = RING.keys[0]
    associated = prefixed(b"\x01", key.kid, b"cookie") + CONTEXT
    token = TOKEN[:33] + sealed(NONCE, wrong, associated, key.derive("cookie"))
    assert refusal(SEALER, token) == "malformed"


@pytest.mark.parametrize("older", [
    pytest.param(b'{"messagecount": 2}', id="plain json"), pytest.param(b"\x80" + bytes(100), id="fernet"),
    pytest.param(codec.encode({"a": 1}), id="plain cbor"), pytest.param(b"", id="nothing"),
    pytest.param(NONCE[:12] + AESGCM(RING.keys[0].derive("cookie")).encrypt(NONCE[:12], b"x" * 200, b""), id="plain aes-gcm"),
])  # fmt: skip
def test_a44_no_other_format_is_ever_read(older: bytes) -> None:
    assert refusal(SEALER, older) in {"malformed", "version"}
    assert refusal(SEALER, b"\x01" + older) in {"malformed", "unknown-key"}
