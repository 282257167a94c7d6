"""Conversations: the state of a conversation outside its webhooks, and conversations that the app starts.

    turn    begin → open → the caller's block → finish → commit
    start   begin → open → finish → write → the message is sent → commit

(Twilio has a product of that name, https://www.twilio.com/docs/conversations; this is not it.)
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from convostate.errors import ConversationExistsError, OptedOutError, StoreError, UsageError
from convostate.events import TurnObserver
from convostate.sealing.token import NONCE_BYTES
from convostate.stores import async_store_for, store_for
from convostate.stores.base import Keep, Leave, Replay, blocking, suspending
from convostate.turns import (
    Turn,
    check_free,
    configure,
    finish,
    left_of,
    listed_turn,
    log_clocks,
    open_turn,
    read_state,
)
from convostate.twilio.webhook import PhonePair, is_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]
    from twilio.rest.api.v2010.account.message import (  # type: ignore[import-untyped, unused-ignore]
        MessageInstance,
    )

    from convostate.events import TurnEvent
    from convostate.replies import Answering, Answers, LoopWorkers, ThreadWorkers
    from convostate.settings import Settings
    from convostate.state import State
    from convostate.stores.base import AsyncStore, Begun, Store
    from convostate.stores.work import Backlog, DeadLetter

IfExists = Literal["replace", "keep", "refuse"]

# A number as people dial it. Short codes have at most 8 digits; E.164 begins with a plus sign.
_DIALLED = re.compile(r"(?!\+\d+\Z)\+?[\d ().-]{9,}", re.ASCII)
_COPY = UsageError(
    "peek() returns a copy: this change would be lost. "
    "Change the state in a turn: with conversations.turn(ours=…, theirs=…) as state"
)


class _Conversations:
    """What both classes do, written once as coroutines; `Conversations` runs them over a store that blocks."""

    is_async: bool
    _store: AsyncStore

    def __init__(
        self,
        settings: Settings | None,
        store: Any,
        make_store: Callable[[Settings], Any],
        clock: Callable[[], float],
        on_turn: Callable[[TurnEvent], object] | None,
        client: Any,
    ) -> None:
        name = type(self).__name__
        self.settings, self.store, self.turn_config = configure(settings, store, make_store)
        if store is None and self.settings.store == "memory":
            raise UsageError(
                "Conversations in memory belong to one store object, and a new one would not see those of the "
                f"middleware. Pass the middleware's: {name}(store=middleware.store), or one MemoryStore() to both"
            )
        if not self.store.server_side:
            raise UsageError(
                f"{name} needs a server-side store: a cookie comes and goes with a text from the person, "
                "and cannot be set on an outgoing message. Set CONVOSTATE_STORE=redis://…"
            )
        self.clock = clock
        self.observer = TurnObserver(on_turn, self.turn_config.names.log_id)
        self.client = client

    def __repr__(self) -> str:
        settings = getattr(self, "settings", "…")  # if they are wrong
        return f"{type(self).__name__}({settings!r})"

    @cached_property
    def deferred(self) -> Answers:
        """The texts that are answered later. Only an app that defers texts loads their module."""
        from convostate.replies import LoopAnswers, ThreadAnswers  # noqa: PLC0415

        return LoopAnswers(self) if self.is_async else ThreadAnswers(self)

    def answers(self, function: Callable[[Answering], Any]) -> Callable[[Answering], Any]:
        """Answer the texts of CONVOSTATE_DEFER_PATHS with a function; a decorator.

            @conversations.answers
            def answer(turn):
                turn.state["count"] = turn.state.get("count", 0) + len(turn.texts)
                turn.reply(f"That was text {turn.state['count']}")

        It runs in a worker, in order, once at a time for each conversation. It returns nothing: ``turn.state``
        is kept, and then the replies are sent. If it raises, that is logged; the same texts come again after 1,
        10 and 60 s, and then become dead letters.

        Raises:
            UsageError: There is no client, the store does not keep texts, or the function is of the wrong kind.
        """
        self.deferred.answer_with(function)
        return function

    def answer_later(self, environ: Mapping[str, Any]) -> None:
        """Defer the text of this webhook: a worker answers it with the function of `answers`.

        The text is kept, sealed, in the commit that records this webhook's reply, which is usually empty. If the
        webhook fails, the text is not kept.

        Args:
            environ: The request's WSGI environ, or its ASGI scope.

        Raises:
            UsageError: The request is not a text on a path of CONVOSTATE_DEFER_PATHS, this is the second call or
                the turn is over, or the workers of this object are in another process.
        """
        self.deferred.defer(environ)

    def sender(self, client: Any) -> Callable[..., Any]:
        """The method of a client that sends a message: ``create``, or ``create_async`` on an event loop.

        Raises:
            UsageError: The client has no such method, or its ``http_client`` is of the other kind.
        """
        method = "create_async" if self.is_async else "create"
        send: Callable[..., Any] | None = getattr(getattr(client, "messages", None), method, None)
        if send is None:
            raise UsageError(
                f"{type(self).__name__} needs a client with messages.{method}(), such as a twilio.rest.Client"
            )
        kind = getattr(getattr(client, "http_client", None), "is_async", None)
        if isinstance(kind, bool) and kind is not self.is_async:  # a mock is either
            raise UsageError(
                "AsyncConversations cannot send with a client that blocks. Make it with "
                "http_client=AsyncTwilioHttpClient(pool_connections=False)"
                if self.is_async
                else "Conversations cannot send with an asynchronous client. Make it without http_client=…, or use "
                "AsyncConversations"
            )
        return send

    @asynccontextmanager
    async def _take(self, turn: Turn) -> AsyncIterator[State]:
        async with self._hold(turn) as (store, begun):
            open_turn(turn, self.clock())
            if turn.skew_s:
                await log_clocks(turn, self.store)
            with app_runs(turn):
                yield turn.state
            now = self.clock()
            outcome = finish(turn, 200, now, os.urandom(NONCE_BYTES))
            assert outcome is not None  # the status is a good one
            await store.commit(begun, outcome, None, now)

    async def _peek(self, turn: Turn) -> State | None:
        now = self.clock()
        state = read_state(turn, await self._store.peek(turn.claim, now), now)
        state.locked = _COPY
        return None if state.is_new else state

    async def _erase(self, turn: Turn, *, replies: bool) -> None:
        check_free(turn.claim)
        await self._store.erase(turn.claim, replies=replies)

    @asynccontextmanager
    async def _hold(self, turn: Turn) -> AsyncIterator[tuple[AsyncStore, Begun]]:
        """Wait for the conversation's earlier turns, then hold it until the block ends or commits."""
        check_free(turn.claim)
        store = self.observer.timed(self._store, turn)
        with reported(turn, self.observer):
            try:
                begun = await store.begin(turn.claim, "", self.clock())
                assert not isinstance(begun, Replay)  # without a fingerprint nothing is recorded
                turn.begun = begun
                yield store, begun
            finally:
                turn.leave()
                if turn.begun is not None:
                    await store.abort(turn.begun)  # does nothing after a commit

    def _turn(
        self,
        ours: str,
        theirs: str,
        account_sid: str | None,
        call_sid: str = "",
        kind: Literal["turn", "start"] = "turn",
    ) -> Turn:
        """A turn of the conversation that the caller names."""
        check_spelling("ours", ours)
        check_spelling("theirs", theirs)
        account_sid = account_sid or self.settings.account_sid
        if account_sid is None:
            raise UsageError(
                "A conversation belongs to an account, and the account is not known. "
                "Set TWILIO_ACCOUNT_SID=AC…, or pass account_sid"
            )
        if call_sid and not is_address(call_sid):
            raise UsageError("call_sid is not the SID of a call. Give it as webhooks have it: CA…")
        pair = None if call_sid and not (ours or theirs) else PhonePair(account_sid, ours, theirs)
        call = (account_sid, call_sid) if call_sid else None
        turn = Turn(self.turn_config, pair, kind, call=call)
        turn.store_decides = self.clock is time.time  # another one is a test's
        return turn


