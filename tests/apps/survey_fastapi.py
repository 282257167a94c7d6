"""The survey in FastAPI, with `request.session`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Form, Request, Response

from convostate.asgi import ConversationMiddleware
from tests.apps import survey

if TYPE_CHECKING:
    from convostate import Settings


def make_app(settings: Settings | None = None) -> Any:
    app = FastAPI()

    def answer_with(document: str) -> Response:
        return Response(document, media_type="text/xml")

    def url(name: str, number: int) -> str:
        return str(app.url_path_for(name, number=number))

    @app.post("/sms")
    async def sms(request: Request) -> Response:
        if "question" in request.session:
            return answer_with(survey.passed_on(url("answer", request.session["question"])))
        request.session["answers"] = []
        return answer_with(survey.begun(url("question", 0)))

    @app.get("/sms/question/{number}")
    async def question(request: Request, number: int) -> Response:
        request.session["question"] = number
        return answer_with(survey.said(survey.QUESTIONS[number]))

    @app.post("/sms/answer/{number}")
    def answer(request: Request, number: int, body: Annotated[str, Form(alias="Body")] = "") -> Response:  # fmt: skip
        answers = request.session["answers"]
        answers.append((survey.QUESTIONS[number], body))
        if number + 1 == len(survey.QUESTIONS):
            request.session.clear()
        return answer_with(survey.after_answer(number, answers, lambda n: url("question", n)))

    app.add_middleware(ConversationMiddleware, settings=settings)
    return app
