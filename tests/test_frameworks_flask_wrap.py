"""`ConvoState(app)`: what it wraps, and what it leaves as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from flask import Flask, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface

from convostate import ConversationMiddleware, UsageError
from convostate.frameworks.flask import ConvoState
from convostate.stores import MemoryStore
from tests.apps.turns import Turns, flask_app
from tests.test_frameworks_flask import settings, texting


@pytest.fixture
def turns() -> Turns:
    return Turns(flask_app)


def test_the_test_clients_session_transaction_is_the_browsers(turns: Turns) -> None:
    assert isinstance(turns.app, Flask)
    turns.turn(lambda session: session.update(a=1))
    with turns.app.test_client() as client, client.session_transaction() as browsers:
        assert dict(browsers) == {}
        assert isinstance(browsers, SecureCookieSession)
    assert isinstance(turns.app.session_interface, SecureCookieSessionInterface)
    assert turns.app.session_interface.get_signing_serializer(turns.app) is not None


class Shelf(SessionInterface):
    """Sessions of an extension: one for everybody, and a note of each use."""

    def __init__(self) -> None:
        self.shared = SecureCookieSession()
        self.saved = 0

    def open_session(self, app: Flask, request: flask.Request) -> SecureCookieSession:  # noqa: ARG002
        return self.shared

    def save_session(self, app: Flask, session: Any, response: flask.Response) -> None:  # noqa: ARG002
        assert session is self.shared
        self.saved += 1


@pytest.mark.parametrize("later", [False, True])
def test_an_extensions_sessions_go_on_whenever_it_was_set_up(later: bool) -> None:
    app = Flask(__name__)

    @app.route("/page")
    @app.route("/turn", methods=["POST"])
    def write() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    shelf = Shelf()
    if not later:
        app.session_interface = shelf
    ConvoState(app, settings())
    if later:
        app.session_interface = shelf
    text, client = texting(app), app.test_client()

    bodies = [
        text().body,
        client.get("/page", buffered=True).data,
        text().body,
        client.get("/page", buffered=True).data,
    ]

    assert bodies == [b"1", b"1", b"2", b"2"]
    assert shelf.shared == {"n": 2}
    assert isinstance(app.session_interface, Shelf)
    assert app.session_interface.saved == 2


def test_two_apps_with_flasks_shared_interface_stay_apart() -> None:
    wrapped, untouched = Flask(__name__), Flask(__name__)
    ConvoState(wrapped, settings())

    assert untouched.session_interface is Flask.session_interface
    assert wrapped.session_interface is not Flask.session_interface


def test_init_app_takes_settings_and_a_store_of_ones_own() -> None:
    store = MemoryStore()
    convostate = ConvoState(settings=settings(lifetime="60s"), store=store)
    app = Flask(__name__)

    convostate.init_app(app)

    assert isinstance(app.wsgi_app, ConversationMiddleware)
    assert app.wsgi_app.store is store
    assert app.wsgi_app.settings.lifetime == timedelta(seconds=60)


def test_e1_an_app_of_another_framework_is_refused_and_the_classes_for_it_are_named() -> None:
    other: Any = FastAPI()
    with pytest.raises(UsageError, match=r"takes a Flask app, got FastAPI\. .*convostate\.asgi$"):
        ConvoState(other, settings())


def test_without_settings_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Flask(__name__)
    monkeypatch.setenv("CONVOSTATE_PATHS", "/sms")
    ConvoState(app)
    assert isinstance(app.wsgi_app, ConversationMiddleware)
    assert app.wsgi_app.settings.paths == ("/sms",)

    monkeypatch.delenv("CONVOSTATE_KEYS")
    with pytest.raises(UsageError, match="convostate keygen"):
        ConvoState(Flask(__name__))


def test_an_app_is_wrapped_once() -> None:
    app = Flask(__name__)
    ConvoState(app, settings())
    with pytest.raises(UsageError, match="wrapped already"):
        ConvoState(app, settings())

    app = Flask(__name__)
    app.wsgi_app = ConversationMiddleware(app.wsgi_app, settings())  # type: ignore[method-assign]  # Flask's own way
    with pytest.raises(UsageError, match="wrapped already"):
        ConvoState(app, settings())
    assert "convostate" not in app.extensions