class Conversations(_Conversations):
    """The conversations of a server-side store, for web views, workers, cron jobs and shells.

    Addresses are spelled as in webhooks: ``+15550100001``, ``whatsapp:+15550100001``. The account is
    `account_sid`, or that of the settings. Threads may share one object.

    Args:
        settings: None reads them from the environment variables.
        store: The store; None makes the one that the settings name. Conversations in memory belong to one
            store object: pass the middleware's, ``middleware.store``.
        clock: Returns Unix time in seconds. A test that moves the simulator's clock passes that one.
        on_turn: Is called with a `TurnEvent` after each `turn`, `start` and answer, in the thread that takes
            it; what it raises is logged once and stops nothing.
        client: Sends the replies of the function of `answers`: a ``twilio.rest.Client``, or a function that
            gives the one of an account's SID.

    Attributes:
        clock: As given; a test may set it.

    Raises:
        UsageError: The settings or the store are wrong, or the store is not a server-side one.
    """

    is_async = False
    store: Store

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        on_turn: Callable[[TurnEvent], object] | None = None,
        client: Client | Callable[[str], Client] | None = None,
    ) -> None:
        from convostate.stores.aio import InLoop  # noqa: PLC0415  # asyncio is not for everyone

        super().__init__(settings, store, store_for, clock, on_turn, client)
        self._store = InLoop(self.store)

    @blocking
    async def answer_due(self) -> list[Exception]:
        """Answer all that is due now, in this thread, one after another; for tests and cron jobs.

        Returns:
            What the function raised, and what else went wrong; it is logged as well.

        Raises:
            UsageError: No function answers, or the client cannot send.
            StoreError: ``down``.
        """
        return await self.deferred.answer_due()

    def start_workers(self, count: int = 4) -> ThreadWorkers:
        """Answer in threads of this process, until it ends or the workers are stopped.

        For an app of one process; otherwise run ``convostate work``.

        Args:
            count: How many answers run at once.

        Raises:
            UsageError: No function answers, the workers are started already, or the client is asynchronous.
        """
        workers: ThreadWorkers = self.deferred.start_workers(count)
        return workers

    @overload
    def turn(
        self, *, ours: str, theirs: str, call_sid: str = "", account_sid: str | None = None
    ) -> AbstractContextManager[State]: ...
    @overload
    def turn(
        self, *, call_sid: str, account_sid: str | None = None
    ) -> AbstractContextManager[State]: ...
    @contextmanager
    def turn(
        self,
        *,
        ours: str = "",
        theirs: str = "",
        call_sid: str = "",
        account_sid: str | None = None,
    ) -> Iterator[State]:
        """Take a turn in a conversation, as a webhook does; texts that arrive meanwhile wait for it.

            with conversations.turn(ours="+15550100099", theirs="+15550100001") as state:
                state["step"] = "confirm"

        The state is kept when the block ends, and left as it was when the block raises. If no
        conversation is in progress, `state.is_new` is true, and what is written begins one.

        Args:
            ours: The application's address.
            theirs: The person's.
            call_sid: The call whose conversation it is; `ours` and `theirs` may then be left out.
            account_sid: The account that owns `ours`, or has the call.

        Raises:
            UsageError: A turn of this conversation already runs in this context, such as its webhook; a
                call's turn is taken inside its pair's; or the account or an address is missing.
            StateError: The state holds what cannot be kept.
            StoreError: ``down``; ``busy``: other turns held the conversation for 8 s, or too many
                wait; ``lost``: the block took longer than the lease, 16 s, or the conversation was
                ended or forgotten meanwhile. The state is left as it was.
        """
        turn = self._take(self._turn(ours, theirs, account_sid, call_sid))
        with ExitStack() as stack:
            state = self._enter(turn)
            stack.push(partial(self._exit, turn))
            yield state

    @blocking
    async def _enter(self, turn: AbstractAsyncContextManager[State]) -> State:
        return await turn.__aenter__()

    @blocking
    async def _exit(self, turn: AbstractAsyncContextManager[State], *raised: Any) -> bool | None:
        return await turn.__aexit__(*raised)

    @blocking
    async def start(
        self,
        /,
        client: Client,
        *,
        to: str,
        from_: str | None = None,
        state: Mapping[Any, Any] | None = None,
        if_exists: IfExists = "replace",
        account_sid: str | None = None,
        **message: Any,
    ) -> MessageInstance:
        """Write to a person first: the reply arrives with the state that you give here.

            conversations.start(
                client, from_="+15550100099", to="+15550100001", body="Still coming at 9?",
                state={"step": "confirm", "appointment": 42},
            )

        It is one turn: the state is written, then the message is sent; a reply or a status waits until both
        are done. If the client raises, the earlier state is restored, byte for byte and for the rest of
        its lifetime, and the exception is raised again. Once Twilio has accepted the message the state
        stays, even if this process ends at that moment. A text that arrives meanwhile is answered 503
        after 8 s: give the client's ``TwilioHttpClient`` a shorter timeout.

        Args:
            client: The caller's own ``twilio.rest.Client``; its ``messages.create`` is called.
            to: The person's address.
            from_: The application's; required, beside a `messaging_service_sid` too.
            state: What the conversation begins with; empty by default.
            if_exists: What happens if a conversation is in progress: ``replace`` its state, ``keep`` it
                for another lifetime and send nevertheless, or ``refuse``.
            account_sid: The account that owns `from_`; by default the client's, or that of the settings.
            **message: The other arguments of ``messages.create``: `body`, `media_url`,
                `messaging_service_sid`, `status_callback`, ….

        Returns:
            What ``messages.create`` returns.

        Raises:
            OptedOutError: The person has sent STOP, and no START since. Nothing is sent.
            ConversationExistsError: One is in progress, and `if_exists` is ``refuse``. Nothing is sent.
            UsageError: As for `turn`; or the sender is not known, or an argument is wrong. Nothing is
                sent.
            StateError: The state holds what cannot be kept. Nothing is sent.
            StoreError: ``down``, ``busy`` or ``lost``. Nothing is sent.
        """
        send = self.sender(client)
        from_ = check_message(to, from_, state, if_exists, message)
        turn = self._turn(from_, to, account_sid or account_of(client), kind="start")
        async with self._hold(turn) as (store, begun):
            now = self.clock()
            before_ms = open_start(turn, state or {}, if_exists, now)
            kept = finish(turn, 200, now, os.urandom(NONCE_BYTES))
            assert isinstance(kept, Keep)  # it existed or was touched, and was not ended
            try:
                await store.write(begun, kept.token, kept.lifetime_s, now)
                with app_runs(turn):
                    sent = send(to=to, from_=from_, **message)
                    if self.is_async:
                        sent = await sent
            except BaseException as error:
                # If the lease is lost, nothing was written.
                if not (isinstance(error, StoreError) and error.reason == "lost"):
                    now = self.clock()
                    try:
                        await store.write(begun, *restored(turn, before_ms, now), now)
                    except StoreError as failed:
                        what = "the message is not sent, and its state may be in place"
                        turn.log(what, failed.reason)
                raise
            try:
                await store.commit(begun, Leave(), None, self.clock())
            except StoreError as error:  # the caller must learn that the message is sent
                turn.reason = error.reason
                turn.log("the message is sent, but its turn did not last as long", error.reason)
        return sent

    @blocking
    async def peek(
        self,
        *,
        ours: str = "",
        theirs: str = "",
        call_sid: str = "",
        account_sid: str | None = None,
    ) -> State | None:
        """Look at a conversation's state without waiting for its turn. The arguments are those of `turn`.

        Returns:
            A read-only copy; or None if no conversation is in progress.

        Raises:
            UsageError: The account or an address is missing.
            StoreError: ``down``.
        """
        return await self._peek(self._turn(ours, theirs, account_sid, call_sid))

    @blocking
    async def calls(self, *, ours: str, theirs: str, account_sid: str | None = None) -> list[State]:
        """Look at the states of a pair's calls, as `peek` does.

        Raises:
            UsageError, StoreError: As `peek`.
        """
        pair_turn = self._turn(ours, theirs, account_sid)
        find = getattr(self._store, "calls", None)
        names = [] if find is None else await find(pair_turn.claim)
        states = [await self._peek(listed_turn(pair_turn, name)) for name in names]
        return [state for state in states if state is not None]

    @blocking
    async def backlog(self, *, ours: str, theirs: str, account_sid: str | None = None) -> Backlog:
        """Count the texts of a pair that wait for an answer, and its unsent replies and dead letters.

        Raises:
            UsageError, StoreError: As `peek`.
        """
        return await self.deferred.backlog(self._turn(ours, theirs, account_sid).claim)

    @blocking
    async def dead_letters(
        self, *, retry: bool = False
    ) -> list[tuple[PhonePair | None, DeadLetter]]:
        """The texts that were not answered and the replies that were not sent, of all conversations.

        Args:
            retry: Put them back, to be answered and sent. A reply with the reason ``unknown`` may have been
                sent already.

        Returns:
            The pair of each, or None if the letter does not open; and the letter.

        Raises:
            StoreError: ``down``.
        """
        return await self.deferred.dead_letters(retry=retry)

    @blocking
    async def end(
        self,
        *,
        ours: str = "",
        theirs: str = "",
        call_sid: str = "",
        account_sid: str | None = None,
    ) -> None:
        """End a conversation: its state is removed, and the next text begins a new one.

        It does not wait. A running turn can no longer write: its webhook is answered 503. The arguments are
        those of `turn`.

        Raises:
            UsageError: A turn of this conversation runs in this context: use ``state.end()`` there. Or the
                account or an address is missing.
            StoreError: ``down``.
        """
        await self._erase(self._turn(ours, theirs, account_sid, call_sid), replies=False)

    @blocking
    async def forget(
        self,
        *,
        ours: str = "",
        theirs: str = "",
        call_sid: str = "",
        account_sid: str | None = None,
    ) -> None:
        """Erase what is kept of a conversation: its state, the replies recorded for repetitions, and a pair's calls.

        It does not wait. A running turn can no longer write: its webhook is answered 503. A STOP stays
        recorded, under a keyed name that reveals no number. The arguments are those of `turn`.

        Raises:
            UsageError: A turn of this conversation runs in this context, and its reply would be
                recorded afterwards; or the account or an address is missing.
            StoreError: ``down``.
        """
        await self._erase(self._turn(ours, theirs, account_sid, call_sid), replies=True)


