"""What the table of threats says of each holder, where no other file tries it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convostate.stores import RedisStore
from tests.documentation import section
from tests.served import (
    ADA,
    BOB,
    KEY,
    OTHER_KEY,
    Served,
    bare,
    counting,
    serve,
    signed,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

HERE = Path(__file__).parent


def rows() -> Iterator[list[str]]:
    """The cells of each row of the table."""
    for line in section("security", "Threats").splitlines():
        if line.startswith("| ") and not line.startswith("| who | holds |"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def test_each_claim_names_tests_that_are_there() -> None:
    for row in rows():
        assert len(row) == 6, row
        assert all(row), row
        named = re.findall(r"`([^`]+)`", row[-1])
        assert named, row
        for each in named:
            file, _, function = each.partition("::")
            assert f"def {function or 'test_'}" in (HERE / file).read_text(encoding="utf-8"), each


def test_everybody_of_the_model_has_a_row() -> None:
    who = " ".join(row[0] for row in rows())

    for holder in ("anybody", "texts", "signature", "auth token", "sealing key", "reads Redis", "writes Redis",
                   "Twilio", "subaccount", "same account", "on your host", "logs"):  # fmt: skip
        assert holder in who


def ask(body: str = "hello", cookie: str = "", sender: str = ADA, **changes: Any) -> Served:
    """A text in an installation of its own: the settings are all that it shares with the others."""
    environ = signed(text(body, From=sender))
    if cookie:
        environ["HTTP_COOKIE"] = f"convostate={cookie}"
    return serve(wrapped(counting, **changes), environ)


def test_with_the_auth_token_one_calls_as_anybody_and_makes_no_state() -> None:
    theirs = ask(sender=BOB, keys=OTHER_KEY)
    assert (theirs.status, theirs.body) == (200, b"1")

    assert ask(sender=BOB, cookie=ask(sender=BOB).cookie).body == b"2"
    assert (
        ask(sender=BOB, cookie=theirs.cookie).body == b"1"
    )  # sealed with a key of the thief's own


def test_with_a_sealing_key_one_makes_states_and_calls_nothing() -> None:
    made = ask(keys=KEY).cookie

    assert ask(cookie=made).body == b"2"
    unsigned = bare(body=b"From=%2B15550100001", HTTP_COOKIE=f"convostate={made}")
    assert serve(wrapped(counting), unsigned).status == 403
    assert ask(cookie=made, keys=OTHER_KEY).body == b"1"  # the key is out of the ring


def test_a_recorded_cookie_goes_back_only_to_its_own_pair() -> None:
    first = ask()
    second = ask("again", first.cookie)
    assert (first.body, second.body) == (b"1", b"2")

    assert ask("later", first.cookie).body == b"2"  # what the cookie cannot promise
    assert ask("later", second.cookie).body == b"3"
    assert ask("later", first.cookie, sender=BOB).body == b"1"


class Shared:
    """An installation on a Redis that somebody else writes to as well."""

    def __init__(self, redis: Redis) -> None:
        redis.flushall()
        self.redis = redis
        self.middleware = wrapped(counting, store=RedisStore(redis))

    def ask(self, body: str, sender: str = ADA) -> bytes:
        """A text that is new, and the number that the app answers."""
        environ = signed(text(body, From=sender)) | {"convostate.clock": time.time}
        return serve(self.middleware, environ, outside=False).body

    def states(self) -> list[Any]:
        """The names of the sealed states."""
        return list(self.redis.keys("cs1:*}"))

    def close(self) -> None:
        self.middleware.store._turns.clients.current().moved()  # type: ignore[attr-defined]


@pytest.fixture
def shared(redis: Redis) -> Iterator[Shared]:
    made = Shared(redis)
    yield made
    made.close()


def test_a_value_moved_to_another_conversation_does_not_open(shared: Shared) -> None:
    shared.ask("one")
    [adas] = shared.states()
    shared.ask("two")
    shared.ask("one", BOB)
    [bobs] = set(shared.states()) - {adas}

    shared.redis.copy(adas, bobs, replace=True)

    assert shared.ask("two", BOB) == b"1"
    assert shared.ask("three") == b"3"


def test_a_changed_value_does_not_open_and_an_older_one_does(shared: Shared) -> None:
    shared.ask("one")
    [name] = shared.states()
    older: Any = shared.redis.get(name)
    assert shared.ask("two") == b"2"

    shared.redis.set(name, older, ex=60)
    assert shared.ask("three") == b"2"  # what does not stop who writes Redis
    shared.redis.set(name, older[:-1] + bytes([older[-1] ^ 1]), ex=60)
    assert shared.ask("four") == b"1"
    shared.redis.delete(name)
    assert shared.ask("five") == b"1"


def test_a_recorded_reply_answers_its_own_request_only(shared: Shared) -> None:
    shared.ask("one")
    shared.ask("two")
    [first] = older(shared.redis)
    shared.ask("three")
    [second] = set(older(shared.redis)) - {first}
    assert (shared.ask("one"), shared.ask("two")) == (b"1", b"2")  # from the record

    shared.redis.copy(first, second, replace=True)

    assert shared.ask("one") == b"1"
    assert shared.ask("two") == b""  # neither another's reply, nor the app a second time


def older(redis: Redis) -> list[Any]:
    """The names of the recorded replies, but for the newest."""
    return list(redis.keys("cs1:*}r?*"))


def test_an_account_reaches_the_app_in_its_own_name_and_no_state_of_anothers() -> None:
    accounts = {f"AC{name * 32}": f"token-of-{name}" for name in "ab"}
    middleware = wrapped(counting, auth_token=None, account_tokens=accounts, store="memory")

    def asking(signs: str, named: str) -> Served:
        params = text(AccountSid=f"AC{named * 32}", ProfileName=f"{time.monotonic_ns()}")
        return serve(middleware, signed(params, token=f"token-of-{signs}"))

    assert [asking("a", "a").body, asking("a", "a").body] == [b"1", b"2"]
    assert asking("b", "b").body == b"1"
    assert asking("b", "a").status == 403
