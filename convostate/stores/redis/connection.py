"""Connection: how one turn talks to its server from BEGIN to COMMIT, and how it handles failures.

Every script echoes a nonce. A script is sent again if its connection broke, or was idle and does not
answer; after a timeout only if a repetition is harmless. An argument then says that it may be a repetition.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
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

from convostate.errors import StoreError
from convostate.stores.redis.errors import (
    ELSEWHERE,
    FAULTS,
    TIMEOUTS,
    DesyncError,
    ExhaustedError,
    OneNodeError,
    StaleError,
    code_of,
    may_do_elsewhere,
    store_error,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostate.stores.redis.client import Client, Transport

SLOT_PAUSE_S, SLOT_ASKS = 0.05, 10  # a Cluster moves a slot in less, as a rule
WAIT_RETRIES = 3  # waits of one turn that may be cut short by a broken connection
# An argument of every script: how it was sent.
_ONCE, _AGAIN, _ON_IDLE = b"0", b"1", b"2"


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


@dataclass(slots=True, eq=False, repr=False)
class Connection:
    """One turn's connection, found when it is first needed.

    Attributes:
        client: What the process knows about the servers.
        key: Of the conversation that its server holds.
        on_close: A script with its keys and arguments; the server is to run it if the connection is closed
            while the effect of the last script is unknown. Or None.
        asked_s: When a script was last sent, by `time.monotonic`; 0 before the first.
        dead: The server has failed, and nothing is sent until it answers again.
        late: A script of this turn may still arrive, over a connection that did not answer in time.
    """

    client: Client
    key: str
    on_close: tuple[Script, Sequence[Any], Sequence[Any]] | None = None
    asked_s: float = 0.0
    dead: bool = False
    late: bool = False
    _transport: Transport | None = None
    _blocked: bool = False
    _retries: int = WAIT_RETRIES

    async def run(
        self, script: Script, keys: Sequence[Any], *args: Any, after_timeout: bool = False
    ) -> list[Any]:
        """Run a script.

        Args:
            script: Which.
            keys: Its keys.
            *args: Its arguments from the third on; the nonce and how it was sent come first.
            after_timeout: Ask again after a timeout, too.

        Returns:
            Its reply, whose first item is the nonce.

        Raises:
            StoreError: ``down``.
        """
        client = self.client
        again, retries, slot_asks = False, 1, SLOT_ASKS
        while True:
            try:
                if slot_asks < SLOT_ASKS:  # half of the keys are on their way to another server
                    await client.bell().wait(SLOT_PAUSE_S)
                reply = await self._ask(script, keys, args, again=again)
            except FAULTS as error:  # noqa: PERF203  # the loop is for them
                if isinstance(error, TryAgainError) and slot_asks:
                    slot_asks -= 1
                    continue
                self._spoil(error)
                worth_retrying = may_do_elsewhere(error) or (
                    after_timeout and isinstance(error, TIMEOUTS) and client.breaker.closed
                )
                if isinstance(error, StaleError):  # which says nothing about the server
                    again = self.late = True
                elif retries and worth_retrying:
                    retries -= 1
                    again = True
                    client.moved()
                else:
                    raise self._failed(error) from error
            except BaseException:
                self.close()
                raise
            else:
                client.breaker.failures = 0
                self.dead = False  # so ABORT may be sent again
                if not client.keeps_transport:
                    self.release()
                return reply

    async def block_on(self, key: bytes, seconds: float) -> None:
        """Block until a list is rung, or for so long; StoreError ``down`` if the server fails."""
        self._blocked = True
        try:
            if self._transport is None:
                self._transport = await self.client.lend(self.key)
            rung = await self._transport.exchange("BLPOP", key, f"{seconds:.3f}")
            if rung not in (None, [key, b"1"]):
                raise DesyncError  # noqa: TRY301  # handled as what redis-py raises
        except FAULTS as error:
            self._spoil(error)
            self._retries -= 1
            if self._retries < 0 or not may_do_elsewhere(error):
                raise self._failed(error) from error
            # BEGIN asks again, on another connection.
        except BaseException:
            self.close()
            raise
        self._blocked = False

    def release(self) -> None:
        """Give the connection back."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.pool.take_back(transport)

    def close(self) -> None:
        """Close the connection, and have the server run `on_close`. Never waits for an event loop."""
        transport, self._transport = self._transport, None
        if self.on_close is None or not self.asked_s:
            if transport is not None:
                transport.close()
            return
        script, keys, args = self.on_close
        if transport is not None and not self._blocked:
            nonce = self.client.unique()
            transport.send_and_close("EVAL", script.source, len(keys), *keys, nonce, _AGAIN, *args)
            return
        if transport is not None:  # a command sent after one that blocks would be dropped
            transport.close()
        if not self.dead:
            self.on_close = None
            self.client.run_aside(self._run_elsewhere(script, keys, args))

    async def _run_elsewhere(
        self, script: Script, keys: Sequence[Any], args: Sequence[Any]
    ) -> None:
        other = Connection(self.client, self.key)
        with suppress(StoreError):
            await other.run(script, keys, *args)
        other.release()

    async def _ask(
        self, script: Script, keys: Sequence[Any], args: Sequence[Any], *, again: bool
    ) -> list[Any]:
        """Send a script once; `again` on a new connection, if it was sent before."""
        transport = self._transport
        if transport is None:
            transport = self._transport = await self.client.lend(self.key, fresh=again)
        idle, nonce = transport.is_idle, self.client.unique()
        sent = _AGAIN if again else _ON_IDLE if idle else _ONCE
        self.asked_s = time.monotonic()
        command = (len(keys), *keys, nonce, sent, *args)
        by_text = ("EVAL", script.source, *command)
        try:
            if again:  # by its text at once: a timeout may have hidden a NOSCRIPT
                reply: Any = await transport.exchange(*by_text)
            else:
                reply = await transport.exchange("EVALSHA", script.sha, *command, idle=idle)
        except ResponseError as error:
            reply = await self._redirected(error, transport, by_text)
        if type(reply) is not list or reply[:1] != [nonce]:
            raise DesyncError
        return reply

    async def _redirected(
        self, error: ResponseError, transport: Transport, by_text: Sequence[Any]
    ) -> Any:
        """Send a script's text where the refusal of its hash leads; raise a refusal that leads nowhere."""
        if isinstance(error, NoScriptError):  # the server has not seen it, or has forgotten it
            return await transport.exchange(*by_text)
        # redis-py before 6 gives a client of one server these errors as text alone.
        if isinstance(error, AskError) or str(error).startswith(("MOVED ", "ASK ")):
            route: Any = await self.client.route()
            if not route.is_cluster:
                raise OneNodeError from error
        if not isinstance(error, AskError):
            raise error
        if isinstance(error, MovedError):
            self.release()
            self.client.moved()
            self._transport = await self.client.lend(self.key)
            return await self._transport.exchange(*by_text)
        # The slot is on its way: this once, ask there. ASKING counts for one command.
        pool = await route.at(error.host, error.port)
        there = await pool.take(self.key)
        try:
            await there.exchange("ASKING", idle=there.is_idle)
            reply = await there.exchange(*by_text)
        except ResponseError:
            pool.take_back(there)
            raise
        except BaseException:
            there.close()
            raise
        pool.take_back(there)
        return reply

    def _spoil(self, error: Exception) -> None:
        """Close the connection, unless the error is the complete reply of a healthy server."""
        if isinstance(error, ResponseError) and code_of(error) not in ELSEWHERE:
            self.client.breaker.failures = 0
            if not self.client.keeps_transport:
                self.release()
        elif not isinstance(error, TIMEOUTS):
            transport, self._transport = self._transport, None
            if transport is not None:
                transport.close()
        else:
            self.close()

    def _failed(self, error: Exception) -> StoreError:
        if not isinstance(error, (ResponseError, AuthenticationError, ExhaustedError)):
            self.client.breaker.failed()
            self.dead = True
        return store_error(error)
