"""A session and its site without a server: what the page would ask, asked by hand."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from werkzeug.test import Client

from convostate import ConversationMiddleware, Settings, state_from, webhook_from
from convostate.demo import counter
from convostate.phone.session import PhoneSession, Target
from convostate.phone.site import Site
from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.test import TestResponse

ADA, BOB, US = "+15550100001", "+15550100002", "+15550100099"
HERE = "http://127.0.0.1:8000"
PAGE_TOKEN = "the-page-s-token"


class Board:
    """What a page can do and see."""

    def __init__(self, session: PhoneSession) -> None:
        self.session = session
        self.clock = session.simulator.clock
        self.client = Client(Site(session, "tests:app", PAGE_TOKEN))
        self.client.set_cookie("convostate-phone-8000", PAGE_TOKEN, domain="127.0.0.1")

    def do(self, action: str, **told: Any) -> TestResponse:
        return self.client.post(f"/do/{action}", json=told, base_url=HERE)

    def text(self, body: str, phone: int = 0, **told: Any) -> dict[str, Any]:
        """Write a text; its turn."""
        assert self.do("text", phone=phone, body=body, **told).status_code == 200
        return self.turn(phone)

    def look(self) -> dict[str, Any]:
        answer = self.client.get("/look", base_url=HERE)
        assert answer.status_code == 200
        seen: dict[str, Any] = answer.get_json()
        return seen

    def turn(self, phone: int = 0) -> dict[str, Any]:
        turn: dict[str, Any] = self.look()["phones"][phone]["turns"][-1]
        return turn

    def stored(self, phone: int = 0) -> dict[str, Any]:
        stored: dict[str, Any] = self.look()["stored"][phone]
        return stored

    def bodies(self, kind: str, phone: int = 0) -> list[str]:
        entries = self.look()["phones"][phone]["entries"]
        return [e["text" if kind == "note" else "body"] for e in entries if e["kind"] == kind]


def answering(answer: Callable[[Any, str], str]) -> Any:
    """An app that answers with what `answer` gives for its state and the text."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        text = answer(state_from(environ), webhook_from(environ).body)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [f"<Response><Message>{text}</Message></Response>".encode()]

    return app


@contextmanager
def board(
    app: WSGIApplication = counter.count, *, bare: bool = False, **settings: Any
) -> Iterator[Board]:
    """Two phones that text an app."""
    start = settings.pop("start", None)
    wrapped = app if bare else ConversationMiddleware(app, Settings.from_environ(**settings))
    simulator = TwilioSimulator(wrapped, raise_app_errors=False)
    masked = [os.environ["TWILIO_AUTH_TOKEN"], os.environ["CONVOSTATE_KEYS"]]
    session = PhoneSession(Target(simulator, start, masked))
    session.add_phone(ADA, US)
    session.add_phone(BOB, US)
    try:
        yield Board(session)
    finally:
        session.close()
