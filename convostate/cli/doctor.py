"""``convostate doctor``: checks the settings, the store and the app before the first text."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import redirect_stdout
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from convostate.cli.arguments import json_option
from convostate.cli.findings import RETRY_SUFFIX, Finding, examine_settings
from convostate.cli.loading import load
from convostate.cli.routes import examine_routes
from convostate.cli.store_check import examine_store
from convostate.conversations import AsyncConversations, Conversations
from convostate.errors import ConvostateError
from convostate.middleware import Middleware, interface_of, layers, mounted
from convostate.settings import Settings, unknown_variables
from convostate.stores import store_for
from convostate.testing.inprocess import find_middleware
from convostate.turns import configure

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from convostate.stores import Store
    from convostate.stores.base import AsyncStore


@click.command(short_help="Check the settings, the store and the app, and say what to do.")
@click.argument("app", required=False)
@json_option
@click.pass_context
def doctor(context: click.Context, app: str | None, as_json: bool) -> None:
    """Check every setting, the store, and whether APP, which is imported, is wrapped and guarded.

    With APP its own settings and store are checked, without APP those of the environment. The output has
    the URL to enter at Twilio for each guarded route, and advice for each fault. Exit status 0: no fault,
    1: at least one.
    """
    faults = 0
    for finding in _examine(app):
        faults += finding.level == "fault"
        if as_json:
            click.echo(json.dumps(finding._asdict()))
        else:
            click.echo(f"{finding.level:6}{finding.what}")
            if finding.advice:
                click.echo(f"      → {finding.advice}")
    context.exit(1 if faults else 0)


def _examine(name: str | None) -> Iterator[Finding]:
    for what, advice in unknown_variables(os.environ):
        yield Finding("fault", what, advice)
    (app, module), fault = (_NOTHING, None) if name is None else _load(name)
    middleware, error = _find_middleware(app)
    fault = fault or error
    if middleware is not None:  # its settings and its store may be the app's own
        settings, store = middleware.settings, middleware.store
        yield from _examine_setup(settings, store)
        yield Finding("ok", f"{name} is wrapped")
        if not logging.getLogger("convostate").isEnabledFor(logging.WARNING):
            yield _NO_LOG
        inside = {type(layer).__name__ for layer in layers(middleware.app)}
        if settings.public_url is None and "ProxyFix" in inside:
            yield _INNER_PROXY_FIX
        if middleware.interface == "ASGI" and "SessionMiddleware" in inside:
            yield _INNER_SESSION
        suffix = RETRY_SUFFIX if store.server_side else ""
        yield from examine_routes(app, middleware.app, settings, suffix=suffix)
        if not settings.defer_paths and any(map(_answers, vars(module).values())):
            yield _NOTHING_DEFERRED
        return
    unusable = yield from _examine_environment()
    if fault is not None and fault != unusable:  # importing an app may report the same settings
        yield fault
    elif fault is None and (path := _find_mounted(app)):
        what = f"{name} itself is not wrapped, but the app that it mounts at {path} is"
        yield Finding("note", what, "Check that app: convostate doctor <its module>:<its name>")
    elif fault is None and name is not None:
        how = _WRAP_ASGI if interface_of(app) == "ASGI" else _WRAP
        yield Finding("fault", f"{name} is not wrapped: its webhooks are not verified", how)


def _find_middleware(app: Any) -> tuple[Middleware | None, Finding | None]:
    """The middleware of an app, or the error of its constructor."""
    # Starlette and FastAPI build their middleware at the first request.
    build: Callable[[], object] | None = getattr(app, "build_middleware_stack", None)
    try:
        return find_middleware(app if build is None else build()), None
    except ConvostateError as error:
        return None, Finding.fault(error)


def _find_mounted(app: Any) -> str:
    """The path at which the app mounts one that is wrapped, or ""."""
    wrapped = (path for path, inner in mounted(app) if _find_middleware(inner)[0] is not None)
    return next(wrapped, "")


_WRAP = "Wrap it: ConvoState(app) in Flask, app = ConversationMiddleware(app) with everything else"
_WRAP_ASGI = (
    "Wrap it: app.add_middleware(ConversationMiddleware), or app = ConversationMiddleware(app), from "
    "convostate.asgi"
)
_INNER_SESSION = Finding(
    "fault",
    "SessionMiddleware is inside ConversationMiddleware and would replace the conversation's session",
    "Add ConversationMiddleware before SessionMiddleware: the one that is added last is outermost",
)
_INNER_PROXY_FIX = Finding(
    "fault",
    "ProxyFix is inside the middleware, so signatures are checked before it corrects the URL",
    "Wrap ProxyFix around the middleware: create it after ConvoState(app) or ConversationMiddleware; "
    "or set CONVOSTATE_PUBLIC_URL=https://<the host in the webhook's URL at Twilio>",
)


_NO_LOG = Finding(
    "note",
    "the app's logging drops the warnings of convostate, such as why a webhook is refused",
    "Set disable_existing_loggers to False in its configuration, and the level of the logger convostate to WARNING",
)
_NOTHING_DEFERRED = Finding(
    "note",
    "the answer function gets no texts: no path is deferred",
    "Set CONVOSTATE_DEFER_PATHS=/sms, the paths on which the app calls answer_later()",
)
_NOTHING = (None, None)


def _answers(value: object) -> bool:
    """Whether it is a Conversations object with an answer function."""
    if not isinstance(value, Conversations | AsyncConversations):
        return False
    return value.deferred.function is not None


def _load(name: str) -> tuple[tuple[Any, Any], Finding | None]:
    """The app, or the error of loading it."""
    try:
        with redirect_stdout(sys.stderr):  # what an app prints is not a finding
            return load(name), None
    except ConvostateError as error:
        return _NOTHING, Finding.fault(error)
    except Exception as error:  # noqa: BLE001  # of the app's own code; its message may hold a secret
        what = f"loading {name} raises {type(error).__name__}"
        return _NOTHING, Finding("fault", what, f"See its traceback: convostate chat {quote(name)}")


def _examine_environment() -> Generator[Finding, None, Finding | None]:
    """Examine the settings of the environment; returns the fault that makes them unusable, or None."""
    try:
        settings, store, _ = configure(Settings.from_environ(os.environ), None, store_for)
    except ConvostateError as error:
        faults = Settings.faults(os.environ) or (error,)  # the settings are valid, the store is not
        yield from map(Finding.fault, faults)
        return Finding.fault(error)
    yield from _examine_setup(settings, store)
    store.close()
    return None


def _examine_setup(settings: Settings, store: Store | AsyncStore) -> Iterator[Finding]:
    yield Finding("ok", "the settings are valid")
    yield from examine_settings(settings, store)
    yield from examine_store(store, settings)
