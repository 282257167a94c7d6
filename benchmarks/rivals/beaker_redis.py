"""Beaker's sessions on Redis: https://beaker.readthedocs.io/en/latest/modules/redis.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beaker.middleware import SessionMiddleware
from flask import request

from benchmarks.apps import flask_app
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = False


def app(redis_url: str, state: dict[str, Any]) -> Flask:
    """The app."""
    made = flask_app(counting_in(state, lambda: request.environ["beaker.session"]))
    options = {
        "session.type": "ext:redis",
        "session.url": redis_url,
        "session.auto": True,
        "session.secret": KEY,
        "session.timeout": 4 * 3600,  # seconds
    }
    made.wsgi_app = SessionMiddleware(made.wsgi_app, options)  # type: ignore[method-assign]  # as Flask documents it
    return made
