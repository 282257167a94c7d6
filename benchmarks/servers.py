"""A web server of the benchmark's own on a free port, and the processor time of a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.apps import cookie_from
from benchmarks.measure import ROOT
from benchmarks.webhooks import PATH, headers_of, sms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.webhooks import Signed


def cpu_s(*pids: int) -> float:
    """The processor time that processes have used so far.

    A clock of Linux, clock_getcpuclockid(3): the process in the upper bits, 2 for "all its threads".
    """
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


class WebServer(NamedTuple):
    """A running web server with one worker.

    Attributes:
        port: On this machine.
        pid: Of the process that started the worker.
    """

    port: int
    pid: int

    def cpu_us(self, texts: int) -> float:
        """Send texts of one conversation, one after the other; the worker's time for each, in µs.

        Raises:
            RuntimeError: One was not answered 200.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        cookie = self._send(connection, sms(self.pid), "")  # until then the worker may be starting
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        workers = [int(child) for child in children]
        begun = cpu_s(*workers)
        for webhook in [sms(self.pid) for _ in range(texts)]:
            cookie = self._send(connection, webhook, cookie)
        connection.close()
        return (cpu_s(*workers) - begun) / texts * 1e6

    def _send(self, connection: HTTPConnection, webhook: Signed, cookie: str) -> str:
        # The server has to see the scheme that was signed.
        headers = headers_of(webhook, cookie) | {"X-Forwarded-Proto": "https"}
        connection.request("POST", PATH, webhook.body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}")
        return cookie_from(answer.getheaders())


@contextmanager
def gunicorn(factory: str, options: dict[str, Any], *words: str) -> Iterator[WebServer]:
    """Run the app of a factory, ``module:function``, under gunicorn with one worker."""
    command = [
        *(sys.executable, "-m", "gunicorn", "--workers=1", "--threads=1", "--bind=127.0.0.1:0"),
        *("--worker-class=gthread", "--keep-alive=30", *words, "benchmarks.served:app"),
    ]
    environ = {**os.environ, "BENCHMARKS_APP": json.dumps([factory, options])}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environ
    ) as server:
        try:
            assert server.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)
            # From here on a connection waits until a worker serves it.
            yield WebServer(int(next(filter(None, found))[1]), server.pid)
        finally:
            server.terminate()
            server.communicate(timeout=30)  # seconds: gunicorn's own patience with its workers
