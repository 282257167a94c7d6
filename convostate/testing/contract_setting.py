"""What the tests of a store have at hand: claims, tokens, a movable time, threads that wait."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from convostate.errors import StoreError, UsageError
from convostate.stores.base import Begun, Claim, Headers, Keep, Outcome, Replay, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from convostate.stores.base import Store

PATIENCE_S = 30.0  # for what must happen; then the store hangs
PAUSE_S = 0.1  # in which what must not happen would have happened
_HEAD = b"\x01" + bytes(8)  # version and key id, as core.seal has them


class Setting:
    """The helpers of the contract; a subclass may override `advance`, `expire_lease`, `waiting`."""

    max_waiting = 2
    wait_s = 8.0
    now = 1_800_000_000.0
    _cookies = ""

    def advance(self, store: Store, seconds: float) -> None:  # noqa: ARG002  # for a store with a clock
        """Let time pass. A store that goes by a clock of its own overrides this and moves that."""
        self.now += seconds

    def expire_lease(self, store: Store, begun: Begun) -> None:  # noqa: ARG002  # for a subclass's
        """Let the lease of a turn that runs come to its end, as if its worker had died or dawdled."""
        raise UsageError(
            "Only your store knows how a lease of it comes to its end. Write the method "
            "expire_lease(self, store, begun) in your test class"
        )

    def waiting(self, store: Store, claim: Claim) -> int | None:  # noqa: ARG002  # for a store that can tell
        """How many turns of a conversation wait, or None where the store cannot tell."""
        return None

    @staticmethod
    def claim(fingerprint: str | None = None, name: str = "a", idempotency: str = "") -> Claim:
        """A claim; the texts are padded to their lengths."""
        key = None if fingerprint is None else fingerprint.ljust(22, "-")
        return Claim(name.ljust(22, "-"), key, idempotency.encode().ljust(8, b"\0"))

    @staticmethod
    def token(mark: str, content: bytes = b"") -> bytes:
        """What a store takes for a sealed state: its nonce tells it from every other one."""
        return _HEAD + mark.encode().ljust(24, b"\0") + content.ljust(80, b"\xff")

    def begin(self, store: Store, claim: Claim | None = None) -> Begun:
        """Begin a turn that must not be a replay."""
        begun = store.begin(claim or self.claim(), self._cookies, self.now)
        assert isinstance(begun, Begun)
        return begun

    def take_turn(
        self,
        store: Store,
        outcome: Outcome,
        claim: Claim | None = None,
        reply: Reply | None = None,
    ) -> Headers:
        """Begin and commit a turn, and keep the cookie that it sets."""
        headers = store.commit(self.begin(store, claim), outcome, reply, self.now)
        for name, value in headers:
            if name == "Set-Cookie":
                self._cookies = value.partition(";")[0]
        return headers

    def kept(self, store: Store, claim: Claim | None = None) -> bytes | None:
        """The token that the next turn would get."""
        begun = self.begin(store, claim)
        store.abort(begun)
        return begun.token

    def answer(self, store: Store, claim: Claim, sealed: bytes, *, redirects: bool = False) -> None:
        """Take a turn whose reply is recorded."""
        self.take_turn(store, Keep(self.token("t"), 3600), claim, Reply(sealed, redirects))

    def replayed(self, store: Store, claim: Claim) -> bytes | None:
        """The recorded reply to a request, or None where it would run."""
        found = store.begin(claim, "", self.now)
        if isinstance(found, Replay):
            return found.sealed
        store.abort(found)
        return None

    @contextmanager
    def in_threads(self) -> Iterator[Threads]:
        """Threads in which turns wait; all have ended after the block."""
        threads = Threads(self)
        with threads.pool:
            yield threads


class Threads:
    """Turns that begin in threads of their own."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.pool = ThreadPoolExecutor(32)

    def begin(self, store: Store, claim: Claim) -> Future[Begun | Replay]:
        """Begin a turn that has to wait, and return when it does."""
        before = self._setting.waiting(store, claim)
        future = self.pool.submit(store.begin, claim, "", self._setting.now)
        deadline = threading.Event()
        if before is None:
            deadline.wait(PAUSE_S)
        else:
            for _ in range(int(PATIENCE_S / 0.005)):
                if future.done() or (self._setting.waiting(store, claim) or 0) > before:
                    break
                deadline.wait(0.005)
        assert not future.done(), "it did not wait"
        return future


def assert_lost(call: Callable[[], object]) -> None:
    """Check that a call raises StoreError ``lost``."""
    _assert_reason(call, "lost")


def assert_busy(call: Callable[[], object]) -> None:
    """Check that a call raises StoreError ``busy``."""
    _assert_reason(call, "busy")


def _assert_reason(call: Callable[[], object], reason: str) -> None:
    with pytest.raises(StoreError) as caught:
        call()
    assert caught.value.reason == reason
