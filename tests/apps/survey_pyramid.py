"""The survey in Pyramid, with `request.session` and class-based views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyramid.config import Configurator
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

from convostate import ConversationMiddleware
from tests.apps import survey

if TYPE_CHECKING:
    from pyramid.request import Request

    from convostate import Settings
    from convostate.stores import Store


class Survey:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.session = request.session
        self.number = int(request.matchdict.get("number", -1))

    def sms(self) -> Response:
        if "question" in self.session:
            return Response(survey.passed_on(self._url("answer", self.session["question"])))
        self.session["answers"] = []
        return Response(survey.begun(self._url("question", 0)))

    def question(self) -> Response:
        self.session["question"] = self.number
        return Response(survey.said(survey.QUESTIONS[self.number]))

    def answer(self) -> Response:
        answers = self.session["answers"]
        answers.append((survey.QUESTIONS[self.number], self.request.params["Body"]))
        self.session.changed()
        if self.number + 1 == len(survey.QUESTIONS):
            self.session.invalidate()
        way_on = survey.after_answer(self.number, answers, lambda n: self._url("question", n))
        return Response(way_on)

    def _url(self, route: str, number: int) -> str:
        return str(self.request.route_path(route, number=number))


def visits(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return Response(f"<p>visit {request.session['visits']}: {sorted(request.session)}</p>")


def make_pyramid(include: tuple[str, ...] = ()) -> Any:
    config = Configurator(settings={"convostate.session": "true"})
    for module in include:
        config.include(module)
    config.set_session_factory(SignedCookieSessionFactory("an example"))
    for name, pattern, method in (
        ("sms", "/sms", "POST"),
        ("question", "/sms/question/{number}", "GET"),
        ("answer", "/sms/answer/{number}", "POST"),
    ):
        config.add_route(name, pattern, request_method=method)
        config.add_view(Survey, attr=name, route_name=name)
    config.add_route("visits", "/")
    config.add_view(visits, route_name="visits")
    return config.make_wsgi_app()


def make_bare() -> Any:
    return make_pyramid()


def make_app(settings: Settings | None = None, store: Store | None = None) -> Any:
    app = make_pyramid(include=("convostate.frameworks.pyramid",))
    return ConversationMiddleware(app, settings, store=store)
