"""A call's state is its own: it begins empty, outlives the call by ten minutes, and belongs to no text."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, Conversations, StateError, UsageError, state_from
from convostate.stores import MemoryStore, RedisStore
from tests.served import ACCOUNT, ADA, BOB, NOW, US, linted, serve, settings, signed, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from redis import Redis

    from convostate import State
    from tests.served import Served

FIRST, SECOND = "CA" + "1" * 32, "CA" + "2" * 32
PAIR: Any = {"ours": US, "theirs": ADA, "account_sid": ACCOUNT}


def call(sid: str = FIRST, **changes: str) -> dict[str, str]:
    """The parameters of a call from Ada that goes on."""
    given = {"AccountSid": ACCOUNT, "CallSid": sid, "From": ADA, "To": US, "Direction": "inbound", "CallStatus": "in-progress"}  # fmt: skip
    return {**given, **changes}


def recording(sid: str = FIRST) -> dict[str, str]:
    """A recording's callback, which names no pair and no status."""
    return {"AccountSid": ACCOUNT, "CallSid": sid, "RecordingSid": "RE" + "1" * 32}


class Line:
    """An app with a store, and the cookies that come back from it."""

    def __init__(self, store: Any, **changes: Any) -> None:
        self.store, self.cookies, self.now = store, dict[str, str](), NOW
        self.settings = settings(store="cookie", account_sid=ACCOUNT, **changes)
        self.app = ConversationMiddleware(linted(self._answer), self.settings, store=store)
        self.act: Callable[[State], object] = count
        self.seen: list[Any] = []

    def _answer(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        state = state_from(environ)
        self.seen.append(state)
        said = self.act(state)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(said).encode()]

    def send(self, params: dict[str, str], after_s: float = 0.0) -> Served:
        self.now += after_s
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        served = serve(
            self.app,
            signed(params, HTTP_COOKIE=cookie or None) | {"convostate.clock": lambda: self.now},
        )
        for header in served.headers.getlist("Set-Cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies[name] = value
        return served

    def said(self, params: dict[str, str], after_s: float = 0.0) -> str:
        return self.send(params, after_s).body.decode()

    @property
    def conversations(self) -> Conversations:
        return Conversations(self.settings, store=self.store, clock=lambda: self.now)


def count(state: State) -> int:
    state["count"] = state.get("count", 0) + 1
    return int(state["count"])


@pytest.fixture(params=["cookie", "memory", "redis"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    yield from _lines(request)


@pytest.fixture(params=["memory", "redis"])
def kept(request: pytest.FixtureRequest) -> Iterator[Line]:
    """With a server-side store."""
    yield from _lines(request)


def _lines(request: pytest.FixtureRequest) -> Iterator[Line]:
    if request.param == "redis":
        client: Redis = request.getfixturevalue("redis")
        client.flushdb()
        yield Line(RedisStore(client))
    else:
        yield Line(MemoryStore() if request.param == "memory" else None)


def test_p9_a_call_begins_empty_and_keeps_its_state(line: Line) -> None:
    assert [line.said(call(FIRST)) for _ in range(3)] == ["1", "2", "3"]
    assert line.said(call(SECOND)) == "1"
    assert line.seen[-1].lost is None  # another call's state is not a forged one


def test_p9_texts_and_calls_do_not_see_each_other(line: Line) -> None:
    assert line.said(text("one")) == "1"
    assert line.said(call()) == "1"
    assert line.said(text("two", MessageSid="SM" + "2" * 32, SmsSid="SM" + "2" * 32, SmsMessageSid="SM" + "2" * 32)) == "2"  # fmt: skip
    assert line.said(call()) == "2"
    assert set(line.cookies) <= {"convostate", "convostate_call"}


def test_p9_with_calls_shared_a_call_is_in_the_state_of_the_pair(line: Line) -> None:
    line = Line(line.store, calls="shared")

    assert [line.said(text("one")), line.said(call(FIRST)), line.said(call(SECOND))] == [
        "1",
        "2",
        "3",
    ]
    assert set(line.cookies) <= {"convostate"}
    with pytest.raises(UsageError, match="no pair of phones"):
        line.send(call(From="anonymous"))


@pytest.mark.parametrize(
    "changes",
    [{"From": "anonymous"}, {"From": "+266696687"}, {"Direction": "outbound-dial"}],
    ids=["anonymous", "withheld", "a leg of a dial"],
)
def test_p9_a_call_without_a_pair_has_a_state_too(line: Line, changes: dict[str, str]) -> None:
    assert [line.said(call(FIRST, **changes)), line.said(call(FIRST, **changes))] == ["1", "2"]
    assert line.seen[-1].pair is None
    assert line.said(call(SECOND, **changes)) == "1"


def test_p9_a_recordings_callback_has_its_calls_state(kept: Line) -> None:
    kept.said(call())

    assert kept.said(recording()) == "2"
    assert kept.seen[-1].pair is None
    assert kept.said(recording(SECOND)) == "1"
    assert kept.said(call()) == "3"


def test_p9_a_recordings_callback_does_not_replace_the_cookie_of_its_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It names no pair, and the call's cookie opens for the pair only."""
    line = Line(None)
    line.said(call())

    assert [line.said(recording()), line.said(recording())] == ["1", "1"]
    assert line.seen[-1].lost is None
    assert line.said(call()) == "2"
    assert [record.getMessage() for record in caplog.records] == [
        "writes to the session are dropped: with the cookie store a call's callback has no state"
    ]


def test_p9_a_withheld_callers_recording_has_the_state_of_the_call() -> None:
    line = Line(None)
    line.said(call(From="anonymous"))

    assert [line.said(recording()), line.said(call(From="anonymous"))] == ["2", "3"]


@pytest.mark.parametrize("status", ["completed", "busy", "failed", "no-answer", "canceled"])
def test_p9_a_final_status_leaves_ten_minutes(kept: Line, status: str) -> None:
    kept.said(call())
    assert kept.said(call(CallStatus=status)) == "2"
    assert kept.seen[-1].lifetime == timedelta(minutes=10)

    assert kept.said(recording(), after_s=599) == "3"  # and it does not move the end
    kept.act = len
    assert kept.said(recording(), after_s=1) == "0"
    assert kept.seen[-1].is_new


def test_p9_a_callback_that_begins_a_state_keeps_it_for_ten_minutes(kept: Line) -> None:
    assert kept.said(recording()) == "1"
    assert kept.said(recording(), after_s=599) == "2"
    kept.act = len
    assert kept.said(recording(), after_s=1) == "0"
    assert kept.seen[-1].is_new


def test_p9_a_callback_during_the_call_does_not_shorten_its_life(kept: Line) -> None:
    kept.said(call())
    kept.said(recording(), after_s=60)

    assert kept.said(call(), after_s=3 * 3600) == "3"


def test_p9_a_final_status_begins_nothing(line: Line) -> None:
    with pytest.raises(StateError, match=r"the call is over.*state\.is_new is false"):
        line.send(call(CallStatus="completed"))
    line.act = len
    assert line.said(call(CallStatus="completed")) == "0"
    assert line.cookies == {}


def test_p9_a_call_lives_for_four_hours_at_most(redis: Redis) -> None:
    redis.flushdb()
    line = Line(RedisStore(redis), lifetime=timedelta(hours=4))
    long = Conversations(
        settings(store="redis://unused", account_sid=ACCOUNT, lifetime="30d"), store=line.store
    )
    with long.turn(call_sid=FIRST) as state:
        count(state)
    assert long.peek(call_sid=FIRST) == {"count": 1}

    assert redis.dbsize()
    assert max(redis.pttl(name) for name in redis.scan_iter()) <= 4 * 3600 * 1000


def test_p9_a_worker_takes_turns_in_a_call(kept: Line) -> None:
    kept.said(call())
    with kept.conversations.turn(call_sid=FIRST) as state:
        state["note"] = "from a worker"
        assert state.pair is None
    with kept.conversations.turn(**PAIR, call_sid=FIRST) as state:
        assert (state["note"], state.pair.theirs) == ("from a worker", ADA)

    assert kept.said(call()) == "2"
    assert kept.conversations.peek(call_sid=SECOND) is None
    kept.conversations.end(call_sid=FIRST)
    assert kept.conversations.peek(call_sid=FIRST) is None


@pytest.mark.parametrize("method", ["forget", "end"])
def test_p9_forget_reaches_the_pairs_calls_and_end_does_not(kept: Line, method: str) -> None:
    bobs = "CA" + "3" * 32
    for params in (text(), call(FIRST), call(SECOND), call(bobs, From=BOB)):
        kept.said(params)
    conversations = kept.conversations
    assert [dict(state) for state in conversations.calls(**PAIR)] == [{"count": 1}, {"count": 1}]

    getattr(conversations, method)(**PAIR)
    left = {sid for sid in (FIRST, SECOND, bobs) if conversations.peek(call_sid=sid)}
    assert left == ({bobs} if method == "forget" else {FIRST, SECOND, bobs})
    assert len(conversations.calls(**PAIR)) == (0 if method == "forget" else 2)


def test_p9_a_call_in_flight_does_not_survive_forget(kept: Line) -> None:
    def act(state: State) -> str:
        state["secret"] = True
        kept.conversations.forget(**PAIR)
        return ""

    kept.act = act
    assert kept.send(call()).status == 503
    assert kept.conversations.peek(call_sid=FIRST) is None


def test_p9_a_turn_of_the_pair_inside_its_calls_turn_and_not_the_other_way_round(
    kept: Line,
) -> None:
    def text_the_caller(state: State) -> int:
        with kept.conversations.turn(**PAIR) as texts:
            texts["called"] = True
        return count(state)

    kept.act = text_the_caller
    assert kept.said(call()) == "1"
    assert kept.conversations.peek(**PAIR) == {"called": True}

    named: dict[str, Any]
    for named in ({}, PAIR):
        with (
            kept.conversations.turn(**PAIR),
            pytest.raises(UsageError, match="Take the call's turn first"),
            kept.conversations.turn(**named, call_sid=FIRST),
        ):
            pass
    with (
        kept.conversations.turn(**PAIR),
        kept.conversations.turn(**{**PAIR, "theirs": BOB}, call_sid=SECOND),
    ):
        pass  # another pair's call


def test_p9_a_second_turn_of_a_call_in_its_own_turn_is_refused(kept: Line) -> None:
    with (
        kept.conversations.turn(call_sid=FIRST),
        pytest.raises(UsageError, match="runs here already"),
        kept.conversations.turn(call_sid=FIRST),
    ):
        pass


def test_p9_a_calls_token_does_not_open_elsewhere(line: Line) -> None:
    """Not as the pair's, and not for another caller."""
    line.said(text())
    line.said(call())
    if line.store is None:
        line.cookies = {"convostate": line.cookies["convostate_call"], "convostate_call": line.cookies["convostate"]}  # fmt: skip
        assert line.said(call()) == "1"
        assert line.seen[-1].lost.reason == "forged"
        line.cookies["convostate_call"] = line.cookies.pop("convostate")
        assert line.said(call(From=BOB)) == "1"
    else:
        assert line.said(call(SECOND, From=BOB)) == "1"


def test_p9_nothing_in_redis_shows_a_call(redis: Redis) -> None:
    redis.flushdb()
    line = Line(RedisStore(redis))
    line.said(call())

    names = [name.decode() for name in redis.scan_iter()]
    assert len(names) == 3  # its state, that its turn is over, and the list of its pair
    assert all(redis.pttl(name) > 0 for name in names)
    stored = "".join(names) + str(redis.lrange(next(n for n in names if n.endswith("c")), 0, -1))
    assert not any(shown in stored for shown in (FIRST, ADA[1:], US[1:], ACCOUNT))


@pytest.mark.parametrize("sid", [5, "\n", " CA1", "x" * 300])
def test_p9_what_is_not_the_sid_of_a_call_is_a_usage_error(sid: Any) -> None:
    kept = settings(store="memory", account_sid=ACCOUNT)
    conversations = Conversations(kept, store=MemoryStore())
    with pytest.raises(UsageError, match=r"^call_sid is not the SID of a call\. .*CA…$"):
        conversations.peek(call_sid=sid)
