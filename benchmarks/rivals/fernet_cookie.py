"""A cookie sealed with Fernet, https://cryptography.io/en/latest/fernet/: JSON, encrypted and signed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from benchmarks.apps import flask_app
from benchmarks.rivals.cookie_session import LIFETIME_S, CookieSession
from benchmarks.rivals.verified import counting_in
from benchmarks.webhooks import KEY

if TYPE_CHECKING:
    from flask import Flask

IN_COOKIE = True


def app(redis_url: str, state: dict[str, Any]) -> Flask:  # noqa: ARG001
    """The app."""
    fernet = Fernet(KEY + "=")

    def load(text: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(fernet.decrypt(text, ttl=LIFETIME_S))
        return loaded

    def dump(session: dict[str, Any]) -> str:
        return fernet.encrypt(json.dumps(session).encode()).decode()

    made = flask_app(counting_in(state))
    made.session_interface = CookieSession(load, dump)
    return made
