"""Replies that take longer than Twilio waits: the webhook keeps the text, and a worker answers it.

    webhook   answer_later: seal → COMMIT puts the text into the conversation's mailbox
    worker    take → the answer function → keep: state, mailbox and outbox in one step → send → settle → rest

Both ends are `Conversations`; only an app that defers texts loads this module. What an answer needs is written
once, as coroutines: with the threads of `ThreadWorkers` the store and the client block, with `LoopWorkers` an
event loop runs them. A `WorkStore` keeps what must survive the process.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
import time
import traceback
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from functools import partial
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

from convostate.conversations import app_runs, reported
from convostate.errors import SealError, StateError, StoreError, UsageError
from convostate.middleware import accepts
from convostate.sealing import codec
from convostate.sealing.codec import prefixed
from convostate.sealing.token import NONCE_BYTES, Opened, Sealer
from convostate.state import TURN_KEY, webhook_from
from convostate.stores.aio import LoopBell
from convostate.stores.base import WORK_S, ThreadBell, blocking, lost
from convostate.stores.work import ANSWER_LEASE_S, Backlog
from convostate.turns import Turn, finish, open_turn
from convostate.twilio.webhook import FIRST_FAILING_STATUS, Params, PhonePair, Webhook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from convostate.conversations import _Conversations
    from convostate.settings import Settings
    from convostate.state import State
    from convostate.stores.base import Bell, Claim
    from convostate.stores.work import DeadLetter, Hint, Taken
    from convostate.turns import TurnConfig

logger = logging.getLogger("convostate")

POLL_S = 0.1  # how often a worker asks for work; an answer takes seconds
OUTAGE_S = 1.0  # between two attempts while the store does not answer
RENEW_S = 10.0  # a third of a lease, so that one renewal may fail
GRACE_S = 20.0  # for running answers when their worker is stopped; Kubernetes kills it after 30
MOST_AT_ONCE = 100  # hints in one request
MOST_CHARS = 1600  # of a message: https://www.twilio.com/docs/api/errors/21617
# Seconds until a failed answer, or a reply that Twilio could not take, is tried again.
ANSWER_AGAIN_S = (1, 10, 60)
SEND_AGAIN_S = (1, 10, 60, 300, 900)
# Exceptions of HTTP clients which prove that the request was not sent.
_UNSENT = frozenset(
    """NewConnectionError NameResolutionError ConnectTimeoutError ConnectTimeout ConnectError
    ConnectionRefusedError gaierror ClientConnectorError ClientConnectorDNSError ConnectionTimeoutError""".split()
)


class Answering:
    """The turn of an answer function.

    Attributes:
        texts: The webhooks to answer, in order: one, or all that arrived during the last answer.
        state: The conversation's state as the last turn left it. It is kept as the function leaves it.
        pair: The app's and the person's address.
    """

    def __init__(self, texts: list[Webhook], state: State, pair: PhonePair) -> None:
        self.texts, self.state, self.pair = texts, state, pair
        self.messages: list[dict[str, Any]] = []
        self.is_over = False

    def __repr__(self) -> str:
        return f"Answering({len(self.texts)} texts, {self.state!r})"

    def reply(self, body: str = "", **message: Any) -> None:
        """Send a message to the person, once the function has returned and its state is kept.

        Args:
            body: The text, of at most 1,600 characters.
            **message: Other arguments of ``messages.create``, such as `media_url` or `content_sid`.

        Raises:
            UsageError: There is nothing to send, the text is too long, `to` or `from_` is given, or the turn is
                over.
            StateError: An argument has a type that cannot be kept.
        """
        if self.is_over:
            raise UsageError("The turn is over. Call turn.reply() before the function returns")
        if {"to", "from_"} & message.keys():
            raise UsageError(
                "turn.reply() sends to the person of this conversation, from the number that they wrote to. "
                "To write to somebody else, use client.messages.create()"
            )
        if not isinstance(body, str):
            raise UsageError(f"turn.reply() takes the text as a str, not as {type(body).__name__}")
        if not (body or message.get("media_url") or "content_sid" in message):
            raise UsageError(
                "turn.reply() has nothing to send. Give a body, media_url or content_sid"
            )
        if len(body) > MOST_CHARS:
            raise UsageError(
                f"turn.reply() has {len(body):,} characters, and Twilio sends at most {MOST_CHARS:,} in a message. "
                "Shorten the text, or call turn.reply() for each part of it"
            )
        message = {"body": body, **message} if body else message
        try:
            codec.encode(message)
        except StateError as error:
            raise StateError(
                f"turn.reply(): {error}".replace("the state", "the message", 1)
            ) from None
        self.messages.append(message)


class WorkSealer:
    """Seals texts until they are answered and replies until they are sent, bound to their conversation's name."""

    def __init__(self, settings: Settings) -> None:
        self._sealer = Sealer(settings.keys, "work", WORK_S * 1000)

    def seal(self, name: str, pair: PhonePair, now: float, **content: Any) -> bytes:
        """Seal a text or a reply: ``text=…`` or ``reply=…``."""
        ends = [pair.account_sid, pair.ours, pair.theirs]
        now_ms = int(now * 1000)
        data = codec.encode({"pair": ends, **content})
        opened = Opened(now_ms, now_ms + WORK_S * 1000, now_ms, data)
        return self._sealer.seal(opened, prefixed(name.encode()), os.urandom(NONCE_BYTES))

    def open(self, name: str, entry: bytes, what: str, now: float | None) -> tuple[PhonePair, Any]:
        """Open a ``text`` or a ``reply``, or the ``pair`` of either; SealError if it is not that.

        `now` is Unix time in seconds, or None if the store decides when it expires.
        """
        now_ms = None if now is None else int(now * 1000)
        content = codec.decode(self._sealer.open(entry, prefixed(name.encode()), now_ms).data)
        if content is None or what not in content:
            raise SealError("malformed", f"it is not a {what}")
        return PhonePair(*content["pair"]), content[what]


