"""A telephone menu in Flask that keeps its place, an Enum, in the session.

/voice         says the menu
/voice/menu    takes a key: a department, or back
/voice/name    takes what the caller said
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from flask import Flask, request, session, url_for
from twilio.twiml.voice_response import Gather, VoiceResponse

from convostate.frameworks.flask import ConvoState

if TYPE_CHECKING:
    from convostate import Settings


class Step(str, Enum):
    MENU = "menu"
    SALES = "sales"
    SUPPORT = "support"


KEYS = {"1": Step.SALES, "2": Step.SUPPORT}


def menu(response: VoiceResponse) -> str:
    session["step"] = Step.MENU
    gather = Gather(num_digits=1, action=url_for("choose"), method="POST")
    gather.say("For sales press 1, for support press 2")
    response.append(gather)
    return str(response)


def welcome() -> str:
    response = VoiceResponse()
    response.say("Welcome")
    return menu(response)


def choose() -> str:
    response = VoiceResponse()
    step = KEYS.get(request.form["Digits"])
    if step is None or session.get("step") != Step.MENU:
        response.say("Sorry?")
        return menu(response)
    session["step"] = step
    session.setdefault("heard", []).append(step)
    gather = Gather(input="speech", action=url_for("ask_name"))
    gather.say(f"This is {step.value}. Who is calling?")
    response.append(gather)
    return str(response)


def ask_name() -> str:
    response = VoiceResponse()
    response.say(f"{request.form['SpeechResult']}, {session['step']} will call you back")
    response.hangup()
    return str(response)


def make_app(settings: Settings) -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/voice", view_func=welcome, methods=["POST"])
    app.add_url_rule("/voice/menu", "choose", choose, methods=["POST"])
    app.add_url_rule("/voice/name", "ask_name", ask_name, methods=["POST"])
    ConvoState(app, settings)
    return app
