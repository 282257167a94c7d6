"""The survey in Flask, with `flask.session`, a blueprint and no content type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Flask, request, session, url_for

from convostate.frameworks.flask import ConvoState
from tests.apps import survey

if TYPE_CHECKING:
    from convostate import Settings
    from convostate.stores import Store

bot = Blueprint("bot", __name__, url_prefix="/sms")


@bot.post("")
def sms() -> str:
    if "question" in session:
        return survey.passed_on(url_for("bot.answer", number=session["question"]))
    session["answers"] = []
    return survey.begun(url_for("bot.question", number=0))


@bot.get("/question/<int:number>")
def question(number: int) -> str:
    session["question"] = number
    return survey.said(survey.QUESTIONS[number])


@bot.post("/answer/<int:number>")
def answer(number: int) -> str:
    answers = session["answers"]
    answers.append((survey.QUESTIONS[number], request.form["Body"]))
    session.modified = True
    if number + 1 == len(survey.QUESTIONS):
        session.clear()
    return survey.after_answer(number, answers, lambda n: url_for("bot.question", number=n))


def visits() -> str:
    session["visits"] = session.get("visits", 0) + 1
    return f"<p>visit {session['visits']}: {sorted(session)}</p>"


def make_flask() -> Flask:
    """The app as it was before it was wrapped."""
    app = Flask(__name__)
    app.secret_key = "an example"
    app.register_blueprint(bot)
    app.add_url_rule("/", view_func=visits)
    return app


def make_bare() -> Any:
    return make_flask()


def make_app(settings: Settings | None = None, store: Store | None = None) -> Any:
    app = make_flask()
    ConvoState(app, settings, store=store)
    return app
