"""A Django site with sessions in the database, CSRF and a login for browsers and for texts.

/login     POST name and password: the browser is logged in
/account   says who is, for browsers
/sms       a text ``name password`` logs the conversation in, any other is answered by name
"""

from __future__ import annotations

from django.contrib.auth import authenticate, login, logout
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.apps import django_project

MIDDLEWARE = [
    django_project.SESSIONS,
    django_project.CONVERSATIONS,
    django_project.CSRF,
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


def log_in(request: HttpRequest, name: str, password: str) -> bool:
    user = authenticate(request, username=name, password=password)
    if user is not None:
        login(request, user)
    return user is not None


def login_page(request: HttpRequest) -> HttpResponse:
    if request.method == "GET":
        return HttpResponse(get_token(request))
    done = log_in(request, request.POST["name"], request.POST["password"])
    return HttpResponse("Welcome" if done else "Wrong", status=200 if done else 401)


def account(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"{request.user or 'nobody'}, visit {request.session['visits']}")


@csrf_exempt
def sms(request: HttpRequest) -> HttpResponse:
    body = request.POST["Body"]
    if body == "bye":
        logout(request)
    elif not request.user.is_authenticated and not log_in(request, *f"{body} ".split(" ")[:2]):
        return HttpResponse("<Response><Message>Name and password?</Message></Response>")
    texts = request.session["texts"] = request.session.get("texts", 0) + 1
    who = request.user.get_username() or "stranger"
    return HttpResponse(f"<Response><Message>Hello {who}, text {texts}</Message></Response>")


urlpatterns = [path("login", login_page), path("account", account), path("sms", sms)]