class AsyncConversations(_Conversations):
    """`Conversations` for asyncio, beside `convostate.asgi`: the same conversations, methods and errors.

        async with conversations.turn(ours="+15550100099", theirs="+15550100001") as state:
            state["step"] = "confirm"
        await conversations.start(client, from_="+15550100099", to="+15550100001", body="Still coming at 9?")

    One object belongs to one event loop. The arguments are those of `Conversations`. The store is one for
    asyncio, such as the middleware's, or one that blocks, which then runs in threads. Clients, that of `start`
    too, have twilio's ``AsyncTwilioHttpClient``. `on_turn` is called in the event loop.
    """

    is_async = True
    store: AsyncStore

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: AsyncStore | Store | None = None,
        clock: Callable[[], float] = time.time,
        on_turn: Callable[[TurnEvent], object] | None = None,
        client: Client | Callable[[str], Client] | None = None,
    ) -> None:
        from convostate.stores.aio import as_async_store  # noqa: PLC0415  # asyncio is not for everyone

        given = None if store is None else as_async_store(store)
        super().__init__(settings, given, async_store_for, clock, on_turn, client)
        self._store = self.store

    def start_workers(self, count: int = 1000) -> LoopWorkers:
        """As `Conversations.start_workers`, in tasks of the running event loop.

        After ``workers.stop()`` await ``workers.wait()``.

        Raises:
            UsageError: As there, but the client blocks; or no event loop runs.
        """
        workers: LoopWorkers = self.deferred.start_workers(count)
        return workers

    @overload
    def turn(
        self, *, ours: str, theirs: str, call_sid: str = "", account_sid: str | None = None
    ) -> AbstractAsyncContextManager[State]: ...
    @overload
    def turn(
        self, *, call_sid: str, account_sid: str | None = None
    ) -> AbstractAsyncContextManager[State]: ...
    def turn(
        self,
        *,
        ours: str = "",
        theirs: str = "",
        call_sid: str = "",
        account_sid: str | None = None,
    ) -> AbstractAsyncContextManager[State]:
        """As `Conversations.turn`, for ``async with``. If the task is cancelled, nothing is kept."""
        return self._take(self._turn(ours, theirs, account_sid, call_sid))

    answer_due = suspending(Conversations.answer_due)
    start = suspending(Conversations.start)
    peek = suspending(Conversations.peek)
    calls = suspending(Conversations.calls)
    backlog = suspending(Conversations.backlog)
    dead_letters = suspending(Conversations.dead_letters)
    end = suspending(Conversations.end)
    forget = suspending(Conversations.forget)


