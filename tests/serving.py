"""Real servers on free ports, and what they are sent byte by byte."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple
from wsgiref.simple_server import make_server

from werkzeug.utils import import_string

from tests.redis_servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

ROOT, BIN = Path(__file__).parent.parent, Path(sys.executable).parent
# A worker that is told to stop before it has begun misses that, and is killed after this time.
_GUNICORN = (str(BIN / "gunicorn"), "--bind=127.0.0.1:0", "--graceful-timeout=2")

SERVERS: dict[str, tuple[str, ...]] = {
    "gunicorn sync": (*_GUNICORN, "--workers=2"),
    "gunicorn gthread": (*_GUNICORN, "--worker-class=gthread", "--threads=4"),
    "gunicorn gevent": (*_GUNICORN, "--worker-class=gevent"),
    "waitress": (str(BIN / "waitress-serve"), "--listen=127.0.0.1:0", "--threads=4"),
    "wsgiref": (sys.executable, "-m", "tests.serving"),
}
_UVICORN = (str(BIN / "uvicorn"), "--host=127.0.0.1", "--port=0")
ASGI_SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn h11": (*_UVICORN, "--http=h11", "--loop=asyncio"),
    "uvicorn httptools": (*_UVICORN, "--http=httptools", "--loop=uvloop"),
    "hypercorn": (str(BIN / "hypercorn"), "--bind=127.0.0.1:0"),
    "granian": (str(BIN / "granian"), "--interface=asgi", "--host=127.0.0.1", "--port=PORT"),
    "daphne": (str(BIN / "daphne"), "--bind=127.0.0.1", "--port=0"),
}
START_S = 120.0  # patience with a server that starts on a busy machine; then something is wrong
PATIENCE_S = 30.0  # gunicorn's own patience with its workers


class Server:
    """One running server.

    Attributes:
        log: What it has written to its standard error.
        address: Host and port.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[str] = []
        self.address = ("127.0.0.1", 0)
        self._listens = Event()
        Thread(target=self._read, daemon=True).start()  # a full pipe would stop the server
        assert self._listens.wait(START_S), self.log
        assert self.address[1], self.log
        wait_until(self._accepts)  # granian says so before it does

    def _accepts(self) -> bool:
        with socket.create_connection(self.address, PATIENCE_S):
            return True

    def _read(self) -> None:
        output = self.process.stdout or self.process.stderr  # granian's own log is on the first
        assert output
        for line in output:
            self.log.append(line)
            found = re.search(r"(?:http://|TCP address )127\.0\.0\.1:(\d+)", line)
            if found and not self.address[1]:
                self.address = ("127.0.0.1", int(found[1]))
            if self.address[1] and (output is self.process.stderr or "Started worker" in line):
                self._listens.set()
        self._listens.set()

    @property
    def url(self) -> str:
        """The URL of its webhook."""
        return f"http://{self.host}/sms"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.address[1]}"


def serving(name: str, app: str, *options: str, **environ: str) -> AbstractContextManager[Server]:
    """Run one of the servers, from the moment it listens."""
    command = (SERVERS | ASGI_SERVERS | {"uvicorn factory": (*_UVICORN, "--factory")})[name]
    words = [word.replace("PORT", str(free_port())) for word in command]
    return running([*words, *options, app], ROOT, {**os.environ, **environ})


@contextmanager
def running(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[Server]:
    """Run a server's command, from the moment it listens."""
    is_granian = Path(command[0]).name == "granian"  # which logs to its standard output
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE if is_granian else None,
        stderr=subprocess.STDOUT if is_granian else subprocess.PIPE,
        text=True,
        cwd=folder,
        env={"PYTHONUNBUFFERED": "1", **environ},
        start_new_session=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            try:
                end(process)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                if not is_granian:  # whose worker may never end if it is still starting
                    raise


def end(process: subprocess.Popen[str]) -> None:
    """Stop a server; one that does not end is killed, or leaving its block would take for ever."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


class Reply(NamedTuple):
    """A response; status 0 where the server closed the connection without one."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(server: Server, *parts: bytes, end: bool = False) -> Reply:
    """Send bytes over a new connection and read the first response.

    Args:
        server: Where to.
        *parts: What to send, one segment after another.
        end: Say that nothing more will come.
    """
    with socket.create_connection(server.address, PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):  # a server may refuse before it has read all
            for part in parts:
                connection.sendall(part)
            if end:
                connection.shutdown(socket.SHUT_WR)
        try:
            response = HTTPResponse(connection)
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, headers, response.read())
        except (OSError, HTTPException):
            return Reply(0, {}, b"")


def everything(server: Server, sent: bytes) -> bytes:
    """Send bytes over a new connection, and read whatever comes until the server closes it."""
    with socket.create_connection(server.address, PATIENCE_S) as connection:
        received = []
        with suppress(OSError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while chunk := connection.recv(65_536):
                received.append(chunk)
        return b"".join(received)


def request(
    target: str, headers: Iterable[tuple[str, str]], body: bytes = b"", method: str = "POST"
) -> bytes:
    """The bytes of a request."""
    head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body


def main() -> None:
    """Serve an app with wsgiref."""
    module, _, name = sys.argv[1].partition(":")
    with make_server("127.0.0.1", 0, import_string(f"{module}:{name}")) as server:
        sys.stderr.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stderr.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
