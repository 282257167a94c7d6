"""The phone in a browser, as a person uses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.apps.survey import QUESTIONS, WELCOME
from tests.phoning import Person, browser, phone_server, shoot, silent_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route
    from redis import Redis

FIRST, SECOND, THIRD = (
    f"You've sent {count} in this conversation so far"
    for count in ("1 message", "2 messages", "3 messages")
)
BOB = "+1 555 010 0002"
ADDED = "+1 555 010 0042"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with silent_page(chromium) as opened:
        yield opened


def test_without_an_app_two_phones_text_the_counter(page: Page) -> None:
    with phone_server() as url:
        ada = Person(page, url)
        expect(page.get_by_text("No messages yet")).to_be_visible()
        ada.text("hi")
        ada.hears(FIRST)
        ada.text("hi again")
        ada.hears(FIRST, SECOND)
        ada.sees_state("messagecount 1 2 int changed")
        expect(page.locator(".meta").last).to_contain_text("Delivered")

        ada.picks(BOB)
        expect(page.get_by_text("No messages yet")).to_be_visible()
        ada.text("hi")
        ada.hears(FIRST)
        ada.sees_state("messagecount 1 int new")

        page.get_by_role("button", name="Add a phone").click()
        page.get_by_label("Their number").fill("+15550100042")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#chat-number")).to_have_text(ADDED)
        ada.text("hi")
        ada.hears(FIRST)
        ada.picks("+1 555 010 0001")
        ada.hears(FIRST, SECOND)


def test_the_state_after_every_turn_can_be_looked_at(page: Page) -> None:
    with phone_server("convostate.demo.profile:app") as url:
        ada = Person(page, url)
        for said, heard in (("name Ada", "Hello Ada."), ("like jazz", "You like jazz.")):
            ada.text(said)
            expect(ada.log.locator(".theirs .bubble").last).to_have_text(heard)
        ada.sees_state("name Ada str", "likes 1 item list new", "0 jazz str new")

        page.get_by_role("button", name="Earlier turn").click()
        ada.sees_state("name Ada str new")
        page.get_by_role("button", name="Turn 2", exact=True).click()
        ada.sees_state("name Ada str", "likes 1 item list new", "0 jazz str new")
        ada.log.get_by_role("button", name="name Ada").click()
        ada.sees_state("name Ada str new")

        page.get_by_text("TwiML and headers").click()
        expect(page.get_by_label("TwiML", exact=True)).to_have_text(
            "<Response><Message>Hello Ada.</Message></Response>"
        )
        expect(page.locator(".headers")).to_contain_text("Max-Age=14400; Secure; HttpOnly; Path=/")
        expect(page.locator("#stored-size")).to_have_text(re.compile(r"^\d{3} of 4,096 bytes$"))
        expect(page.get_by_label("Size of the cookie")).to_be_visible()
        shoot(page, "turns")


@pytest.mark.slow
def test_a_survey_goes_to_its_end(page: Page) -> None:
    with phone_server("tests.apps.survey_by_text:app") as url:
        ada = Person(page, url)
        ada.text("hi")
        ada.hears(f"{WELCOME} {QUESTIONS[0]}")
        for answer, question in (("Ada", QUESTIONS[1]), ("36", QUESTIONS[2])):
            ada.text(answer)
            expect(ada.log.locator(".theirs .bubble").last).to_have_text(question)
        ada.sees_state("answers 1 item 2 items list changed", "0 Ada str", "1 36 str new")
        ada.text("yes")
        expect(ada.log.locator(".theirs .bubble").last).to_contain_text("How old are you? | 36")
        expect(page.get_by_text("The conversation is over")).to_be_visible()
        ada.sees_state("answers 2 items list gone")
        expect(page.get_by_text("Nothing. The next text begins a conversation.")).to_be_visible()
        shoot(page, "survey")


@pytest.mark.slow
def test_the_clock_moves_to_just_before_and_just_after_the_expiry(page: Page) -> None:
    with phone_server() as url:
        ada = Person(page, url)
        before, after = "A minute before it expires", "Just after it expires"
        expect(page.get_by_role("button", name=before)).to_be_disabled()
        ada.text("hi")
        ada.hears(FIRST)
        expect(page.locator("#stored-left")).to_have_text(re.compile("^(4 h|3 h 59 min) left$"))

        page.get_by_role("button", name="One hour ahead").click()
        expect(page.locator("#stored-left")).to_have_text(re.compile("^(3 h|2 h 59 min) left$"))
        page.get_by_role("button", name=before).click()
        expect(page.locator("#stored-left")).to_have_text(re.compile("^(1 min|5\\d s) left$"))
        expect(page.locator("#clock-offset")).to_contain_text("ahead of the real time")
        ada.text("still here?")
        ada.hears(FIRST, SECOND)

        page.get_by_role("button", name=after).click()
        expect(page.get_by_text("Nothing. The next text begins a conversation.")).to_be_visible()
        ada.text("anybody?")
        ada.hears(FIRST, SECOND, FIRST)
        expect(page.locator("#turn")).to_contain_text("begins a conversation")
        shoot(page, "expired")
        page.get_by_role("button", name="Back to now").click()
        expect(page.locator("#clock-offset")).to_contain_text("· the real time")


@pytest.mark.slow
def test_a_duplicate_an_overlap_and_the_cookie_s_other_faults(page: Page) -> None:
    with phone_server() as url:
        ada = Person(page, url)
        ada.simulates("Send twice")
        ada.hears(FIRST, FIRST)
        expect(ada.log).to_contain_text("The app ran twice, both times from the same cookie")

        ada.simulates("Overlap two texts")
        page.get_by_label("First text").fill("one")
        page.get_by_label("Second text").fill("two")
        page.get_by_role("button", name="Send both").click()
        ada.hears(FIRST, FIRST, SECOND, SECOND)
        expect(ada.log).to_contain_text("what the other text changed is lost")
        shoot(page, "overlap-cookie")

        ada.simulates("Deliver the last text again")
        expect(ada.log.locator(".theirs .bubble")).to_have_count(5)
        ada.simulates("Swap with another phone")
        page.get_by_role("button", name="Swap", exact=True).click()
        ada.picks(BOB)
        expect(page.get_by_text("it was sealed for another pair of numbers")).to_be_visible()
        ada.text("whose is this?")
        ada.hears(FIRST)
        ada.simulates("Lose it")
        ada.text("again")
        ada.hears(FIRST, FIRST)


@pytest.mark.slow
def test_overlapping_texts_take_turns_on_redis(page: Page, redis: Redis) -> None:
    redis.flushall()
    port = redis.connection_pool.connection_kwargs["port"]
    with phone_server(CONVOSTATE_STORE=f"redis://127.0.0.1:{port}/0") as url:
        ada = Person(page, url)
        ada.text("hi")
        ada.hears(FIRST)
        expect(page.locator("#store-tag")).to_have_text("Redis")
        expect(page.locator("#stored-lease")).to_have_text("free")
        ada.simulates("Overlap two texts")
        page.get_by_role("button", name="Send both").click()
        expect(ada.log.get_by_text(SECOND, exact=True)).to_have_count(1)
        expect(ada.log.get_by_text(THIRD, exact=True)).to_have_count(1)
        expect(ada.log).not_to_contain_text("lost")

        ada.simulates("Send twice")
        expect(ada.log).to_contain_text("The app ran once")
        ada.sees_state("messagecount 4 int")
        expect(page.locator("#cookie-faults button").first).to_be_disabled()
        shoot(page, "overlap-redis")


def test_a_refused_signature_is_explained(page: Page) -> None:
    with phone_server() as url:
        ada = Person(page, url)
        ada.simulates("Break the next signature")
        expect(ada.log).to_contain_text("The next text will have an invalid signature.")
        ada.text("let me in")
        explanation = page.locator("#explanation")
        expect(explanation).to_contain_text("Checked as https://example.com/sms: no usual change")
        expect(explanation).to_contain_text("compare TWILIO_AUTH_TOKEN with the primary auth token")
        expect(ada.log).to_contain_text("Twilio 11200 HTTP retrieval failure")
        shoot(page, "refused")
        ada.text("now?")
        ada.hears(FIRST)
        expect(explanation).to_have_count(0)


def test_a_message_that_the_app_sends_first_arrives_and_stop_ends_it(page: Page) -> None:
    with phone_server("convostate.demo.reminder:app") as url:
        ada = Person(page, url)
        page.get_by_role("button", name="Let the app write first").click()
        expect(ada.log.locator(".theirs .bubble")).to_contain_text("Reply yes to confirm")
        expect(ada.log).to_contain_text("Sent by the app")
        expect(page.locator("#store-tag")).to_have_text("in memory")
        ada.text("yes")
        expect(ada.log.locator(".theirs .bubble").last).to_contain_text("Confirmed")
        ada.simulates("Text STOP")
        expect(page.get_by_text("Opted out")).to_be_visible()
        page.get_by_role("button", name="Let the app write first").click()
        expect(ada.log).to_contain_text("OptedOutError")
        shoot(page, "reminder")
        ada.simulates("Text START")
        expect(page.get_by_text("Opted out")).to_be_hidden()


HOTLINE = """
from urllib.parse import parse_qs

