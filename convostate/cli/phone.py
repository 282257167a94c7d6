"""``convostate phone``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from convostate.cli.loading import is_app, is_url
from convostate.cli.target import DEMO, make_target, target_options, use_throwaway_secrets
from convostate.errors import UsageError
from convostate.testing.configured import ACCOUNT_SID

if TYPE_CHECKING:
    from convostate.phone.session import Target
    from convostate.testing.clock import Clock

_PEOPLE = ("+15550100001", "+15550100002")


@click.command(short_help="Text an app from phones on a web page.")
@click.argument("app", default=DEMO)
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: any free port.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@target_options
def phone(app: str, port: int, open_page: bool, texting: str, **options: Any) -> None:
    """Text and call an app from phones on a web page: no account, tunnel or number needed.

    APP is module:name, the call of a factory, or a file; the default is the demo, a counter. The page is
    for this machine and this user only: it opens with the printed URL, whose token is new at each start.
    It shows the app's state after each text, has a clock to move, and simulates faults. The app is loaded
    again when its code changes.
    """
    if is_url(app) or not (is_app(app) or app.replace(".", "").isidentifier()):
        hint = " Text a running app with convostate chat" if is_url(app) else ""
        raise UsageError(f"APP is written as module:name, such as {DEMO}.{hint}")
    from convostate.phone.server import serve  # noqa: PLC0415  # no other command needs a server

    # Set in this process, so that they survive a reload. With them an app can make its own Twilio client.
    if use_throwaway_secrets():
        os.environ.setdefault("TWILIO_ACCOUNT_SID", ACCOUNT_SID)

    def make(clock: Clock) -> Target:
        return make_target(app, clock=clock, **options)

    def ready(url: str) -> None:
        click.echo(f"{app} can be texted at {url}  (Ctrl-C ends)")

    people = tuple(number for number in _PEOPLE if number != texting)
    serve(app, make, people, texting, port, ready, open_page=open_page)
