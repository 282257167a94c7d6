"""A state too large for a cookie, ended, shortened, or beside a cookie of the app's own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.http import parse_cookie

from convostate import StateError, UsageError
from convostate.stores.cookie import COOKIE_BYTES
from tests.served import XML, serve, signed, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate import State
    from tests.served import Served

pytestmark = pytest.mark.usefixtures("both_doors")


def turn(do: Callable[[State], object], cookie: str = "", **changes: Any) -> Served:
    """One text whose handler does something with its state; answers with the state's items."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        do(environ["convostate.state"])
        start_response("200 OK", list(XML))
        return [repr(dict(environ["convostate.state"])).encode()]

    return serve(
        wrapped(app, **changes), signed(HTTP_COOKIE=f"convostate={cookie}" if cookie else None)
    )


def look(state: State) -> None:
    """Read only."""


def sized(size: int) -> Callable[[State], object]:
    return lambda state: state.update(text="x" * size)


@pytest.mark.parametrize("name", ["convostate", "a", "a" * 64])
def test_a_cookie_goes_up_to_4096_bytes_and_not_a_byte_over(name: str) -> None:
    def fits(size: int) -> int:
        try:
            return len(turn(sized(size), cookie_name=name).headers["Set-Cookie"])
        except StateError:
            return 0

    low, high = 0, 4096
    while high - low > 1:  # bytes: the largest that fits, and the smallest that does not
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)

    # A token grows by 64 bytes at once, which are 85 or 86 characters.
    assert COOKIE_BYTES - 86 < fits(low) <= COOKIE_BYTES
    assert parse_cookie(f"{name}={turn(sized(low), cookie_name=name).cookie}")
    with pytest.raises(StateError, match="too large for a cookie"):
        turn(sized(high), cookie_name=name)


def test_a_state_too_large_names_its_heaviest_keys_and_the_old_state_stays() -> None:
    cookie = turn(lambda state: state.update(n=1)).cookie

    def grow(state: State) -> None:
        state |= {"n": 2, "history": ["secret-word"] * 300, "photo": b"x" * 2000, "name": "Ada"}

    with pytest.raises(StateError) as raised:
        turn(grow, cookie)

    message = str(raised.value)
    assert message.index("history") < message.index("photo (20")
    assert "bytes" in message
    assert "CONVOSTATE_STORE=redis://" in message
    assert "secret-word" not in message
    assert turn(look, cookie).body == b"{'n': 1}"


@pytest.mark.parametrize(("value", "place"), [
    (object(), r"\$\.cart\[1\]\.x is a object"), (float("nan"), r"\$\.cart\[1\]\.x"),
    ("\ud800", "surrogate"), (type("Sub", (dict,), {})(), r"\$\.cart\[1\]\.x is a .*Sub"),
], ids=["object", "NaN", "surrogate", "subclass"])  # fmt: skip
def test_a38_what_cannot_be_kept_is_an_error_of_the_apps_that_names_its_place(
    value: object, place: str
) -> None:
    cookie = turn(lambda state: state.update(n=1)).cookie

    with pytest.raises(StateError, match=place):
        turn(lambda state: state.update(cart=[1, {"x": value}]), cookie)
    assert turn(look, cookie).body == b"{'n': 1}"


def keeping(value: object) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["convostate.state"]["value"] = value
        start_response("200 OK", list(XML))
        return []

    return app


def test_a38_cyclic_deep_and_huge_states_are_errors_and_no_crash() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]

    for value in (cyclic, deep, "x" * 10_000_000, 1 << 1_000_000, list(range(100_000))):
        with pytest.raises(StateError):
            serve(wrapped(keeping(value)), signed())


def test_a38_keys_that_look_alike_stay_apart() -> None:
    cookie = turn(lambda state: state.update({1: "int", "1": "str", 1 << 70: "long"})).cookie

    assert turn(look, cookie).body == repr({1: "int", "1": "str", 1 << 70: "long"}).encode()


def test_an_ended_conversation_is_a_sealed_nothing_and_the_next_text_begins_a_new_one() -> None:
    seen: list[Any] = []
    cookie = turn(lambda state: state.update(n=1)).cookie
    ended = turn(lambda state: state.end(), cookie)

    assert ended.cookie
    assert "Max-Age=14400" in ended.headers["Set-Cookie"]
    assert turn(lambda state: seen.extend([state.is_new, state.lost]), ended.cookie).body == b"{}"
    assert seen == [True, None]


def test_after_the_end_the_same_turn_writes_nothing_more() -> None:
    def end_and_write(state: State) -> None:
        state.end()
        state["n"] = 1

    with pytest.raises(UsageError, match="has been ended"):
        turn(end_and_write)


def test_a_conversation_that_is_only_looked_at_leaves_no_cookie() -> None:
    assert turn(look).cookie == ""
    assert turn(lambda state: state.clear()).cookie
    cookie = turn(lambda state: state.update(n=1)).cookie
    assert turn(look, cookie).cookie


def test_a_lifetime_of_one_conversation_is_the_cookies_too() -> None:
    def shorten(state: State) -> None:
        state["n"] = 1
        state.lifetime = timedelta(minutes=5)

    served = turn(shorten)

    assert "Max-Age=300;" in served.headers["Set-Cookie"]
    assert "Expires=Tue, 14 Nov 2023 22:18:20 GMT" in served.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "lifetime", [timedelta(hours=5), timedelta(0), timedelta(seconds=-1), 300, None]
)
def test_a_lifetime_is_shorter_only(lifetime: Any) -> None:
    with pytest.raises(UsageError, match=r"state\.lifetime takes"):
        turn(lambda state: setattr(state, "lifetime", lifetime))


def test_a_cookie_that_the_app_sets_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["convostate.state"]["n"] = 1
        start_response("200 OK", [*XML, ("Set-Cookie", "own-secret=1"), ("set-cookie", "b=2")])
        return [b""]

    middleware = wrapped(app)
    for _ in range(3):
        serve(middleware, signed())

    [record] = caplog.records
    assert "one cookie only" in record.getMessage()
    assert "own-secret" not in record.getMessage()


def test_at_a_store_of_the_servers_the_app_may_set_cookies(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [*XML, ("Set-Cookie", "own=1")])
        return [b""]

    serve(wrapped(app, store="memory"), signed())

    assert caplog.records == []
