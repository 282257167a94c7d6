"""`request.session` in a Django webhook keeps what Django documents."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.backends.base import SessionBase
from django.test.utils import override_settings

from tests.apps import django_project
from tests.apps.turns import Turns, django_app

if TYPE_CHECKING:
    from collections.abc import Callable

django_project.configure()


@pytest.fixture
def turns() -> Turns:
    return Turns(django_app)


def put(**items: Any) -> Callable[[Any], None]:
    return lambda session: session.update(items)


def every(session: Any) -> dict[Any, Any]:
    return dict(session.items())


def test_a_new_session_was_neither_read_nor_changed(turns: Turns) -> None:
    assert turns.turn(lambda session: (session.accessed, session.modified)) == (False, False)


TOUCHES: dict[str, tuple[Any, bool]] = {
    "get": (lambda session: session.get("a"), False),
    "items": (lambda session: list(session.items()), False),
    "has_key": (lambda session: session.has_key("a"), False),
    "set": (lambda session: session.__setitem__("b", 1), True),
    "pop": (lambda session: session.pop("a"), True),
    "pop nothing": (lambda session: session.pop("b", None), False),
    "pop default by name": (lambda session: session.pop("b", default=None), False),
    "setdefault": (lambda session: session.setdefault("b", 1), True),
    "setdefault of what is there": (lambda session: session.setdefault("a", 2), False),
    "update": (lambda session: session.update({"b": 1}), True),
    "clear": (lambda session: session.clear(), True),
    "cycle_key": (lambda session: session.cycle_key(), True),
    "flush": (lambda session: session.flush(), True),
}


@pytest.mark.parametrize("name", TOUCHES)
def test_accessed_and_modified_say_what_was_done(turns: Turns, name: str) -> None:
    touch, modifies = TOUCHES[name]
    turns.turn(put(a=1))

    def look(session: Any) -> Any:
        touch(session)
        return session.accessed, session.modified

    assert turns.turn(look) == (True, modifies)


def test_it_is_one_of_djangos_sessions(turns: Turns) -> None:
    public = {name for name in dir(SessionBase) if not name.startswith("_")}

    def look(session: Any) -> None:
        assert isinstance(session, SessionBase)
        assert {name for name in public if not hasattr(session, name)} == set()
        assert session.decode(session.encode({"a": 1})) == {"a": 1}

    turns.turn(look)


def test_is_empty_until_there_is_an_item(turns: Turns) -> None:
    assert turns.turn(lambda session: session.is_empty()) is True
    turns.turn(put(a=1))
    assert turns.turn(lambda session: session.is_empty()) is False


def test_the_test_cookie_worked_in_the_second_turn(turns: Turns) -> None:
    assert turns.turn(lambda session: session.test_cookie_worked()) is False
    turns.turn(lambda session: session.set_test_cookie())
    assert turns.turn(lambda session: session.test_cookie_worked()) is True
    turns.turn(lambda session: session.delete_test_cookie())
    assert turns.turn(lambda session: session.test_cookie_worked()) is False


def test_a_key_is_made_when_it_is_asked_for_and_stays(turns: Turns) -> None:
    assert turns.turn(lambda session: session.session_key) is None
    turns.turn(lambda session: (put(a=1)(session), session.save()))
    key = turns.turn(lambda session: session.session_key)

    assert re.fullmatch("[a-z0-9]{32}", key)
    assert turns.turn(lambda session: (session.save(), session.session_key)[1]) == key
    assert turns.turn(lambda session: (session.exists(key), session.exists("x" * 32))) == (
        True,
        False,
    )
    assert turns.turn(lambda session: session["a"]) == 1


def test_e15_from_the_second_turn_on_a_session_has_a_key_as_a_saved_one(turns: Turns) -> None:
    assert turns.turn(lambda session: (put(a=1)(session), session.session_key)[1]) is None
    assert turns.turn(every) == {"a": 1}  # nobody asked, so the state has none
    key = turns.turn(lambda session: session.session_key)

    assert re.fullmatch("[a-z0-9]{32}", key)
    assert turns.turn(lambda session: (session.session_key, every(session))) == (key, {"a": 1})

    def flush(session: Any) -> Any:
        session.flush()
        return session.session_key, session.exists(session.session_key)

    assert turns.turn(flush) == (None, False)
    assert turns.turn(lambda session: session.session_key) not in (None, key)


def test_e15_a_message_status_that_can_keep_nothing_makes_no_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    turns = Turns(django_app, store="cookie")
    turns.turn(put(a=1))

    assert turns.status(lambda session: session.session_key) is None
    assert caplog.messages == []


def test_a_session_is_loaded_as_a_dict(turns: Turns) -> None:
    turns.turn(lambda session: (put(a=1)(session), session.save()))

    assert turns.turn(lambda session: (session.load(), type(session.load()))) == ({"a": 1}, dict)


def test_the_session_key_cannot_be_set_and_a_short_one_is_none(turns: Turns) -> None:
    def refused(session: Any) -> None:
        with pytest.raises(AttributeError):
            session.session_key = "another"
        session._session_key = "short"
        assert session.session_key is session._session_key is None

    turns.turn(refused)


def test_cycle_key_makes_another_and_keeps_the_items(turns: Turns) -> None:
    turns.turn(lambda session: (session.create(), put(a=1)(session)))
    key = turns.turn(lambda session: session.session_key)

    turns.turn(lambda session: session.cycle_key())

    assert turns.turn(lambda session: session.session_key) not in (key, None)
    assert turns.turn(lambda session: session["a"]) == 1


def test_flush_takes_the_items_and_the_key_and_the_session_goes_on(turns: Turns) -> None:
    turns.turn(lambda session: (session.create(), put(a=1)(session)))

    def flush(session: Any) -> None:
        session.flush()
        assert session.session_key is None
        assert session.is_empty()
        session["b"] = 2

    turns.turn(flush)

    assert turns.turn(every) == {"b": 2}


def test_clear_keeps_the_key_and_delete_spares_another_ones(turns: Turns) -> None:
    turns.turn(lambda session: (session.create(), put(a=1)(session)))
    key = turns.turn(lambda session: session.session_key)

    assert turns.turn(lambda session: (session.delete("x" * 32), session["a"])[1]) == 1
    turns.turn(lambda session: session.clear())
    assert turns.turn(lambda session: session.session_key) == key

    def delete(session: Any) -> None:
        session.delete(key)
        assert not session.exists(key)
        assert not session.exists(session.session_key)

    turns.turn(delete)
    assert turns.turn(every) == {}


HOURS_4 = 4 * 3600


def test_without_an_expiry_the_lifetime_of_the_settings_holds(turns: Turns) -> None:
    def look(session: Any) -> Any:
        left = session.get_expiry_date() - datetime.fromtimestamp(
            turns.twilio.clock(), timezone.utc
        )
        return session.get_expiry_age(), left, session.get_expire_at_browser_close()

    assert turns.turn(look) == (HOURS_4, timedelta(hours=4), False)


@pytest.mark.parametrize("value", [600, timedelta(minutes=10), "in 10 minutes"])
def test_set_expiry_shortens_the_lifetime(turns: Turns, value: Any) -> None:
    if value == "in 10 minutes":
        value = datetime.fromtimestamp(turns.twilio.clock(), timezone.utc) + timedelta(minutes=10)
    turns.turn(lambda session: (put(a=1)(session), session.set_expiry(value)))
    assert turns.turn(lambda session: session.get_expiry_age()) == 600
    date = turns.turn(lambda session: session.get_expiry_date())
    assert date.timestamp() == pytest.approx(turns.twilio.clock() + 600, abs=0.001)

    turns.twilio.clock.advance(minutes=9)
    assert turns.turn(lambda session: session["a"]) == 1
    turns.twilio.clock.advance(minutes=9)
    # Seconds count from the last text, a moment stands.
    assert turns.turn(every) == ({"a": 1, "_session_expiry": 600} if value == 600 else {})
    turns.twilio.clock.advance(minutes=11)
    assert turns.turn(every) == {}


@pytest.mark.parametrize("value", [0, None, 30 * 24 * 3600])
def test_set_expiry_never_lengthens_the_lifetime(turns: Turns, value: int | None) -> None:
    turns.turn(lambda session: (session.set_expiry(600), put(a=1)(session)))
    turns.turn(lambda session: session.set_expiry(value))
    assert turns.turn(lambda session: session.get_expiry_age()) == HOURS_4
    date = turns.turn(lambda session: session.get_expiry_date())
    assert date.timestamp() == turns.twilio.clock() + HOURS_4

    turns.twilio.clock.advance(hours=3, minutes=59)
    assert turns.turn(lambda session: session["a"]) == 1
    assert turns.turn(lambda session: session.get_expire_at_browser_close()) is (value == 0)
    turns.twilio.clock.advance(hours=4, seconds=1)
    assert turns.turn(every) == {}


@pytest.mark.parametrize(
    "value", [-1, timedelta(seconds=-1), datetime(2020, 1, 1, tzinfo=timezone.utc)]
)
def test_an_expiry_in_the_past_ends_the_conversation(turns: Turns, value: Any) -> None:
    turns.turn(put(a=1))
    turns.turn(lambda session: session.set_expiry(value))

    assert turns.turn(every) == {}


def test_an_expiry_does_not_stand_in_the_way_of_an_end(turns: Turns) -> None:
    turns.turn(lambda session: (put(a=1)(session), session.set_expiry(600)))

    turns.turn(lambda session: session.state.end())  # what state_from(request.META).end() does

    assert turns.turn(every) == {}


def test_g12_set_expiry_means_nothing_if_nothing_is_kept(
    turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    turns.status(lambda session: session.set_expiry(600))

    assert "dropped" in caplog.text


E15: dict[str, Callable[[Any], Any]] = {
    "save": lambda session: session.save(),
    "create": lambda session: session.create(),
    "cycle_key": lambda session: session.cycle_key(),
    "login": lambda session: (session.cycle_key(), put(_auth_user_id="1")(session)),
    "flush and save": lambda session: (session.flush(), session.save()),
}


@pytest.mark.parametrize("done", E15)
def test_e15_the_sessions_key_is_not_among_its_items(turns: Turns, done: str) -> None:
    turns.turn(lambda session: (put(a=1)(session), E15[done](session)))

    def look(session: Any) -> Any:
        items = every(session)
        assert session.session_key is not None
        assert list(session.keys()) == list(items)
        assert list(session.values()) == list(items.values())
        assert "_session_key" not in session
        assert session.get("_session_key") is None
        with pytest.raises(KeyError):
            session["_session_key"]
        with pytest.raises(KeyError):
            session.pop("_session_key")
        return set(items)

    assert turns.turn(look) <= {"a", "_auth_user_id"}
    turns.turn(lambda session: session.clear())
    assert turns.turn(lambda session: (session.is_empty(), every(session))) == (False, {})


def test_e15_a_key_that_is_made_while_the_answer_is_streamed_is_kept(turns: Turns) -> None:
    made: list[Any] = []

    def later(session: Any) -> None:
        put(a=1)(session)
        session.hand_back()
        made.append((session.create(), session.session_key)[1])

    turns.turn(later)

    assert turns.turn(lambda session: session.session_key) == made[0]


def test_set_expiry_without_time_zones(turns: Turns) -> None:
    with override_settings(USE_TZ=False):
        turns.turn(lambda session: session.set_expiry(timedelta(minutes=10)))

        assert turns.turn(lambda session: session.get_expiry_age()) == 600
        assert turns.turn(lambda session: session.get_expiry_date().tzinfo) is None


if hasattr(SessionBase, "aset"):  # from Django 5.0 on

    def test_views_that_wait_use_the_same_session(turns: Turns) -> None:
        async def write(session: Any) -> None:
            await session.aset("a", 1)
            await session.aset_expiry(timedelta(minutes=10))
            assert await session.aget("a") == 1
            assert await session.aget_expiry_age() == 600
            assert (await session.aget_expiry_date()).timestamp() == pytest.approx(
                turns.twilio.clock() + 600
            )

        turns.turn(async_to_sync(write))
        assert turns.turn(lambda session: (session["a"], session.get_expiry_age())) == (1, 600)

        turns.turn(lambda session: async_to_sync(session.aflush)())
        assert turns.turn(every) == {}
