"""Line: the one connection that a turn keeps from BEGIN to COMMIT, and what is done when it fails.

Every script echoes a nonce. Once more is asked after a connection that broke, and after a timeout only
where asking twice is harmless for sure; a script is told that it may be a repetition.
"""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import (
    AskError,
    AuthenticationError,
    MovedError,
    NoScriptError,
    ResponseError,
    TryAgainError,
)

from convostate.stores.redis.breaker import Breaker
from convostate.stores.redis.connection import TIMEOUT_S, exchange, say_and_close
from convostate.stores.redis.errors import (
    ELSEWHERE,
    FAULTS,
    TIMEOUTS,
    DesyncError,
    ExhaustedError,
    code_of,
    may_do_elsewhere,
    store_error,
)
from convostate.stores.redis.route import Route, route_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis.connection import Connection

    from convostate.errors import StoreError
    from convostate.stores.redis.connection import Connections
    from convostate.stores.redis.route import Client

NONCE_BYTES = 8
SLOT_PAUSE_S, SLOT_ASKS = 0.05, 10  # a Cluster moves a slot in less, as a rule
MAY_STUMBLE = 3  # waits of one turn that may be cut short by a broken connection


class Script(NamedTuple):
    """A Lua script.

    Attributes:
        source: Its text.
        sha: Its SHA-1 in hexadecimal: what EVALSHA knows it by.
    """

    source: bytes
    sha: str

    @classmethod
    def load(cls, *names: str) -> Script:
        """Read a script from the files beside this one, put together in order."""
        source = b"".join(Path(__file__).with_name(f"{name}.lua").read_bytes() for name in names)
        return cls(source, hashlib.sha1(source, usedforsecurity=False).hexdigest())


class Servers:
    """What this process knows of the servers: the way to them, and whether they answer.

    Args:
        make_client: Makes the client; called when a server is first asked.
        theirs: The client is the caller's, who closes it.
    """

    def __init__(self, make_client: Callable[[], Client], *, theirs: bool) -> None:
        self.pid = os.getpid()
        self.breaker = Breaker()
        self._make_client = make_client
        self._theirs = theirs
        self._route: Route | None = None
        self._finding = threading.Lock()  # so that a client is made once
        self._in_child: dict[int, Servers] = {}

    def route(self) -> Route:
        """The way to the servers; where they are a Cluster, finding it asks one of them."""
        route = self._route
        if route is not None:
            return route
        # Making a Cluster's client asks its servers, and whoever waits for one that is dead must not add up.
        if not self._finding.acquire(timeout=2 * TIMEOUT_S):
            raise TimeoutError
        try:
            if self._route is None:
                self._route = route_for(self._make_client)
            return self._route
        finally:
            self._finding.release()

    def in_this_process(self) -> Servers:
        """These, or new ones after a fork: a child shares neither a socket nor a lock with its parent."""
        if self.pid == os.getpid():
            return self
        made = Servers(self._make_client, theirs=self._theirs)
        return self._in_child.setdefault(made.pid, made)  # the same for all of a child's threads

    def close(self) -> None:
        """Close what leads to them; the next question finds the way anew."""
        route, self._route = self._route, None
        if route is not None:
            route.close(client_too=not self._theirs)


