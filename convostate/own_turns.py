"""OwnTurns: turns that no webhook started, in the same store and under the same lease as those of webhooks."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from convostate.errors import UsageError
from convostate.events import TimedStore, TurnObserver
from convostate.own_turn_watch import OwnTurnWatch
from convostate.running import Running, runs_here
from convostate.sealing.names import conversation_context
from convostate.sealing.token import NONCE_BYTES
from convostate.stores.base import Begun, Claim, Replay
from convostate.turns import Turn, finish, open_turn, terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convostate.errors import StoreError
    from convostate.events import TurnEvent
    from convostate.own_turn_watch import OwnKind
    from convostate.settings import Settings
    from convostate.stores import Store
    from convostate.stores.base import Outcome
    from convostate.twilio.pair import PhonePair

logger = logging.getLogger("convostate")


class Held(NamedTuple):
    """A conversation while nobody else has a turn in it."""

    pair: PhonePair
    context: bytes
    begun: Begun
    store: TimedStore
    watch: OwnTurnWatch


class OwnTurns:
    """Takes turns in the conversations of one store.

    Args:
        settings: The installation's.
        store: Where its conversations are.
        clock: Gives Unix time in seconds.
        on_turn: Is called with a `TurnEvent` after each turn, or None.

    Raises:
        UsageError: The store keeps nothing at the server, the settings do not go with it, or the hook
            cannot be called.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        clock: Callable[[], float],
        on_turn: Callable[[TurnEvent], object] | None,
    ) -> None:
        if not store.server_side:
            raise UsageError(
                "Conversations needs a store at the server: a cookie comes and goes with a text of "
                "the person's, and none can be set on a message. Set CONVOSTATE_STORE=redis://…"
            )
        self.store = store
        self.now = clock
        self._terms = terms_of(settings, server_side=True, most_bytes=store.most_bytes)
        self._observer = TurnObserver(on_turn, self._terms.names.log_id)

    @contextmanager
    def hold(self, pair: PhonePair, kind: OwnKind) -> Iterator[Held]:
        """Wait for the conversation's earlier turns, then hold it; whoever commits has let go.

        Raises:
            UsageError: A turn of it runs in this context.
            StoreError: ``down`` or ``busy``.
        """
        context = conversation_context(pair)
        name = self._free_name(context)
        watch = OwnTurnWatch(self._observer, kind, context)
        store = watch.store(self.store)
        with watch:
            begun = store.begin(Claim(name), "", self.now())
            assert not isinstance(begun, Replay)  # without a fingerprint nothing is recorded
            running = Running(name)
            try:
                yield Held(pair, context, begun, store, watch)
            finally:
                running.end()
                store.abort(begun)  # does nothing after a commit

    def open(self, held: Held) -> Turn:
        """Open the state of a conversation that is held."""
        token = held.begun.token
        turn = open_turn(held.pair, token, self.now(), self._terms, context=held.context)
        if turn.state.lost is not None:
            held.watch.lost(turn.state.lost.reason)
        return turn

    def open_new(self, held: Held) -> Turn:
        """Open a state as if there had been no conversation."""
        return open_turn(held.pair, None, self.now(), self._terms, context=held.context)

    def finish(self, turn: Turn, now: float) -> Outcome:
        """Seal what is to be kept; the state takes no further writes.

        Raises:
            StateError: The state holds what cannot be kept.
        """
        outcome = finish(turn, 200, now, os.urandom(NONCE_BYTES), self._terms)
        assert outcome is not None  # the status is a good one
        return outcome

    def peek(self, pair: PhonePair) -> Turn:
        """Open a conversation's state without waiting; nothing can come of this turn."""
        context, now = conversation_context(pair), self.now()
        token = self.store.peek(Claim(self._terms.names.conversation(context)), now)
        return open_turn(pair, token, now, self._terms, context=context)

    def erase(self, pair: PhonePair, *, replies: bool) -> None:
        """Remove a conversation's state, and with `replies` those as well; no turn in flight can write.

        Raises:
            UsageError: A turn of it runs in this context.
            StoreError: ``down``.
        """
        self.store.erase(Claim(self._free_name(conversation_context(pair))), replies=replies)

    def warn(self, held: Held, what: str, error: StoreError) -> None:
        """Log what went wrong behind the caller's back."""
        log_id = self._terms.names.log_id(held.context)
        logger.warning("conversation %s: %s (%s)", log_id, what, error.reason)

    def _free_name(self, context: bytes) -> str:
        """The name of a conversation that has no turn in this context: a second one would wait for it."""
        name = self._terms.names.conversation(context)
        if runs_here(name):
            raise UsageError(
                "A turn of this conversation runs here already, and this would wait for it or break it. "
                "In its webhook use state_from(environ) and client.messages.create(), inside turn() the state you have"
            )
        return name
