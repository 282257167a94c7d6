"""How bytes become text and are joined: one spelling each.

Base64url without padding (RFC 4648 §5) and u32 length prefixes, big-endian. Decoding takes only what
encoding gives, so that no second text stands for the same bytes.
"""

from __future__ import annotations

import binascii
import struct

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_length = struct.Struct(">I").pack


def to_base64url(data: bytes) -> str:
    """Encode without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """Decode what `to_base64url` gives; None for anything else, other spellings included."""
    try:
        data = binascii.a2b_base64(
            text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        )
    except ValueError:
        return None
    return data if to_base64url(data) == text else None


def prefixed(*parts: bytes) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: each with its u32 length before it."""
    return b"".join([_length(len(part)) + part for part in parts])
