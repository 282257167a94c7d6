"""The phone's server: on loopback, and begun again when the app's code changes.

Two processes: one holds the socket and waits; the other one has the app and serves, and stops when a
module that it has loaded changes. Then the first starts it anew, and what the phones know is handed
over. A page that asks meanwhile waits in the socket's queue.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.serving import is_running_from_reloader, run_simple

from convostate.errors import ConvostateError, UsageError
from convostate.phone.reload import Reload, place
from convostate.phone.session import PhoneSession
from convostate.phone.site import Site
from convostate.phone.views import traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.phone.session import Target
    from convostate.testing.clock import Clock

HOST = "127.0.0.1"
WATCH_S = 0.4  # between two looks at the code's files
_PLACE = "CONVOSTATE_PHONE_HANDOVER"  # tells the second process where the reload is
_TOKEN = "CONVOSTATE_PHONE_TOKEN"  # noqa: S105  where the second process finds the page's token
_SOCKET = "WERKZEUG_SERVER_FD"  # werkzeug's own: the number of the socket


def serve(
    name: str,
    make: Callable[[Clock], Target],
    numbers: tuple[str, ...],
    texting: str,
    port: int,
    ready: Callable[[str], None],
    *,
    open_page: bool,
) -> None:
    """Serve the page until somebody stops it.

    Args:
        name: The app, ``module:name``.
        make: Loads it; called once in each process that serves.
        numbers: The phones that are there in the beginning.
        texting: The app's number.
        port: 0 takes a free one.
        ready: Told the page's URL when it can be asked for.
        open_page: Whether a browser is opened.

    Raises:
        UsageError: The port is taken; or, at the first start, there is no such app.
    """
    logging.getLogger("werkzeug").setLevel(
        logging.ERROR
    )  # a line for each look would hide all else
    if is_running_from_reloader():
        reload = Reload(Path(os.environ[_PLACE]))
        is_first = reload.is_first
        site = _site(name, make, numbers, texting, reload)
        if is_first:
            url = f"http://{HOST}:{_port_of_socket()}/?token={os.environ[_TOKEN]}"
            ready(url)
            if open_page:
                webbrowser.open(url)
        _run(site, port)
    else:
        port = _free(port)
        with place() as path:
            os.environ[_PLACE] = str(path)
            os.environ[_TOKEN] = secrets.token_urlsafe(24)
            _run(None, port)


def _run(site: Site | None, port: int) -> None:
    """Serve, or where there is no site, start the process that does."""
    run_simple(
        HOST,
        port,
        site,  # type: ignore[arg-type]  # who starts the other process serves nothing
        use_reloader=True,
        reloader_interval=WATCH_S,  # type: ignore[arg-type]  # it takes parts of a second as well
        reloader_type="stat",
        threaded=True,
    )


def _site(
    name: str,
    make: Callable[[Clock], Target],
    numbers: tuple[str, ...],
    texting: str,
    reload: Reload,
) -> Site:
    try:
        target = make(reload.clock())
    except ConvostateError as error:
        if reload.is_first:
            raise
        return Site(None, name, os.environ[_TOKEN], broken=str(error))
    except Exception as error:  # noqa: BLE001  # whatever is wrong with the app's code, it is about to be mended
        reload.hold()
        return Site(None, name, os.environ[_TOKEN], broken=traceback_of(error))
    board = PhoneSession(target)
    if reload.resume(board):
        gone = " What it kept in memory is gone." if board.inspector.where == "memory" else ""
        for phone in range(len(board.transcript.phones)):
            board.note(phone, f"The code has changed: the app was loaded again.{gone}")
    else:
        for number in numbers:
            board.add_phone(number, texting)
    reload.save(board)
    return Site(board, name, os.environ[_TOKEN], save=lambda: reload.save(board))


def _port_of_socket() -> int:
    held = socket.socket(fileno=int(os.environ[_SOCKET]))
    try:
        port: int = held.getsockname()[1]
        return port
    finally:
        held.detach()


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} is not free ({error.strerror}). Take another one: --port 8001"
            ) from error
        free: int = probe.getsockname()[1]
        return free
