"""Late writes: a change of the state is kept, or the app hears of it; it is never lost in silence."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from convostate import State, UsageError, state_from
from tests.served import XML, Closing, answering, serve, signed, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("both_doors")


def kept(app: Any) -> dict[Any, Any]:
    """What the conversation remembers after one text."""
    seen: list[dict[Any, Any]] = []

    def looking(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(dict(state_from(environ)))
        start_response("200 OK", list(XML))
        return [b""]

    cookie = serve(wrapped(app), signed()).cookie
    serve(wrapped(looking), signed(HTTP_COOKIE=f"convostate={cookie}"))
    return seen[0]


def test_w13_a_write_before_start_response_is_kept() -> None:
    assert kept(answering([b"<Response/>"])) == {"seen": True}


def test_w13_a_write_after_start_response_is_kept() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(XML))
        state_from(environ)["n"] = 1
        return [b"<Response/>"]

    assert kept(app) == {"n": 1}


def test_w13_a_write_in_a_generator_is_kept() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(XML))
        yield b"<Respon"
        state_from(environ)["n"] = 1
        yield b"se/>"
        state_from(environ)["m"] = 2

    assert kept(app) == {"n": 1, "m": 2}


def test_w13_a_write_in_close_is_kept() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        class Writing(Closing):
            def close(self) -> None:
                state_from(environ)["n"] = 1

        start_response("200 OK", list(XML))
        return Writing(b"<Response/>")

    assert kept(app) == {"n": 1}


def test_w13_a_write_in_a_thread_that_ends_before_the_app_is_kept() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        thread = threading.Thread(target=state_from(environ).update, args=({"n": 1},))
        thread.start()
        thread.join()
        start_response("200 OK", list(XML))
        return [b"<Response/>"]

    assert kept(app) == {"n": 1}


CHANGES: dict[str, Callable[[State], object]] = {
    "set": lambda state: state.__setitem__("n", 1),
    "delete": lambda state: state.__delitem__("seen"),
    "update": lambda state: state.update(n=1),
    "or": lambda state: state.__ior__({"n": 1}),
    "setdefault": lambda state: state.setdefault("n", 1),
    "pop": lambda state: state.pop("seen"),
    "pop with a default": lambda state: state.pop("nothing", None),
    "popitem": lambda state: state.popitem(),
    "clear": lambda state: state.clear(),
    "lifetime": lambda state: setattr(state, "lifetime", state.lifetime),
    "end": lambda state: state.end(),
}


def left_behind(status: str = "200 OK") -> State:
    """The state of a turn that is over, as an app may keep it."""
    states: list[State] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        states.append(state_from(environ))
        states[0]["seen"] = True
        start_response(status, list(XML))
        return [b""]

    serve(wrapped(app), signed())
    return states[0]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
def test_w13_a_write_after_the_turn_raises_and_changes_nothing(
    change: Callable[[State], object], status: str
) -> None:
    state = left_behind(status)

    with pytest.raises(UsageError, match="The turn is over"):
        change(state)
    assert state == {"seen": True}


def test_w13_a_write_of_a_thread_that_outlives_the_turn_raises() -> None:
    state, raised = left_behind(), []  # type: State, list[BaseException]

    def write() -> None:
        try:
            state["n"] = 1
        except UsageError as error:
            raised.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()

    assert len(raised) == 1


def test_w13_a_state_may_be_read_after_the_turn() -> None:
    state = left_behind()

    assert state["seen"] is True
    assert state.is_new


def test_w13_after_an_exception_the_state_takes_no_writes_either() -> None:
    states: list[State] = []

    def app(environ: Any, _start_response: Any) -> Any:
        states.append(state_from(environ))
        raise LookupError

    with pytest.raises(LookupError):
        serve(wrapped(app, inside=False), signed())
    with pytest.raises(UsageError, match="The turn is over"):
        states[0]["n"] = 1


def test_w14_a_change_deep_inside_is_kept() -> None:
    def first(environ: Any, start_response: Any) -> list[bytes]:
        state_from(environ)["cart"] = {"items": [{"n": 1}], "seen": {1}}
        start_response("200 OK", list(XML))
        return [b""]

    def second(environ: Any, start_response: Any) -> list[bytes]:
        cart = state_from(environ)["cart"]
        seen.append(repr(cart))
        cart["items"][0]["n"] += 1
        cart["items"].append({})
        cart["seen"].add(2)
        start_response("200 OK", list(XML))
        return [b""]

    seen: list[str] = []
    cookie = serve(wrapped(first), signed()).cookie
    for _ in range(2):
        cookie = serve(wrapped(second), signed(HTTP_COOKIE=f"convostate={cookie}")).cookie

    assert seen == [
        "{'items': [{'n': 1}], 'seen': {1}}",
        "{'items': [{'n': 2}, {}], 'seen': {1, 2}}",
    ]


def test_w14_a_value_that_two_turns_share_does_not_leak_from_one_to_the_other() -> None:
    shared: list[int] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        state_from(environ).setdefault("list", shared).append(1)
        start_response("200 OK", list(XML))
        return [str(len(state_from(environ)["list"])).encode()]

    middleware = wrapped(app)
    cookie = serve(middleware, signed()).cookie
    shared.clear()

    assert serve(middleware, signed(HTTP_COOKIE=f"convostate={cookie}")).body == b"2"
