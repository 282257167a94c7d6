"""An app on a server of this very process, for what reaches it over HTTP and is looked at from inside."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIApplication


class _Silent(WSGIRequestHandler):
    """Writes no log."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(app: WSGIApplication) -> Iterator[str]:
    """Serve an app; gives its webhook's URL."""
    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/sms"
        finally:
            server.shutdown()
            thread.join()
