"""``convostate phone``."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click

from convostate.cli.tryout import (
    DEMO,
    find_start,
    is_app,
    is_url,
    load_app,
    simulate,
    texting_option,
    use_throwaway_secrets,
    webhook_url_option,
)
from convostate.errors import UsageError
from convostate.middleware import find_middleware
from convostate.testing.configured import ACCOUNT_SID

if TYPE_CHECKING:
    from convostate.phone.switchboard import Tryout
    from convostate.testing.clock import Clock

_PEOPLE = ("+15550100001", "+15550100002")
_SECRETS = (
    "TWILIO_AUTH_TOKEN",
    "CONVOSTATE_AUTH_TOKENS",
    "CONVOSTATE_ACCOUNT_TOKENS",
    "CONVOSTATE_SHARED_KEYS",
    "CONVOSTATE_KEYS",
    "CONVOSTATE_INDEX_KEY",
)


@click.command(short_help="Text an app from phones on a web page.")
@click.argument("app", default=DEMO)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@texting_option
@webhook_url_option
@click.option("--wrap", is_flag=True, help="Wrap an app that is not wrapped, for this try-out.")
def phone(
    app: str, port: int, open_page: bool, texting: str, webhook_url: str | None, wrap: bool
) -> None:
    """Text an app from phones on a web page: no account, tunnel or number needed.

    APP is module:name; without one it is the demo, a counter. The page is for this machine only. It
    shows what the app remembers after each text, has a clock to move, and makes trouble on request.
    The app is loaded again when its code changes.
    """
    if not is_app(app):
        hint = " A running one can be texted with convostate chat" if is_url(app) else ""
        raise UsageError(f"APP is written as module:name, such as {DEMO}.{hint}")
    from convostate.phone.server import serve  # noqa: PLC0415  # no other command needs a server

    # Here, so that they outlive a reload. An app may make a Twilio client of its own: with these it can.
    if use_throwaway_secrets():
        os.environ.setdefault("TWILIO_ACCOUNT_SID", ACCOUNT_SID)

    def make(clock: Clock) -> Tryout:
        return _load(app, webhook_url, clock, wrap=wrap)

    def ready(url: str) -> None:
        click.echo(f"{app} can be texted at {url}  (Ctrl-C ends)")

    people = tuple(number for number in _PEOPLE if number != texting)
    serve(app, make, people, texting, port, ready, open_page=open_page)


def _load(app: str, webhook_url: str | None, clock: Clock, *, wrap: bool) -> Tryout:
    from convostate.phone.switchboard import Tryout  # noqa: PLC0415  # see above

    simulator = simulate(app, webhook_url, clock, wrap=wrap)
    try:
        start = find_start(app)
    except UsageError:
        start = None
    return Tryout(
        simulator,
        start,
        masked=_secrets(),
        wrapped=wrap and find_middleware(load_app(app)) is None,
    )


def _secrets() -> list[str]:
    """Each secret of the environment by itself: what stands between ``,`` and ``=``."""
    found = [part for name in _SECRETS for part in re.split("[,=]", os.environ.get(name, ""))]
    return [*found, *_passwords(os.environ.get("CONVOSTATE_STORE", ""))]


def _passwords(url: str) -> list[str]:
    """The passwords in the URL of a store, as they stand there and as they are meant."""
    try:
        parts = urlsplit(url)
    except ValueError:  # the app, too, will refuse it
        return []
    written = [parts.password or "", *re.findall("_password=([^&]*)", parts.query)]
    return [word for password in written for word in (password, unquote(password))]
