"""An app to try out: found, given what it needs to start, and texted by a simulated Twilio."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convostate.cli.addresses import read_address
from convostate.errors import UsageError
from convostate.middleware import find_middleware
from convostate.sealing.keys import Keyring
from convostate.settings import Settings
from convostate.testing.clock import Clock
from convostate.testing.configured import (
    ACCOUNT_SID,
    OUR_NUMBER,
    configured_prefix,
    configured_url,
)
from convostate.testing.simulator import TwilioSimulator
from convostate.wsgi.middleware import ConversationMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from _typeshed.wsgi import WSGIApplication

DEMO = "convostate.demo.counter:app"
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_TOKENS = (
    "TWILIO_AUTH_TOKEN",
    "CONVOSTATE_AUTH_TOKENS",
    "CONVOSTATE_ACCOUNT_TOKENS",
    "CONVOSTATE_SHARED_KEYS",
)

texting_option = click.option(
    "--texting",
    default=OUR_NUMBER,
    show_default=True,
    callback=read_address,
    help="The app's number.",
)
webhook_url_option = click.option(
    "--webhook-url", help="The URL configured at Twilio, where it is not that of the app."
)


def is_url(word: str) -> bool:
    """Whether a word of the command line is meant as the URL of a running app."""
    return _URL.fullmatch(word) is not None


def is_app(word: str) -> bool:
    """Whether a word of the command line names an app, ``module:name``."""
    return _APP.fullmatch(word) is not None


def use_throwaway_secrets(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Set a sealing key and an auth token where the environment has none; whether a token was set."""
    if not environ.get("CONVOSTATE_KEYS"):
        environ["CONVOSTATE_KEYS"] = Keyring.generate()
    if any(environ.get(name) for name in _TOKENS):
        return False
    environ["TWILIO_AUTH_TOKEN"] = secrets.token_hex(16)
    return True


def load_app(name: str) -> WSGIApplication:
    """Import an app, looking in the working directory first, as servers do.

    Args:
        name: ``module:name``.

    Raises:
        UsageError: There is no such app, or importing it fails for want of another module.
    """
    module, _, path = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        app: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"Cannot import {module}: {error}. "
            "Check the name and the directory, or install what is missing"
        ) from error
    for part in path.split("."):
        app = getattr(app, part, None)
    if not callable(app) or not _takes_requests(app):
        raise UsageError(f"{name} is no WSGI app. Write module:name, such as {DEMO}")
    found: WSGIApplication = app
    return found


def _takes_requests(app: Callable[..., Any]) -> bool:
    """Whether it can be called as PEP 3333 has it; a factory of apps or an ASGI app cannot."""
    try:
        inspect.signature(app).bind({}, None)
    except TypeError:
        return False
    except ValueError:  # written in C, and does not tell
        return True
    return True


def find_start(target: str) -> Callable[..., object]:
    """What has an app write first: ``start(client, *, to, from_)``, a function of the app's module.

    Args:
        target: ``module:name`` of the app, which has been imported.

    Raises:
        UsageError: There is none.
    """
    if is_url(target):
        raise UsageError("A running app starts conversations by itself. Leave out --start")
    module = target.partition(":")[0]
    start = getattr(sys.modules.get(module), "start", None)
    if not callable(start):
        raise UsageError(
            f"{module} has no function that starts a conversation. "
            "Write start(client, *, to, from_), as in convostate.demo.reminder"
        )
    found: Callable[..., object] = start
    return found


def simulate(
    target: str,
    webhook_url: str | None = None,
    clock: Clock | None = None,
    *,
    wrap: bool = False,
) -> TwilioSimulator:
    """A Twilio for an app: it signs with a secret that the app knows, and texts a path it guards.

    Args:
        target: ``module:name``, which is imported, or the URL of a running app.
        webhook_url: The webhook's URL where it is another one.
        clock: The time; the present one, ticking, where absent.
        wrap: Whether an app that is not wrapped is, with the settings of the environment.

    Raises:
        UsageError: There is no such app, or its settings are wrong.
    """
    clock = Clock(ticking=True) if clock is None else clock
    if is_url(target):
        if not target.startswith(("http://", "https://")):
            raise UsageError(
                "A running app is reached by http or https. Write http://127.0.0.1:8000/sms"
            )
        if wrap:
            raise UsageError(
                "A running app cannot be wrapped. Give module:name, or leave out --wrap"
            )
        if not os.environ.get("TWILIO_AUTH_TOKEN"):
            raise UsageError(
                "A running app has a token already. Set TWILIO_AUTH_TOKEN to the one it was started with"
            )
        return TwilioSimulator(target, webhook_url=webhook_url, clock=clock)
    use_throwaway_secrets()
    app = load_app(target)
    middleware = find_middleware(app)
    if wrap and middleware is None:
        app = middleware = ConversationMiddleware(app)
        click.echo(f"convostate: wrapped {target}, for now", err=True)
    settings = Settings.from_environ() if middleware is None else middleware.settings
    return TwilioSimulator(
        app,
        webhook_url=webhook_url or configured_url(settings),
        clock=clock,
        raise_app_errors=False,
        stripped_prefix=configured_prefix(settings),
        **_signing(settings),
    )


def _signing(settings: Settings) -> dict[str, Any]:
    """The arguments of the simulator that say who signs, so that the app accepts it."""
    if settings.auth_token and (settings.account_sid or not settings.account_tokens):
        return {
            "auth_token": settings.auth_token,
            "account_sid": settings.account_sid or ACCOUNT_SID,
        }
    for account_sid, tokens in settings.account_tokens.items():
        return {"auth_token": tokens[0], "account_sid": account_sid}
    for token in settings.auth_tokens:
        return {"auth_token": token, "account_sid": settings.account_sid or ACCOUNT_SID}
    return {"shared_key": next(iter(settings.shared_keys.items()))}
