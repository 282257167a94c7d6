"""A chat with the counter, as a person without settings and as a test has it."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from click.testing import CliRunner

from convostate.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication
    from click.testing import Result

BOB = "+15550100002"
FIRST, SECOND, THIRD = (
    f"< You've sent {count} in this conversation so far\n"
    for count in ("1 message", "2 messages", "3 messages")
)


def chat(*words: str, stdin: str = "", **environ: str | None) -> Result:
    return CliRunner(env=environ).invoke(main, ["chat", *words], input=stdin)


def unset() -> dict[str, str]:
    """The environment of a person who has set nothing."""
    ours = ("TWILIO_", "CONVOSTATE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class _Silent(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(app: WSGIApplication) -> Iterator[str]:
    """An app on a server of this process; gives its webhook's URL."""
    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/sms"
        finally:
            server.shutdown()
            thread.join()
