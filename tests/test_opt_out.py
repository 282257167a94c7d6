"""STOP: the app sees the state once more, and after the turn it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware
from convostate.testing import TwilioSimulator
from tests.served import ADA, TOKEN, US, settings, wrapped

if TYPE_CHECKING:
    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply


def telling(environ: Any, start_response: Any) -> list[bytes]:
    """Count, and tell what the webhook says of opting out."""
    state, webhook = environ["convostate.state"], environ["convostate.webhook"]
    state["n"] = state.get("n", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [f"<Response><Message>{state['n']} {webhook.opt_out_type}</Message></Response>".encode()]


def phone(number: str = ADA, **changes: Any) -> Phone:
    return TwilioSimulator(wrapped(telling, **changes), TOKEN).phone(number, texting=US)


def said(reply: Reply) -> str:
    """What the app answers, whether or not Twilio delivers it."""
    [message] = [*reply.sent, *reply.blocked]
    return message.body


pytestmark = pytest.mark.usefixtures("both_doors")
STORES = pytest.mark.parametrize("store", ["cookie", "memory"])
STOPS = [
    "STOP",
    "stop",
    " Stop\n",
    "STOPALL",
    "unsubscribe",
    "Cancel",
    "end",
    "QUIT",
    "optout",
    "revoke",
]


@STORES
@pytest.mark.parametrize("body", STOPS, ids=[f"p4 {body!r}" for body in STOPS])
def test_after_a_stop_the_conversation_is_gone(store: str, body: str) -> None:
    ada = phone(store=store)
    assert said(ada.text("hello")) == "1 None"

    assert said(ada.text(body)) == "2 STOP"  # the app still sees what it knew
    assert said(ada.text("hello")) == "1 None"


NO_STOPS = ["stop please", "please STOP", "don't stop", "STOP.", "S T O P", "nonstop", "stop" + " " * 40 + "x",
            "YES", "", "\u0441top", "arr\u00eat", "STOP\u200b"]  # fmt: skip


@STORES
@pytest.mark.parametrize("body", NO_STOPS, ids=[f"p4 {body!a}" for body in NO_STOPS])
def test_a_text_that_is_not_just_stop_changes_nothing(store: str, body: str) -> None:
    ada = phone(store=store)
    ada.text("hello")

    assert said(ada.text(body)) == "2 None"
    assert said(ada.text("hello")) == "3 None"


@STORES
@pytest.mark.parametrize("body", ["arr\u00eat", "STOP", "anything"])
def test_p4_twilios_own_word_counts_in_every_language(store: str, body: str) -> None:
    ada = phone(store=store)
    ada.text("hello")

    assert said(ada.text(body, OptOutType="STOP")) == "2 STOP"
    assert said(ada.text("hello")) == "1 None"


@STORES
@pytest.mark.parametrize(("body", "kind"), [
    ("START", "START"), ("unstop", "START"), ("help", "HELP"), ("INFO", "HELP"), ("YES", "None"), ("yes", "None"),
])  # fmt: skip
def test_p4_start_and_help_are_reported_and_end_nothing(store: str, body: str, kind: str) -> None:
    ada = phone(store=store)
    ada.text("hello")

    assert said(ada.text(body)) == f"2 {kind}"
    assert said(ada.text("hello")) == "3 None"


@pytest.mark.parametrize("declared", ["", "stop", "NONE", "STOP "])
def test_p4_an_unknown_word_of_twilios_leaves_it_to_the_body(declared: str) -> None:
    ada = phone()
    ada.text("hello")

    assert said(ada.text("hello", OptOutType=declared)) == "2 None"
    assert said(ada.text("STOP", OptOutType=declared)) == "3 STOP"


@STORES
def test_p4_on_opt_out_keep_keeps_the_conversation(store: str) -> None:
    ada = phone(store=store, on_opt_out="keep")
    ada.text("hello")

    assert said(ada.text("STOP")) == "2 STOP"
    assert said(ada.text("hello")) == "3 None"


@STORES
def test_p4_a_stop_ends_this_pair_only(store: str) -> None:
    app = ConversationMiddleware(telling, settings(store=store))
    twilio = TwilioSimulator(app, TOKEN)
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone("+15550100002", texting=US)
    other = twilio.phone(ADA, texting="+15550100098")
    for each in (ada, bob, other):
        each.text("hello")

    ada.text("STOP")

    assert [said(each.text("hello")) for each in (ada, bob, other)] == [
        "1 None",
        "2 None",
        "2 None",
    ]


@STORES
def test_p4_a_stop_that_the_app_answers_with_an_error_ends_nothing(store: str) -> None:
    """Twilio then asks the fallback URL, which gets the same STOP."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["convostate.webhook"].body == "STOP":
            start_response("500 Oops", [("Content-Type", "text/plain")])
            return [b""]
        return telling(environ, start_response)

    ada = TwilioSimulator(ConversationMiddleware(app, settings(store=store)), TOKEN).phone(
        ADA, texting=US
    )
    ada.text("hello")
    assert ada.text("STOP").status == 500

    assert said(ada.text("hello")) == "2 None"


@STORES
def test_p4_only_a_message_can_be_a_stop(store: str) -> None:
    ada = phone(store=store, calls="shared")  # a call's own state has nothing to end
    ada.text("hello")

    assert ">2 None<" in ada.call(Body="STOP", OptOutType="STOP").twiml
    assert said(ada.text("hello")) == "3 None"
    assert said(ada.text("STOP")) == "4 STOP"
    assert said(ada.text("hello")) == "1 None"


@STORES
@pytest.mark.parametrize(
    ("channel", "counts"), [("rcs", True), ("whatsapp", False), ("messenger", False)]
)
def test_p10_keywords_count_on_the_channels_on_which_twilio_has_them(
    store: str, channel: str, counts: bool
) -> None:
    ada = phone(f"{channel}:{ADA}", store=store)
    ada.text("hello")

    assert said(ada.text("cancel")) == ("2 STOP" if counts else "2 None")
    assert said(ada.text("hello")) == ("1 None" if counts else "3 None")
    assert said(ada.text("x", OptOutType="STOP")).endswith(" STOP")
    assert said(ada.text("hello")) == "1 None"


@STORES
@pytest.mark.parametrize("number", [ADA, f"rcs:{ADA}", f"whatsapp:{ADA}"])
def test_p10_a_button_is_not_a_keyword(store: str, number: str) -> None:
    ada = phone(number, store=store)
    ada.text("hello")

    assert said(ada.text("Cancel", ButtonPayload="cancel_42", ButtonText="Cancel")) == "2 None"
    assert said(ada.text("hello")) == "3 None"
