"""Flask's own session, a signed cookie, behind RequestValidator: https://www.twilio.com/docs/usage/tutorials/how-to-secure-your-flask-app-by-validating-incoming-twilio-requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import abort, request, session
from twilio.request_validator import RequestValidator

from benchmarks.apps import flask_app
from benchmarks.webhooks import KEY, TOKEN

if TYPE_CHECKING:
    from flask import Flask

LABEL = "Flask + RequestValidator + flask.session"


def count_in_session() -> int:
    """Verify, then count."""
    validator = RequestValidator(TOKEN)
    signature = request.headers.get("X-Twilio-Signature", "")
    if not validator.validate(request.url, request.form, signature):
        abort(403)
    number: int = session.get("texts", 0) + 1
    session["texts"] = number
    return number


def app(redis_url: str = "") -> Flask:  # noqa: ARG001  # one shape for all rivals
    """The app."""
    made = flask_app(count_in_session)
    made.secret_key = KEY
    return made
