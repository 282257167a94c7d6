"""An employee directory in Bottle: a name gives a card with a picture, or a list to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bottle import Bottle, request, response
from twilio.twiml.messaging_response import MessagingResponse

from convostate import ConversationMiddleware
from convostate.frameworks.bottle import ConversationPlugin

if TYPE_CHECKING:
    from convostate import Settings


class Employee(NamedTuple):
    name: str
    phone: str
    picture: str


STAFF = (
    Employee("Ada Lovelace", "+1 555 0111", "https://example.com/ada.png"),
    Employee("Grace Hopper", "+1 555 0112", "https://example.com/grace.png"),
    Employee("Grace Jones", "+1 555 0113", "https://example.com/jones.png"),
)
bot = Bottle()
bot.install(ConversationPlugin())


@bot.post("/directory/search")
def search(conversation: Any) -> str:
    asked = request.forms.Body.strip()
    choices = conversation.pop("choices", [])
    if asked.isdecimal() and 0 < int(asked) <= len(choices):
        found = [each for each in STAFF if each.name == choices[int(asked) - 1]]
    else:
        found = [each for each in STAFF if asked.casefold() in each.name.casefold()]
    answer = MessagingResponse()
    if len(found) == 1:
        answer.message(f"{found[0].name}, {found[0].phone}").media(found[0].picture)
    elif found:
        conversation["choices"] = [each.name for each in found]
        listed = "\n".join(f"{n} {each.name}" for n, each in enumerate(found, 1))
        answer.message(f"Which one? Answer with the number\n{listed}")
    else:
        answer.message(f"Nobody is called {asked}")
    response.content_type = "text/xml"
    return str(answer)


def make_app(settings: Settings) -> ConversationMiddleware:
    return ConversationMiddleware(bot, settings)
