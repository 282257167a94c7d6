"""The invariants. Each target takes any bytes and raises AssertionError where one does not hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from convostate import Keyring, PhonePair, SealError, Settings
from convostate.errors import RequestError, StateError
from convostate.sealing import codec
from convostate.sealing.codec import from_base64url, to_base64url
from convostate.sealing.token import NONCE_BYTES, Opened, Sealer, conversation_context
from convostate.stores import CookieStore
from convostate.stores.base import Claim
from convostate.turns import Turn, configure, read_state
from convostate.twilio.form import Form, learn, names_of_query, parse_form, parse_query
from convostate.twilio.signature import signed_string, url_variants, without_port
from convostate.wsgi.request import url_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "x7iiBl0tHjvhJ5yrfV3ABILCQgSMgjK8u-1eHxxMpg8"
OTHER_KEY = "ei9Vv6UYjGJ5ALWRUsO_dHpRQ7CqBUZm5Qe1pYI4mAk"
ACCOUNT, US, ADA = "AC" + "0" * 31 + "1", "+15550100099", "+15550100001"
NOW = 1_700_000_000.0
LIFETIME_MS = 4 * 3600 * 1000
NOW_MS = int(NOW * 1000)
CONTEXT = conversation_context(PhonePair(ACCOUNT, US, ADA))
SEALED = {"step": "confirm"}


def _sealer(purpose: Any = "cookie", key: str = KEY) -> Sealer:
    return Sealer(Keyring.parse(key), purpose, LIFETIME_MS)


def _seal(sealer: Sealer, context: bytes = CONTEXT, data: bytes | None = None) -> bytes:
    content = Opened(
        NOW_MS, NOW_MS + LIFETIME_MS, NOW_MS, codec.encode(SEALED) if data is None else data
    )
    return sealer.seal(content, context, bytes(range(NONCE_BYTES)))


SEALER = _sealer()
TOKEN = _seal(SEALER)  # the one token that opens
CONFIG = configure(Settings(auth_token="0" * 32, keys=Keyring.parse(KEY)), CookieStore())[2]
PAIR = PhonePair(ACCOUNT, US, ADA)


def form(data: bytes) -> None:
    """Bytes are a form or a RequestError, and a form reads as the standard library reads it."""
    _query(data.decode("latin-1"))
    try:
        read = parse_form(data)
    except RequestError:
        return
    text = data.decode("ascii")
    standard = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    assert read.items() == standard
    assert read.first == dict(reversed(standard))
    learn(read)
    known = parse_form(data)
    assert (known.first, known.pairs) == (read.first, read.pairs), (
        "read another way once its names are known"
    )
    assert signed_string("", known) == signed_string("", read), "signed another way"
    assert _again(standard) in ([], standard)


def _again(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What an encoder's spelling of the same pairs is read as."""
    return parse_form(urlencode(pairs).encode()).items()


def _query(query: str) -> None:
    try:
        read: Form = parse_query(query)
    except RequestError:
        return
    standard = parse_qsl(query, keep_blank_values=True, errors="strict")
    assert [pair for pair in read.items() if pair != ("", "")] == [
        pair for pair in standard if pair != ("", "")
    ]
    assert names_of_query(query) >= read.first.keys()


def cookie_header(data: bytes) -> None:
    """A Cookie header gives a state, the one that was sealed or a fresh one that says why."""
    header = data.decode("latin-1")
    begun = CookieStore().begin(Claim(""), header, NOW)
    state = read_state(Turn(CONFIG, PAIR), begun.token, NOW)
    if state.is_new:
        assert dict(state) == {}
        assert (state.lost is None) == (begun.token is None)
        assert state.lost is None or type(state.lost) is SealError
    else:
        assert (begun.token, dict(state), state.lost) == (TOKEN, SEALED, None)


def token(data: bytes) -> None:
    """A token opens only as it was sealed, in one spelling; a sealed content is a state or a SealError."""
    text = data.decode("latin-1")
    raw = from_base64url(text)
    assert raw is None or to_base64url(raw) == text
    for each in (data, raw or b""):
        try:
            opened = SEALER.open(each, CONTEXT, NOW_MS)
        except SealError:
            continue
        assert each == TOKEN
        assert _seal(SEALER, data=opened.data) == TOKEN
    _content(data)


def _content(data: bytes) -> None:
    """Whoever holds the key seals what he likes: a newer version, or a thief."""
    assert SEALER.open(_seal(SEALER, data=data), CONTEXT, NOW_MS).data == data
    try:
        state = codec.decode(data)
    except SealError:
        return
    assert state is None or type(state) is dict
    try:
        written = codec.encode(state)
    except StateError:
        return
    assert codec.encode(codec.decode(written)) == written


PUBLIC_URL = "https://example.com"
_authority = re.compile(r"https://([^/?]*)").match


def raw_target(data: bytes) -> None:
    """A target gives a URL at the request's own authority or a RequestError, whatever the server makes of it.

    The bytes are six lines: raw target, SCRIPT_NAME, PATH_INFO, query, Host, and whether a public URL is set.
    """
    lines = [*data.decode("latin-1").split("\n"), *[""] * 6][:6]
    raw, mount, path, query, host, public = lines
    environ: dict[str, Any] = {"RAW_URI": raw, "SCRIPT_NAME": mount, "PATH_INFO": path,
        "HTTP_HOST": host, "SERVER_NAME": "app", "SERVER_PORT": "8000", "wsgi.url_scheme": "https"}  # fmt: skip
    public_url = PUBLIC_URL if public else None
    try:
        url = url_of(environ, public_url, query)
    except RequestError:
        return
    found = _authority(url)
    assert found is not None, url
    assert found[1] == ("example.com" if public_url else host or "app:8000")
    assert {without_port(variant) for variant in url_variants(url)} <= {without_port(url)}


TARGETS: dict[str, Callable[[bytes], None]] = {
    "form": form,
    "cookie_header": cookie_header,
    "token": token,
    "raw_target": raw_target,
}

FOREIGN = {
    "another_key": _seal(_sealer(key=OTHER_KEY)),
    "another_purpose": _seal(_sealer("state")),
    "another_pair": _seal(SEALER, conversation_context(PhonePair(ACCOUNT, ADA, US))),
}
