"""The paths of the Django project."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.apps import django_project, survey_django


@csrf_exempt
def run(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.META[django_project.VIEW](request.session))


urlpatterns = [*survey_django.urlpatterns, path("turn", run), path("visit", run)]
