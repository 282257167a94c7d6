"""What a Redis holds of conversations: sealed bytes under keyed names, each with an end, and no person."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import RedisStore
from convostate.stores.base import CALL_S, OPT_OUT_S, REPLY_S
from tests.served import (  # fmt: skip
    ACCOUNT,
    ADA,
    BOB,
    KEY,
    OTHER_KEY,
    SID,
    TOKEN,
    US,
    counting,
    serve,
    signed,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from redis import Redis

pytestmark = pytest.mark.usefixtures("both_doors")

SAID, KEPT, ANSWERED = "vermilion-said", "vermilion-kept", "vermilion-answered"


def remembering(environ: Any, start_response: Any) -> list[bytes]:
    """Keep and answer what would be found if it lay open."""
    state = environ["convostate.state"]
    state[KEPT] = [KEPT, environ["convostate.webhook"].body, state.pair.theirs]
    start_response("200 OK", [("Content-Type", "text/xml"), ("X-Own", ANSWERED)])
    return [f"<Response><Message>{ANSWERED}</Message></Response>".encode()]


@pytest.fixture
def held(redis: Redis) -> Redis:
    """A Redis that has seen texts, a call, a status and a STOP of two people."""
    redis.flushall()
    middleware = wrapped(remembering, store=RedisStore(redis), lifetime="30m")
    call = {
        "AccountSid": ACCOUNT,
        "CallSid": "CA" + "1" * 32,
        "Direction": "inbound",
        "From": ADA,
        "To": US,
    }
    status = {
        "AccountSid": ACCOUNT,
        "MessageSid": SID,
        "MessageStatus": "sent",
        "From": US,
        "To": ADA,
    }
    for params in (
        text(SAID),
        text(f"{SAID} 2"),
        call,
        status,
        text("STOP", From=BOB),
        text(SAID, From=f"whatsapp:{ADA}"),
    ):
        served = serve(middleware, signed(params) | {"convostate.clock": time.time}, outside=False)
        assert served.status == 200
    return redis


def everything(redis: Any) -> list[bytes]:
    """Each key and each value, as they lie in the server's memory."""
    found: list[bytes] = []
    for key in redis.keys("*"):
        kind = redis.type(key)
        read = {b"string": lambda key: [redis.get(key)], b"list": lambda key: redis.lrange(key, 0, -1),
                b"hash": lambda key: [part for item in redis.hgetall(key).items() for part in item],
                b"set": redis.smembers, b"zset": lambda key: redis.zrange(key, 0, -1)}  # fmt: skip
        found += [key, *read[kind](key)]
    return found


def test_p2_nothing_in_redis_shows_who_said_what(held: Redis) -> None:
    whole = b"\n".join(everything(held))

    assert len(held.keys("*")) > 5
    clear = [SAID, KEPT, ANSWERED, "vermilion", ADA, BOB, US, ACCOUNT, SID, KEY, TOKEN, "whatsapp", "Response",
             "STOP", *(number[-7:] for number in (ADA, BOB, US))]  # fmt: skip
    assert [each for each in clear if each.encode() in whole] == []
    # No JSON; of sealed bytes two in a row may look like its beginning.
    assert re.search(rb'[{\[]\s*"\w{3,}"', whole) is None


def test_p2_no_name_in_redis_holds_the_digits_of_a_number(held: Any) -> None:
    for key in held.keys("*"):
        assert re.fullmatch(rb"cs1:\{[A-Za-z0-9_-]{22}\}[A-Za-z0-9:_-]*", key), key
        assert not any(
            number[-4:].encode() in re.findall(rb"[0-9]+", key) for number in (ADA, BOB, US)
        )


def test_p5_every_key_ends_by_itself(held: Any) -> None:
    ends = {key: held.pttl(key) / 1000 for key in held.keys("*")}

    assert ends
    assert all(0 < seconds <= OPT_OUT_S for seconds in ends.values())
    # Two keys outlive a lifetime and a recorded reply: a STOP, and the list of a pair's calls.
    longer = {key: seconds for key, seconds in ends.items() if seconds > max(30 * 60, REPLY_S)}
    calls, stop = sorted(longer, key=longer.__getitem__)
    assert (calls[-2:], stop[-2:]) == (b"}c", b"}o")
    assert longer[calls] <= CALL_S < longer[stop]


def test_p6_with_another_key_nothing_of_it_can_be_read(redis: Redis) -> None:
    redis.flushall()

    def count(keys: str, index_key: str | None, body: str) -> bytes:
        middleware = wrapped(counting, store=RedisStore(redis), keys=keys, index_key=index_key)
        return serve(
            middleware, signed(text(body)) | {"convostate.clock": time.time}, outside=False
        ).body

    assert count(KEY, None, "one") == b"1"
    assert count(KEY, None, "two") == b"2"
    assert count(f"{OTHER_KEY},{KEY}", KEY, "three") == b"3"
    assert count(OTHER_KEY, KEY, "four") == b"4"
    assert count(KEY, KEY, "five") == b"1"  # sealed with the other key since
    assert count(OTHER_KEY, None, "six") == b"1"  # and under another name, nothing is there
