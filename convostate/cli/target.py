"""The app of ``chat`` and ``phone``: it is loaded, gets missing secrets, and a simulated Twilio texts it."""

from __future__ import annotations

import importlib
import os
import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from convostate.cli.arguments import number_option
from convostate.cli.loading import is_url, load
from convostate.errors import UsageError
from convostate.middleware import interface_of
from convostate.phone.session import Target
from convostate.sealing.keys import Keyring
from convostate.settings import Settings
from convostate.testing.clock import Clock
from convostate.testing.configured import (
    OUR_NUMBER,
    configured_prefix,
    configured_url,
    signing,
)
from convostate.testing.inprocess import find_middleware
from convostate.testing.simulator import TwilioSimulator

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

DEMO = "convostate.demo.counter:app"
_TOKENS = (
    "TWILIO_AUTH_TOKEN",
    "CONVOSTATE_AUTH_TOKENS",
    "CONVOSTATE_ACCOUNT_TOKENS",
    "CONVOSTATE_SHARED_KEYS",
)
_SECRETS = (*_TOKENS, "CONVOSTATE_KEYS", "CONVOSTATE_INDEX_KEY")

_OPTIONS = (
    number_option("--texting", OUR_NUMBER, "The app's number."),
    click.option("--webhook-url", help="The URL at Twilio, if it differs from the app's."),
    click.option("--voice-url", help="The URL at Twilio for calls.  [default: that of texts]"),
    click.option(
        "--method",
        type=click.Choice(["POST", "GET"], case_sensitive=False),
        default="POST",
        show_default=True,
        help="How Twilio requests webhooks.",
    ),
    click.option("--wrap", is_flag=True, help="Wrap an app that is not wrapped, for this run."),
)


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``texting``, and the options that `make_target` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def use_throwaway_secrets(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Set a sealing key and an auth token if they are missing, and return whether a token was set."""
    if not environ.get("CONVOSTATE_KEYS"):
        environ["CONVOSTATE_KEYS"] = Keyring.generate()
    if any(environ.get(name) for name in _TOKENS):
        return False
    environ["TWILIO_AUTH_TOKEN"] = secrets.token_hex(16)
    return True


def make_target(
    name: str,
    webhook_url: str | None,
    voice_url: str | None,
    method: str,
    *,
    wrap: bool,
    clock: Clock | None = None,
) -> Target:
    """Load an app or take the URL of a running one, and make a Twilio that signs with one of its secrets.

    With `wrap` an app that is not wrapped is, with the settings of the environment.
    """
    clock = clock or Clock(ticking=True)
    options: dict[str, Any] = {"voice_url": voice_url or "", "method": method, "clock": clock}
    if is_url(name):
        _check_running(name, wrap=wrap)
        return Target(TwilioSimulator(name, webhook_url=webhook_url, **options))
    use_throwaway_secrets()
    app, module = load(name)
    middleware = find_middleware(app)
    wrapped = wrap and middleware is None
    if wrapped:
        door = "convostate.asgi" if interface_of(app) == "ASGI" else "convostate.wsgi"
        app = middleware = importlib.import_module(door).ConversationMiddleware(app)
        click.echo(f"convostate: wrapped {name} for this run", err=True)
    settings = Settings.from_environ() if middleware is None else middleware.settings
    account_sid, secret = signing(settings)
    simulator = TwilioSimulator(
        app,
        secret.value,
        webhook_url or configured_url(settings),
        raise_app_errors=False,
        stripped_prefix=configured_prefix(settings),
        account_sid=account_sid,
        shared_key=(secret.key_id, secret.value) if secret.key_id else None,
        **options,
    )
    start = getattr(module, "start", None)
    return Target(simulator, start if callable(start) else None, _masked(), wrapped)


def _check_running(url: str, *, wrap: bool) -> None:
    """Check that an app at a URL can be texted."""
    if not url.startswith(("http://", "https://")):
        raise UsageError("A running app has an http or https URL. Write http://127.0.0.1:8000/sms")
    if wrap:
        raise UsageError("A running app cannot be wrapped. Give module:name, or leave out --wrap")
    if not os.environ.get("TWILIO_AUTH_TOKEN"):
        raise UsageError(
            "A running app has a token already. Set TWILIO_AUTH_TOKEN to the app's token"
        )


def _masked() -> list[str]:
    """The secrets of the environment, separated at ``,`` and ``=``."""
    values = [part for name in _SECRETS for part in re.split("[,=]", os.environ.get(name, ""))]
    return [*values, *_passwords(os.environ.get("CONVOSTATE_STORE", ""))]


def _passwords(url: str) -> list[str]:
    """The passwords in a store's URL, escaped and unescaped."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the app refuses it as well
        return []
    passwords = [parts.password or "", *re.findall("_password=([^&]*)", parts.query)]
    return [*passwords, *map(unquote, passwords)]
