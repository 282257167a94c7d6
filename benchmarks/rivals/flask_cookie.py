"""Flask's own session: a signed, readable cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.apps import flask_app
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = True


def app(redis_url: str, state: dict[str, Any]) -> Flask:  # noqa: ARG001
    """The app."""
    made = flask_app(counting_in(state))
    made.secret_key = KEY
    return made