@contextmanager
def reported(turn: Turn, observer: TurnObserver) -> Iterator[None]:
    """Note how a turn ends, and report it."""
    try:
        yield
    except BaseException as error:
        if turn.outcome != "aborted":
            if isinstance(error, StoreError):
                turn.came_to("unavailable", error.reason)
            else:
                turn.came_to("aborted", "exception")
        raise
    finally:
        observer.report(turn, None)


@contextmanager
def app_runs(turn: Turn) -> Iterator[None]:
    """Run the caller's block or client: time it, and mark its exceptions as not the store's."""
    began_s = time.perf_counter()
    try:
        yield
    except BaseException:
        turn.came_to("aborted", "exception")
        raise
    finally:
        turn.app_s = time.perf_counter() - began_s


def open_start(turn: Turn, state: Mapping[Any, Any], if_exists: IfExists, now: float) -> int:
    """Open the state that the reply to a first message will find.

    Returns:
        When the earlier state expires, Unix time in ms, for `restored`. If it does not open, that is
        unknown: it gets one more lifetime.
    """
    assert turn.begun is not None
    if turn.begun.opted_out and turn.config.ends_on_opt_out:
        turn.came_to("aborted", "opted-out")
        raise OptedOutError(
            "this person has sent STOP to this number, and no START since: nothing was sent"
        )
    before = open_turn(turn, now)
    if not before.is_new and if_exists == "refuse":
        turn.came_to("aborted", "exists")
        raise ConversationExistsError("a conversation is in progress: nothing was sent")
    if before.is_new or if_exists == "replace":
        fresh = read_state(turn, None, now)
        fresh.update(state)  # also if it is empty: what was touched is kept
    return before.expires_ms


