"""The one Django project of the tests; a process has a single one."""

from __future__ import annotations

import django
from django.conf import settings

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
CONVERSATIONS = "convostate.frameworks.django.ConversationSessionMiddleware"
VIEW = "tests.view"  # in the environ: what the paths /turn and /visit run
CSRF = "django.middleware.csrf.CsrfViewMiddleware"


def configure() -> None:
    """Set it up, once."""
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"],
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            INSTALLED_APPS=[
                "django.contrib.auth",
                "django.contrib.contenttypes",
                "django.contrib.sessions",
            ],
            MIDDLEWARE=[SESSIONS, CONVERSATIONS, CSRF],
            ROOT_URLCONF="tests.apps.django_urls",
            SECRET_KEY="an example",
            SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
            USE_TZ=True,
        )
        django.setup()