def work_queue(config: TurnConfig) -> str:
    """The name of the queue of all work under one index key; no conversation has this name."""
    return config.names.conversation(b"work")


class Run:
    """A worker's work on one conversation. Times are monotonic.

    Attributes:
        hint: Which conversation.
        taken: Its work; None before it is taken, and after it is given up.
        pair: Whose texts are answered; None until they are opened.
        sending: The reply that is on its way to Twilio, or None.
        ends: When the function, or sending one reply, will have taken too long.
        held_until: Until then no other worker can take the conversation; 0 if its lease is lost.
        task: The task that does the work on an event loop; None in a thread.
    """

    def __init__(self, hint: Hint) -> None:
        self.hint = hint
        self.taken: Taken | None = None
        self.pair: PhonePair | None = None
        self.sending: bytes | None = None
        self.ends = float("inf")
        self.held_until = 0.0
        self.task: asyncio.Task[None] | None = None


class _FunctionError(Exception):
    """The function has raised a StoreError, which is not this worker's store's; that is the cause."""


class NoClientError(Exception):
    """There is no client for an account, or it cannot send."""


class Answers(ABC):
    """The deferred texts of a `Conversations` object, its `owner`, and the function that answers them.

    Attributes:
        function: The answer function, or None.
        ended: Is called with the pair, and the error or None, when an answer is kept or has failed; an error
            may hold texts.
    """

    bell: type[Bell]
    workers_type: type[Workers]

    def __init__(self, owner: _Conversations) -> None:
        self._owner = owner
        self.function: Callable[[Answering], Any] | None = None
        self._workers: Workers | None = None
        self.work: Any = getattr(owner.store, "work", None)
        self._sealer = WorkSealer(owner.settings)
        self._burst_s = owner.settings.burst.total_seconds()
        self.longest_s = owner.settings.longest_answer.total_seconds()
        self.queue = work_queue(owner.turn_config)
        self.ended: Callable[[PhonePair, Exception | None], object] = lambda *_: None

    @property
    def workers(self) -> Any:
        """The workers that `start_workers` started, or None if there are none or they are stopped."""
        return None if self._workers is None or self._workers.is_stopped else self._workers

    def answer_with(self, function: Callable[[Answering], Any]) -> None:
        """See `Conversations.answers`."""
        owner, client = type(self._owner).__name__, self._owner.client
        coroutine = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
        kind = "an async def" if self._owner.is_async else "a def"
        if coroutine is not self._owner.is_async or not accepts(function, None):
            raise UsageError(
                f"{owner}.answers takes {kind} with one argument, the turn. "
                "Conversations takes a def, and AsyncConversations an async def"
            )
        if not (hasattr(client, "messages") or callable(client)):
            raise UsageError(
                f"Replies need a client. Write {owner}(client=…) with a twilio.rest.Client, or with a function "
                "that returns the client of an account's SID"
            )
        if self.work is None:
            raise UsageError(
                "This store cannot keep deferred texts. Set CONVOSTATE_STORE=redis://…, or give your own store "
                "a WorkStore as its attribute work"
            )
        if self.function is not None:
            raise UsageError(f"There is an answer function already. Use {owner}.answers once")
        self.function = function

    def check(self) -> None:
        """UsageError if there is no answer function, or the client cannot send.

        What a function returns as the client is checked when a reply is sent.
        """
        if self.function is None:
            raise UsageError("There is no answer function. Write @conversations.answers above one")
        if hasattr(self._owner.client, "messages"):
            self._owner.sender(self._owner.client)

    def defer(self, environ: Mapping[str, Any]) -> None:
        """See `Conversations.answer_later`."""
        webhook, turn = webhook_from(environ), environ.get(TURN_KEY)
        if webhook.kind != "message" or webhook.pair is None:
            raise UsageError(
                f"answer_later() takes texts, and this webhook is of kind {webhook.kind}. "
                'Call it only if webhook_from(environ).kind == "message"'
            )
        if not isinstance(turn, Turn) or not turn.claim.defers:
            raise UsageError(
                "The texts of this path are not deferred. Add the path to CONVOSTATE_DEFER_PATHS"
            )
        if turn.deferred is not None or not turn.running:
            raise UsageError(
                "answer_later() was called twice in a turn, or after it. Call it once, before the view returns"
            )
        if self._workers is not None and self._workers.pid != os.getpid():
            raise UsageError(
                "start_workers() was called before this process was forked, and threads do not survive a fork. "
                "Call it in each process, or run: convostate work"
            )
        text = [dict(webhook.params), webhook.url]
        now = self._owner.clock()
        turn.deferred = self.queue, self._sealer.seal(turn.claim.name, webhook.pair, now, text=text)
        turn.deferred_by = self._owner

    def start_workers(self, count: int) -> Any:
        """See `Conversations.start_workers`."""
        if type(count) is not int or count < 1:
            raise UsageError(
                "start_workers() takes the number of answers that may run at once: 1 or more"
            )
        if self.workers is not None:
            raise UsageError("The workers are running already. Call start_workers() once")
        self.check()
        self._workers = workers = self.workers_type(self, count)
        workers.start()
        return workers

    async def backlog(self, claim: Claim) -> Backlog:
        """See `Conversations.backlog`."""
        if self.work is None:
            return Backlog(0, False, 0, 0)
        found: Backlog = await self.work.backlog(claim)
        return found

    async def dead_letters(self, *, retry: bool) -> list[tuple[PhonePair | None, DeadLetter]]:
        """See `Conversations.dead_letters`."""
        found: list[tuple[PhonePair | None, DeadLetter]] = []
        hints = () if self.work is None else await self.work.dead(self.queue)
        for hint in hints:
            for letter in await self.work.letters(hint, retry=retry, now=None):
                pair: PhonePair | None = None
                with suppress(SealError):
                    pair, _ = self._sealer.open(hint.name, letter.entry, "pair", None)
                found.append((pair, letter))
        return found

    def now(self) -> float | None:
        """A test's clock, or None for the store's own."""
        return None if self._owner.clock is time.time else self._owner.clock()

    @abstractmethod
    async def _call(self, turn: Answering) -> None:
        """Run the function."""

    async def _send(self, account_sid: str, message: dict[str, Any]) -> None:
        """Send a message with the client for an account."""
        client = self._owner.client
        try:
            client = client if hasattr(client, "messages") else client(account_sid)
            send = self._owner.sender(client)
        except Exception as error:
            raise NoClientError from error
        try:
            inspect.signature(send).bind(**message)
        except TypeError as error:
            raise UsageError(
                f"turn.reply() has an argument that Twilio's client does not take: {error}"
            ) from None
        sent = send(**message)
        if self._owner.is_async:
            await sent

    async def answer_due(self) -> list[Exception]:
        """See `Conversations.answer_due`."""
        self.check()
        errors: list[Exception] = []
        while hints := await self.work.due(self.queue, MOST_AT_ONCE, self.now()):
            for hint in hints:
                error = await self.handle(Run(hint), self.longest_s + ANSWER_LEASE_S)
                errors += [] if error is None else [error]
        return errors

    async def handle(self, run: Run, lease_s: float) -> Exception | None:
        """Take a conversation, if it is time, and do its work; return what failed, which is logged."""
        try:
            run.held_until = time.monotonic() + lease_s
            run.taken = await self.work.take(run.hint, self._burst_s, lease_s, self.now())
            return None if run.taken is None else await self._handle(run, run.taken)
        except StoreError as error:  # the lease ends by itself, and another worker takes over
            next_ = "a worker takes it again"
            if error.reason == "lost":
                next_ = "it was ended, or its lease has expired"
            _log(f"work on a conversation ends early: {next_}", error.reason)
            return error
        finally:
            run.taken = None

    async def _handle(self, run: Run, taken: Taken) -> Exception | None:
        self._go_on(run)
        try:
            replies = taken.replies or await self._answer(run, taken)
            tries, wait_s = await self._send_all(run, taken, replies)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # the function's, of any kind
            cause = error.__cause__ if isinstance(error, _FunctionError) else error
            assert isinstance(cause, Exception)
            await self.fail(run, taken, cause)
            return cause
        except BaseException:  # this worker is stopped, which is not the function's fault
            if run.sending is None and run.taken is not None:  # and `abandon` has not let go of it
                await self.work.rest(taken, taken.tries - 1, 0, self.now())
            raise
        await self._persist(run, partial(self.work.rest, taken, tries, wait_s, self.now()))
        return None

    async def _persist(self, run: Run, ask: Callable[[], Awaitable[None]]) -> None:
        """Call the store, again while it does not answer and no other worker can take the conversation."""
        while True:
            try:
                return await ask()
            except StoreError as error:
                if error.reason != "down" or time.monotonic() + OUTAGE_S >= run.held_until:
                    raise
            await self.bell().wait(OUTAGE_S)

    async def fail(self, run: Run, taken: Taken, error: Exception) -> None:
        """Have the texts of a failed answer tried again, or make them dead letters."""
        wait_s = 0.0
        last = taken.tries > len(ANSWER_AGAIN_S)
        if last:
            await self.work.settle(taken, taken.texts, "failed", self.now())
        else:
            wait_s = ANSWER_AGAIN_S[taken.tries - 1]
        await self.work.rest(taken, 0 if last else taken.tries, wait_s, self.now())
        next_ = "its texts are dead letters" if last else f"it is tried again in {wait_s:.0f} s"
        _log(f"an answer failed, and {next_}", place_of(error))
        if run.pair is not None:
            self.ended(run.pair, error)

    async def abandon(self, run: Run) -> None:
        """Give up a conversation whose function or client does not return."""
        taken, run.taken = run.taken, None
        if run.task is not None:
            run.task.cancel()
        if taken is None:
            return
        if run.sending is None:
            await self.fail(run, taken, TimeoutError())
        else:
            await self.work.settle(taken, [run.sending], "unknown", self.now())
            await self.work.rest(taken, 0, 0, self.now())

    def _go_on(self, run: Run, sending: bytes | None = None) -> None:
        run.sending = sending
        run.ends = time.monotonic() + self.longest_s

    async def _answer(self, run: Run, taken: Taken) -> list[bytes]:
        """Run the function, keep the state, and return the sealed replies."""
        texts = await self._open_texts(taken)
        if not texts:
            return []
        if taken.tries > len(ANSWER_AGAIN_S) + 1:  # its worker died each time
            await self.work.settle(taken, taken.texts, "crashed", self.now())
            return []
        owner, pair = self._owner, texts[0].pair
        assert pair is not None
        run.pair = pair
        turn = Turn(owner.turn_config, pair, "answer")
        turn.store_decides = owner.clock is time.time
        turn.begun = taken.begun
        with reported(turn, owner.observer):
            answering = Answering(texts, open_turn(turn, owner.clock()), pair)
            try:
                with app_runs(turn):
                    await self._call(answering)
                self._go_on(run)
                now = owner.clock()
                outcome = finish(turn, 200, now, os.urandom(NONCE_BYTES))
            except StoreError as error:  # of a store that the function has asked
                raise _FunctionError from error
            finally:
                answering.is_over = True
                turn.leave()
            assert outcome is not None
            name = taken.hint.name
            replies = [
                self._sealer.seal(name, pair, now, reply=message) for message in answering.messages
            ]
            await self._persist(run, partial(self.work.keep, taken, outcome, replies, self.now()))
        self.ended(pair, None)
        return replies

    async def _open_texts(self, taken: Taken) -> list[Webhook]:
        """The texts of a batch. Those that do not open become dead letters."""
        texts: list[Webhook] = []
        for entry in list(taken.texts):
            try:
                pair, (params, url) = self._sealer.open(taken.hint.name, entry, "text", self.now())
            except SealError as error:  # noqa: PERF203  # as a rule there is one
                taken.texts.remove(entry)
                await self.work.settle(taken, [entry], error.reason, self.now())
                _log("a text does not open, and is a dead letter", error.reason)
            else:
                texts.append(Webhook("message", pair, Params(params), url))
        return texts

    async def _send_all(self, run: Run, taken: Taken, replies: list[bytes]) -> tuple[int, float]:
        """Send replies in order, until Twilio cannot take one now.

        Returns:
            How often that one was tried, and in how many seconds to try it again; 0 and 0 if all are done.
        """
        tries = taken.tries if taken.replies else 1
        for entry in replies:
            if time.monotonic() >= run.held_until:
                raise lost()
            reason = where = ""
            try:
                pair, message = self._sealer.open(taken.hint.name, entry, "reply", self.now())
                self._go_on(run, entry)
                await self._send(
                    pair.account_sid, {"to": pair.theirs, "from_": pair.ours, **message}
                )
            except SealError as error:
                reason = error.reason
            except Exception as error:  # noqa: BLE001  # the client's, of any kind
                again, reason = fate_of(error)
                cause = error.__cause__ if isinstance(error, NoClientError) else error
                if cause is not None and reason in ("unknown", "no-client", "arguments"):
                    where = f": {place_of(cause)}"
                if again and tries <= len(SEND_AGAIN_S):
                    _log("a reply could not be sent and is tried again", reason + where)
                    return tries, SEND_AGAIN_S[tries - 1]
            if reason:
                _log("a reply is a dead letter", reason + where)
            settled = partial(self.work.settle, taken, [entry], reason, self.now())
            await self._persist(run, settled)
            tries = 1
        run.sending = None
        return 0, 0.0


