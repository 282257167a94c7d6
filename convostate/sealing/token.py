"""Token format v1: a sealed value that opens only in its own conversation, and only until it expires.

    token  0x01 ‖ KID[8] ‖ N[24] ‖ XAES-256-GCM(key, N, P, A)
    key    what the sealing key KID derives for the purpose (`keys.py`)
    N      nonce, random, 24 bytes
    A      each with its u32 length before it: version, KID, purpose, account, ours, theirs
           (for a recorded reply also the fingerprint of its request). For texts answered later, the name
           of the conversation replaces the last three; for a call in a server-side store, account and
           name do. For a call without a pair in a cookie, ours and theirs are empty
    P      issued, expires, started (u64, Unix time in ms) ‖ length (u32) ‖ data ‖ zeros
           up to a multiple of 64 bytes, the data being CBOR (`codec.py`)

Integers are big-endian. In a cookie a token is base64url without padding, in a server-side store the
raw bytes. There is no compression: next to text that an attacker chooses, the length would leak secrets.

XAES-256-GCM: https://c2sp.org/XAES-256-GCM (192-bit random nonces, so that one key seals 2^80
values). It derives a fresh AES-256-GCM key from the first half of the nonce:

    L = AES(key, 0^128);  K1 = L « 1, xored with 0x87 if a bit is shifted out
    K = AES(key, 00 01 58 00 ‖ N[:12] ⊕ K1) ‖ AES(key, 00 02 58 00 ‖ N[:12] ⊕ K1)
    sealed = AES-256-GCM(K, N[12:], P, A)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from convostate.errors import SealError
from convostate.sealing.codec import prefixed
from convostate.sealing.keys import KID_BYTES, Key, Keyring

if TYPE_CHECKING:
    from convostate.twilio.webhook import PhonePair

SealingPurpose = Literal["cookie", "state", "call", "reply", "work"]

VERSION = 1
NONCE_BYTES = 24
HEAD_BYTES = 1 + KID_BYTES + NONCE_BYTES  # 33: version, KID and nonce identify one sealing forever
TAG_BYTES = 16
PADDING_BYTES = 64  # a length reveals the size of the data in steps of this size only
SKEW_MS = 60_000  # how far the clocks of two hosts may differ; iron-session allows the same

_FRAME = struct.Struct(">QQQI")
_SHORTEST_TOKEN_BYTES = HEAD_BYTES + PADDING_BYTES + TAG_BYTES


def sealed_bytes(data_bytes: int) -> int:
    """The length of a token with that much data."""
    plain_bytes = _FRAME.size + data_bytes
    return HEAD_BYTES + plain_bytes + -plain_bytes % PADDING_BYTES + TAG_BYTES


def most_data_bytes(token_bytes: int) -> int:
    """How much data fits into a token of at most that length; negative if the shortest token is longer."""
    plain_bytes = token_bytes - HEAD_BYTES - TAG_BYTES
    return plain_bytes - plain_bytes % PADDING_BYTES - _FRAME.size


@dataclass(slots=True, repr=False)
class Opened:
    """What a token held.

    Attributes:
        issued_ms: When it was sealed, Unix time in ms.
        expires_ms: The first moment at which it no longer opens.
        started_ms: When the conversation began.
        data: The bytes that were sealed.
    """

    issued_ms: int
    expires_ms: int
    started_ms: int
    data: bytes

    def __repr__(self) -> str:
        return f"Opened({len(self.data)} bytes)"


def conversation_context(pair: PhonePair) -> bytes:
    """The identity of a conversation as bytes: its tokens are bound to it, and its name is derived from it."""
    return prefixed(pair.account_sid.encode(), pair.ours.encode(), pair.theirs.encode())


class XAES:
    """XAES-256-GCM under one key. Threads may share it: each AES context has one user at a time."""

    __slots__ = ("_algorithm", "_heads", "_idle", "_subkey")

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)
        self._idle: list[CipherContext] = []
        block = int.from_bytes(_aes(self._algorithm).update(bytes(16)), "big")
        subkey = (block << 1) & ((1 << 128) - 1) ^ (0x87 if block >> 127 else 0)
        # Of each derivation block only the last 12 bytes depend on the nonce.
        self._heads = tuple(
            ((constant << 96) ^ subkey).to_bytes(16, "big")[:4]
            for constant in (0x00015800, 0x00025800)
        )
        self._subkey = subkey & ((1 << 96) - 1)

    def at(self, nonce: bytes) -> AESGCM:
        """The AES-256-GCM key of one 24-byte nonce; the rest of the nonce is GCM's own."""
        tail = (int.from_bytes(nonce[:12], "big") ^ self._subkey).to_bytes(12, "big")
        first, second = self._heads
        try:
            context = self._idle.pop()  # making one costs 25 times one use of it
        except IndexError:
            context = _aes(self._algorithm)
        key = context.update(first + tail + second + tail)
        self._idle.append(context)
        return AESGCM(key)


