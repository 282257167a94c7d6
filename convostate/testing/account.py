"""One account at Twilio: what it keeps between webhooks, and what it does with messages."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convostate.testing.catching import delivering
from convostate.testing.fetch import Faults, Fetcher, is_webhook_url
from convostate.testing.jar import Cookie, Jar
from convostate.testing.params import ParamValue, merged, status_params
from convostate.testing.rest_resources import RestState
from convostate.testing.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convostate.testing.clock import Clock
    from convostate.testing.message import Message, RingingCall
    from convostate.testing.reply import Reply

# Twilio's standard keywords and its replies to them: https://help.twilio.com/articles/223134027
_KEYWORDS = {
    **dict.fromkeys("stop stopall unsubscribe cancel end quit optout revoke".split(), "STOP"),
    **dict.fromkeys("start yes unstop".split(), "START"),
    **dict.fromkeys("help info".split(), "HELP"),
}
_KEYWORD_REPLIES = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from "
    "this number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. "
    "Reply HELP for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


@dataclass(frozen=True)
class Urls:
    """What is configured for the app's numbers; "" for a URL that is not configured.

    Attributes:
        method: ``POST`` or ``GET``, for `webhook` and `voice`.
    """

    webhook: str
    method: Literal["POST", "GET"]
    fallback: str
    voice: str
    status_callback: str
    voice_fallback: str = ""
    voice_status_callback: str = ""


@dataclass(eq=False)
class Account:
    """One account at Twilio; safe to use from several threads.

    Attributes:
        statuses: The statuses that are reported for each sent message, in order.
        in_process: Whether the app runs in this process, so that its REST clients are caught.
        in_use: Returns something true while the simulator or one of its phones is referenced.
        arrived: Every message except replies: those sent through the REST API, and those that a
            reply sends to other people.
        ringing: The calls that the app has placed and that have not been answered.
        rest: What the REST API keeps.
    """

    sid: str
    token: str
    clock: Clock
    fetcher: Fetcher
    urls: Urls
    statuses: Sequence[str]
    in_process: bool = False
    in_use: Callable[[], object] = lambda: True
    arrived: list[Message] = field(default_factory=list)
    ringing: list[RingingCall] = field(default_factory=list)
    rest: RestState = field(default_factory=RestState)
    _jars: dict[tuple[str, str], Jar] = field(default_factory=dict)
    _opted_out: set[tuple[str, str]] = field(default_factory=set)
    _last_texted: dict[str, str] = field(default_factory=dict)
    _unreported: list[tuple[str, Message]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def jar(self, to: str, from_: str) -> Jar:
        """The cookies that Twilio sends with webhooks of this To and From."""
        with self._lock:
            return self._jars.setdefault((to, from_), Jar(self.clock))

    def deliver(self, webhook: Webhook) -> Reply:
        """Deliver a webhook, send the messages of the reply, and report their statuses."""
        reply = self._run(webhook)
        theirs = reply.params.get("From", "")
        blocked = self.opted_out(reply.params.get("To", ""), theirs)
        for message in reply.sent:
            if message.status_callback and not is_webhook_url(message.status_callback):
                reply.errors.append(21609)
            if message.to != theirs:
                self.arrived.append(message)
            elif blocked:
                reply.blocked.append(message)
                continue
            self._report_later(message)
        reply.sent = [message for message in reply.sent if message not in reply.blocked]
        reply.statuses = self.deliver_statuses()
        return reply

    def _run(self, webhook: Webhook) -> Reply:
        with delivering(self) if self.in_process else nullcontext():
            return webhook.deliver(self.fetcher)

    def send(self, message: Message) -> None:
        """Send a message of the REST API; its statuses are reported after the API has answered."""
        self.arrived.append(message)
        self._report_later(message)

    def _report_later(self, message: Message) -> None:
        with self._lock:
            self._unreported += [(status, message) for status in self.statuses]

    def deliver_statuses(self) -> list[Reply]:
        """Report the statuses of the messages that were sent since the last time."""
        with self._lock:  # messages that the app sends meanwhile are reported next time
            unreported, self._unreported = self._unreported, []
        replies = []
        for status, message in unreported:
            url = message.status_callback or self.urls.status_callback
            if url and is_webhook_url(url):
                replies.append(self.message_status(url, status, message, {}, Faults()))
            else:
                self.rest.note_status(message.sid, status)
        return replies

    def message_status(
        self,
        url: str,
        status: str,
        message: Message,
        extra: Mapping[str, ParamValue],
        faults: Faults,
    ) -> Reply:
        """Report one status of one message to a URL."""
        self.rest.note_status(message.sid, status)
        params = merged(status_params(self.sid, message, status, self.clock.now()), extra)
        return self._run(Webhook(url, "POST", params, kind="status", faults=faults))

    def record_inbound(self, params: Mapping[str, str]) -> str:
        """Record a text before the app gets it: STOP blocks the app's number for the sender.

        Keywords count on bare addresses and on RCS. On other channels Twilio leaves them to the
        channel, unless Advanced Opt-Out has marked the text as one. A button is never a keyword.

        Returns:
            Twilio's own reply, or "".
        """
        ours, theirs = params.get("To", ""), params.get("From", "")
        word = params.get("OptOutType", "")
        if not word and "ButtonPayload" not in params and ":" not in _opt_out_address(theirs):
            word = _KEYWORDS.get(params.get("Body", "").strip().casefold(), "")
        pair = (_opt_out_address(ours), _opt_out_address(theirs))
        with self._lock:
            self._last_texted[theirs] = ours
            blocked = pair in self._opted_out
            if (word, blocked) in (("HELP", True), ("START", False)):
                return ""  # no reply is allowed, or nothing changes: "yes" is an ordinary text
            if word == "STOP":
                self._opted_out.add(pair)
            elif word == "START":
                self._opted_out.discard(pair)
        return _KEYWORD_REPLIES.get(word, "")

    def opted_out(self, ours: str, theirs: str) -> bool:
        """Whether this person has sent STOP to this number, and no START since."""
        with self._lock:
            return (_opt_out_address(ours), _opt_out_address(theirs)) in self._opted_out

    def sender_for(self, theirs: str) -> str:
        """The number that a Messaging Service uses: the one this person last wrote to, or ""."""
        with self._lock:
            return self._last_texted.get(theirs, "")

    def export(self) -> dict[str, Any]:
        """What Twilio keeps about people, as JSON values, for `restore` of another simulator."""
        with self._lock:
            return {
                "jars": [[*pair, jar.cookies()] for pair, jar in self._jars.items()],
                "opted_out": [list(pair) for pair in self._opted_out],
                "last_texted": dict(self._last_texted),
            }

    def restore(self, exported: Mapping[str, Any]) -> None:
        """Continue with what `export` returned."""
        for to, from_, cookies in exported["jars"]:
            self.jar(to, from_).fill(Cookie(*cookie) for cookie in cookies)
        with self._lock:
            self._opted_out = {(ours, theirs) for ours, theirs in exported["opted_out"]}
            self._last_texted = dict(exported["last_texted"])

    def register(self, ours: str, theirs: str) -> None:
        """Add a person who has not written yet."""
        with self._lock:
            self._last_texted.setdefault(theirs, ours)


def _opt_out_address(address: str) -> str:
    """The address that an opt-out is kept under: since 2026-03-16 RCS shares it with SMS and MMS."""
    return address.removeprefix("rcs:")