def _log(what: str, reason: str) -> None:
    logger.warning("%s (%s)", what, reason)


def fate_of(error: Exception) -> tuple[bool, str]:
    """Whether to send a reply again after a client's error, and the reason in a word.

    A request that may have arrived is not sent again. Twilio's status codes:
    https://www.twilio.com/docs/usage/twilios-response.
    """
    if isinstance(error, NoClientError):
        return True, "no-client"
    if isinstance(error, UsageError):
        return False, "arguments"
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if isinstance(status, int) and status >= FIRST_FAILING_STATUS:
        return status == 429 or status >= 500, str(code or status)
    seen: list[BaseException] = []
    causes: list[Any] = [error]
    while causes and len(seen) < 20:
        cause = causes.pop()
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            causes += [
                cause.__cause__,
                cause.__context__,
                getattr(cause, "reason", None),
                *cause.args,
            ]
    unsent = any(each.__name__ in _UNSENT for cause in seen for each in type(cause).__mro__)
    return unsent, "unreached" if unsent else "unknown"


def place_of(error: BaseException) -> str:
    """The type and place of an error, without its text, which may hold anything; or this package's own text."""
    name = type(error).__name__
    if isinstance(error, (StateError, UsageError)):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} at {frames[-1].filename}:{frames[-1].lineno}" if frames else name


