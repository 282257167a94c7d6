"""The phone's server: on loopback, and restarted when the app's code changes.

There are two processes. The first holds the socket. The second loads the app and serves, and stops when
a module that it has loaded changes; then the first starts it again, and it resumes the saved state.
Requests that arrive meanwhile wait in the socket's queue.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.serving import is_running_from_reloader, run_simple

from convostate.errors import ConvostateError, UsageError
from convostate.phone.reload import Reload
from convostate.phone.session import PhoneSession
from convostate.phone.site import Site
from convostate.phone.views import traceback_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.phone.session import Target
    from convostate.testing.clock import Clock

HOST = "127.0.0.1"
WATCH_S = 0.4  # between two checks of the code's files
# Variables for the second process: the file of the saved state, the page's token, and werkzeug's
# variable for the socket.
_STATE_FILE = "_CONVOSTATE_PHONE_STATE"
_TOKEN = "_CONVOSTATE_PHONE_TOKEN"  # noqa: S105  a name
_SOCKET = "WERKZEUG_SERVER_FD"


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
    """Serve the page until the process is stopped.

    Args:
        name: The app, ``module:name``.
        make: Loads the app; called once in each process that serves.
        numbers: The numbers of the first phones.
        texting: The app's number.
        port: The port; 0 takes a free one.
        ready: Called with the page's URL when it can be opened.
        open_page: Whether a browser is opened.

    Raises:
        UsageError: The port is taken; or, at the first start, there is no such app.
    """
    # Without a line for each request for data.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if is_running_from_reloader():
        reload = Reload(Path(os.environ[_STATE_FILE]))
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
        with tempfile.TemporaryDirectory(prefix="convostate-phone-") as folder:
            os.environ[_STATE_FILE] = str(Path(folder) / "state.json")
            os.environ[_TOKEN] = secrets.token_urlsafe(24)
            _run(None, port)


def _run(site: Site | None, port: int) -> None:
    """Serve a site or, without one, start the process that serves."""
    run_simple(
        HOST,
        port,
        site,  # type: ignore[arg-type]  # the first process does not serve
        use_reloader=True,
        reloader_interval=WATCH_S,  # type: ignore[arg-type]  # fractions work as well
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
    except Exception as error:  # noqa: BLE001  # the page shows any error of the app's code
        reload.mark()
        return Site(None, name, os.environ[_TOKEN], broken=traceback_of(error))
    session = PhoneSession(target)
    if reload.resume(session):
        lost = " Its state in memory is lost." if session.inspector.where == "memory" else ""
        for phone in range(len(session.transcript.phones)):
            session.note(phone, f"The code has changed: the app was loaded again.{lost}")
    else:
        for number in numbers:
            session.add_phone(number, texting)
    reload.save(session)
    return Site(session, name, os.environ[_TOKEN], save=lambda: reload.save(session))


def _port_of_socket() -> int:
    with socket.socket(fileno=os.dup(int(os.environ[_SOCKET]))) as duplicate:
        port: int = duplicate.getsockname()[1]
        return port


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} is not free ({error.strerror}). Choose another one: --port 8001"
            ) from error
        free: int = probe.getsockname()[1]
        return free
