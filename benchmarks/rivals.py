"""What people use today, each as its own documentation writes it.

Each function makes a Flask app that verifies with RequestValidator, counts the texts of a
conversation in its session, and answers as `benchmarks.apps` does. `validator` verifies and does
nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twilio.request_validator import RequestValidator

from benchmarks.apps import answering, count, flask_app
from benchmarks.webhooks import KEY, KINDS, TOKEN, Signed
from benchmarks.worker import Work

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from flask import Flask


def validator(kind: str = "sms") -> Work:
    """RequestValidator alone: one call is one `validate`; the parameters are already parsed."""
    checker = RequestValidator(TOKEN)

    def arguments(hook: Signed) -> tuple[str, dict[str, str] | str, str]:
        return hook.url, hook.body.decode() if kind == "json" else hook.params, hook.signature

    def inputs(calls: int) -> list[tuple[str, dict[str, str] | str, str]]:
        return [arguments(KINDS[kind](1)) for _ in range(calls)]

    if not checker.validate(*inputs(1)[0]):
        raise RuntimeError("RequestValidator refuses the request")
    return Work(inputs, lambda item: checker.validate(*item))


def verified(state: MutableMapping[str, Any] | None = None) -> Flask:
    """A Flask app that verifies in its view, and counts in `flask.session` or in another mapping.

    https://www.twilio.com/docs/usage/tutorials/how-to-secure-your-flask-app-by-validating-incoming-twilio-requests
    """
    from flask import abort, request, session  # noqa: PLC0415  # not for `validator`

    def view() -> int:
        checker = RequestValidator(TOKEN)
        signature = request.headers.get("X-Twilio-Signature", "")
        if not checker.validate(request.url, request.form, signature):
            abort(403)
        return count(session if state is None else state)

    return flask_app(view)


def stateless() -> Flask:
    """RequestValidator, and no session at all."""
    return verified({})


def flask_session() -> Flask:
    """Flask's own session: a signed, readable cookie."""
    made = verified()
    made.secret_key = KEY
    return made


def flask_session_redis(store: str) -> Flask:
    """Flask-Session on Redis: https://flask-session.readthedocs.io/en/latest/config_example.html."""
    from flask_session import Session  # noqa: PLC0415
    from redis import Redis  # noqa: PLC0415

    made = verified()
    made.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(store))
    Session(made)
    return made


def contender(name: str, **options: str) -> Work:
    """The factory of the Flask apps above: one call is one webhook."""
    return answering(globals()[name](**options))
