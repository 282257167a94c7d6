"""The survey in Bottle, with `conversation` arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bottle import Bottle, request, response

from convostate import ConversationMiddleware
from convostate.frameworks.bottle import ConversationPlugin
from tests.apps import survey

if TYPE_CHECKING:
    from convostate import Settings, State
    from convostate.stores import Store


def sms(conversation: State) -> str:
    if "question" in conversation:
        return survey.passed_on(f"/sms/answer/{conversation['question']}")
    conversation["answers"] = []
    return survey.begun("/sms/question/0")


def question(number: int, conversation: State) -> str:
    conversation["question"] = number
    return survey.said(survey.QUESTIONS[number])


def answer(number: int, conversation: State) -> str:
    answers = conversation["answers"]
    answers.append((survey.QUESTIONS[number], request.forms.getunicode("Body")))
    if number + 1 == len(survey.QUESTIONS):
        conversation.clear()
    return survey.after_answer(number, answers, "/sms/question/{}".format)


def visits() -> str:
    count = int(request.get_cookie("visits", "0", secret="an example")) + 1
    response.set_cookie("visits", str(count), secret="an example")
    return f"<p>visit {count}</p>"


def make_bottle() -> Bottle:
    app = Bottle()
    app.install(ConversationPlugin())
    app.post("/sms", callback=sms)
    app.get("/sms/question/<number:int>", callback=question)
    app.post("/sms/answer/<number:int>", callback=answer)
    app.get("/", callback=visits)
    return app


def make_bare() -> Any:
    return make_bottle()


def make_app(settings: Settings | None = None, store: Store | None = None) -> Any:
    return ConversationMiddleware(make_bottle(), settings, store=store)
