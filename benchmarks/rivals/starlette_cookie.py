"""Starlette's session format, https://github.com/encode/starlette/blob/master/starlette/middleware/sessions.py: itsdangerous over base64 of JSON."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from itsdangerous import TimestampSigner

from benchmarks.apps import flask_app
from benchmarks.rivals.cookie_session import LIFETIME_S, CookieSession
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = True


def app(redis_url: str, state: dict[str, Any]) -> Flask:  # noqa: ARG001
    """The app."""
    signer = TimestampSigner(KEY)

    def load(text: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(b64decode(signer.unsign(text, max_age=LIFETIME_S)))
        return loaded

    def dump(session: dict[str, Any]) -> str:
        return signer.sign(b64encode(json.dumps(session).encode())).decode()

    made = flask_app(counting_in(state))
    made.session_interface = CookieSession(load, dump)
    return made
