"""The cookie: what does not open is a fresh state and a 200; what is set is what a browser would take."""

from __future__ import annotations

import re
from typing import Any

import cbor2
import pytest
from cryptography.fernet import Fernet
from werkzeug.http import dump_cookie

from convostate import Keyring, PhonePair, State, UsageError
from convostate.sealing.codec import from_base64url, to_base64url
from convostate.sealing.token import Opened, Sealer, conversation_context
from tests.served import (  # fmt: skip
    ACCOUNT,
    ADA,
    BOB,
    KEY,
    NOW,
    OTHER_KEY,
    US,
    Served,
    counting,
    serve,
    settings,
    signed,
    text,
    wrapped,
)

pytestmark = [pytest.mark.usefixtures("both_doors"), pytest.mark.unmeasured]

STATES: list[State] = []


def noting(environ: Any, start_response: Any) -> list[bytes]:
    """Count, and note the state."""
    STATES.append(environ["convostate.state"])
    return counting(environ, start_response)


def asked(
    cookies: str, params: dict[str, str] | None = None, now: float = NOW, **changes: Any
) -> Served:
    """One text with a Cookie header."""
    STATES.clear()
    environ = signed(params, HTTP_COOKIE=cookies) | {"convostate.clock": lambda: now}
    return serve(wrapped(noting, **changes), environ, outside=False)


def one(params: dict[str, str] | None = None, **changes: Any) -> str:
    """The cookie of a conversation of one text."""
    return serve(wrapped(counting, **changes), signed(params)).cookie


GOOD = one()
RAW = from_base64url(GOOD) or b""
ELSEWHERE = {"bob": text(From=BOB), "another number": text(To=BOB), "swapped": text(From=US, To=ADA),
             "another account": text(AccountSid="AC" + "b" * 32), "a channel": text(From=f"whatsapp:{ADA}"),
             "a longer number": text(From=f"{ADA}0"), "a shorter number": text(From=ADA[:-1])}  # fmt: skip


def bits(*places: int) -> list[str]:
    return [to_base64url(RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]) for at in places]


BROKEN: dict[str, tuple[str, str]] = {
    "a32 of another pair": (one(text(From=BOB)), "forged"),
    "a32 of the swapped pair": (one(text(From=US, To=ADA)), "forged"),
    "a32 of another account": (one(text(AccountSid="AC" + "b" * 32)), "forged"),
    "a32 of another app": (one(keys=OTHER_KEY), "unknown-key"),
    "a33 version 0": (to_base64url(b"\0" + RAW[1:]), "version"),
    "a33 version 2": (to_base64url(b"\2" + RAW[1:]), "version"),
    "a33 an unknown key": (bits(1)[0], "unknown-key"),
    "a33 the other key's id": (
        to_base64url(RAW[:1] + (from_base64url(one(keys=OTHER_KEY)) or b"")[1:9] + RAW[9:]), "unknown-key"),
    "a33 another nonce": (bits(9)[0], "forged"),
    "a33 a changed text": (bits(40)[0], "forged"),
    "a33 a changed tag": (bits(len(RAW) - 1)[0], "forged"),
    "a33 trailing data": (to_base64url(RAW + b"\0"), "malformed"),
    "a33 a trailing block": (to_base64url(RAW + bytes(64)), "forged"),
    "a33 cut short": (GOOD[:-10], "malformed"),
    "a33 the head alone": (to_base64url(RAW[:33]), "malformed"),
    "a33 one character": ("A", "malformed"),
    "a33 nothing": ("", "malformed"),
    "a33 padding": (GOOD + "=", "malformed"),
    "a33 not base64": ("%41!*", "malformed"),
    "a33 another alphabet": ("+/" + GOOD[2:], "malformed"),
    "a33 a megabyte": ("A" * 1_000_000, "malformed"),
    "a33 another spelling": (GOOD[:-1] + chr(ord(GOOD[-1]) + 1), "malformed"),
    "a44 plain text": ("eyJuIjogOTl9", "malformed"),
    "a44 Fernet": (Fernet(Fernet.generate_key()).encrypt(b'{"n": 99}').decode(), "malformed"),
    "a44 Flask's": ("eyJuIjo5OX0.ZVPxAA.5c8mXz1nSg0V0R3y8lq8e1hO3dA", "malformed"),
}  # fmt: skip


