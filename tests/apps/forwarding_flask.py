"""Anonymous forwarding: customers and an agent text through one number and never see each other's.

A customer's text goes to the agent under an alias, over the REST API; the agent answers ``Alias: …``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask, Response, request

from convostate import Conversations, state_from
from convostate.frameworks.flask import ConvoState
from convostate.stores import MemoryStore

if TYPE_CHECKING:
    from twilio.rest import Client

    from convostate import Settings

ALIASES = ("Otter", "Heron", "Lynx")


def make_app(settings: Settings, agent: str) -> Flask:
    """The app; it sends with ``app.config["CLIENT"]``."""
    app = Flask(__name__)
    store = MemoryStore()
    conversations = Conversations(settings, store=store)

    def send(ours: str, to: str, body: str) -> None:
        client: Client = app.config["CLIENT"]
        client.messages.create(from_=ours, to=to, body=body)

    def from_customer(ours: str, customer: str, body: str) -> str:
        state = state_from(request.environ)
        with conversations.turn(ours=ours, theirs=agent) as desk:
            customers = desk.setdefault("customers", {})
            if "alias" not in state:
                state["alias"] = ALIASES[len(customers)]
            customers[state["alias"]] = customer
        send(ours, agent, f"{state['alias']}: {body}")
        return ""

    def from_agent(ours: str, body: str) -> str:
        alias, _, text = body.partition(":")
        customer = state_from(request.environ).get("customers", {}).get(alias)
        if customer is None:
            return "<Message>Nobody has this name. Write Name: text</Message>"
        send(ours, customer, text.strip())
        return ""

    @app.post("/sms")
    def sms() -> Response:
        ours, theirs, body = (request.form[name] for name in ("To", "From", "Body"))
        answer = from_agent(ours, body) if theirs == agent else from_customer(ours, theirs, body)
        return Response(f"<Response>{answer}</Response>", content_type="text/xml")

    ConvoState(app, settings, store=store)
    return app
