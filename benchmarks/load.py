"""Load on a server: signed webhooks, each of them sent once, over a number of connections.

In a process of its own, `python -m benchmarks.load`: wrk where it is installed, else a small driver whose
threads send ready-made bytes and look for the end of the answer. A connection is used for as long as
the server keeps it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.apps import cookie_from, make, serve
from benchmarks.webhooks import PATH, environ_of, headers_of, sms

_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)


class Orders(NamedTuple):
    """What to do.

    Attributes:
        port: The server's, on this machine.
        connections: At once.
        conversations: How many people write; the texts go round them.
        texts: How many are prepared; when they run out it is over.
        duration_s: When it is over in any case.
        cookies: Each brings the cookie of a running conversation.
    """

    port: int
    connections: int
    conversations: int
    texts: int
    duration_s: float
    cookies: bool


class Tally(NamedTuple):
    """What came of it.

    Attributes:
        answered: With status 200.
        refused: With another one.
        seconds: From the first request to the last answer.
    """

    answered: int
    refused: int
    seconds: float


def prepare(orders: Orders) -> list[bytes]:
    """The bytes of all requests."""
    cookies = [""] * orders.conversations
    if orders.cookies:
        app = make("wrapped")
        for number in range(orders.conversations):
            cookies[number] = cookie_from(serve(app, environ_of(sms(number)))[1])
    made = []
    for index in range(orders.texts):
        number = index % orders.conversations
        hook = sms(number)
        headers = headers_of(hook, cookies[number])
        lines = [f"{name}: {value}" for name, value in headers.items()]
        # the server has to see the scheme that was signed
        head = "\r\n".join([f"POST {PATH} HTTP/1.1", "X-Forwarded-Proto: https", *lines, "", ""])
        made.append(head.encode() + hook.body)
    return made


def ask(connection: socket.socket, request: bytes) -> tuple[int, bool]:
    """Send a request; the answer's status, and whether the server keeps the connection."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed the connection before it answered")
        answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if found := _LENGTH.search(head):
        missing = int(found[1]) - len(body)
        while missing > 0 and (chunk := connection.recv(65_536)):
            missing -= len(chunk)
        keeps = b"connection: close" not in head.lower()
    else:  # the body ends with the connection, or with an empty chunk
        chunked = b"transfer-encoding: chunked" in head.lower()
        while not (chunked and body.endswith(b"0\r\n\r\n")) and (chunk := connection.recv(65_536)):
            body += chunk
        keeps = chunked and b"connection: close" not in head.lower()
    return int(head[9:12]), keeps


def drive(orders: Orders, requests: list[bytes]) -> Tally:
    """Send until the time is over or the requests are used up."""
    left = iter(requests)
    lock = threading.Lock()
    statuses: list[int] = []
    begun = perf_counter()

    def connect() -> None:
        connection = None
        while perf_counter() - begun < orders.duration_s:
            with lock:
                request = next(left, None)
            if request is None:
                break
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", orders.port), timeout=30)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            status, keeps = ask(connection, request)
            statuses.append(status)
            if not keeps:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=connect) for _ in range(orders.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = sum(status == 200 for status in statuses)
    return Tally(answered, len(statuses) - answered, perf_counter() - begun)


def wrk() -> str | None:
    """The path of wrk, where it is installed."""
    return shutil.which("wrk")


def drive_with_wrk(program: str, orders: Orders, requests: list[bytes]) -> Tally:
    """As `drive`, with wrk in one thread."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "requests")
        prepared.write_bytes(b"".join([b"%d\n%s" % (len(made), made) for made in requests]))
        script = Path(__file__).with_name("wrk.lua")
        done = subprocess.run(
            [
                *(program, "-t1", f"-c{orders.connections}", f"-d{int(orders.duration_s)}s"),
                *("-s", str(script), f"http://127.0.0.1:{orders.port}"),
            ],
            env={**os.environ, "REQUESTS": str(prepared)},
            capture_output=True,
            check=True,
            text=True,
        )
    return Tally(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Obey the orders in the argument."""
    orders = Orders(**json.loads(sys.argv[1]))
    requests = prepare(orders)
    program = wrk()
    if program is None or orders.duration_s < 1:  # wrk counts in whole seconds
        tally = drive(orders, requests)
    else:
        tally = drive_with_wrk(program, orders, requests)
    print(json.dumps(tally))


if __name__ == "__main__":
    main()
