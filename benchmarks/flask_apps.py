"""Flask: bare, wrapped, and verifying in its view with a session, as the rivals' own documentation writes it."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

from flask import Flask, Response, abort, request, session

import convostate
from benchmarks.apps import CONTENT_TYPE, count, settings, twiml
from benchmarks.webhooks import KEY, PATH, TOKEN


def bare(number: Callable[[], int] = lambda: 2) -> Flask:
    """An app whose one view answers with a number."""
    app = Flask(__name__)
    app.post(PATH)(lambda: Response(twiml(number()), content_type=CONTENT_TYPE))
    return app


def wrapped(**changes: Any) -> Flask:
    """Wrapped with these settings."""
    app = bare(lambda: count(convostate.state_from(request.environ)))
    app.wsgi_app = convostate.ConversationMiddleware(app.wsgi_app, settings(**changes))  # type: ignore[method-assign]  # as Flask documents it
    return app


def verifying(state: MutableMapping[str, Any]) -> Flask:
    """RequestValidator, and a mapping to count in.

    https://www.twilio.com/docs/usage/tutorials/how-to-secure-your-flask-app-by-validating-incoming-twilio-requests
    """
    from twilio.request_validator import RequestValidator

    def number() -> int:
        checker = RequestValidator(TOKEN)
        signature = request.headers.get("X-Twilio-Signature", "")
        if not checker.validate(request.url, request.form, signature):
            abort(403)
        return count(state)

    return bare(number)


def stateless() -> Flask:
    """RequestValidator, and no state at all."""
    return verifying({})


def signed_cookie() -> Flask:
    """RequestValidator, and Flask's own session: a signed, readable cookie."""
    app = verifying(session)
    app.secret_key = KEY
    return app


def flask_session(store: str) -> Flask:
    """RequestValidator, and https://flask-session.readthedocs.io/en/latest/config_example.html."""
    from flask_session import Session
    from redis import Redis

    app = verifying(session)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(store))
    Session(app)
    return app
