"""The survey in Django under ASGI: the same project, its other application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.asgi import get_asgi_application

from convostate.asgi import ConversationMiddleware
from tests.apps import survey_django

if TYPE_CHECKING:
    from convostate import Settings

urlpatterns = survey_django.urlpatterns


def make_app(settings: Settings | None = None) -> Any:
    return ConversationMiddleware(get_asgi_application(), settings)
