"""The phone page shows what is answered later: what waits, what runs, what was sent, what was given up."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.sync_api import expect
from twilio.rest import Client

from convostate import AsyncConversations, ConversationMiddleware, Conversations, Settings, asgi
from convostate.phone.session import PhoneSession, Target
from convostate.testing import TwilioSimulator
from convostate.testing.clock import Clock
from convostate.testing.configured import ACCOUNT_SID
from tests.deferring import client_for_asyncio
from tests.phone_board import ADA, BOB, US, Board, board
from tests.phoning import Person, browser, phone_server, shoot, silent_page
from tests.redis_servers import wait_until
from tests.test_phone_looks import AXE, overflowing, overlapping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from redis import Redis

    from convostate import Answering

EMPTY = b"<Response/>"


class Later:
    """A board whose app answers later, by a function that waits until it is let go, and does what a text says."""

    def __init__(self, door: str, store: str) -> None:
        self.let_go = threading.Event()
        settings = Settings.from_environ(defer_paths="/sms", store=store)
        token = os.environ["TWILIO_AUTH_TOKEN"]
        app: Any
        self.conversations: Any
        if door == "WSGI":
            app = ConversationMiddleware(self._wsgi, settings)
            client = Client(ACCOUNT_SID, token)
            self.conversations = Conversations(settings, store=app.store, client=client)
            self.conversations.answers(lambda turn: self._answer(turn))  # noqa: PLW0108  # a def is wanted
        else:
            app = asgi.ConversationMiddleware(self._asgi, settings)
            client = client_for_asyncio(token)
            self.conversations = AsyncConversations(settings, store=app.store, client=client)

            async def answer(turn: Answering) -> None:
                await asyncio.to_thread(self.let_go.wait)
                self._answer(turn)

            self.conversations.answers(answer)

        simulator = TwilioSimulator(
            app, account_sid=ACCOUNT_SID, clock=Clock(ticking=True), raise_app_errors=False
        )
        self.session = PhoneSession(Target(simulator))
        for number in (ADA, BOB):
            self.session.add_phone(number, US)
        self.board = Board(self.session)

    def _answer(self, turn: Answering) -> None:
        assert self.let_go.wait(30)  # seconds
        body = turn.texts[-1].body
        if body == "raise":
            raise ZeroDivisionError("in the answer")
        turn.state["texts"] = turn.state.get("texts", 0) + len(turn.texts)
        turn.reply(f"answer {turn.state['texts']}")

    def _wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        self.conversations.answer_later(environ)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [EMPTY]

    async def _asgi(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError
        self.conversations.answer_later(scope)
        headers = [(b"content-type", b"text/xml")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": EMPTY})

    def later(self, phone: int = 0) -> dict[str, Any]:
        later: dict[str, Any] = self.board.look()["stored"][phone]["later"]
        return later

    def sees(self, **expected: Any) -> None:
        """The page comes to show this."""
        wait_until(lambda: self.later() == {**self.later(), **expected}, str(expected))


@pytest.fixture(params=["WSGI memory", "ASGI memory", "WSGI redis", "ASGI redis"])
def later(request: pytest.FixtureRequest) -> Iterator[Later]:
    door, store = request.param.split()
    if store == "redis":
        redis: Redis = request.getfixturevalue("redis")
        redis.flushall()
        store = f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"
    made = Later(door, store)
    yield made
    made.let_go.set()
    made.session.close()


def test_a_text_waits_is_answered_and_its_reply_is_sent(later: Later) -> None:
    later.board.text("hello")
    later.sees(texts=1, answering=True, replies=0, dead=[], sent=0)
    assert later.board.bodies("received") == []
    later.board.text("are you there?")
    later.sees(texts=2, answering=True)
    assert later.later(1) == {"texts": 0, "answering": False, "replies": 0, "dead": [], "sent": 0}

    later.let_go.set()

    later.sees(texts=0, answering=False, replies=0, dead=[], sent=2)
    assert later.board.bodies("received") == ["answer 1", "answer 2"]


def test_the_state_after_an_answer_is_a_turn(later: Later) -> None:
    later.let_go.set()
    later.board.text("hello")
    wait_until(lambda: later.board.turn()["body"] == "Answer")

    turn = later.board.turn()
    assert (turn["number"], turn["how"], turn["verdict"]) == (2, ["answered later"], "")
    assert [(row["key"], row["text"], row["mark"]) for row in turn["rows"]] == [
        ("texts", "1", "added")
    ]


def test_an_answer_that_raises_shows_its_traceback_and_in_the_end_its_dead_letter(
    later: Later,
) -> None:
    later.let_go.set()
    later.board.text("raise")
    for tries, seconds in enumerate((1, 10, 60), 1):
        wait_until(lambda: later.board.turn()["number"] == 1 + tries)  # noqa: B023
        later.board.do("move-clock", seconds=seconds)
    later.sees(texts=0, dead=[{"what": "text", "body": "raise", "reason": "failed"}])

    turn = later.board.turn()
    assert turn["raised"] == "ZeroDivisionError: in the answer"
    assert "in _answer" in turn["traceback"]
    assert "nothing was stored" in turn["verdict"]


def test_a_reply_that_twilio_refuses_is_a_dead_letter(later: Later) -> None:
    later.session.simulator.refuse_sends(63016, times=1)
    later.let_go.set()
    later.board.text("hello")

    later.sees(dead=[{"what": "reply", "body": "answer 1", "reason": "63016"}], sent=0)


def test_an_app_that_answers_at_once_shows_nothing_of_it() -> None:
    with board(store="memory") as plain:
        plain.text("hello")
        assert "later" not in plain.look()["stored"][0]


# In a browser.

THINKER = """
import os

