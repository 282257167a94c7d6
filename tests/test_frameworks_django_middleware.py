"""ConversationSessionMiddleware beside Django's own SessionMiddleware."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.contrib.sessions.backends import signed_cookies
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, StreamingHttpResponse
from django.test.utils import override_settings
from django.urls import path

from convostate import ConversationMiddleware, Settings
from convostate.testing import TwilioSimulator
from tests.apps import django_project
from tests.apps.turns import Turns, django_app

django_project.configure()


class SessionStore(signed_cookies.SessionStore):  # type: ignore[misc]  # Django has no types
    """Django's own store, and a note of what it is asked to do."""

    done: ClassVar[list[str]] = []

    def save(self, must_create: bool = False) -> None:
        self.done.append("save")
        super().save(must_create)

    def load(self) -> Any:
        self.done.append("load")
        return super().load()

    def delete(self, session_key: str | None = None) -> None:
        self.done.append("delete")
        super().delete(session_key)


@pytest.mark.parametrize("always", [False, True])
def test_djangos_store_is_not_asked_for_anything_in_a_webhook(always: bool) -> None:
    with override_settings(SESSION_ENGINE=__name__, SESSION_SAVE_EVERY_REQUEST=always):
        turns = Turns(django_app)
        turns.visit(lambda session: session.update({"user": "admin"}))
        assert SessionStore.done == ["save"]
        SessionStore.done.clear()
        ((name, _, value),) = turns.browser_cookies
        turns.phone.jar.put(name, value)

        turns.turn(lambda session: session.update({"a": 1}))
        turns.turn(lambda session: session.flush())
        turns.turn(lambda session: session.cycle_key())

        assert SessionStore.done == []
        assert turns.reply.headers.getlist("Set-Cookie") == []


def test_a_short_session_cookie_is_not_deleted_in_a_webhook() -> None:
    turns = Turns(django_app)
    turns.phone.jar.put("sessionid", "short")

    turns.turn()

    assert turns.reply.headers.getlist("Set-Cookie") == []


def test_without_djangos_session_middleware_webhooks_have_a_session() -> None:
    with override_settings(MIDDLEWARE=[django_project.CONVERSATIONS]):
        turns = Turns(django_app)

    turns.turn(lambda session: session.update({"a": 1}))

    assert turns.turn(lambda session: session["a"]) == 1


def test_a_streamed_response_may_still_write() -> None:
    def stream(request: HttpRequest) -> Any:
        def chunks() -> Any:
            request.session["n"] = request.session.get("n", 0) + 1
            yield f"<Response><Message>{request.session['n']}</Message></Response>"

        return StreamingHttpResponse(chunks(), content_type="text/xml")

    class Urls:
        urlpatterns = (path("turn", stream),)

    with override_settings(
        ROOT_URLCONF=Urls, MIDDLEWARE=[django_project.SESSIONS, django_project.CONVERSATIONS]
    ):
        app = get_wsgi_application()
        wrapped = ConversationMiddleware(app, Settings.from_environ(store="memory"))
        phone = TwilioSimulator(wrapped, webhook_url="https://example.com/turn").phone(
            "+15550100001"
        )

        assert [phone.text("hi").messages for _ in range(2)] == [["1"], ["2"]]


def test_before_djangos_session_middleware_the_error_names_the_right_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(MIDDLEWARE=[django_project.CONVERSATIONS, django_project.SESSIONS]):
        turns = Turns(django_app)
    turns._step = lambda session: session.update({"a": 1})

    assert turns.phone.text("hi").status == 500
    assert "after SessionMiddleware" in caplog.text
    assert turns.visit(lambda session: dict(session.items())) == {}
