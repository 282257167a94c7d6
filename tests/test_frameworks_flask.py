"""`flask.session` in a webhook keeps what Flask documents."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import flask
import pytest
from flask import Flask, session
from flask.sessions import SecureCookieSession

from convostate import Settings, state_from
from convostate.frameworks.flask import ConversationSession, ConvoState
from convostate.testing import TwilioSimulator
from tests.apps.turns import Turns, flask_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def settings(**changes: Any) -> Settings:
    return Settings.from_environ(**{"store": "memory", "paths": "/turn", **changes})


@pytest.fixture
def turns() -> Turns:
    return Turns(flask_app)


def texting(app: Flask) -> Callable[..., Any]:
    phone = TwilioSimulator(app.wsgi_app, webhook_url="https://example.com/turn").phone(
        "+15550100001"
    )
    return lambda body="hi": phone.text(body)


def test_new_is_true_until_the_second_text(turns: Turns) -> None:
    turns.turn(lambda session: session.update(a=1))
    assert turns.turn(lambda session: session.new) is False

    turns.phone = turns.twilio.phone("+15550100002")
    assert turns.turn(lambda session: session.new) is True


def test_modified_says_whether_an_item_was_set(turns: Turns) -> None:
    def write(session: Any) -> None:
        assert session.modified is False
        session["a"] = 1
        assert session.modified is True

    turns.turn(write)
    assert turns.turn(lambda session: (session.get("a"), session.modified)) == (1, False)
    turns.turn(lambda session: session["a"])

    def say_so(session: Any) -> Any:
        session.modified = True
        return session.modified

    assert turns.turn(say_so) is True


def test_accessed_is_true_after_a_view_asked() -> None:
    opened: list[Any] = []
    app = Flask(__name__)
    ConvoState(app, settings())
    interface: Any = app.session_interface
    open_session = interface.open_session

    def remember(*args: Any) -> Any:
        opened.append(open_session(*args))
        return opened[-1]

    interface.open_session = remember

    @app.post("/turn")
    def turn() -> str:
        return str(session.get("a")) if flask.request.form["Body"] == "ask" else "<Response/>"

    text = texting(app)
    text("hi")
    text("ask")

    assert [type(session) for session in opened] == [ConversationSession] * 2
    assert [session.accessed for session in opened] == [False, True]


def test_permanent_is_remembered_and_does_not_lengthen_anything(turns: Turns) -> None:
    assert turns.turn(lambda session: session.permanent) is False
    turns.turn(lambda session: setattr(session._get_current_object(), "permanent", True))

    assert turns.turn(lambda session: session.permanent) is True
    turns.twilio.clock.advance(hours=4, seconds=1)
    assert turns.turn(lambda session: (session.permanent, session.new)) == (False, True)


def test_permanent_shortens_the_lifetime_to_the_apps(turns: Turns) -> None:
    flask_app_ = turns.app
    assert isinstance(flask_app_, Flask)
    flask_app_.permanent_session_lifetime = timedelta(minutes=10)
    turns.turn(lambda session: session.update(a=1, _permanent=True))

    turns.twilio.clock.advance(minutes=9)
    assert turns.turn(lambda session: session["a"]) == 1
    turns.twilio.clock.advance(minutes=9)
    assert turns.turn(lambda session: session["a"]) == 1  # the last text counts
    turns.twilio.clock.advance(minutes=11)
    assert turns.turn(dict) == {}


def test_without_permanent_the_apps_lifetime_means_nothing(turns: Turns) -> None:
    assert isinstance(turns.app, Flask)
    turns.app.permanent_session_lifetime = timedelta(minutes=10)
    turns.turn(lambda session: session.update(a=1))

    turns.twilio.clock.advance(hours=3, minutes=59)

    assert turns.turn(lambda session: session["a"]) == 1


def test_permanent_does_not_stand_in_the_way_of_an_end(turns: Turns) -> None:
    turns.turn(lambda session: session.update(a=1, _permanent=True))

    turns.turn(lambda _session: state_from(flask.request.environ).end())

    assert turns.turn(dict) == {}


def test_an_app_that_sets_permanent_before_every_request_serves_message_statuses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Flask(__name__)
    app.before_request(lambda: setattr(session._get_current_object(), "permanent", True))  # type: ignore[attr-defined]  # a proxy
    app.add_url_rule("/turn", view_func=lambda: str(session.permanent), methods=["POST"])
    ConvoState(app, settings())
    phone = TwilioSimulator(app.wsgi_app, webhook_url="https://example.com/turn").phone(
        "+15550100001"
    )

    status = phone.deliver_status()

    assert caplog.messages == []
    assert (status.status, status.body) == (200, b"True")
    assert phone.text("hi").body == b"True"


def test_flashed_messages_wait_for_the_turn_that_asks(turns: Turns) -> None:
    def flash(_session: Any) -> None:
        flask.flash("saved")
        flask.flash("but late", "warning")

    turns.turn(flash)

    def get(_session: Any) -> Any:
        return flask.get_flashed_messages(with_categories=True)

    assert turns.turn(get) == [("message", "saved"), ("warning", "but late")]
    assert turns.turn(get) == []


def test_flashed_messages_of_a_browser_are_its_own(turns: Turns) -> None:
    turns.turn(lambda _session: flask.flash("for the phone"))

    assert turns.visit(lambda _session: flask.get_flashed_messages()) == []


def test_the_session_is_a_mapping_like_flasks_own(turns: Turns) -> None:
    turns.turn(lambda session: session.update(a=1, b=2))

    def compare(session: Any) -> None:
        theirs = SecureCookieSession({"a": 1, "b": 2})
        assert session == theirs
        assert session == {"a": 1, "b": 2}
        assert session != {}
        assert session.copy() == theirs.copy()
        assert session | {"c": 3} == theirs | {"c": 3}
        assert bool(session)
        assert len(session) == len(theirs)
        assert list(session) == list(theirs)
        assert dict(session) == dict(theirs)
        assert {**session} == {**theirs}
        assert session.popitem() == theirs.popitem() == ("b", 2)

    turns.turn(compare)
    assert turns.turn(dict) == {"a": 1}


def test_its_repr_shows_no_value(turns: Turns) -> None:
    turns.turn(lambda session: session.update({"pin": "1234", "+15550100001": 1}))

    assert turns.turn(repr) == "ConversationSession(keys=['pin', '+***01'])"


def test_a_datetime_is_more_exact_than_in_flasks_own_session(turns: Turns) -> None:
    """Flask's gives it back in UTC, without the microseconds."""
    at = datetime(2026, 7, 31, 9, 0, 0, 1, timezone(timedelta(hours=2)))
    turns.turn(lambda session: session.update(at=at))

    assert turns.turn(lambda session: session["at"].isoformat()) == at.isoformat()


