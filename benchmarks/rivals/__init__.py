"""What people use today: one small module each, as its own documentation writes it.

Each module has `IN_COOKIE`, and ``app(redis_url, state)``, which gives a Flask app that verifies with
RequestValidator, counts the texts of a conversation in its session, and answers as `benchmarks.apps`
does; `state` is what the session begins with. `validator.py` verifies and does nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from flask import Flask

    from benchmarks.worker import Work


class Rival(Protocol):
    """The shape of a rival's module."""

    IN_COOKIE: bool

    def app(self, redis_url: str, state: dict[str, Any]) -> Flask:
        """The app."""
        ...


def rival(name: str) -> Rival:
    """Load a rival's module.

    Raises:
        ModuleNotFoundError: Its package is not installed.
    """
    module: Any = import_module(f"benchmarks.rivals.{name}")
    return module  # type: ignore[no-any-return]  # a module has the shape of the protocol


def contender(name: str, kind: str = "sms", redis_url: str = "", size: str = "count") -> Work:
    """The factory of a rival: one call is one webhook."""
    from benchmarks.apps import answering  # noqa: PLC0415  # Flask only where an app is asked for
    from benchmarks.states import STATES  # noqa: PLC0415

    made = rival(name)
    return answering(made.app(redis_url, STATES[size]), kind, in_cookie=made.IN_COOKIE)
