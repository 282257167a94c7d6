"""Messages that the app sends of its own accord arrive at the phones."""

from __future__ import annotations

import os
from typing import Any

from twilio.rest import Client

from convostate import ConversationMiddleware, Conversations, Settings
from convostate.testing.configured import ACCOUNT_SID
from tests.phone_board import ADA, BOB, US, answering, board


def test_what_the_app_sends_of_its_own_accord_arrives_at_once_and_unknown_people_get_a_phone() -> (
    None
):
    with board(store="memory") as page:
        client = page.session.simulator.rest_client()
        client.messages.create(to=ADA, from_=US, body="first")
        client.messages.create(to="+15550100007", from_=US, body="who are you?")
        seen = page.look()

        assert page.bodies("received") == ["first"]
        assert [phone["number"] for phone in seen["phones"]] == [ADA, BOB, "+15550100007"]
        assert page.bodies("received", 2) == ["who are you?"]
        assert seen["phones"][0]["entries"][0]["via"] == "app"


def test_what_the_app_sends_through_a_client_of_its_own_arrives_too() -> None:
    def tell_bob(_: Any, body: str) -> str:
        client = Client(ACCOUNT_SID, os.environ["TWILIO_AUTH_TOKEN"])
        client.messages.create(to=BOB, from_=US, body=f"Ada says: {body}")
        return "told"

    with board(answering(tell_bob)) as page:
        page.text("hello")
        assert page.bodies("received") == ["told"]
        assert page.bodies("received", 1) == ["Ada says: hello"]


def test_an_app_with_a_start_function_can_be_asked_to_write_first() -> None:
    app = ConversationMiddleware(
        answering(lambda state, _: f"step {state.get('step')}"),
        Settings.from_environ(store="memory"),
    )
    conversations = Conversations(app.settings, store=app.store)

    def start(client: Client, *, to: str, from_: str) -> None:
        conversations.start(client, to=to, from_=from_, body="Coming?", state={"step": 1})

    with board(app, bare=True, start=start) as page:
        assert page.look()["starts"]
        assert page.do("start", phone=0).status_code == 200
        assert page.bodies("received") == ["Coming?"]
        assert page.stored()["rows"][0]["text"] == "1"
        page.text("yes")
        assert page.bodies("received") == ["Coming?", "step 1"]

        page.text("STOP")
        assert page.bodies("note") == [
            "Twilio did not deliver the app's reply: this person has sent STOP."
        ]
        assert page.look()["stored"][0]["opted_out"]
        page.do("start", phone=0)
        assert "OptedOutError" in page.bodies("note")[-1]
    with board() as page:
        assert not page.look()["starts"]
        assert page.do("start", phone=0).status_code == 409