class Line:
    """A connection for one turn, found when it is first needed.

    Attributes:
        farewell: A script with its keys and arguments that the server is to run where the line is given
            up before it is clear what the last one did; or None.
        dead: Nothing more is to be expected of the server, until it answers again.
    """

    __slots__ = ("_connection", "_home", "_key", "_servers", "_stumbles", "dead", "farewell")

    def __init__(self, servers: Servers, key: str) -> None:
        self._servers = servers
        self._key = key
        self._home: Connections | None = None
        self._connection: Connection | None = None
        self._stumbles = 0
        self.farewell: tuple[Script, Sequence[Any], Sequence[Any]] | None = None
        self.dead = False

    def run(
        self, script: Script, keys: Sequence[Any], *args: Any, after_timeout: bool = False
    ) -> list[Any]:
        """Run a script.

        Args:
            script: Which.
            keys: Its keys.
            *args: Its arguments from the third on; the nonce and the mark of a repetition come first.
            after_timeout: Ask again after a timeout, too.

        Returns:
            Its reply, whose first item is the nonce.

        Raises:
            StoreError: ``down``.
        """
        try:
            return self._attempt(script, keys, args, again=False)
        except FAULTS as error:
            if not self._is_worth_repeating(error, after_timeout):
                raise self._failed(error) from error
        try:
            self._servers.route().moved()
            return self._attempt(script, keys, args, again=True)
        except FAULTS as error:
            raise self._failed(error) from error

    def wait(self, key: Any, seconds: float) -> None:
        """Wait until a list is rung, or for so long; which of them is no matter.

        Raises:
            StoreError: ``down``.
        """
        try:
            rung = exchange(self._connected(fresh=False), "BLPOP", key, f"{seconds:.3f}")
            if rung is not None:
                _check_echo(rung, key)
        except FAULTS as error:
            self._spoil(error)
            self._stumbles += 1
            if self._stumbles > MAY_STUMBLE or not may_do_elsewhere(error):
                raise self._failed(error) from error
            # BEGIN asks again, and finds the way.

    def let_go(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None and self._home is not None:
            self._home.give_back(connection)

    def close(self) -> None:
        """Close the connection, with the farewell."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self.farewell is None:
            connection.disconnect()
            return
        script, keys, args = self.farewell
        nonce = bytes(NONCE_BYTES)
        say_and_close(connection, "EVAL", script.source, len(keys), *keys, nonce, b"1", *args)

    def _attempt(
        self, script: Script, keys: Sequence[Any], args: Sequence[Any], *, again: bool
    ) -> list[Any]:
        reply: list[Any]
        nonce = os.urandom(NONCE_BYTES)
        command = (len(keys), *keys, nonce, b"1" if again else b"0", *args)
        try:
            reply = self._ask(script, command, fresh=again)
            _check_echo(reply, nonce)
        except BaseException as error:
            self._spoil(error)
            raise
        self._servers.breaker.succeeded()
        self.dead = False  # it is back, and ABORT may be sent
        return reply

    def _ask(self, script: Script, command: Sequence[Any], *, fresh: bool) -> Any:
        for _ in range(SLOT_ASKS):
            try:
                return self._ask_once(script, command, fresh=fresh)
            except TryAgainError:  # noqa: PERF203  # half of the keys are on their way to another server
                threading.Event().wait(SLOT_PAUSE_S)
        return self._ask_once(script, command, fresh=fresh)

    def _ask_once(self, script: Script, command: Sequence[Any], *, fresh: bool) -> Any:
        try:
            if fresh:  # whole, because a timeout may have been all that was heard of NOSCRIPT
                return exchange(self._connected(fresh=True), "EVAL", script.source, *command)
            return _evaluate(self._connected(fresh=False), script, command)
        except MovedError:
            self.let_go()
            self._servers.route().moved()
            return _evaluate(self._connected(fresh=False), script, command)
        except AskError as error:  # the slot is on its way: this once, ask there
            there = self._servers.route().at(error.host, error.port)
            connection = there.take()
            exchange(connection, "ASKING")
            try:  # whole, because ASKING counts for one command
                reply = exchange(connection, "EVAL", script.source, *command)
            except ResponseError:
                there.give_back(connection)
                raise
            there.give_back(connection)
            return reply

    def _connected(self, *, fresh: bool) -> Connection:
        if self._connection is None:
            self._home = self._servers.route().to(self._key)
            self._connection = self._home.take(fresh=fresh)
        return self._connection

    def _spoil(self, error: BaseException) -> None:
        """Close the connection, unless the error is the whole reply of a server that is well."""
        if isinstance(error, ResponseError) and code_of(error) not in ELSEWHERE:
            self._servers.breaker.succeeded()
        elif isinstance(error, FAULTS) and not isinstance(error, TIMEOUTS):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.disconnect()
        else:
            self.close()

    def _is_worth_repeating(self, error: Exception, after_timeout: bool) -> bool:
        if isinstance(error, TIMEOUTS):
            return after_timeout and self._servers.breaker.closed
        return may_do_elsewhere(error)

    def _failed(self, error: Exception) -> StoreError:
        if not isinstance(error, (ResponseError, AuthenticationError, ExhaustedError)):
            self._servers.breaker.failed()
            self.dead = True
        return store_error(error)


def _evaluate(connection: Connection, script: Script, command: Sequence[Any]) -> Any:
    try:
        return exchange(connection, "EVALSHA", script.sha, *command)
    except NoScriptError:  # a server that has not seen it, or was told to forget it
        return exchange(connection, "EVAL", script.source, *command)


def _check_echo(reply: Any, echo: Any) -> None:
    if type(reply) is not list or not reply or reply[0] != echo:
        raise DesyncError
