"""The simulator keeps cookies as Twilio does: per pair, for four hours, as RFC 6265 says."""

from __future__ import annotations

import pytest

from convostate.testing import Clock, TwilioSimulator
from convostate.testing.jar import CAP_S, MAX_COOKIE_BYTES, Jar
from tests.answering import Answer, Answering, setting

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
URL = "https://example.com/bots/sms"
START = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def simulator(app: Answering, url: str = "https://example.com/sms") -> TwilioSimulator:
    return TwilioSimulator(app, "the-token", url, clock=Clock(START))


def held(*set_cookies: str, set_by: str = URL, asking: str = URL, after_s: float = 0) -> str:
    """The Cookie header that follows some Set-Cookie headers."""
    clock = Clock(START)
    jar = Jar(clock)
    jar.store(set_by, set_cookies)
    clock.advance(seconds=after_s)
    return jar.header(asking)


def test_a_cookie_comes_back_with_the_next_text_of_the_same_pair() -> None:
    app = Answering(setting("a=1"))
    phone = simulator(app).phone(ADA, texting=US)
    phone.text("one")
    phone.text("two")

    assert [asked.cookie for asked in app.asked] == ["", "a=1"]


@pytest.mark.parametrize(("number", "texting"), [(BOB, US), (ADA, "+15550100098"), (US, ADA)])
def test_a_cookie_does_not_come_with_texts_of_another_pair(number: str, texting: str) -> None:
    app = Answering(setting("a=1"))
    twilio = simulator(app)
    twilio.phone(ADA, texting=US).text("one")
    twilio.phone(number, texting=texting).text("two")

    assert app.asked[1].cookie == ""


def test_a_cookie_lives_for_four_hours_after_it_was_set() -> None:
    app = Answering(setting("a=1"), Answer())
    twilio = simulator(app)
    phone = twilio.phone(ADA, texting=US)
    phone.text("one")
    twilio.clock.advance(hours=3, minutes=59)
    phone.text("two")
    twilio.clock.advance(minutes=2)
    phone.text("three")

    assert [asked.cookie for asked in app.asked] == ["", "a=1", ""]


def test_setting_a_cookie_again_begins_its_four_hours_again() -> None:
    app = Answering(setting("a=1"))
    twilio = simulator(app)
    phone = twilio.phone(ADA, texting=US)
    for _ in range(3):
        phone.text("hello")
        twilio.clock.advance(hours=3)

    assert [asked.cookie for asked in app.asked] == ["", "a=1", "a=1"]


@pytest.mark.parametrize(
    ("attributes", "lifetime_s"),
    [
        ("", CAP_S),
        ("; Max-Age=60", 60),
        ("; max-age=60; Expires=Fri, 15 Jan 2027 09:00:00 GMT", 60),
        ("; Expires=Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("; Expires=Fri, 15-Jan-2027 08:01:00 GMT", 60),
        ("; Max-Age=1000000", CAP_S),
        (f"; Max-Age={'9' * 3000}", CAP_S),
        ("; Expires=Fri, 15 Jan 2038 08:00:00 GMT", CAP_S),
        ("; Max-Age=soon", CAP_S),
        ("; Expires=soon", CAP_S),
        ("; Max-Age=60; Max-Age=120", 120),
    ],
)
def test_expiry_is_honoured_up_to_four_hours(attributes: str, lifetime_s: int) -> None:
    assert held(f"a=1{attributes}", after_s=lifetime_s - 1) == "a=1"
    assert held(f"a=1{attributes}", after_s=lifetime_s) == ""


@pytest.mark.parametrize(
    "attributes", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_an_expiry_in_the_past_removes_a_cookie(attributes: str) -> None:
    assert held("a=1", "b=2", f"a=; {attributes}") == "b=2"


def test_a_secure_cookie_goes_over_https_only() -> None:
    assert held("a=1; Secure", asking="https://example.com/bots/sms") == "a=1"
    assert held("a=1; Secure", asking="http://example.com/bots/sms") == ""


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/bots/sms", True),
        ("/bots", True),
        ("/bots/", True),
        ("/bots/sms/more", False),
        ("/bot", False),
        ("/", True),
    ],
)
def test_a_path_covers_what_is_below_it(path: str, sent: bool) -> None:
    assert bool(held(f"a=1; Path={path}")) is sent


def test_a_cookie_without_a_path_covers_the_folder_that_set_it() -> None:
    assert held("a=1", asking="https://example.com/bots/voice") == "a=1"
    assert held("a=1", asking="https://example.com/other") == ""
    assert held("a=1; Path=relative", asking="https://example.com/other") == ""
    assert held("a=1", set_by="https://example.com", asking="https://example.com/x") == "a=1"


@pytest.mark.parametrize(
    ("domain", "asking", "sent"),
    [
        ("", "https://www.example.com/bots/", False),
        ("; Domain=example.com", "https://www.example.com/bots/", True),
        ("; Domain=.EXAMPLE.com", "https://www.example.com/bots/", True),
        ("; Domain=example.com", "https://badexample.com/bots/", False),
        ("; Domain=other.com", "https://other.com/bots/", False),
        ("; Domain=other.com", "https://example.com/bots/", False),
    ],
)
def test_a_domain_covers_its_subdomains_and_no_foreign_one(
    domain: str, asking: str, sent: bool
) -> None:
    assert bool(held(f"a=1{domain}", asking=asking)) is sent


def test_the_longest_path_comes_first_and_then_the_oldest_cookie() -> None:
    set_cookies = ["a=1; Path=/", "b=2; Path=/", "c=3; Path=/bots", "a=4; Path=/"]

    assert held(*set_cookies) == "c=3; a=4; b=2"


@pytest.mark.parametrize("header", ["", "a", "=1", "; Path=/", "  =x; Max-Age=60"])
def test_an_invalid_cookie_is_ignored(header: str) -> None:
    assert held("a=1", header) == "a=1"


def test_a_value_is_kept_as_it_is_written() -> None:
    assert held('a="x=y" z; HttpOnly; SameSite=Lax') == 'a="x=y" z'


def test_more_than_4096_bytes_are_not_kept() -> None:
    room = MAX_COOKIE_BYTES - len("a=; Path=/bots")

    assert len(held(f"a={'x' * room}; Path=/bots")) == room + 2
    assert held(f"a={'x' * (room + 1)}; Path=/bots") == ""


def test_a_cookie_of_an_error_reply_is_kept_too() -> None:
    app = Answering(Answer(status="500 Oops", headers=(("Set-Cookie", "a=1"),)))
    phone = simulator(app).phone(ADA, texting=US)
    phone.text("one")
    phone.text("two")

    assert app.asked[1].cookie == "a=1"


def test_the_clock_moves_both_ways_and_ticks_only_if_asked() -> None:
    still, ticking = Clock(START), Clock(START, ticking=True)

    assert still.now() == still() == START
    assert still.advance(days=1, hours=-1, seconds=0.5) == START + 23 * 3600 + 0.5
    assert ticking.now() > START
    assert ticking.now() < START + 60