from twilio.rest import Client

from convostate import ConversationMiddleware, Conversations, Settings

settings = Settings.from_environ(store="memory", defer_paths="/sms", burst="1s")


def client_of(account_sid):
    return Client(account_sid, os.environ["TWILIO_AUTH_TOKEN"])


def webhook(environ, start_response):
    conversations.answer_later(environ)
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [b"<Response/>"]


app = ConversationMiddleware(webhook, settings)
conversations = Conversations(settings, store=app.store, client=client_of)


@conversations.answers
def answer(turn):
    turn.state["texts"] = [text.body for text in turn.texts]
    if "raise" in turn.state["texts"]:
        raise ZeroDivisionError("in the answer")
    turn.reply(" and ".join(turn.state["texts"]))
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def thinker(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "thinker.py").write_text(THINKER, encoding="utf-8")
    with phone_server("thinker:app", folder=tmp_path) as url:
        yield url


@pytest.mark.slow
def test_the_page_shows_texts_that_wait_and_their_answer_without_a_click(
    chromium: Browser, thinker: str
) -> None:
    with silent_page(chromium) as page:
        person = Person(page, thinker)
        later = page.locator("#stored-later")
        expect(later).to_have_text("0 sent")
        for body in ("one", "two"):
            with page.expect_response("**/do/text"):  # otherwise either could arrive first
                person.text(body)
        expect(later).to_contain_text("wait")
        person.hears("one and two")
        expect(later).to_have_text("1 sent")
        expect(page.locator(".turn-said")).to_have_text("Answer")
        person.sees_state("texts 2 items list new", "0 one str new", "1 two str new")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])
def test_e12_axe_finds_nothing_serious_in_dead_letters(
    chromium: Browser, thinker: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = chromium.new_page(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        bypass_csp=True,  # for axe itself, which is put into the page
    )
    person = Person(page, thinker)
    person.text("raise")
    panes = page.get_by_label("Panes")
    for failures in (
        1,
        2,
        3,
    ):  # or more: the first is tried again after a second, before the click or behind it
        expect(page.locator(".turn-list button").nth(failures)).to_be_attached()
        if width < 752:
            panes.get_by_role("button", name="Phones").click()
        page.get_by_role("button", name="+10 min").click()
    if width < 752:
        panes.get_by_role("button", name="State").click()
    expect(page.locator("#dead li")).to_have_text("text “raise”: failed")
    expect(page.locator("#traceback strong")).to_have_text("ZeroDivisionError: in the answer")
    assert overflowing(page) == overlapping(page) == []
    page.add_script_tag(path=AXE)
    shoot(page, f"later-{width}-{scheme}")
    found = page.evaluate(
        """async () => (await axe.run(document, {runOnly: {type: "tag", values: [
            "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}})).violations
            .map((v) => [v.impact, v.id, v.nodes.map((n) => n.target.join(" ")).join(", ")])"""
    )
    page.close()
    assert [each for each in found if each[0] in ("serious", "critical")] == [], found
