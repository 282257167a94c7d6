"""What every framework's session promises, kept by the one that is a conversation's state."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from starlette.middleware import sessions

from convostate import StateError
from tests.apps.turns import APPS, OWN_LESS, Turns

if TYPE_CHECKING:
    from collections.abc import Callable


every_framework = pytest.mark.parametrize("app", APPS.values(), ids=APPS)


@pytest.fixture(params=APPS)
def turns(request: pytest.FixtureRequest) -> Turns:
    return Turns(APPS[request.param])


def put(**items: Any) -> Callable[[Any], None]:
    return lambda session: session.update(items)


def every(session: Any) -> dict[Any, Any]:
    return dict(session.items())


def test_what_is_set_is_there_in_the_next_turn_and_what_is_deleted_is_not(turns: Turns) -> None:
    turns.turn(lambda session: session.__setitem__("name", "Ada"))
    assert turns.turn(lambda session: session["name"]) == "Ada"

    turns.turn(lambda session: session.__setitem__("name", "Grace"))
    assert turns.turn(every) == {"name": "Grace"}

    turns.turn(lambda session: session.__delitem__("name"))
    assert turns.turn(every) == {}


def test_the_session_is_the_state(turns: Turns) -> None:
    turns.turn(put(name="Ada"))

    assert turns.state == {"name": "Ada"}


def test_a_change_within_an_item_is_kept_without_a_word(turns: Turns) -> None:
    turns.turn(put(cart={"items": [1]}))
    turns.turn(lambda session: session["cart"]["items"].append(2))

    assert turns.turn(every) == {"cart": {"items": [1, 2]}}


def test_what_was_taken_out_of_a_failed_turn_is_still_there(turns: Turns) -> None:
    turns.turn(put(cart=[1]))

    def fail(session: Any) -> None:
        session["cart"].append(2)
        del session["cart"]
        raise KeyboardInterrupt  # no framework makes a page of it

    with pytest.raises(KeyboardInterrupt):
        turns.turn(fail)

    assert turns.turn(every) == {"cart": [1]}


def test_reading_gives_what_a_dict_gives(turns: Turns) -> None:
    turns.turn(put(a=1, b=None))

    def read(session: Any) -> None:
        assert session["a"] == session.get("a") == 1
        assert session.get("c") is None
        assert session.get("c", 3) == 3
        assert "a" in session
        assert "b" in session
        assert "c" not in session
        with pytest.raises(KeyError):
            session["c"]
        assert list(session.keys()) == ["a", "b"]
        assert list(session.values()) == [1, None]
        assert list(session.items()) == [("a", 1), ("b", None)]

    turns.turn(read)


def test_writing_does_what_a_dict_does(turns: Turns) -> None:
    turns.turn(put(a=1, b=2))

    def write(session: Any) -> None:
        assert session.pop("a") == 1
        assert session.pop("a", 5) == 5
        with pytest.raises(KeyError):
            session.pop("a")
        with pytest.raises(KeyError):
            del session["a"]
        assert session.setdefault("b", 7) == 2
        session.setdefault("c", []).append(7)
        session.update({"d": 4})

    turns.turn(write)

    assert turns.turn(every) == {"b": 2, "c": [7], "d": 4}


def test_a_cleared_session_is_empty_and_can_be_filled_again(turns: Turns) -> None:
    turns.turn(put(a=1))

    def renew(session: Any) -> None:
        session.clear()
        assert every(session) == {}
        session["b"] = 2

    turns.turn(renew)
    assert turns.turn(every) == {"b": 2}

    turns.turn(lambda session: session.clear())
    assert turns.turn(every) == {}


TYPES: dict[str, Any] = {
    "tuple": (1, ("a", [2])),
    "uuid": UUID("12345678123456781234567812345678"),
    "aware": datetime(2026, 7, 31, 9, 0, 0, 123456, timezone(timedelta(hours=2))),
    "utc": datetime(2026, 7, 31, tzinfo=timezone.utc),
    "bytes": b"\x00\xff",
    "date": date(2026, 7, 31),
    "decimal": Decimal("3.50"),
    "set": {1, 2},
    "dict": {" t": 1, "nested": {"di": None, 3: "three"}},
    "numbers": [True, 1, 1.5, 2**70],
}


def with_types(value: Any) -> Any:
    """The value with the type of every part, because 1 == True == 1.0."""
    if isinstance(value, dict):
        return {key: with_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), [with_types(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("store", ["memory", "cookie"])
@every_framework
def test_values_come_back_equal_and_of_their_types(app: Any, store: str) -> None:
    turns = Turns(app, store=store)
    turns.turn(put(**TYPES))

    back = turns.turn(every)

    assert with_types(back) == with_types(TYPES)
    for name in ("aware", "utc"):
        assert back[name].isoformat() == TYPES[name].isoformat()


def test_a_value_that_cannot_be_kept_is_an_error_that_names_its_place(turns: Turns) -> None:
    turns.turn(put(cart=[1]))

    with pytest.raises(StateError, match=r"at \$\.cart\[1\]\.it is a object"):
        turns.turn(lambda session: session["cart"].append({"it": object()}))

    assert turns.turn(every) == {"cart": [1]}


def test_a_browser_has_its_own_session_and_never_a_conversation(turns: Turns) -> None:
    turns.turn(put(name="Ada"))
    assert turns.visit(every) == {}

    turns.visit(put(user="admin"))

    assert turns.visit(every) == {"user": "admin"}
    assert turns.turn(every) == {"name": "Ada"}


def test_a_webhook_sets_no_cookie_of_the_frameworks(turns: Turns) -> None:
    turns.turn(put(name="Ada"))

    assert turns.reply.headers.getlist("Set-Cookie") == []  # the memory store needs none
    assert turns.reply.headers["Cache-Control"] == "no-store"


@every_framework
def test_with_the_cookie_store_the_one_cookie_is_the_conversations(app: Any) -> None:
    turns = Turns(app, store="cookie")
    turns.turn(put(name="Ada L."))

    (cookie,) = turns.reply.headers.getlist("Set-Cookie")
    assert cookie.startswith("convostate=")
    assert turns.reply.headers.getlist("Vary") == ["Cookie"]
    assert "Ada L." not in cookie


@every_framework
def test_a_session_cookie_from_before_is_neither_read_nor_answered(app: Any) -> None:
    turns = Turns(app)
    turns.visit(put(user="admin"))
    ((name, _, value),) = turns.browser_cookies
    turns.phone.jar.put(name, value)

    assert turns.turn(every) == {}
    turns.turn(put(name="Ada"))

    cookies = turns.reply.headers.getlist("Set-Cookie")
    if not hasattr(
        sessions, "Session"
    ):  # before 1.0 Starlette answers its own cookie with the same
        cookies = [each for each in cookies if f"{name}={value.partition('.')[0]}" not in each]
    assert cookies == []


def test_a_message_status_reads_the_session_and_writes_if_there_is_a_conversation(
    turns: Turns,
) -> None:
    turns.turn(put(name="Ada"))
    assert turns.status(every) == {"name": "Ada"}

    turns.status(put(name="Grace"))

    assert turns.turn(every) == {"name": "Grace"}


WRITES: dict[str, Callable[[Any], Any]] = {
    "set": put(seen=1),
    "in place": lambda session: session.setdefault("seen", []).append(1),
    "clear": lambda session: session.clear(),
    "pop": lambda session: session.pop("name", None),
    "what no session keeps": put(seen=object()),
}


@pytest.mark.parametrize("store", ["memory", "cookie"])
@pytest.mark.parametrize("write", WRITES)
@every_framework
def test_g12_a_message_status_drops_what_it_cannot_keep_and_says_so_once(
    app: Any, store: str, write: str, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(app, store=store)
    if store == "cookie":
        turns.turn(put(name="Ada"))

    for _ in range(2):
        turns.status(lambda session: (put(before=1)(session), WRITES[write](session)))

    (line,) = (line for line in caplog.messages if "dropped" in line)
    assert line.startswith("writes to the session are dropped: this state is read-only")
    assert ("CONVOSTATE_STORE=redis://" in line) is (store == "cookie")
    assert turns.turn(every) == ({"name": "Ada"} if store == "cookie" else {})


@every_framework
def test_g12_a_message_status_sees_in_the_session_what_it_wrote(app: Any) -> None:
    turns = Turns(app, store="cookie")

    def write(session: Any) -> Any:
        session["step"] = 1
        session["step"] += 1
        return session["step"], "step" in session, every(session)

    assert turns.status(write) == (2, True, {"step": 2})


@every_framework
def test_g12_a_message_status_that_only_reads_logs_nothing(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert Turns(app, store="cookie").status(lambda session: session.get("a")) is None

    assert caplog.messages == []


def pairless(turns: Turns, step: Callable[[Any], Any]) -> Any:
    """Run `step` in a webhook that belongs to no conversation: a recording's."""
    turns._step = step
    assert (
        turns.phone.call(To=None, From=None, CallSid=None, RecordingSid="RE" + "0" * 32).status
        == 200
    )
    return turns._result


