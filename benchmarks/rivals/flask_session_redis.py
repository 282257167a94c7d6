"""Flask-Session on Redis: https://flask-session.readthedocs.io/en/latest/config_example.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask_session import Session
from redis import Redis

from benchmarks.apps import flask_app
from benchmarks.rivals.verified import counting_in

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = False


def app(redis_url: str, state: dict[str, Any]) -> Flask:
    """The app."""
    made = flask_app(counting_in(state))
    made.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(redis_url))
    Session(made)
    return made
