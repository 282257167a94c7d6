"""The stored state of a conversation, looked up and opened as the middleware does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convostate.errors import SealError, StoreError
from convostate.middleware import find_middleware
from convostate.phone.rows import rows
from convostate.stores.base import Begun
from convostate.stores.cookie import COOKIE_BYTES, CookieStore
from convostate.stores.memory import MemoryStore
from convostate.turns import Turn, configure, read_state
from convostate.twilio.webhook import PhonePair

if TYPE_CHECKING:
    from convostate.middleware import Middleware
    from convostate.state import State
    from convostate.stores.base import Claim, Store
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
"""


class StateInspector:
    """Reads the state that an app's middleware stores.

    Args:
        simulator: The simulator of the app. Without a ConversationMiddleware there is no state.
    """

    def __init__(self, simulator: TwilioSimulator) -> None:
        self._simulator = simulator
        self.middleware: Middleware | None = find_middleware(simulator.app)
        if self.middleware is not None:
            _, _, self._config = configure(self.middleware.settings, self.middleware.store)

    @property
    def where(self) -> str:
        """The kind of store."""
        if self.middleware is None:
            return ""
        store = self.middleware.store
        if isinstance(store, CookieStore):
            return "cookie"
        name = "memory" if isinstance(store, MemoryStore) else type(store).__name__
        return "redis" if name == "RedisStore" else name

    @property
    def server_side(self) -> bool:
        """Whether the store is server-side."""
        return self.middleware is not None and self.middleware.store.server_side

    def state(self, phone: Phone) -> State | None:
        """The stored state of one phone's conversation, or None.

        Raises:
            StoreError: The store does not answer.
        """
        if self.middleware is None:
            return None
        turn = self._turn(phone)
        token = self._token(self.middleware.store, turn.claim, phone, {})
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
            token = self._token(self.middleware.store, turn.claim, phone, stored)
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

    def _turn(self, phone: Phone) -> Turn:
        pair = PhonePair(self._simulator.account_sid, phone.texting, phone.number)
        return Turn(self._config, pair)

    def _token(self, store: Store, claim: Claim, phone: Phone, stored: Stored) -> bytes | None:
        now = self._simulator.clock.now()
        if not store.server_side:
            begun = store.begin(claim, phone.jar.header(self._simulator.webhook_url), now)
            token = begun.token if isinstance(begun, Begun) else None
            if token is not None and isinstance(store, CookieStore):
                size_bytes = store.size_bytes(claim, token)
                stored |= {"size_bytes": size_bytes, "limit_bytes": COOKIE_BYTES}
            return token
        token = store.peek(claim, now)
        stored["size_bytes"] = None if token is None else len(token)
        queue = getattr(store, "queue", None)
        if queue is not None:
            stored |= queue(claim)._asdict()
        return token
