"""An appointment reminder: the app writes first, and knows what the answer is about.

`start` sends a reminder, from a worker, a cron job or a shell. By its name and its arguments
``convostate chat convostate.demo.reminder:app --start`` finds it.
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

LONGEST = 40  # characters of a time that somebody proposes


def ask(when: str) -> str:
    """The question, to which the state belongs."""
    return f"Your appointment is {when}. Reply yes to confirm or no to reschedule."


def answer(state: State, text: str) -> str:
    """Change the state as the text asks, and say so."""
    # What XML cannot carry is not printable, and nor are line ends.
    printable = "".join(char if char.isprintable() else " " for char in text)
    word = " ".join(printable.split())[:LONGEST]
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
    """Answer a text, and note that a reminder was delivered."""
    webhook, state = webhook_from(environ), state_from(environ)
    start_response("200 OK", [("Content-Type", "text/xml; charset=utf-8")])
    if webhook.params.get("MessageStatus") == "delivered" and not state.is_new:
        state["delivered"] = True
    # STOP, START and HELP are answered by Twilio itself.
    if webhook.kind != "message" or webhook.opt_out_type is not None:
        return [b"<Response/>"]
    reply = escape(answer(state, webhook.body))
    return [f"<Response><Message>{reply}</Message></Response>".encode()]


settings = Settings.from_environ()
if settings.store == "cookie":  # none can be set on a message that the app sends first
    settings = replace(settings, store="memory")

app = ConversationMiddleware(converse, settings)
conversations = Conversations(settings, store=app.store)


def start(
    client: Client, *, to: str, from_: str, when: str = "tomorrow at 9:00", **message: Any
) -> str:
    """Remind somebody of an appointment.

    Args:
        client: A ``twilio.rest.Client``.
        to: Whom.
        from_: The number that `app` serves.
        when: The appointment.
        **message: More arguments of ``messages.create``, such as `status_callback`.

    Returns:
        The message's SID.
    """
    state = {"step": "confirm", "when": when}
    sent = conversations.start(client, to=to, from_=from_, body=ask(when), state=state, **message)
    return str(sent.sid)
