"""A TCP proxy that does to a connection what networks do: delay, slice, cut, swallow, lose, swap."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

Fault = Literal["cut", "lose", "halve", "swap", "swallow"]
"""What happens to a request or its reply.

cut: the request is not passed on, the connection is reset. lose: it is carried out, and the connection
is reset instead of the reply. halve: only half of the reply comes. swap: another connection's last
reply comes. swallow: the request disappears, the connection stays.
"""

CHUNK_BYTES = 65_536
_MOST_S = 20.0  # after which a test that hangs is let go


class Proxy:
    """Passes connections on to a port, until it is told otherwise.

    Attributes:
        port: Where it listens, at 127.0.0.1.
        latency_s: How long each reply is held back, up to twice as long with `jitter`.
        slice_bytes: How many bytes of a reply come at a time; 0 for all.
        hole: Nothing is passed on any more, in either direction.
        lose_chance: Which part of the replies is lost, from 0 to 1.
        answer: What every request is answered with instead of being passed on, or None.
        requests: How many commands clients have sent.
        swallowed: What was not passed on.
    """

    def __init__(
        self, upstream_port: int, seed: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._tls = tls
        self._upstream = ("127.0.0.1", upstream_port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.latency_s = 0.0
        self.jitter = False
        self.slice_bytes = 0
        self.hole = False
        self.lose_chance = 0.0
        self.answer: bytes | None = None
        self.requests = 0
        self._random = random.Random(seed)
        self._planned: list[tuple[bytes, Fault]] = []
        self._open: set[socket.socket] = set()
        self._forgotten: set[socket.socket] = set()
        self.swallowed: list[bytes] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._last_reply = b""
        self._spawn(self._accept)

    def plan(self, fault: Fault, match: str | bytes, times: int = 1) -> None:
        """Have a fault happen to the next requests that contain a text, once each."""
        text = match.encode() if isinstance(match, str) else match
        with self._lock:
            self._planned += [(text, fault)] * times

    @property
    def planned(self) -> int:
        """How many planned faults have not happened yet."""
        return len(self._planned)

    def forget(self) -> int:
        """Forget every connection there is, as a firewall does: nobody is told, and packets vanish.

        Returns:
            How many there were.
        """
        with self._lock:
            self._forgotten |= self._open
            return len(self._open) // 2

    def deliver_late(self) -> None:
        """Pass on what was swallowed, each over a connection of its own."""
        swallowed, self.swallowed = self.swallowed, []
        for request in swallowed:
            with socket.create_connection(self._upstream, _MOST_S) as server:
                server.sendall(request)
                server.recv(CHUNK_BYTES)

    def is_forgotten(self, connection: socket.socket) -> bool:
        """Whether packets of a connection vanish."""
        return self.hole or connection in self._forgotten

    def cut_all(self) -> None:
        """Reset every connection now."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _reset(connection)

    def close(self) -> None:
        """End it."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(_MOST_S)

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]  # a callable
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._tls is not None:
                    client = self._tls.wrap_socket(client, server_side=True)
                server = socket.create_connection(self._upstream)
            except OSError:
                _reset(client)
                client.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._open |= {client, server}
            self._spawn(link.pass_requests)
            self._spawn(link.pass_replies)

    def fault_for(self, request: bytes) -> Fault | None:
        """The planned fault of a request, which is planned no longer."""
        with self._lock:
            for index, (match, fault) in enumerate(self._planned):
                if match in request:
                    del self._planned[index]
                    return fault
        return "lose" if self._random.random() < self.lose_chance else None

    def hold_back(self) -> None:
        """Wait for as long as a reply is delayed."""
        if self.latency_s:
            factor = 1 + self._random.random() if self.jitter else 1
            self._ended.wait(self.latency_s * factor)

    def swapped(self, reply: bytes, *, swap: bool) -> bytes:
        """The reply to pass on: with `swap` the one that passed before it."""
        with self._lock:
            before, self._last_reply = self._last_reply, reply
        return before if swap else reply

    def drop(self, *connections: socket.socket) -> None:
        """Close connections."""
        with self._lock:
            self._open -= set(connections)
            self._forgotten -= set(connections)
        for connection in connections:
            _reset(connection)
            connection.close()


class _Link:
    """One connection and its other half."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._fault: Fault | None = None
        self._halves = 2

    def pass_requests(self) -> None:
        with contextlib.suppress(OSError):
            while request := self._client.recv(CHUNK_BYTES):
                if not self._take(request):
                    break
        self._end()

    def _take(self, request: bytes) -> bool:
        proxy = self._proxy
        proxy.requests += 1
        fault = proxy.fault_for(request)
        if fault == "cut":
            return False
        if proxy.is_forgotten(self._client) or fault == "swallow":
            proxy.swallowed.append(request)
            return True
        if proxy.answer is not None:
            self._client.sendall(proxy.answer)
            return True
        self._fault = fault
        self._server.sendall(request)
        return True

    def pass_replies(self) -> None:
        with contextlib.suppress(OSError):
            while reply := self._server.recv(CHUNK_BYTES):
                if not self._give(reply):
                    break
        self._end()

    def _give(self, reply: bytes) -> bool:
        proxy = self._proxy
        fault, self._fault = self._fault, None
        proxy.hold_back()
        if proxy.is_forgotten(self._client):
            return True
        if fault == "lose":
            return False
        reply = proxy.swapped(reply, swap=fault == "swap")
        if fault == "halve":
            self._client.sendall(reply[: len(reply) // 2])
            return False
        size = proxy.slice_bytes or len(reply)
        for start in range(0, len(reply), size):
            self._client.sendall(reply[start : start + size])
        return True

    def _end(self) -> None:
        """Either half ends both; the second one to notice closes."""
        for connection in (self._client, self._server):
            _reset(connection)
        with self._proxy._lock:
            self._halves -= 1
        if self._halves == 0:
            self._proxy.drop(self._client, self._server)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(port: int, seed: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy inside the block; with `tls` it speaks that to its clients."""
    proxy = Proxy(port, seed, tls)
    try:
        yield proxy
    finally:
        proxy.close()


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port at which connecting neither succeeds nor fails: its backlog is full."""
    with socket.socket() as listener, contextlib.ExitStack() as held:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
