"""The stored state of a conversation, looked up and opened as the middleware does."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from convostate.errors import SealError, StoreError
from convostate.phone.rows import rows
from convostate.replies import WorkSealer, work_queue
from convostate.stores.base import Begun
from convostate.stores.cookie import COOKIE_BYTES, CookieStore
from convostate.stores.memory import MemoryStore
from convostate.stores.work import BlockingWork, Hint
from convostate.turns import Turn, configure, read_state
from convostate.twilio.webhook import PhonePair

if TYPE_CHECKING:
    from convostate.middleware import Middleware
    from convostate.state import State
    from convostate.stores.base import Claim
    from convostate.stores.work import DeadLetter
    from convostate.testing.phone import Phone
    from convostate.testing.simulator import TwilioSimulator

Stored = dict[str, Any]
"""As the page shows it:

where        ``cookie``, ``memory``, ``redis``, another store's class, or "" if nothing is accessible
in_progress  whether there is a conversation
rows         its state
size_bytes, limit_bytes     sealed; in a cookie with its attributes, of 4096; None if unknown
started_at, expires_at      Unix seconds, None without a conversation
lost         the reason why the stored state does not open, or ""
lease_s, waiting            of a server-side store; None if it does not report them
error        why the store does not answer, or ""
later        if the app defers texts: `Backlog` as a dict, its ``dead`` with ``what``, ``body``, ``reason``
"""


class StateInspector:
    """Reads the state that an app's middleware stores; without a middleware there is none."""

    def __init__(self, simulator: TwilioSimulator) -> None:
        self._simulator = simulator
        self.middleware: Middleware | None = simulator.middleware
        self._store: Any = None
        if self.middleware is not None:
            store = self.middleware.store
            self._store = getattr(store, "store", store)  # inside an asyncio form
            _, _, self._config = configure(self.middleware.settings, self._store)
            self._sealer = WorkSealer(self.middleware.settings)

    @property
    def where(self) -> str:
        """The kind of store."""
        if self.middleware is None:
            return ""
        if isinstance(self._store, CookieStore):
            return "cookie"
        name = "memory" if isinstance(self._store, MemoryStore) else type(self._store).__name__
        return "redis" if name in ("RedisStore", "AsyncRedisStore") else name

    @property
    def server_side(self) -> bool:
        """Whether the store is server-side."""
        return self.middleware is not None and self._store.server_side

    def state(self, phone: Phone) -> State | None:
        """The stored state of one phone's conversation, or None.

        Raises:
            StoreError: The store does not answer.
        """
        if self.middleware is None:
            return None
        turn = self._turn(phone)
        token = self._token(turn.claim, phone, {})
        state = read_state(turn, token, self._simulator.clock.now())
        return None if state.is_new else state

    def stored(self, phone: Phone) -> Stored:
        """The stored state of one phone's conversation, for the page."""
        stored: Stored = {"where": self.where, "in_progress": False, "rows": []}
        stored |= dict.fromkeys(("error", "lost"), "")
        stored |= dict.fromkeys(
            ("size_bytes", "limit_bytes", "started_at", "expires_at", "lease_s", "waiting")
        )
        if self.middleware is None:
            return stored
        turn = self._turn(phone)
        try:
            token = self._token(turn.claim, phone, stored)
            if self.defers:
                stored["later"] = self.later(phone)
        except StoreError as error:
            return stored | {"error": str(error)}
        state = read_state(turn, token, self._simulator.clock.now())
        if not state.is_new:
            return stored | {
                "in_progress": True,
                "rows": rows(state),
                "started_at": state.started_at.timestamp(),
                "expires_at": state.expires_at.timestamp(),
            }
        if isinstance(state.lost, SealError):
            return stored | {"lost": state.lost.reason}
        return stored | {"size_bytes": None}

    @property
    def defers(self) -> bool:
        """Whether the app may defer texts."""
        return self.middleware is not None and bool(self.middleware.settings.defer_paths)

    def later(self, phone: Phone) -> dict[str, Any]:
        """The deferred texts and dead letters of one phone's conversation.

        Raises:
            StoreError: The store does not answer.
        """
        claim, work = self._turn(phone).claim, self._store.work
        if not iscoroutinefunction(self._store.begin):
            work = BlockingWork(work)
        backlog = self._simulator.result_of(work.backlog(claim))
        dead: list[DeadLetter] = []
        if backlog.dead:
            hint = Hint(claim.name, work_queue(self._config))
            dead = self._simulator.result_of(work.letters(hint, retry=False, now=None))
        letters = [self._letter(claim.name, each) for each in dead]
        return {**backlog._asdict(), "dead": letters}

    def _letter(self, name: str, letter: DeadLetter) -> dict[str, str]:
        what = "text" if letter.is_text else "reply"
        try:
            content = self._sealer.open(name, letter.entry, what, None)[1]
        except SealError:
            body = ""
        else:
            body = content[0].get("Body", "") if letter.is_text else content.get("body", "")
        return {"what": what, "body": body, "reason": letter.reason}

    def _turn(self, phone: Phone) -> Turn:
        pair = PhonePair(self._simulator.account_sid, phone.texting, phone.number)
        return Turn(self._config, pair)

    def _token(self, claim: Claim, phone: Phone, stored: Stored) -> bytes | None:
        now, store = self._simulator.clock.now(), self._store
        token: bytes | None
        if not store.server_side:
            begun = store.begin(claim, phone.jar.header(self._simulator.webhook_url), now)
            token = begun.token if isinstance(begun, Begun) else None
            if token is not None and isinstance(store, CookieStore):
                size_bytes = store.size_bytes(claim, token)
                stored |= {"size_bytes": size_bytes, "limit_bytes": COOKIE_BYTES}
            return token
        token = self._simulator.result_of(store.peek(claim, now))
        stored["size_bytes"] = None if token is None else len(token)
        queue = getattr(store, "queue", None)
        if queue is not None:
            stored |= self._simulator.result_of(queue(claim))._asdict()
        return token
