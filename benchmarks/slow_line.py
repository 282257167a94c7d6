"""A slow line to a server: passes bytes on, what the client sends only after a while."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def slow_line(port: int, delay_s: float) -> Iterator[int]:
    """Listen on a free port of this machine in front of another one; gives its number."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening, port, delay_s), daemon=True)
        accepting.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)  # wakes accept()


def _accept(listening: socket.socket, port: int, delay_s: float) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:  # shut down
            return
        server = socket.create_connection(("127.0.0.1", port))
        for ends in ((client, server, delay_s), (server, client, 0)):
            threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, delay_s: float) -> None:
    for end in (source, target):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError):  # the other side has gone
        while chunk := source.recv(65_536):
            if delay_s:
                threading.Event().wait(delay_s)
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