@pytest.mark.parametrize(("cookie", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_cookie_that_does_not_open_is_a_fresh_state_and_one_line(
    cookie: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    served = asked(f"convostate={cookie}")

    assert (served.status, served.body) == (200, b"1")
    assert STATES[0].lost is not None
    assert STATES[0].lost.reason == reason
    assert STATES[0].is_new
    assert served.cookie
    [record] = caplog.records
    assert re.fullmatch(
        rf"conversation [\w-]{{22}}: a fresh state: .+ \({reason}\)",
        record.getMessage(),
    )


def test_a_cookie_that_opens_goes_on_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert asked(f"convostate={GOOD}").body == b"2"
    assert STATES[0].lost is None
    assert not STATES[0].is_new
    assert caplog.records == []


@pytest.mark.parametrize("params", ELSEWHERE.values(), ids=[f"a36 {name}" for name in ELSEWHERE])
def test_a_cookie_belongs_to_exactly_one_pair(params: dict[str, str]) -> None:
    assert asked(f"convostate={GOOD}", params).body == b"1"
    assert STATES[0].lost is not None
    assert asked(f"convostate={one(params)}", params).body == b"2"


def test_a33_every_changed_byte_and_every_cut_is_a_fresh_state() -> None:
    for cookie in bits(*range(len(RAW))) + [GOOD[:length] for length in range(len(GOOD))]:
        served = asked(f"convostate={cookie}")
        assert (served.status, served.body) == (200, b"1"), cookie


@pytest.mark.parametrize(("purpose", "keys"), [("state", KEY), ("reply", KEY)])
def test_a32_a_value_sealed_for_the_server_does_not_open_as_a_cookie(
    purpose: str, keys: str
) -> None:
    middleware = wrapped(counting, store="memory", keys=keys)
    serve(middleware, signed())
    store: Any = getattr(middleware.store, "store", middleware.store)
    [kept] = store._conversations.values()
    sealed = kept.token if purpose == "state" else next(iter(kept.replies.values()))[0].sealed

    assert asked(f"convostate={to_base64url(sealed)}").body == b"1"
    assert STATES[0].lost is not None
    assert STATES[0].lost.reason == "forged"


@pytest.mark.parametrize(("passed", "body"), [
    pytest.param(0, b"2", id="a34 at once"), pytest.param(4 * 3600 - 0.001, b"2", id="a34 just before its end"),
    pytest.param(4 * 3600, b"1", id="a34 at its end"), pytest.param(10**9, b"1", id="a34 long after"),
    pytest.param(-60, b"2", id="a34 a clock 60 s behind"), pytest.param(-60.001, b"1", id="a34 a clock further behind"),
    pytest.param(-10**9, b"1", id="a34 a clock far behind"),
])  # fmt: skip
def test_a_cookie_opens_within_its_time_only(passed: float, body: bytes) -> None:
    served = asked(f"convostate={GOOD}", now=NOW + passed)

    assert (served.status, served.body) == (200, body)
    if body == b"1":
        assert STATES[0].lost is not None
        assert STATES[0].lost.reason == "expired"


@pytest.mark.parametrize(("hours", "body"), [(4, b"100"), (4.001, b"1"), (24, b"1")])
def test_a34_a_span_longer_than_twilios_does_not_open(hours: float, body: bytes) -> None:
    """Whoever holds a key may seal for longer, as a server-side store does; a cookie may not."""
    now_ms = int(NOW * 1000)
    content = Opened(now_ms, now_ms + int(hours * 3_600_000), now_ms, cbor2.dumps({"n": 99}))
    context = conversation_context(PhonePair(ACCOUNT, US, ADA))
    sealer = Sealer(Keyring.parse(KEY), "cookie", 10**9)

    cookie = to_base64url(sealer.seal(content, context, bytes(24)))

    assert asked(f"convostate={cookie}").body == body


@pytest.mark.parametrize(("cookies", "body"), [
    pytest.param("convostate={good}; convostate={bad}", b"2", id="a35 good, bad"),
    pytest.param("convostate=x; convostate={good}", b"2", id="a35 malformed, good"),
    pytest.param("convostate={bad}; convostate={good}", b"1", id="a35 well-formed but forged, good"),
    pytest.param("convostate={good},convostate={bad}", b"2", id="a35 joined by gunicorn"),
    pytest.param("other=1, convostate={good}", b"2", id="a35 joined by waitress"),
    pytest.param("; ".join(f"c{n}={n}" for n in range(200)) + "; convostate={good}", b"2", id="a35 200 before"),
    pytest.param("=nameless; convostate={good}", b"2", id="a35 nameless"),
    pytest.param("=convostate={bad}; convostate={good}", b"2", id="a35 nameless with our name"),
    pytest.param('convostate="{good}"', b"2", id="a35 quoted"),
    pytest.param("path=/; convostate={good}", b"2", id="a35 path before"),
    pytest.param("expires=0; convostate={good}", b"2", id="a35 expires before"),
    pytest.param("bad name=1; convostate={good}", b"2", id="a35 a bad pair before"),
    pytest.param("$Version=1; convostate={good}; $Path=/", b"2", id="a35 $Version"),
    pytest.param("  convostate  =  {good}  ", b"2", id="a35 blanks"),
    pytest.param("xconvostate={good}", b"1", id="a35 a longer name"),
    pytest.param("CONVOSTATE={good}", b"1", id="a35 another case"),
    pytest.param("convostate[]={good}", b"1", id="a35 an array"),
    pytest.param("a=convostate={good}", b"1", id="a35 within another"),
    pytest.param("{good}", b"1", id="a35 no name"),
    pytest.param(";;;,,,===;", b"1", id="a35 nothing"),
])  # fmt: skip
def test_the_first_well_formed_cookie_of_our_name_counts(cookies: str, body: bytes) -> None:
    served = asked(cookies.format(good=GOOD, bad=BROKEN["a32 of another pair"][0]))

    assert (served.status, served.body) == (200, body)


@pytest.mark.parametrize("url", ["https://example.com/sms", "http://example.com/sms"])
@pytest.mark.parametrize("lifetime", ["60s", "30m", "4h"])
def test_the_header_is_the_one_that_werkzeug_writes(url: str, lifetime: str) -> None:
    middleware = wrapped(counting, lifetime=lifetime, cookie_name="my.Name_1-x")
    served = serve(middleware, signed(url=url))
    seconds = int(middleware.settings.lifetime.total_seconds())

    assert served.headers["Set-Cookie"] == dump_cookie(
        "my.Name_1-x", served.cookie, max_age=seconds, expires=int(NOW) + seconds,
        secure=url.startswith("https"), httponly=True, samesite="Lax",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x", "a b", "a=b", "a;b", "", "\xe9", "a" * 65, "a,b", '"']
)
def test_a39_a_name_that_would_break_the_header_does_not_start(name: str) -> None:
    with pytest.raises(UsageError, match="CONVOSTATE_COOKIE_NAME"):
        settings(cookie_name=name)


def test_a31_an_older_cookie_of_the_same_pair_opens_again() -> None:
    """What the cookie store cannot promise; the docs say so."""
    newer = asked(f"convostate={GOOD}").cookie

    assert asked(f"convostate={newer}").body == b"3"
    assert asked(f"convostate={GOOD}").body == b"2"
