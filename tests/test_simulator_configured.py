"""Where nobody says what Twilio was given, the simulator texts the URL that the app is configured for."""

from __future__ import annotations

import pytest

from convostate import ConversationMiddleware
from convostate.testing import TwilioSimulator
from tests.answering import Answering, message
from tests.served import TOKEN, settings

ADA, US = "+15550100001", "+15550100099"


@pytest.mark.parametrize(("public_url", "paths", "url", "path"), [
    (None, "*", "https://example.com/sms", "/sms"),
    (None, "/twilio/in", "https://example.com/twilio/in", "/twilio/in"),
    (None, "/voice/*,/in,/other", "https://example.com/in", "/in"),
    (None, "/other,/SMS/", "https://example.com/sms", "/sms"),
    (None, "/s*", "https://example.com/sms", "/sms"),
    (None, "/voice/*", "https://example.com/sms", None),
    ("https://bot.example.org", "*", "https://bot.example.org/sms", "/sms"),
    ("https://bot.example.org/bots", "/in", "https://bot.example.org/bots/in", "/in"),
    ("http://localhost:8000", "/sms", "http://localhost:8000/sms", "/sms"),
])  # fmt: skip
def test_a_configured_app_is_texted_at_the_url_it_expects(
    public_url: str | None, paths: str, url: str, path: str | None
) -> None:
    app = Answering(message("hi"))
    wrapped = ConversationMiddleware(app, settings(public_url=public_url, paths=paths))
    simulator = TwilioSimulator(wrapped, TOKEN)
    assert simulator.webhook_url == url

    reply = simulator.phone(ADA, texting=US).text("hello")
    assert reply.status == 200
    assert [asked.environ["PATH_INFO"] for asked in app.asked] == [path or "/sms"]
    proven = [asked.environ.get("convostate.webhook") for asked in app.asked]
    assert [webhook is not None for webhook in proven] == [path is not None]


def test_what_is_said_counts_and_its_path_is_not_cut() -> None:
    app = Answering(message("hi"))
    public = settings(public_url="https://bot.example.org/bots")
    given = TwilioSimulator(
        ConversationMiddleware(app, public), TOKEN, webhook_url="https://bot.example.org/bots/sms"
    )
    assert given.phone(ADA, texting=US).text("hello").status == 403  # /bots/bots/sms to the app


def test_an_app_that_is_not_wrapped_is_texted_at_example_com() -> None:
    app = Answering(message("hi"))
    assert TwilioSimulator(app).webhook_url == "https://example.com/sms"