def _aes(algorithm: algorithms.AES) -> CipherContext:
    """AES of each 16-byte block on its own, as C2SP defines it."""
    return Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305  # one block at a time


class Sealer:
    """Seals and opens the tokens of one purpose; all keys are derived at start-up.

    Args:
        keyring: The first key seals, all open.
        purpose: What the tokens are for; a token of another purpose does not open.
        longest_ms: The longest span of time that a token may have, in ms.
    """

    __slots__ = ("_ciphers", "_head", "_longest_ms")

    def __init__(self, keyring: Keyring, purpose: SealingPurpose, longest_ms: int) -> None:
        def associated(key: Key) -> bytes:
            return prefixed(bytes([VERSION]), key.kid, purpose.encode("ascii"))

        self._ciphers = {
            key.kid: (XAES(key.derive(purpose)), associated(key)) for key in keyring.keys
        }
        self._head = bytes([VERSION]) + keyring.keys[0].kid
        self._longest_ms = longest_ms

    def seal(self, content: Opened, context: bytes, nonce: bytes) -> bytes:
        """Seal.

        Args:
            content: The data and its span.
            context: What the token is bound to: `prefixed` account, ours, theirs (and fingerprint).
            nonce: 24 random bytes, never used before.

        Returns:
            The token's raw bytes.
        """
        cipher, associated = self._ciphers[self._head[1:]]
        data = content.data
        plain = (
            _FRAME.pack(content.issued_ms, content.expires_ms, content.started_ms, len(data)) + data
        )
        plain += bytes(-len(plain) % PADDING_BYTES)
        return (
            self._head + nonce + cipher.at(nonce).encrypt(nonce[12:], plain, associated + context)
        )

    def open(self, token: bytes, context: bytes, now_ms: int | None) -> Opened:
        """Open a token.

        Args:
            token: Its raw bytes.
            context: What it must be bound to, as for `seal`.
            now_ms: Unix time in ms; None if the store decides when it expires, not the seal.

        Raises:
            SealError: The value is not a token, has another version or an unknown key, was changed or moved,
                or is outside its span of time. There are no other errors.
        """
        if len(token) < HEAD_BYTES:
            raise SealError("malformed", "the value is too short for a token")
        if token[0] != VERSION:
            raise SealError("version", "the token is of another format version")
        found = self._ciphers.get(token[1 : 1 + KID_BYTES])
        if found is None:
            raise SealError("unknown-key", "the token was sealed with a key that is not configured")
        if (
            len(token) < _SHORTEST_TOKEN_BYTES
            or (len(token) - HEAD_BYTES - TAG_BYTES) % PADDING_BYTES
        ):
            raise SealError("malformed", "the value does not have the length of a token")
        cipher, associated = found
        try:
            nonce = token[1 + KID_BYTES : HEAD_BYTES]
            plain = cipher.at(nonce).decrypt(nonce[12:], token[HEAD_BYTES:], associated + context)
        except InvalidTag:
            raise SealError(
                "forged", "the token was changed, or belongs to another conversation"
            ) from None
        issued_ms, expires_ms, started_ms, length = _FRAME.unpack_from(plain)
        end = _FRAME.size + length
        if not 0 <= len(plain) - end < PADDING_BYTES or plain.count(0, end) != len(plain) - end:
            raise SealError(
                "malformed", "the token's content does not have the length that it states"
            )
        if now_ms is not None and now_ms < issued_ms - SKEW_MS:
            ahead_s = (issued_ms - now_ms) // 1000
            why = f"the token was sealed {ahead_s} s in the future: synchronise the hosts' clocks with NTP"
            raise SealError("expired", why)
        is_over = now_ms is not None and now_ms >= expires_ms
        if is_over or expires_ms - issued_ms > self._longest_ms:
            raise SealError("expired", "the token is outside its span of time")
        return Opened(issued_ms, expires_ms, started_ms, plain[_FRAME.size : end])