def restored(turn: Turn, before_ms: int, now: float) -> tuple[bytes | None, float]:
    """The token and the lifetime in seconds that restore the state from before `open_start`."""
    lifetime_s = left_of(turn, before_ms, int(now * 1000)) / 1000
    token = turn.begun.token if turn.begun is not None else None
    return (token, lifetime_s) if token is not None and lifetime_s > 0 else (None, 0.0)


def check_message(
    to: str, from_: str | None, state: object, if_exists: str, message: Mapping[str, Any]
) -> str:
    """Refuse a message that Twilio would accept but whose reply would not find its state; return the sender."""
    if if_exists not in get_args(IfExists):
        raise UsageError('start(): if_exists is not known. Give "replace", "keep" or "refuse"')
    if state is not None and not isinstance(state, Mapping):
        raise UsageError(
            'start(): state is not a mapping. Give a dict, such as {"step": "confirm"}'
        )
    if not from_:
        if message.get("messaging_service_sid"):
            raise UsageError(
                "start(): a Messaging Service picks the sender only after accepting the message, so the "
                "reply cannot be matched to a conversation. Give from_ as well: one of the service's own "
                "senders, which Twilio then uses"
            )
        raise UsageError("start(): there is no sender. Give from_, one of your numbers")
    for name, address in (("from_", from_), ("to", to)):
        check_spelling(f"start(): {name}", address)
    return from_


def check_spelling(name: str, address: object) -> None:
    """Refuse a number as people dial it: webhooks spell it differently, so it would be another conversation."""
    if isinstance(address, str) and _DIALLED.fullmatch(address):
        raise UsageError(
            f"{name} is not spelled as in webhooks, so it would be another conversation. "
            "Write it in E.164, with its country: +1555…"
        )


def account_of(client: Client) -> str | None:
    """The account that a client sends for; None if it does not know, as with an API key."""
    account_sid = getattr(client, "account_sid", None)
    # twilio-python takes the user name if it was given no account, and that may be a key's SID.
    if isinstance(account_sid, str) and account_sid and not account_sid.startswith("SK"):
        return account_sid
    return None
