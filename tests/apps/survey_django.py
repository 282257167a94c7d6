"""The survey in Django, with `request.session`, `csrf_exempt` and a class-based view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test.utils import override_settings
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from convostate import ConversationMiddleware
from tests.apps import django_project, survey

if TYPE_CHECKING:
    from convostate import Settings
    from convostate.stores import Store

django_project.configure()


@csrf_exempt
def sms(request: HttpRequest) -> HttpResponse:
    if "question" in request.session:
        return HttpResponse(survey.passed_on(url("answer", request.session["question"])))
    request.session["answers"] = []
    return HttpResponse(survey.begun(url("question", 0)))


@require_GET
def question(request: HttpRequest, number: int) -> HttpResponse:
    request.session["question"] = number
    return HttpResponse(survey.said(survey.QUESTIONS[number]))


@method_decorator(csrf_exempt, name="dispatch")
class Answer(View):  # type: ignore[misc]  # Django has no types
    def post(self, request: HttpRequest, number: int) -> HttpResponse:
        answers = request.session["answers"]
        answers.append((survey.QUESTIONS[number], request.POST["Body"]))
        request.session.modified = True
        if number + 1 == len(survey.QUESTIONS):
            request.session.flush()
        return HttpResponse(survey.after_answer(number, answers, lambda n: url("question", n)))


def visits(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(
        f"<p>visit {request.session['visits']}: {sorted(request.session.keys())}</p>"
    )


def url(name: str, number: int) -> str:
    return str(reverse(name, kwargs={"number": number}))


urlpatterns = [
    path("", visits),
    path("sms", sms, name="sms"),
    path("sms/question/<int:number>", question, name="question"),
    path("sms/answer/<int:number>", Answer.as_view(), name="answer"),
]


def make_bare() -> Any:
    with override_settings(MIDDLEWARE=[django_project.SESSIONS, django_project.CSRF]):
        return get_wsgi_application()


def make_app(settings: Settings | None = None, store: Store | None = None) -> Any:
    return ConversationMiddleware(get_wsgi_application(), settings, store=store)