class Workers(ABC):
    """What `ThreadWorkers` and `LoopWorkers` have in common; `most` is how many answers run at once."""

    def __init__(self, answers: Answers, most: int) -> None:
        self._answers = answers
        self._most = most
        self._bell = answers.bell()
        self.pid = os.getpid()
        self.running: set[Run] = set()
        self._stop_at: float | None = None
        self._down = False

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_at is not None

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Take no more work; running answers that have not ended after `grace_s` are put back, untried."""
        self._stop_at = time.monotonic() + grace_s
        self._bell.ring()

    async def dispatch(self) -> None:
        """Look for work and renew leases until `stop`."""
        work, queue = self._answers.work, self._answers.queue
        while self._stop_at is None or (self.running and time.monotonic() < self._stop_at):
            pause_s = POLL_S
            try:
                await self._look_after()
                room = min(self._most - len(self.running), MOST_AT_ONCE)
                if room > 0 and self._stop_at is None:
                    for hint in await work.due(queue, room, self._answers.now()):
                        self._start(Run(hint))
                if self._down:
                    self._down = False
                    logger.warning("work is taken again")
            except Exception as error:  # noqa: BLE001  # it must not end this loop
                pause_s = OUTAGE_S
                if not self._down:
                    self._down = True
                    if isinstance(error, StoreError):
                        _log(f"no work is taken until the store answers: {error}", error.reason)
                    else:
                        _log("no work can be taken; tried again every second", place_of(error))
            await self._bell.wait(pause_s)
        await self._put_back()

    async def _look_after(self) -> None:
        now, failed = time.monotonic(), None
        for run in list(self.running):
            taken = run.taken
            if taken is None:
                continue
            if now >= run.ends:
                self.running.discard(run)
                await self._answers.abandon(run)
            elif 0 < run.held_until <= now + ANSWER_LEASE_S - RENEW_S:
                try:
                    await self._answers.work.renew(taken, ANSWER_LEASE_S)
                    run.held_until = now + ANSWER_LEASE_S
                except StoreError as error:
                    if error.reason == "lost":
                        run.held_until = 0.0
                    else:  # others may be on a node of a Cluster that answers
                        failed = error
        if failed is not None:
            raise failed

    async def _put_back(self) -> None:
        """Put back what is still running, as if it had not been tried."""
        for run in list(self.running):
            taken = run.taken
            if taken is not None and run.sending is None:
                try:
                    await self._answers.work.rest(taken, taken.tries - 1, 0, self._answers.now())
                except StoreError:
                    return

    def _start(self, run: Run) -> None:
        self.running.add(run)
        try:
            self._begin(run)
        except BaseException:  # the system has no more threads: the hint comes again
            self.running.discard(run)
            raise

    async def _handle(self, run: Run) -> None:
        try:
            await self._answers.handle(run, ANSWER_LEASE_S)
        finally:
            self.running.discard(run)
            self._bell.ring()

    @abstractmethod
    def start(self) -> None:
        """Look for work until `stop`."""

    @abstractmethod
    def _begin(self, run: Run) -> None:
        """Run `_handle` concurrently."""


class ThreadWorkers(Workers):
    """Workers for a blocking function: one thread for each running answer."""

    def __init__(self, answers: Answers, most: int) -> None:
        super().__init__(answers, most)
        self._thread = threading.Thread(target=self.run, name="convostate-work", daemon=True)

    run = blocking(Workers.dispatch)
    _work = blocking(Workers._handle)  # noqa: SLF001

    def start(self) -> None:
        """Look for work in a thread of their own."""
        self._thread.start()

    def stop(self, grace_s: float = GRACE_S) -> None:
        """As `Workers.stop`, and wait until the running answers have ended or are put back."""
        super().stop(grace_s)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _begin(self, run: Run) -> None:
        threading.Thread(
            target=self._work, args=(run,), name="convostate-answer", daemon=True
        ).start()


class LoopWorkers(Workers):
    """Workers for a coroutine function: one task of the running event loop for each running answer."""

    def __init__(self, answers: Answers, most: int) -> None:
        try:
            super().__init__(answers, most)
        except RuntimeError:
            raise UsageError(
                "No event loop is running here. Call start_workers() where the app starts, such as in its lifespan"
            ) from None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look for work in a task of their own."""
        self._task = asyncio.create_task(self.dispatch())

    async def wait(self) -> None:
        """After `stop`, wait until running answers have ended or are put back."""
        if self._task is not None:
            await self._task

    def _begin(self, run: Run) -> None:
        run.task = asyncio.create_task(self._handle(run))

    async def _put_back(self) -> None:
        tasks = [run.task for run in self.running if run.task is not None]
        for task in tasks:
            task.cancel()  # each puts its own back
        await asyncio.gather(*tasks, return_exceptions=True)


