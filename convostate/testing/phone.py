"""A phone: a person who texts and calls one of the app's numbers, and the faults of the connection."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from convostate.errors import UsageError
from convostate.testing.call import Call
from convostate.testing.fetch import Faults
from convostate.testing.message import Message, RingingCall
from convostate.testing.params import Params, call_params, merged, message_params, new_sid
from convostate.testing.stored_state import StoredState
from convostate.testing.twiml import parse
from convostate.testing.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convostate.testing.account import Account
    from convostate.testing.jar import Jar
    from convostate.testing.params import ParamValue
    from convostate.testing.reply import Reply

# Longer than any intended wait (a webhook has 15 seconds): after it a delivery is stuck.
_PATIENCE_S = 60.0
# How a call ends: https://www.twilio.com/docs/voice/twiml/dial#dialcallstatus-values
_UNANSWERED = ("busy", "no-answer", "failed")


class Phone:
    """A person and the number they write to; made by ``TwilioSimulator.phone``.

    Attributes:
        number: The person's address.
        texting: The app's address.
    """

    def __init__(self, account: Account, number: str, texting: str, used: object = None) -> None:
        self._used = used  # a reference, for `Account.in_use`
        self.number = number
        self.texting = texting
        self._account = account
        self._faults = Faults()
        self._last: Webhook | None = None

    def __repr__(self) -> str:
        return f"Phone({self.number!r}, texting={self.texting!r})"

    @property
    def jar(self) -> Jar:
        """The cookies that Twilio keeps for this pair of numbers."""
        return self._account.jar(self.texting, self.number)

    @property
    def inbox(self) -> list[Message]:
        """The messages that the app sent on its own, in order; replies are in `Reply.messages`."""
        return [
            message
            for message in self._account.arrived
            if message.to == self.number and message.from_ in (self.texting, "")
        ]

    @property
    def state(self) -> dict[Any, Any] | None:
        """A copy of the conversation's stored state, or None if there is none.

        It can be set, on every store; None ends the conversation:

            phone.state = {"step": "confirm"}

        Each access sends a webhook to a copy of the app's middleware, in which the simulator takes
        the place of the app. Reading changes nothing, not even the expiry.

        Raises:
            UsageError: The app runs elsewhere, has no ConversationMiddleware, or refuses this
                simulator's webhooks; or its store does not answer.
            StateError: The value cannot be stored.
        """
        return self._stored_state.read()

    @state.setter
    def state(self, state: Mapping[Any, Any] | None) -> None:
        self._stored_state.write(state)

    @property
    def _stored_state(self) -> StoredState:
        account = self._account
        params = message_params(account.sid, self.texting, self.number, "")
        return StoredState(account.fetcher, self.jar, account.urls.webhook, params)

    @property
    def opted_out(self) -> bool:
        """Whether this person has opted out: Twilio sends them nothing from this number (21610)."""
        return self._account.opted_out(self.texting, self.number)

    def text(
        self,
        body: str = "",
        media: str | Sequence[str] = (),
        deliveries: int = 1,
        **extra: ParamValue,
    ) -> Reply:
        """Write a message.

        Args:
            body: 0 to 1,600 characters.
            media: URLs of attached media, or one of them.
            deliveries: How often Twilio delivers this message, at least once: each time the same
                request, including cookies and idempotency token.
            **extra: Parameters to add or to change (``ButtonPayload="yes"``); a list repeats a
                name, None leaves one out.

        Returns:
            The reply to the last delivery; `Reply.deliveries` has all of them.

        Raises:
            UsageError: The body is longer than 1,600 characters, or `deliveries` is less than one.
        """
        urls = [media] if isinstance(media, str) else media
        return self._deliver(self._written(body, urls, extra), deliveries)

    def overlap(self, *bodies: str) -> list[Reply]:
        """Write several messages at once: all are on their way before the first is answered.

        Returns:
            The replies in the order of `bodies`; the cookies of the last one are kept.
        """
        return overlap([(self, body) for body in bodies])

    def reorder(self, *bodies: str) -> list[Reply]:
        """Write several messages that Twilio delivers in reverse order, one after another.

        Returns:
            The replies in the order of `bodies`.
        """
        written = [self._written(body) for body in bodies]
        return [self._deliver(webhook) for webhook in reversed(written)][::-1]

    def resend(self) -> Reply:
        """Have Twilio deliver the last message again, with the current cookies.

        Raises:
            UsageError: No message was written yet.
        """
        if self._last is None:
            raise UsageError("There is nothing to resend. Call text() first")
        return self._deliver(self._last)

    def tap(self, text: str, payload: str, **extra: ParamValue) -> Reply:
        """Tap a button of a WhatsApp or RCS message.

        Args:
            text: The label of the button.
            payload: The payload that the app gave the button, as ``ButtonPayload``.
            **extra: Parameters to add or to change.
        """
        button = {"MessageType": "button", "ButtonText": text, "ButtonPayload": payload}
        return self._deliver(self._written(text, (), {**button, **extra}))

    def call(
        self,
        url: str = "",
        *,
        method: Literal["POST", "GET"] | None = None,
        outbound: bool = False,
        dial_status: str = "completed",
        state: Mapping[Any, Any] | None = None,
        **extra: ParamValue,
    ) -> Call:
        """Call the number or, with `outbound`, get a call from it, and listen until the call waits.

            call = phone.call()
            assert call.said == ["For sales press 1"]
            assert call.press("1").said == ["Sales. Leave a message"]
            call.record("Call me back", seconds=4)
            call.hang_up()

        Args:
            url: The webhook that Twilio requests; the simulator's `voice_url`, else its
                `webhook_url`, if absent.
            method: The method of the first request; the simulator's `method` if absent.
            outbound: Whether the app calls: From is then its number.
            dial_status: How each ``<Dial>`` ends: ``completed``, ``busy``, ``no-answer`` or
                ``failed``.
            state: The state that the call begins with, to test a step in the middle of it.
            **extra: Parameters to add or to change, such as ``From="anonymous"``.

        Raises:
            UsageError: A `state` is given, and the app's state cannot be accessed; see `state`. Or no
                ``<Dial>`` ends with this `dial_status`.
        """
        _check_ending(dial_status, ("completed", *_UNANSWERED))
        account, urls = self._account, self._account.urls
        params = merged(
            call_params(account.sid, self.texting, self.number, outbound=outbound), extra
        )
        webhook = self._webhook("call", url or urls.voice or urls.webhook, params)
        webhook.method = method or urls.method
        if state is not None:
            StoredState(account.fetcher, webhook.jar, webhook.url, webhook.params).write(state)
        call = RingingCall("", "", "", url, status_callback=urls.voice_status_callback)
        return Call(account, webhook, call, dial_status=dial_status)

    @property
    def ringing(self) -> list[RingingCall]:
        """The calls that the app has placed to this phone and that are not answered, in order."""
        return [
            call
            for call in self._account.ringing
            if (call.to, call.from_) == (self.number, self.texting)
        ]

    def answer(self, *, dial_status: str = "completed") -> Call:
        """Answer the first call that the app has placed to this phone, with ``client.calls.create``.

        Args:
            dial_status: As for `call`.

        Raises:
            UsageError: The phone does not ring, or no call ends with this status.
        """
        _check_ending(dial_status, ("completed", *_UNANSWERED))
        return self._pick_up(dial_status=dial_status)

    def decline(self, status: Literal["no-answer", "busy", "failed"] = "no-answer") -> Reply | None:
        """Leave the first call that the app has placed to this phone unanswered.

        Args:
            status: How the call ends.

        Returns:
            The app's reply to the last request of the call's status callback; None if there is none.

        Raises:
            UsageError: The phone does not ring, or no call ends with this status.
        """
        _check_ending(status, _UNANSWERED)
        statuses = self._pick_up(unanswered=status).statuses
        return statuses[-1] if statuses else None

    def _pick_up(self, **how: str) -> Call:
        """Answer or decline the first call that rings, which then rings no more."""
        if not self.ringing:
            raise UsageError("The phone does not ring. Have the app place a call first")
        account, call = self._account, self.ringing[0]
        account.ringing.remove(call)
        params = call_params(account.sid, self.texting, self.number, outbound=True)
        webhook = self._webhook("call", call.url, merged(params, {"CallSid": call.sid}))
        webhook.method, webhook.fallback_url = call.method, call.fallback_url
        if call.twiml:
            webhook.url = webhook.url or account.urls.webhook
            webhook.inline = parse(call.twiml, call.twiml, "call")
        return Call(account, webhook, call, **how)

    def deliver_status(
        self,
        status: str = "delivered",
        message: Message | None = None,
        url: str = "",
        **extra: ParamValue,
    ) -> Reply:
        """Report the status of a message to the app that sent it.

        Args:
            status: ``queued``, ``sent``, ``delivered``, ``undelivered``, ``failed`` or ``read``.
            message: The message; if absent, one that is in no inbox.
            url: The URL to report to. If absent, the message's own callback, else the simulator's
                `status_callback`, else its `webhook_url`.
            **extra: Parameters to add or to change.
        """
        if message is None:
            message = Message("", (), self.number, self.texting, new_sid("SM"))
        urls = self._account.urls
        callback = url or message.status_callback or urls.status_callback or urls.webhook
        return self._account.message_status(callback, status, message, extra, self._faults)

    def lose_cookie(self) -> None:
        """Have Twilio forget the cookies of this pair."""
        self.jar.clear()

    def stale_cookie(self) -> None:
        """Have Twilio send the cookies from before the last reply."""
        self.jar.go_back()

    def borrow_cookie(self, other: Phone) -> None:
        """Have Twilio send the cookies of another phone."""
        self.jar.fill(other.jar.cookies())

    def break_signature(self, times: int = 1) -> None:
        """Send the next requests with an invalid signature."""
        self._faults.broken_signatures += times

    def drop_reply(self, times: int = 1) -> None:
        """Lose the next replies: the app has run, and Twilio gets no response (error 11205).

        Twilio retries if the webhook URL says so (``#rc=1&rp=rt``).
        """
        self._faults.dropped_replies += times

    def _written(
        self, body: str, media: Sequence[str] = (), extra: Mapping[str, ParamValue] | None = None
    ) -> Webhook:
        account, urls = self._account, self._account.urls
        params = message_params(account.sid, self.texting, self.number, body, media)
        return self._webhook("message", urls.webhook, merged(params, extra or {}))

    def _webhook(self, kind: Literal["message", "call"], url: str, params: Params) -> Webhook:
        urls, values = self._account.urls, dict(params)
        jar = self._account.jar(values.get("To", ""), values.get("From", ""))
        fallback = urls.voice_fallback or urls.fallback if kind == "call" else urls.fallback
        return Webhook(
            url, urls.method, params, jar, self._faults, kind=kind, fallback_url=fallback
        )

    def _deliver(self, webhook: Webhook, deliveries: int = 1) -> Reply:
        if deliveries < 1:
            raise UsageError(
                "A text that is never delivered has no reply. Write deliveries=1 or more"
            )
        from_twilio = self._account.record_inbound(dict(webhook.params))
        self._last = webhook
        if deliveries > 1:
            webhook = webhook.with_current_cookies()
        replies = [self._account.deliver(webhook) for _ in range(deliveries)]
        replies[-1].deliveries = replies
        replies[-1].from_twilio = from_twilio
        return replies[-1]


def _check_ending(status: str, endings: tuple[str, ...]) -> None:
    if status not in endings:
        raise UsageError(f"No call ends as {status!r}. Write {' or '.join(endings)}")


def overlap(texts: Sequence[tuple[Phone, str]]) -> list[Reply]:
    """Write several messages at once, each in a thread of its own; see `TwilioSimulator.overlap`.

    The responses are stored in the order of the list, whatever the order in which they come, so that
    the cookies of the last one are kept.
    """
    webhooks = [phone._written(body).with_current_cookies() for phone, body in texts]  # noqa: SLF001  its own class
    start = threading.Barrier(max(1, len(texts)), timeout=_PATIENCE_S)
    finished = [threading.Event() for _ in texts]

    def run(index: int) -> Reply:
        def wait_for_previous() -> None:
            if index:
                finished[index - 1].wait(_PATIENCE_S)

        webhook = replace(webhooks[index], before_storing=wait_for_previous)
        try:
            start.wait()
            return texts[index][0]._deliver(webhook)  # noqa: SLF001  its own class
        finally:
            finished[index].set()

    with ThreadPoolExecutor(max(1, len(texts))) as pool:
        return list(pool.map(run, range(len(texts))))
