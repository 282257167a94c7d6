"""What people use today, each as its own documentation writes it.

Each function makes a Flask app that verifies with RequestValidator, counts the texts of a
conversation in its session, and answers as `benchmarks.apps` does. `validator` verifies and does
nothing else.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from twilio.request_validator import RequestValidator

from benchmarks.apps import answering, count, flask_app
from benchmarks.webhooks import KEY, KINDS, TOKEN, Signed
from benchmarks.worker import Work

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from flask import Flask

LIFETIME_S = 4 * 3600  # as long as Twilio keeps a cookie


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


def stateless(store: str = "") -> Flask:  # noqa: ARG001
    """RequestValidator, and no session at all."""
    return verified({})


def flask_session(store: str = "") -> Flask:  # noqa: ARG001
    """Flask's own session: a signed, readable cookie."""
    made = verified()
    made.secret_key = KEY
    return made


def _in_cookie(
    load: Callable[[str], dict[str, Any]], dump: Callable[[dict[str, Any]], str]
) -> Flask:
    """Flask's session in a cookie of another format."""
    from flask.sessions import SecureCookieSession, SessionInterface  # noqa: PLC0415

    class CookieSession(SessionInterface):
        def open_session(self, app: Any, request: Any) -> SecureCookieSession:  # noqa: ARG002
            text = request.cookies.get("session")
            return SecureCookieSession(load(text) if text else None)

        def save_session(self, app: Any, session: Any, response: Any) -> None:  # noqa: ARG002
            text = dump(dict(session))
            response.set_cookie("session", text, LIFETIME_S, httponly=True, samesite="Lax")

    made = verified()
    made.session_interface = CookieSession()
    return made


def django_cookie(store: str = "") -> Flask:  # noqa: ARG001
    """The format of `django.contrib.sessions.backends.signed_cookies`, signed."""
    from django.conf import settings  # noqa: PLC0415
    from django.core import signing  # noqa: PLC0415

    settings.configure(SECRET_KEY=KEY)
    salt = "django.contrib.sessions.backends.signed_cookies"
    load = partial(signing.loads, salt=salt, max_age=LIFETIME_S)
    return _in_cookie(load, partial(signing.dumps, salt=salt, compress=True))


def fernet_cookie(store: str = "") -> Flask:  # noqa: ARG001
    """JSON, encrypted and signed: https://cryptography.io/en/latest/fernet/."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    fernet = Fernet(KEY + "=")
    return _in_cookie(
        lambda text: json.loads(fernet.decrypt(text, ttl=LIFETIME_S)),
        lambda session: fernet.encrypt(json.dumps(session).encode()).decode(),
    )


def flask_session_redis(store: str) -> Flask:
    """Flask-Session on Redis: https://flask-session.readthedocs.io/en/latest/config_example.html."""
    from flask_session import Session  # noqa: PLC0415
    from redis import Redis  # noqa: PLC0415

    made = verified()
    made.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(store))
    Session(made)
    return made


def contender(name: str, kind: str = "sms", store: str = "") -> Work:
    """The factory of the Flask apps above: one call is one webhook."""
    return answering(globals()[name](store), kind)