def app(environ, start_response):
    told = parse_qs(environ["wsgi.input"].read().decode())
    start_response("200 OK", [("Content-Type", "text/xml")])
    said = told.get("Digits") or told.get("SpeechResult")
    if said:
        return [f"<Response><Say>{said[0]} it is</Say></Response>".encode()]
    return [b"<Response><Gather input='dtmf speech'><Say>For sales press 1</Say></Gather></Response>"]
"""
MOODY = """
from xml.sax.saxutils import escape
from convostate import ConversationMiddleware, state_from, webhook_from

def answer(environ, start_response):
    state, body = state_from(environ), webhook_from(environ).body
    state["texts"] = state.get("texts", 0) + 1
    if body == "raise":
        raise LookupError("no such recipe")
    start_response("200 OK", [("Content-Type", "text/xml")])
    text = escape(f"GREETING {state['texts']}")
    media = "<Media>https://example.com/menu.png</Media>" if body == "menu" else ""
    return [f"<Response><Message><Body>{text}</Body>{media}</Message></Response>".encode()]

app = ConversationMiddleware(answer)
"""


def test_e8_a_call_is_made_and_gone_through_with_the_keypad(page: Page, tmp_path: Path) -> None:
    (tmp_path / "hotline.py").write_text(HOTLINE, encoding="utf-8")
    with phone_server("hotline:app", folder=tmp_path) as url:
        ada = Person(page, url)
        page.get_by_role("button", name="Call", exact=True).click()
        ada.hears("For sales press 1")
        page.get_by_role("group", name="Keypad").get_by_role("button", name="1").click()
        ada.hears("For sales press 1", "1 it is")
        expect(ada.log).to_contain_text("The call has ended.")
        expect(page.get_by_role("group", name="Keypad")).to_be_hidden()

        page.get_by_role("button", name="Call", exact=True).click()
        page.get_by_label("Say", exact=True).fill("support")
        page.keyboard.press("Enter")
        expect(ada.log.locator(".theirs .bubble").last).to_have_text("support it is")
        page.get_by_role("button", name="Call", exact=True).click()
        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_role("button", name="Call", exact=True)).to_be_visible()


def test_an_app_that_raises_shows_its_traceback_and_the_phone_goes_on(
    page: Page, tmp_path: Path
) -> None:
    (tmp_path / "moody.py").write_text(MOODY, encoding="utf-8")
    with phone_server("moody:app", folder=tmp_path) as url:
        ada = Person(page, url)
        ada.text("hi")
        ada.hears("GREETING 1")
        ada.text("raise")
        expect(page.locator("#traceback strong")).to_have_text("LookupError: no such recipe")
        expect(page.get_by_label("Traceback")).to_contain_text(
            'raise LookupError("no such recipe")'
        )
        expect(ada.log).to_contain_text("Twilio 11200 HTTP retrieval failure")
        ada.sees_state("texts 1 int")
        shoot(page, "raised")
        ada.text("menu")
        ada.hears("GREETING 1", "GREETING 2")
        link = ada.log.get_by_role("link", name="menu.png")
        expect(link).to_have_attribute("href", "https://example.com/menu.png")
        expect(link).to_have_attribute("rel", "noopener noreferrer")


@pytest.mark.slow
def test_an_edit_reloads_the_app_and_the_conversation_goes_on(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "moody.py"
    file.write_text(MOODY, encoding="utf-8")
    with phone_server("moody:app", folder=tmp_path) as url:
        ada = Person(page, url)
        page.get_by_role("button", name="One hour ahead").click()
        ada.text("hi")
        ada.hears("GREETING 1")

        file.write_text(MOODY.replace("GREETING", "Welcome,"), encoding="utf-8")
        expect(ada.log).to_contain_text("The code has changed: the app was loaded again.")
        ada.text("hi")
        ada.hears("GREETING 1", "Welcome, 2")
        expect(page.locator("#clock-offset")).to_contain_text("1 h ahead of the real time")

        file.write_text(MOODY.replace("def answer(", "def answer(:"), encoding="utf-8")
        expect(page.get_by_role("alert").first).to_contain_text("moody:app does not load")
        expect(page.locator("#banner-text")).to_contain_text("SyntaxError")
        shoot(page, "broken")
        file.write_text(MOODY.replace("GREETING", "Back,"), encoding="utf-8")
        expect(page.locator("#banner")).to_be_hidden()
        ada.text("hi")
        ada.hears("GREETING 1", "Welcome, 2", "Back, 3")
        shoot(page, "reloaded")


def test_o17_a_page_that_outlives_its_server_says_what_to_open(page: Page) -> None:
    with phone_server() as url:
        ada = Person(page, url)
        ada.text("hi")
        ada.hears(FIRST)
    with phone_server("--port", str(urlsplit(url).port)) as again:
        expect(page.get_by_role("alert").first).to_contain_text("convostate phone has printed")
        page.goto(again)
        ada.hears()
        expect(page).to_have_url(again.partition("?")[0])


@pytest.mark.slow
def test_a_phone_that_was_added_before_it_is_seen_is_chosen_once_it_is(page: Page) -> None:
    old = True

    def see(route: Route) -> None:
        answer = route.fetch()
        seen = answer.json()
        if old:
            seen["phones"] = seen["phones"][:2]
        route.fulfill(response=answer, json=seen)

    with phone_server() as url:
        page.route("**/look?*", see)
        ada = Person(page, url)
        page.get_by_role("button", name="Add a phone").click()
        page.get_by_label("Their number").fill(ADDED.replace(" ", ""))
        with page.expect_response("**/do/add-phone"), page.expect_response("**/look?*"):
            page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.locator("#chat-number")).to_have_text(BOB)

        old = False
        ada.text("hi")
        expect(page.locator("#chat-number")).to_have_text(ADDED)
        page.unroute_all(behavior="ignoreErrors")  # a look is on its way until the server ends
