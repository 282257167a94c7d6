"""Beaker's encrypted cookie: https://beaker.readthedocs.io/en/latest/configuration.html."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beaker.middleware import SessionMiddleware
from flask import request

from benchmarks.apps import flask_app
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = True


def app(redis_url: str, state: dict[str, Any]) -> Flask:  # noqa: ARG001
    """The app."""
    made = flask_app(counting_in(state, lambda: request.environ["beaker.session"]))
    options = {
        "session.type": "cookie",
        "session.auto": True,
        "session.encrypt_key": KEY,
        "session.validate_key": KEY,
        "session.crypto_type": "cryptography",
        "session.data_serializer": "json",
    }
    made.wsgi_app = SessionMiddleware(made.wsgi_app, options)  # type: ignore[method-assign]  # as Flask documents it
    return made
