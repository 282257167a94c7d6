"""Twilio's side of one account: what it keeps between webhooks, and what it does with messages."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convostate.testing import params
from convostate.testing.fetch import Faults, Fetcher, is_webhook_url
from convostate.testing.jar import Cookie, Jar
from convostate.testing.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convostate.testing.clock import Clock
    from convostate.testing.message import Message
    from convostate.testing.reply import Reply

# Twilio's standard keywords: https://help.twilio.com/articles/223134027
_STOP = frozenset(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"))
_START = frozenset(("start", "yes", "unstop"))


@dataclass(frozen=True)
class Urls:
    """What is configured for the application's numbers; "" where nothing is.

    Attributes:
        method: ``POST`` or ``GET``, for `webhook` and `voice`.
    """

    webhook: str
    method: Literal["POST", "GET"]
    fallback: str
    voice: str
    status_callback: str


@dataclass
class Account:
    """One account at Twilio; several threads may use it.

    Attributes:
        sid: ``AC…``.
        token: Its auth token.
        statuses: What becomes of a message once it is sent, in order, where a URL is told of it.
        arrived: Every message but the replies: those sent through REST, and those that a reply
            sends to other people.
    """

    sid: str
    token: str
    clock: Clock
    fetcher: Fetcher
    urls: Urls
    statuses: Sequence[str]
    arrived: list[Message] = field(default_factory=list)
    _jars: dict[tuple[str, str], Jar] = field(default_factory=dict)
    _opted_out: set[tuple[str, str]] = field(default_factory=set)
    _last_texted: dict[str, str] = field(default_factory=dict)
    _untold: list[tuple[str, Message]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def jar(self, to: str, from_: str) -> Jar:
        """The cookies that come with webhooks of this To and From."""
        with self._lock:
            return self._jars.setdefault((to, from_), Jar(self.clock))

    def deliver(self, webhook: Webhook) -> Reply:
        """Tell the app, do what it answers, and then tell it what became of the messages."""
        reply = webhook.deliver(self.fetcher)
        for message in reply.sent:
            if message.status_callback and not is_webhook_url(message.status_callback):
                reply.errors.append(21609)
            self._send(message, arrives=message.to != reply.params.get("From"))
        reply.statuses = self.deliver_statuses()
        return reply

    def send(self, message: Message) -> None:
        """Send a message from the REST API; a status callback waits until the sender has its answer."""
        self._send(message, arrives=True)

    def _send(self, message: Message, *, arrives: bool) -> None:
        if arrives:
            self.arrived.append(message)
        told = message.status_callback or self.urls.status_callback
        if told and is_webhook_url(told):
            with self._lock:
                self._untold += [(status, message) for status in self.statuses]

    def deliver_statuses(self) -> list[Reply]:
        """Tell the app what has become of the messages that were sent since the last time."""
        with self._lock:
            untold, self._untold = self._untold, []  # what the app sends meanwhile waits
        return [
            self.message_status(
                message.status_callback or self.urls.status_callback, status, message, {}, Faults()
            )
            for status, message in untold
        ]

    def message_status(
        self,
        url: str,
        status: str,
        message: Message,
        extra: Mapping[str, params.ParamValue],
        faults: Faults,
    ) -> Reply:
        """Tell a URL what has become of one message."""
        told = params.message_status(self.sid, message, status, self.clock.now())
        webhook = Webhook("message-status", url, "POST", params.changed(told, extra), faults=faults)
        return webhook.deliver(self.fetcher)

    def hear(self, ours: str, theirs: str, body: str) -> None:
        """Take note of what a person writes: STOP blocks `ours` for them, START unblocks it."""
        word = body.strip().casefold()
        with self._lock:
            self._last_texted[theirs] = ours
            if ":" in theirs:  # Twilio handles the keywords of SMS and MMS only
                return
            if word in _STOP:
                self._opted_out.add((ours, theirs))
            elif word in _START:
                self._opted_out.discard((ours, theirs))

    def opted_out(self, ours: str, theirs: str) -> bool:
        """Whether this person has sent STOP to this number, and no START since."""
        with self._lock:
            return (ours, theirs) in self._opted_out

    def sender_for(self, theirs: str) -> str:
        """The number that a Messaging Service takes: the one this person wrote to last, or ""."""
        with self._lock:
            return self._last_texted.get(theirs, "")

    def export(self) -> dict[str, Any]:
        """What Twilio keeps of people, as JSON can carry it, for another simulator's `restore`."""
        with self._lock:
            return {
                "jars": [[*pair, jar.cookies()] for pair, jar in self._jars.items()],
                "opted_out": [list(pair) for pair in self._opted_out],
                "last_texted": dict(self._last_texted),
            }

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Go on with what `export` gave."""
        for to, from_, cookies in kept["jars"]:
            self.jar(to, from_).fill(Cookie(*cookie) for cookie in cookies)
        with self._lock:
            self._opted_out = {(ours, theirs) for ours, theirs in kept["opted_out"]}
            self._last_texted = dict(kept["last_texted"])

    def meet(self, ours: str, theirs: str) -> None:
        """Make a person known who has not written yet."""
        with self._lock:
            self._last_texted.setdefault(theirs, ours)
