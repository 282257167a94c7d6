"""Django's signed cookies, the format of `django.contrib.sessions.backends.signed_cookies`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import signing

from benchmarks.apps import flask_app
from benchmarks.rivals.cookie_session import LIFETIME_S, CookieSession
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = True


def app(redis_url: str, state: dict[str, Any]) -> Flask:  # noqa: ARG001
    """The app."""
    if not settings.configured:
        settings.configure(SECRET_KEY=KEY)
    salt = "django.contrib.sessions.backends.signed_cookies"
    load = partial(signing.loads, salt=salt, max_age=LIFETIME_S)
    dump = partial(signing.dumps, salt=salt, compress=True)
    made = flask_app(counting_in(state))
    made.session_interface = CookieSession(load, dump)
    return made
