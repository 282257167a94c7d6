"""`request.conversation` and `request.session` in a Pyramid webhook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationError
from pyramid.interfaces import ISession
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from werkzeug.test import Client
from zope.interface.verify import verifyObject

from convostate import ConversationMiddleware, Settings, State, UsageError
from convostate.frameworks.pyramid import ConversationSession
from convostate.testing import TwilioSimulator
from tests.apps.turns import Turns, pyramid_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyramid.request import Request


@pytest.fixture
def turns() -> Turns:
    return Turns(pyramid_app)


def put(**items: Any) -> Callable[[Any], None]:
    return lambda session: session.update(items)


def test_the_session_has_all_that_pyramid_asks_of_one(turns: Turns) -> None:
    def verify(session: Any) -> None:
        for name in ISession.names():  # of its own; those of a dict are inherited by IDict
            assert hasattr(session, name), name
        verifyObject(ISession, session)

    turns.turn(verify)


def test_created_is_when_the_conversation_began(turns: Turns) -> None:
    began = int(turns.twilio.clock())
    assert turns.turn(lambda session: (put(a=1)(session), session.created, session.new)[1:]) == (
        began,
        True,
    )

    turns.twilio.clock.advance(minutes=5)

    assert turns.turn(lambda session: (session.created, session.new)) == (began, False)


def test_changed_may_be_said_after_a_change_within_an_item(turns: Turns) -> None:
    turns.turn(put(cart=[]))

    def change(session: Any) -> None:
        session["cart"].append(1)
        session.changed()

    turns.turn(change)

    assert turns.turn(dict) == {"cart": [1]}


def test_g12_changed_means_nothing_if_nothing_is_kept(
    turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    turns.status(lambda session: session.changed())

    assert "dropped" in caplog.text


def test_an_invalidated_session_is_empty_and_takes_new_items(turns: Turns) -> None:
    turns.turn(put(a=1))

    def renew(session: Any) -> None:
        session.invalidate()
        assert dict(session) == {}
        assert "a" not in session
        session["b"] = 2

    turns.turn(renew)

    assert turns.turn(dict) == {"b": 2}


def test_a_flash_queue_keeps_its_order_until_it_is_popped(turns: Turns) -> None:
    def flash(session: Any) -> None:
        session.flash("one")
        session.flash("two")
        session.flash("other", queue="errors")

    turns.turn(flash)
    turns.turn(lambda session: session.flash("three"))

    assert turns.turn(lambda session: session.peek_flash()) == ["one", "two", "three"]
    assert turns.turn(lambda session: session.pop_flash()) == ["one", "two", "three"]
    assert turns.turn(lambda session: (session.peek_flash(), session.pop_flash())) == ([], [])
    assert turns.turn(lambda session: session.pop_flash("errors")) == ["other"]


def test_a_flash_is_repeated_only_if_that_is_allowed(turns: Turns) -> None:
    turns.turn(lambda session: session.flash("one"))
    turns.turn(lambda session: session.flash("one"))
    turns.turn(lambda session: session.flash("one", allow_duplicate=False))
    turns.turn(lambda session: session.flash("two", allow_duplicate=False))

    assert turns.turn(lambda session: session.pop_flash()) == ["one", "one", "two"]


def test_a_csrf_token_stays_until_another_is_made(turns: Turns) -> None:
    token = turns.turn(lambda session: session.get_csrf_token())
    assert re.fullmatch("[0-9a-f]{40}", token)
    assert turns.turn(lambda session: session.get_csrf_token()) == token

    other = turns.turn(lambda session: session.new_csrf_token())

    assert other != token
    assert turns.turn(lambda session: session.get_csrf_token()) == other
    assert turns.visit(lambda session: session.get_csrf_token()) not in (token, other)


def test_its_repr_shows_no_value(turns: Turns) -> None:
    turns.turn(put(**{"pin": "1234", "+15550100001": 1}))

    assert turns.turn(repr) == "ConversationSession(keys=['pin', '+***01'])"


def configured(view: Callable[[Any], Any], *, factory: str = "none", **settings: str) -> Any:
    """A wrapped app whose paths /turn and /page run a view."""
    config = Configurator(settings={name.replace("__", "."): v for name, v in settings.items()})
    sessions = SignedCookieSessionFactory("an example")
    if factory == "before":
        config.set_session_factory(sessions)
    config.include("convostate.frameworks.pyramid")
    if factory == "after":
        config.set_session_factory(sessions)
    for path in ("/turn", "/page"):
        config.add_route(path, path)
        config.add_view(lambda request: Response(str(view(request))), route_name=path)
    given = Settings.from_environ(store="memory", paths="/turn")
    return ConversationMiddleware(config.make_wsgi_app(), given)


def text(app: Any) -> Any:
    twilio = TwilioSimulator(app, webhook_url="https://example.com/turn")
    return twilio.phone("+15550100001").text("hi")


def test_conversation_is_the_state_without_any_setting() -> None:
    def view(request: Request) -> str:
        assert isinstance(request.conversation, State)
        request.conversation["n"] = request.conversation.get("n", 0) + 1
        return "<Response/>"

    assert text(configured(view)).state == {"n": 1}


def test_a_page_has_no_conversation() -> None:
    client = Client(configured(lambda request: request.conversation))

    with pytest.raises(UsageError, match="CONVOSTATE_PATHS"):
        client.get("/page")


@pytest.mark.parametrize("factory", ["before", "after"])
def test_the_sessions_come_in_whichever_order_the_app_is_configured(factory: str) -> None:
    app = configured(
        lambda request: type(request.session).__name__, factory=factory, convostate__session="true"
    )

    assert text(app).body == b"ConversationSession"
    assert Client(app).get("/page", buffered=True).data == b"CookieSession"


@pytest.mark.parametrize("setting", [{}, {"convostate__session": "false"}])
def test_without_the_setting_a_webhook_keeps_the_apps_own_session(setting: dict[str, str]) -> None:
    app = configured(lambda request: type(request.session).__name__, factory="before", **setting)

    assert text(app).body == b"CookieSession"


def test_without_a_factory_webhooks_have_a_session_and_pages_do_not() -> None:
    app = configured(
        lambda request: isinstance(request.session, ConversationSession),
        convostate__session="true",
    )

    assert text(app).body == b"True"
    with pytest.raises(ConfigurationError, match="set_session_factory"):
        Client(app).get("/page")
