"""``convostate doctor``: checks everything that can be checked before the first text."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from convostate.cli.findings import Finding, read_settings
from convostate.cli.framework import examine_adapter, find_framework
from convostate.cli.redis_health import examine_store
from convostate.cli.routes import examine_routes
from convostate.cli.tryout import load_app
from convostate.errors import ConvostateError, UsageError
from convostate.stores import store_for
from convostate.testing.inprocess import find_middleware

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(short_help="Check the settings, the store and the app, and say what to do.")
@click.argument("app", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a finding.")
@click.pass_context
def doctor(context: click.Context, app: str | None, as_json: bool) -> None:
    """Check every setting, the store, and APP, which is imported: is it wrapped, what is guarded.

    Each fault has a line that says what to do. Exit status 0: no fault, 1: at least one.
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


def _examine(app: str | None) -> Iterator[Finding]:
    settings, found = read_settings(os.environ)
    yield from found
    if settings is None:
        return
    try:
        store = store_for(
            settings.store, cookie_name=settings.cookie_name, max_waiting=settings.max_waiting
        )
    except UsageError as error:
        yield Finding.fault(error)
    else:
        yield from examine_store(store, settings)
        store.close()
    if app is not None:
        yield from _examine_app(app)


def _examine_app(name: str) -> Iterator[Finding]:
    try:
        app = load_app(name)
    except ConvostateError as error:
        yield Finding.fault(error)
        return
    except Exception as error:  # noqa: BLE001  # of the app's own code; its text may hold a secret
        module = name.partition(":")[0]
        what = f"importing {module} raises {type(error).__name__}"
        yield Finding("fault", what, f"Mend what this says: python -c 'import {module}'")
        return
    middleware = find_middleware(app)
    if middleware is None:
        yield Finding(
            "fault",
            f"{name} is not wrapped: nobody proves its webhooks",
            "Wrap it: app = ConversationMiddleware(app), or app.wsgi_app = ConversationMiddleware(app.wsgi_app)",
        )
        return
    yield Finding("ok", f"{name} is wrapped")
    framework = find_framework(app, middleware.app)
    yield from examine_routes(framework, middleware.settings)
    yield from examine_adapter(framework)