def test_what_is_set_after_the_view_is_kept() -> None:
    app = Flask(__name__)

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        session["after"] = True
        return response

    @app.post("/turn")
    def turn() -> flask.Response:
        def stream() -> Iterator[str]:
            session["streamed"] = True
            yield "<Response/>"

        return flask.Response(flask.stream_with_context(stream()), content_type="text/xml")

    ConvoState(app, settings())
    reply = texting(app)()

    assert reply.state == {"after": True, "streamed": True}


def test_state_and_session_are_one() -> None:
    app = Flask(__name__)

    @app.post("/turn")
    def turn() -> str:
        state_from(flask.request.environ)["a"] = 1
        session["b"] = session["a"] + 1
        return "<Response/>"

    ConvoState(app, settings())

    assert texting(app)().state == {"a": 1, "b": 2}


def test_without_a_secret_key_webhooks_have_a_session_and_pages_do_not() -> None:
    app = Flask(__name__)

    @app.route("/page")
    @app.route("/turn", methods=["POST"])
    def write() -> str:
        session["a"] = 1
        return "<Response/>"

    ConvoState(app, settings())

    assert texting(app)().state == {"a": 1}
    app.testing = True
    with pytest.raises(RuntimeError, match="secret key"):
        app.test_client().get("/page")
