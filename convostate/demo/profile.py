"""A text conversation that remembers who you are, what you like, and what you ordered."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from convostate import ConversationMiddleware, state_from, webhook_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from convostate import State

HELP = "Try: name Ada / like jazz / order 2 tea 3.50 / orders / forget me"

# The state travels in a cookie of at most 4096 bytes. Long words and long lists are refused here, with
# a reply instead of an error.
WORDS = re.compile(r".{1,20}")
ORDER = re.compile(r"(\d{1,3}) (.{1,20}) (\d{1,5}(?:\.\d\d)?)", re.ASCII)
MAX_ITEMS = 8

# Characters that a text may have, but XML 1.0 may not (section 2.2, Char).
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def answer(state: State, text: str, now: datetime) -> str:
    """Change the state as the text asks, and return the reply."""
    verb, _, rest = " ".join(text.split()).partition(" ")
    match verb.lower():
        case "name" if WORDS.fullmatch(rest):
            state["name"] = rest
            return f"Hello {rest}."
        case "like" if WORDS.fullmatch(rest):
            likes = state.setdefault("likes", [])
            if rest not in likes:
                likes.append(rest)
            del likes[:-MAX_ITEMS]
            return "You like " + ", ".join(likes) + "."
        case "order" if found := ORDER.fullmatch(rest):
            orders = state.setdefault("orders", [])
            if len(orders) == MAX_ITEMS:
                return "That is all I can carry. Say: orders"
            count, what, price = int(found[1]), found[2], Decimal(found[3])
            orders.append({"at": now, "count": count, "what": what, "price": price})
            return f"Ordered: {count} {what} at {price} each."
        case "orders":
            return order_list(state)
        case "forget" if rest.lower() == "me":
            state.end()
            return "Forgotten."
    return HELP


def order_list(state: State) -> str:
    """The orders, one per line, and their total."""
    orders = state.get("orders", [])
    lines = [f"{o['at']:%H:%M} {o['count']} {o['what']} at {o['price']}" for o in orders]
    total = sum((o["count"] * o["price"] for o in orders), Decimal("0.00"))
    whose = f"{state['name']}'s orders" if "name" in state else "Your orders"
    return "\n".join([f"{whose}:", *lines, f"Total {total}"])


def converse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a text; other webhooks, such as a message status, get an empty response."""
    webhook = webhook_from(environ)
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
    if webhook.kind != "message":
        return [b"<Response/>"]
    # In a test this is the simulator's clock, so that the test controls the time of an order.
    now = datetime.fromtimestamp(environ.get("convostate.clock", time.time)(), timezone.utc)
    reply = escape(NOT_XML.sub("", answer(state_from(environ), webhook.body, now)))
    return [f"<Response><Message>{reply}</Message></Response>".encode()]


app = ConversationMiddleware(converse)
