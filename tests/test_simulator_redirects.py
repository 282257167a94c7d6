"""The simulator follows TwiML's ``<Redirect>`` and HTTP redirects as Twilio does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twilio.request_validator import RequestValidator

from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, Asked, message

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA = "+15550100099", "+15550100001"
TOKEN = "the-token"


def phone_of(app: Answering, url: str = "https://example.com/bots/sms?a=1") -> Phone:
    return TwilioSimulator(app, TOKEN, url).phone(ADA, texting=US)


def onward(url: str, attributes: str = "", before: str = "") -> Answer:
    verbs = f"{before}<Redirect{attributes}>{url}</Redirect><Message>unreachable</Message>"
    return Answer(f"<Response>{verbs}</Response>", headers=(("Set-Cookie", "seen=yes; Path=/"),))


def moved(status: int, location: str) -> Answer:
    headers = (("Location", location), ("Set-Cookie", "moved=yes; Path=/"))
    return Answer("", "text/plain", f"{status} Moved", headers)


def test_a_redirect_is_followed_with_the_same_parameters_and_the_new_cookies() -> None:
    app = Answering(onward("next?b=2", before="<Message>one</Message>"), message("two"))
    reply = phone_of(app).text("hello")
    first, second = app.asked

    assert reply.messages == ["one", "two"]
    assert reply.error is None
    assert (second.path, second.query) == ("/bots/next", [("b", "2")])
    assert second.form == first.form
    assert (first.cookie, second.cookie) == ("", "seen=yes")


def test_each_document_has_a_signature_and_an_idempotency_token_of_its_own() -> None:
    app = Answering(onward("https://example.com/next"), message("two"))
    phone_of(app).text("hello")
    first, second = app.asked
    signature = second.environ["HTTP_X_TWILIO_SIGNATURE"]
    valid = RequestValidator(TOKEN).validate

    assert first.token != second.token
    assert valid("https://example.com/next", dict(second.form), signature)
    assert not valid("https://example.com/bots/sms?a=1", dict(second.form), signature)


@pytest.mark.parametrize(
    ("attributes", "method"),
    [("", "POST"), (' method="GET"', "GET"), (' method="get"', "GET"), (' method="PUT"', "POST")],
)
def test_a_redirect_names_its_method_and_posts_otherwise(attributes: str, method: str) -> None:
    app = Answering(onward("/next", attributes), message("two"))
    phone_of(app).text("hello")
    told = app.asked[1].query if method == "GET" else app.asked[1].form

    assert app.asked[1].method == method
    assert dict(told)["Body"] == "hello"


def test_an_empty_redirect_leads_to_the_same_document() -> None:
    app = Answering(onward(""), message("two"))
    twilio = TwilioSimulator(app, TOKEN, "https://example.com/sms?a=1", method="GET")
    twilio.phone(ADA, texting=US).text("hello")
    second = app.asked[1]

    assert (second.method, second.path, second.query) == ("POST", "/sms", [("a", "1")])


def test_the_fifty_first_document_is_not_fetched() -> None:
    app = Answering(onward("/sms"))
    reply = phone_of(app).text("hello")

    assert reply.error == 14106
    assert len(app.asked) == 50


def test_fifty_documents_are_allowed() -> None:
    app = Answering(*[onward("/sms")] * 49, message("there"))

    assert (phone_of(app).text("hello").messages, len(app.asked)) == (["there"], 50)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "http://",
        "https://exa mple.com/",
        "http://[bad",
        "https://[::1/sms",
        "https://example.com:99999/x",
        "https://example.com:abc/x",
        "https://:80/x",
    ],
)
def test_a_redirect_to_an_invalid_url_is_an_error(url: str) -> None:
    app = Answering(onward(url))

    assert phone_of(app).text("hello").error == 11100
    assert len(app.asked) == 1


@pytest.mark.parametrize("url", ["https://[::1]:8443/next", "https://example.com:443/next"])
def test_a_redirect_to_an_address_or_a_port_is_followed(url: str) -> None:
    app = Answering(onward(url), message("two"))

    assert phone_of(app).text("hello").messages == ["two"]
    assert app.asked[1].path == "/next"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_moved_page_is_asked_for_again_with_get(status: int) -> None:
    app = Answering(moved(status, "/next?b=2"), message("there"))
    reply = phone_of(app).text("hello")
    asked = app.asked[1]

    assert reply.messages == ["there"]
    assert (asked.method, asked.path, asked.query, asked.form) == ("GET", "/next", [("b", "2")], [])
    assert asked.cookie == "moved=yes"


@pytest.mark.parametrize("status", [307, 308])
def test_a_temporary_redirect_repeats_the_post(status: int) -> None:
    app = Answering(moved(status, "https://example.com/next"), message("there"))
    reply = phone_of(app).text("hello")
    asked = app.asked[1]
    signature = asked.environ["HTTP_X_TWILIO_SIGNATURE"]

    assert reply.messages == ["there"]
    assert (asked.method, asked.form) == ("POST", app.asked[0].form)
    assert RequestValidator(TOKEN).validate("https://example.com/next", dict(asked.form), signature)


@pytest.mark.parametrize(("status", "method"), [(301, "POST"), (302, "POST"), (303, "GET")])
def test_e10_a_post_stays_a_post_if_the_simulator_is_set_so(status: int, method: str) -> None:
    app = Answering(moved(status, "/next"), message("there"))
    twilio = TwilioSimulator(app, TOKEN, "https://example.com/sms", post_after_302=True)
    reply = twilio.phone(ADA, texting=US).text("hello")

    assert (reply.messages, app.asked[1].method) == (["there"], method)
    assert (app.asked[1].form == app.asked[0].form) == (method == "POST")


def test_a_redirected_get_keeps_the_query_of_its_location_alone() -> None:
    app = Answering(moved(307, "/next?b=2"), message("there"))
    twilio = TwilioSimulator(app, TOKEN, method="GET")
    twilio.phone(ADA, texting=US).text("hello")

    assert app.asked[1].query == [("b", "2")]


def test_ten_redirects_are_followed_and_an_eleventh_is_not() -> None:
    ten = Answering(*[moved(307, "/sms")] * 10, message("there"))
    eleven = Answering(moved(307, "/sms"))

    assert phone_of(ten).text("hello").messages == ["there"]
    assert phone_of(eleven).text("hello").error == 11215
    assert len(eleven.asked) == 11


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("ftp://example.com/", 11100),
        ("http://[bad", 11100),
        ("https://example.com:99999/x", 11100),
        ("", 11200),
    ],
)
def test_a_redirect_to_nowhere_is_an_error(location: str, error: int) -> None:
    assert phone_of(Answering(moved(302, location))).text("hello").error == error


def test_every_exchange_can_be_looked_at() -> None:
    def go_on(asked: Asked) -> Answer:
        return message("there") if asked.method == "GET" else moved(302, "/next")

    reply = phone_of(Answering(go_on)).text("hello")

    assert [
        (e.request.method, e.url, e.response and e.response.status) for e in reply.exchanges
    ] == [
        ("POST", "https://example.com/bots/sms?a=1", 302),
        ("GET", "https://example.com/next", 200),
    ]
