"""Keyring: the sealing keys, and every secret that is derived from them.

    key        32 random bytes, written as 43 characters of base64url
    derived    HKDF-SHA256(key, salt = empty, info = "convostate/v1/" ‖ purpose), 32 bytes
    KID        the first 8 bytes of what the purpose "kid" derives, so that keys need no names

The first key of a ring seals, all of them open. Purposes that seal (cookie, state, call, reply, work) and
purposes that only name things (index, fingerprint, log) never share a derived key.
"""

from __future__ import annotations

import secrets
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from convostate.errors import UsageError
from convostate.sealing.codec import from_base64url, to_base64url

KEY_BYTES = 32  # AES-256
KID_BYTES = 8
# 32 random bytes have 30 different values on average. 16 or fewer (probability below 10^-15) mean that the
# key was typed, repeated or zero.
_MIN_DIFFERENT_BYTES = 17
# Not simply "make one": with a new key, a host in use could not open its conversations.
WHICH_KEY = (
    "the key that your other hosts have; only a new installation makes one, with convostate keygen"
)
_ADVICE = f"Use {WHICH_KEY}"


class Key:
    """One sealing key; `repr` shows nothing of it."""

    __slots__ = ("_material", "kid")

    def __init__(self, material: bytes) -> None:
        self._material = material
        self.kid = self.derive("kid")[:KID_BYTES]

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse_pickling()

    def derive(self, purpose: str) -> bytes:
        """The 32 bytes of key for one purpose."""
        return HKDF(
            SHA256(), length=32, salt=None, info=b"convostate/v1/" + purpose.encode("ascii")
        ).derive(self._material)


class Keyring:
    """The sealing keys: the first one seals, all of them open.

    Args:
        keys: At least one, all different.

    Raises:
        UsageError: The tuple is empty, a key is listed twice, or an item is not a `Key`.
    """

    __slots__ = ("keys",)

    def __init__(self, keys: tuple[Key, ...]) -> None:
        if not keys:
            raise UsageError(f"There is no sealing key. {_ADVICE}")
        if not isinstance(keys, tuple) or not all(isinstance(key, Key) for key in keys):
            raise UsageError(
                "Keyring takes a tuple of Key objects. For written keys use Keyring.parse(text)"
            )
        if len({key.kid for key in keys}) != len(keys):
            raise UsageError(
                "A sealing key is listed twice. List each key once: CONVOSTATE_KEYS=<new key>,<old key>"
            )
        self.keys = keys

    def __repr__(self) -> str:
        return f"Keyring({len(self.keys)} keys)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse_pickling()

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Read comma-separated keys of 43 base64url characters each, blanks around them allowed.

        Args:
            text: The keys, as CONVOSTATE_KEYS has them.

        Raises:
            UsageError: The text has no key, or one is not 32 random bytes; the message shows no key.
        """
        if not isinstance(text, str):
            raise UsageError(
                f"A keyring is read from a str, not from bytes or anything else. {_ADVICE}"
            )
        written = [part.strip() for part in text.split(",")] if text.strip() else []
        return cls(tuple(_parse_key(position, part) for position, part in enumerate(written, 1)))

    @staticmethod
    def generate() -> str:
        """Draw a new key, as the 43 characters that `parse` reads."""
        return to_base64url(secrets.token_bytes(KEY_BYTES))


def _parse_key(position: int, text: str) -> Key:
    material = from_base64url(text)
    if material is None or len(material) != KEY_BYTES:
        raise UsageError(
            f"Sealing key {position} is not 32 bytes written as 43 base64url characters "
            f"(it has {len(text)} characters). {_ADVICE}"
        )
    if len(set(material)) < _MIN_DIFFERENT_BYTES:
        raise UsageError(f"Sealing key {position} is not random: it is weak. {_ADVICE}")
    return Key(material)


def _refuse_pickling() -> NoReturn:
    raise UsageError(
        "Sealing keys are not pickled. Read them in each process: Settings.from_environ()"
    )
