"""Conversations: the state of a conversation outside its webhooks, and conversations that the app starts.

    turn    begin → open → the caller's block → finish → commit
    start   begin → open → finish → write → the message is sent → commit

(Twilio has a product of that name, https://www.twilio.com/docs/conversations; this is not it.)
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convostate.errors import UsageError
from convostate.outbound import account_of, check_arguments, check_spelling, start
from convostate.own_turns import OwnTurns
from convostate.settings import Settings
from convostate.state import OVER
from convostate.stores import Store, store_for
from convostate.stores.base import is_store
from convostate.twilio.pair import PhonePair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]
    from twilio.rest.api.v2010.account.message import (  # type: ignore[import-untyped, unused-ignore]
        MessageInstance,
    )

    from convostate.events import TurnEvent
    from convostate.outbound import IfExists
    from convostate.state import State

_COPY = UsageError(
    "peek() gives a copy: this change would be lost. "
    "Change the state in a turn: with conversations.turn(ours=…, theirs=…) as state"
)


class Conversations:
    """The conversations of a server-side store, for web views, workers, cron jobs and shells.

    Addresses are as webhooks spell them: ``+15550100001``, ``whatsapp:+15550100001``. The account is
    `account_sid`, else that of the settings. Threads may share one object.

    Args:
        settings: None reads them from the environment variables.
        store: The store; None makes the one that the settings name. Conversations in memory are
            those of one store object: hand over the middleware's, ``middleware.store``.
        clock: Gives Unix time in seconds. A test that moves the simulator's clock gives that one.
        on_turn: Is called with a `TurnEvent` after each `turn` and `start`, in the thread that takes it;
            what it raises is logged once and stops nothing.

    Attributes:
        clock: As given; a test may set it.

    Raises:
        UsageError: The settings are wrong or none, or the store is none or cannot do this.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        on_turn: Callable[[TurnEvent], object] | None = None,
    ) -> None:
        settings = Settings.from_environ() if settings is None else settings
        if not isinstance(settings, Settings):
            raise UsageError(
                "Conversations takes Settings. Write Settings(auth_token=…, keys=…, store=…), or give "
                "none to have them read from the environment variables"
            )
        if store is None:
            if settings.store == "memory":
                raise UsageError(
                    "Conversations in memory are those of one store object, and another one would know "
                    "none of the middleware's. Hand it over: Conversations(store=middleware.store)"
                )
            store = store_for(settings)
        elif not is_store(store):
            raise UsageError(
                "Conversations takes a store, and this is none. Give middleware.store, or a store of "
                "your own. Derive it from convostate.stores.Store"
            )
        self.settings = settings
        self.store: Store = store
        self.clock = clock
        # The clock may be set later.
        self._turns = OwnTurns(settings, store, lambda: self.clock(), on_turn)  # noqa: PLW0108

    def __repr__(self) -> str:
        return f"Conversations({self.settings!r})"

    @contextmanager
    def turn(self, *, ours: str, theirs: str, account_sid: str | None = None) -> Iterator[State]:
        """Take a turn in a conversation, as a webhook does; texts that arrive meanwhile wait for it.

            with conversations.turn(ours="+15550100099", theirs="+15550100001") as state:
                state["step"] = "confirm"

        The state is kept when the block ends, and left as it was when the block raises. Where no
        conversation goes on, `state.is_new` is true, and what is written begins one.

        Args:
            ours: The application's address.
            theirs: The person's.
            account_sid: The account that owns `ours`.

        Raises:
            UsageError: A turn of this conversation runs in this context already, such as its
                webhook; or there is no account, or no address.
            StateError: The state holds what cannot be kept.
            StoreError: ``down``; ``busy``: other turns held the conversation for 8 s, or too many
                wait; ``lost``: the block took longer than the lease, 16 s, or the conversation was
                ended or forgotten meanwhile. The state is left as it was.
        """
        turns = self._turns
        with turns.hold(self._pair(ours, theirs, account_sid), "turn") as held:
            turn = turns.open(held)
            try:
                with held.watch.app():
                    yield turn.state
            finally:
                turn.state.lock(OVER)
            now = turns.now()
            held.store.commit(held.begun, turns.finish(turn, now), None, now)

    def start(
        self,
        client: Client,
        *,
        to: str,
        from_: str | None = None,
        state: Mapping[Any, Any] | None = None,
        if_exists: IfExists = "replace",
        account_sid: str | None = None,
        **message: Any,
    ) -> MessageInstance:
        """Write to a person first: the reply arrives with the state that belongs to it.

            conversations.start(
                client, from_="+15550100099", to="+15550100001", body="Still coming at 9?",
                state={"step": "confirm", "appointment": 42},
            )

        It is one turn. The state is written, then the message is sent, while a reply or a status
        waits. Whatever the client raises comes out of here, after what was there has been restored,
        byte for byte and for the rest of its lifetime. Once Twilio has taken the message the state
        stays, also where this process ends there and then. A text that arrives meanwhile is
        answered 503 after 8 s: give the client's ``TwilioHttpClient`` a shorter timeout.

        Args:
            client: The caller's own ``twilio.rest.Client``; its ``messages.create`` is called.
            to: The person's address.
            from_: The application's; required, beside a `messaging_service_sid` too.
            state: What the conversation begins with; empty where absent.
            if_exists: What happens where a conversation goes on: ``replace`` its state, ``keep`` it
                for another lifetime and send all the same, or ``refuse``.
            account_sid: The account that owns `from_`; where absent the client's, else that of the
                settings.
            **message: The other arguments of ``messages.create``: `body`, `media_url`,
                `messaging_service_sid`, `status_callback`, ….

        Returns:
            What ``messages.create`` returns.

        Raises:
            OptedOutError: The person has sent STOP, and no START since. Nothing is sent.
            ConversationExistsError: One goes on, and `if_exists` is ``refuse``. Nothing is sent.
            UsageError: As for `turn`; or the sender is not known, or an argument is wrong. Nothing is
                sent.
            StateError: The state holds what cannot be kept. Nothing is sent.
            StoreError: ``down``, ``busy`` or ``lost``. Nothing is sent.
        """
        from_ = check_arguments(to, from_, state, if_exists, message)
        pair = self._pair(from_, to, account_sid or account_of(client))
        return start(self._turns, client, pair, state or {}, if_exists, message)

    def peek(self, *, ours: str, theirs: str, account_sid: str | None = None) -> State | None:
        """Look at a conversation's state without waiting for its turn.

        Args:
            ours: The application's address.
            theirs: The person's.
            account_sid: The account that owns `ours`.

        Returns:
            A copy, which refuses to be changed; or None where no conversation goes on.

        Raises:
            UsageError: There is no account, or no address.
            StoreError: ``down``.
        """
        state = self._turns.peek(self._pair(ours, theirs, account_sid)).state
        state.lock(_COPY)
        return None if state.is_new else state

    def end(self, *, ours: str, theirs: str, account_sid: str | None = None) -> None:
        """End a conversation: its state is gone, and the next text begins a new one.

        It waits for nobody. A turn in flight cannot write any more: its webhook is answered 503.

        Args:
            ours: The application's address.
            theirs: The person's.
            account_sid: The account that owns `ours`.

        Raises:
            UsageError: A turn of this conversation runs in this context, where ``state.end()`` does
                it; or there is no account, or no address.
            StoreError: ``down``.
        """
        self._turns.erase(self._pair(ours, theirs, account_sid), replies=False)

    def forget(self, *, ours: str, theirs: str, account_sid: str | None = None) -> None:
        """Erase what is kept of a conversation: its state, and the replies recorded for repetitions.

        It waits for nobody. A turn in flight cannot write any more: its webhook is answered 503.
        That a STOP stands is still known, by a keyed name from which no number can be read.

        Args:
            ours: The application's address.
            theirs: The person's.
            account_sid: The account that owns `ours`.

        Raises:
            UsageError: A turn of this conversation runs in this context, and its reply would be
                recorded afterwards; or there is no account, or no address.
            StoreError: ``down``.
        """
        self._turns.erase(self._pair(ours, theirs, account_sid), replies=True)

    def _pair(self, ours: str, theirs: str, account_sid: str | None) -> PhonePair:
        check_spelling("ours", ours)
        check_spelling("theirs", theirs)
        account_sid = account_sid or self.settings.account_sid
        if account_sid is None:
            raise UsageError(
                "Conversations belong to an account, and none is known. "
                "Set TWILIO_ACCOUNT_SID=AC…, or pass account_sid"
            )
        return PhonePair(account_sid, ours, theirs)
