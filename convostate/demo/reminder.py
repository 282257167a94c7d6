"""An appointment reminder: the app writes first, and knows what the reply is about.

`start` sends a reminder, from a worker, a cron job or a shell;
``convostate chat convostate.demo.reminder:app --start`` calls it, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from convostate import ConversationMiddleware, Conversations, Settings, state_from, webhook_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]

    from convostate import State

MAX_CHARS = 40  # of a time that a person proposes


def ask(when: str) -> str:
    """The question that begins the conversation."""
    return f"Your appointment is {when}. Reply yes to confirm or no to reschedule."


def answer(state: State, text: str) -> str:
    """Change the state as the text asks, and return the reply."""
    # Characters that XML does not allow are not printable, nor are line ends.
    printable = "".join(char if char.isprintable() else " " for char in text)
    word = " ".join(printable.split())[:MAX_CHARS]
    match state.get("step"), word.lower():
        case "confirm", "yes":
            state["step"] = "confirmed"
            return f"Confirmed: {state['when']}. See you then."
        case "confirm", "no":
            state["step"] = "reschedule"
            return "When would suit you instead?"
        case "reschedule", _ if word:
            state |= {"step": "confirm", "when": word}
            return ask(word)
        case (("confirm" | "reschedule"), _):
            return "Please reply yes or no, or a time."
        case "confirmed", _:
            return f"You are expected {state['when']}."
    return "You have no appointment."


def converse(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a text, and record that a reminder was delivered."""
    webhook, state = webhook_from(environ), state_from(environ)
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
    if webhook.params.get("MessageStatus") == "delivered" and not state.is_new:
        state["delivered"] = True
    # Twilio itself answers STOP, START and HELP.
    if webhook.kind != "message" or webhook.opt_out_type is not None:
        return [b"<Response/>"]
    reply = escape(answer(state, webhook.body))
    return [f"<Response><Message>{reply}</Message></Response>".encode()]


settings = Settings.from_environ()
if settings.store == "cookie":  # a message that the app sends first cannot set a cookie
    settings = replace(settings, store="memory")

app = ConversationMiddleware(converse, settings)
conversations = Conversations(settings, store=app.store)


def start(
    client: Client, *, to: str, from_: str, when: str = "tomorrow at 9:00", **message: Any
) -> str:
    """Send a reminder of an appointment.

    Args:
        client: A ``twilio.rest.Client``.
        to: The person's number.
        from_: The app's number.
        when: The time of the appointment.
        **message: More arguments of ``messages.create``, such as `status_callback`.

    Returns:
        The message's SID.
    """
    state = {"step": "confirm", "when": when}
    sent = conversations.start(client, to=to, from_=from_, body=ask(when), state=state, **message)
    return str(sent.sid)