@pytest.mark.parametrize("make", OWN_LESS.values(), ids=OWN_LESS)
def test_g4_without_a_conversation_and_sessions_of_its_own_an_app_runs_all_the_same(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    turns = Turns(make)

    def count(session: Any) -> Any:
        session["n"] = session.get("n", 0) + 1
        return session["n"]

    assert [pairless(turns, count) for _ in range(2)] == [1, 1]
    (line,) = caplog.messages
    assert "belongs to no conversation, and the app has no sessions of its own" in line
    assert turns.turn(every) == {}


@pytest.mark.parametrize(
    "caller", ["anonymous", "Private Number", "sip:anonymous@anonymous.invalid"]
)
@pytest.mark.parametrize("calls", ["own", "shared"])
@pytest.mark.parametrize("make", OWN_LESS.values(), ids=OWN_LESS)
def test_g4_a_caller_without_a_name_is_answered(make: Any, calls: str, caller: str) -> None:
    turns = Turns(make, calls=calls)
    turns._step = put(n=1)

    assert turns.phone.call(From=caller).status == 200


def test_a_webhook_without_a_pair_has_the_frameworks_own_session(turns: Turns) -> None:
    turns.turn(put(name="Ada"))

    assert turns.status(every) == {"name": "Ada"}
    assert pairless(turns, every) == {}
