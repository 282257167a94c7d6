"""What is kept of a conversation at this moment: looked up and opened as the middleware would do it."""

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

Kept = dict[str, Any]
"""As the page shows it:

where        ``cookie``, ``memory``, ``redis``, another store's class, or "" where nothing can be seen
goes_on      whether there is a conversation
rows         its state
size_bytes, limit_bytes     sealed; in a cookie with its attributes, of 4096; None where unknown
started_at, expires_at      Unix seconds, None where there is no conversation
lost         why what is there does not open, as a word, or ""
lease_s, waiting            who is at it, of a store at the server; None where it does not tell
trouble      why the store does not answer, or ""
"""


class StateInspector:
    """Looks at what an app's middleware keeps.

    Args:
        simulator: Whose app; one without a ConversationMiddleware shows nothing.
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
        """Whether the state is kept at the server."""
        return self.middleware is not None and self.middleware.store.server_side

    def state(self, phone: Phone) -> State | None:
        """The state that is kept of one phone's conversation, or None.

        Raises:
            StoreError: The store does not answer.
        """
        if self.middleware is None:
            return None
        turn = self._turn(phone)
        token = self._token(self.middleware.store, turn.claim, phone, {})
        state = read_state(turn, token, self._simulator.clock.now())
        return None if state.is_new else state

    def kept(self, phone: Phone) -> Kept:
        """What is kept of one phone's conversation."""
        kept: Kept = {"where": self.where, "goes_on": False, "rows": [], "trouble": "", "lost": ""}
        kept |= dict.fromkeys(
            ("size_bytes", "limit_bytes", "started_at", "expires_at", "lease_s", "waiting")
        )
        if self.middleware is None:
            return kept
        turn = self._turn(phone)
        try:
            token = self._token(self.middleware.store, turn.claim, phone, kept)
        except StoreError as error:
            return kept | {"trouble": str(error)}
        return kept | _shown(read_state(turn, token, self._simulator.clock.now()))

    def _turn(self, phone: Phone) -> Turn:
        pair = PhonePair(self._simulator.account_sid, phone.texting, phone.number)
        return Turn(self._config, pair)

    def _token(self, store: Store, claim: Claim, phone: Phone, kept: Kept) -> bytes | None:
        now = self._simulator.clock.now()
        if not store.server_side:
            begun = store.begin(claim, phone.jar.header(self._simulator.webhook_url), now)
            token = begun.token if isinstance(begun, Begun) else None
            if token is not None and isinstance(store, CookieStore):
                kept |= {"size_bytes": store.size_bytes(claim, token), "limit_bytes": COOKIE_BYTES}
            return token
        token = store.peek(claim, now)
        kept["size_bytes"] = None if token is None else len(token)
        look = getattr(store, "queue", None)
        if look is not None:
            kept |= look(claim)._asdict()
        return token


def _shown(state: State) -> Kept:
    lost = state.lost.reason if isinstance(state.lost, SealError) else ""
    if state.is_new:
        return {"lost": lost} if lost else {"size_bytes": None}
    return {
        "goes_on": True,
        "rows": rows(state),
        "started_at": state.started_at.timestamp(),
        "expires_at": state.expires_at.timestamp(),
    }