class ThreadAnswers(Answers):
    """For a function and a client that block."""

    bell = ThreadBell
    workers_type = ThreadWorkers

    async def _call(self, turn: Answering) -> None:
        assert self.function is not None
        in_main = current_thread() is main_thread()  # there a signal handler may raise SystemExit
        with _contained(*[SystemExit] * in_main):
            _check_returned(self.function(turn))


class LoopAnswers(Answers):
    """For a coroutine function and a client for asyncio."""

    bell = LoopBell
    workers_type = LoopWorkers

    async def _call(self, turn: Answering) -> None:
        task = asyncio.create_task(self._run(turn))
        try:
            done, _ = await asyncio.wait([task], timeout=self.longest_s)
        finally:
            if task.cancel():
                await asyncio.gather(task, return_exceptions=True)
        if not done:
            raise TimeoutError
        if task.cancelled():  # by what the function awaits; the end of this worker is raised above
            raise RuntimeError("CancelledError")
        task.result()

    async def _run(self, turn: Answering) -> None:
        assert self.function is not None
        with _contained(asyncio.CancelledError, GeneratorExit):
            _check_returned(await self.function(turn))


@contextmanager
def _contained(*outside: type[BaseException]) -> Iterator[None]:
    """Turn what would end a thread or a process, such as SystemExit, into a failure of the function that raises it.

    Exceptions of `outside` pass, because they stop the worker.
    """
    passed: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, *outside)
    try:
        yield
    except passed:
        raise
    except BaseException as error:  # noqa: BLE001
        raise RuntimeError(type(error).__name__).with_traceback(error.__traceback__) from None


def _check_returned(returned: object) -> None:
    """UsageError if an answer function has returned anything, such as a reply: it would be lost."""
    if returned is None:
        return
    if inspect.iscoroutine(returned):
        returned.close()  # or Python warns of it
    raise UsageError(
        f"The answer function returned an object of type {type(returned).__name__}, which is not sent. Send replies with "
        "turn.reply(…), return nothing, and give an async def to AsyncConversations"
    )
