"""Keys: what is accepted as one, what is derived from it, and that it is never printed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from typing import Any

import pytest

from convostate import Keyring, UsageError
from convostate.sealing.codec import to_base64url
from convostate.sealing.keys import Key
from tests.served import KEY, OTHER_KEY

RAW = base64.urlsafe_b64decode(f"{KEY}=")
PURPOSES = ("cookie", "state", "reply", "index", "fingerprint", "log", "kid")


def spelled(raw: bytes) -> str:
    return to_base64url(raw)


@pytest.mark.parametrize(("text", "keys"), [
    (KEY, 1), (f"{KEY},{OTHER_KEY}", 2), (f" {KEY} , {OTHER_KEY}\n", 2), (spelled(bytes(range(17)) + bytes(15)), 1),
])  # fmt: skip
def test_written_keys_are_read(text: str, keys: int) -> None:
    assert len(Keyring.parse(text).keys) == keys


@pytest.mark.parametrize("text", [
    pytest.param("", id="none"), pytest.param(" ", id="blank"), pytest.param(",", id="a comma"), pytest.param(f"{KEY},", id="an empty one"),
    pytest.param(KEY[:-1], id="short"), pytest.param(KEY + "A", id="long"), pytest.param(f"{KEY}=", id="padded"),
    pytest.param(KEY.replace("-", "+"), id="base64"), pytest.param(f"{KEY[:-1]}9", id="another spelling of the last bits"),
    pytest.param(KEY[:20] + " " + KEY[21:], id="a blank within"), pytest.param("\u20ac" * 43, id="no ascii"),
    pytest.param(spelled(bytes(32)), id="zeros"), pytest.param(spelled(b"\xff" * 32), id="ones"),
    pytest.param(spelled(bytes(range(16)) * 2), id="repeated"), pytest.param(spelled(b"passwordpasswordpasswordpassword"), id="typed"),
    pytest.param("A" * 43, id="a letter"), pytest.param(RAW.hex(), id="hexadecimal"), pytest.param(f"{KEY};{OTHER_KEY}", id="semicolon"),
    pytest.param(f"{KEY},{KEY}", id="twice"), pytest.param(f"{KEY},{OTHER_KEY},{KEY}", id="twice, apart"),
])  # fmt: skip
def test_a40_an_invalid_key_makes_no_keyring_and_is_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Keyring.parse(text)
    message = str(caught.value)
    assert message.endswith(
        (
            "only a new installation makes one, with convostate keygen",
            "CONVOSTATE_KEYS=<new key>,<old key>",
        )
    )
    assert not any(part.strip() in message for part in text.split(",") if len(part.strip()) > 1)


@pytest.mark.parametrize(("text", "problem"), [
    ("", "There is no sealing key"), (" \n", "There is no sealing key"), (",", "Sealing key 1 is not "), (f"{KEY},", "Sealing key 2 is not "),
])  # fmt: skip
def test_a40_a_text_without_a_key_says_that_none_is_set(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=f"^{problem}"):
        Keyring.parse(text)


@pytest.mark.parametrize(("text", "position"), [
    (KEY[:-1], 1), (f"{KEY},{KEY[:-1]}", 2), (f"{KEY},{OTHER_KEY},{'A' * 43}", 3),
])  # fmt: skip
def test_a40_an_invalid_key_is_named_by_its_position(text: str, position: int) -> None:
    with pytest.raises(UsageError, match=f"^Sealing key {position} is not "):
        Keyring.parse(text)


@pytest.mark.parametrize(
    "keys", ["", KEY, [], [Key(RAW)], (KEY,), (RAW,), (None,), (), None, (Key(RAW), Key(RAW))]
)
def test_a40_a_keyring_takes_keys_and_nothing_else(keys: Any) -> None:
    with pytest.raises(UsageError):
        Keyring(keys)


@pytest.mark.parametrize("text", [None, 5, RAW, KEY.encode(), [KEY], Keyring.parse(KEY)])
def test_a40_a_keyring_is_read_from_a_text_alone(text: Any) -> None:
    with pytest.raises(UsageError, match=r"convostate keygen$"):
        Keyring.parse(text)


def test_a40_no_key_is_printed() -> None:
    ring = Keyring.parse(f"{KEY},{OTHER_KEY}")
    for shown in (repr(ring), str(ring), f"{ring.keys}", repr(ring.keys[0]), str(ring.keys[0])):
        assert not any(secret in shown for secret in (KEY, OTHER_KEY, RAW.hex(), str(RAW)))


def test_what_is_derived_is_hkdf_of_rfc_5869() -> None:
    key = Keyring.parse(KEY).keys[0]
    extracted = hmac.new(bytes(32), RAW, hashlib.sha256).digest()
    for purpose in PURPOSES:
        expanded = hmac.new(
            extracted, f"convostate/v1/{purpose}".encode() + b"\x01", hashlib.sha256
        ).digest()
        assert key.derive(purpose) == expanded
    assert key.kid == key.derive("kid")[:8]


def test_no_two_purposes_and_no_two_keys_share_what_is_derived() -> None:
    ring = Keyring.parse(f"{KEY},{OTHER_KEY}")
    derived = [key.derive(purpose) for key, purpose in itertools.product(ring.keys, PURPOSES)]
    assert len({*derived}) == 2 * len(PURPOSES)
    assert {len(each) for each in derived} == {32}


def test_generated_keys_are_read_and_never_alike() -> None:
    made = {Keyring.generate() for _ in range(200)}
    assert len(made) == 200
    assert {len(key) for key in made} == {43}
    assert len(Keyring.parse(",".join(made)).keys) == 200
