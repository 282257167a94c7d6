"""A phone: a person who texts and calls one of the application's numbers, and what can go wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from convostate.errors import UsageError
from convostate.testing import params
from convostate.testing.call import Call
from convostate.testing.fetch import Faults
from convostate.testing.message import Message
from convostate.testing.overlap import at_once
from convostate.testing.stored_state import StoredState
from convostate.testing.twiml import parse
from convostate.testing.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convostate.testing.account import Account
    from convostate.testing.jar import Jar
    from convostate.testing.params import ParamValue
    from convostate.testing.reply import Reply
    from convostate.testing.ringing import RingingCall


class Phone:
    """A person and the number they write to; made by ``TwilioSimulator.phone``.

    Attributes:
        number: The person's address.
        texting: The application's address.
    """

    def __init__(self, account: Account, number: str, texting: str, used: object = None) -> None:
        self._used = used  # held, so that `Account.in_use` knows
        self.number = number
        self.texting = texting
        self._account = account
        self._faults = Faults()
        self._last: Webhook | None = None

    def __repr__(self) -> str:
        return f"Phone({self.number!r}, texting={self.texting!r})"

    @property
    def jar(self) -> Jar:
        """The cookies that Twilio keeps for this person's messages to this number."""
        return self._account.jar(self.texting, self.number)

    @property
    def inbox(self) -> list[Message]:
        """What the app sent here of its own accord, in order; replies are in `Reply.messages`."""
        return [
            message
            for message in self._account.arrived
            if message.to == self.number and message.from_ in (self.texting, "")
        ]

    @property
    def state(self) -> dict[Any, Any] | None:
        """A copy of the state that is kept of this conversation, or None if none is.

        It can be set, on every store, and None ends the conversation::

            phone.state = {"step": "confirm"}

        Both go through a webhook of their own, to a middleware like the app's in which only the
        simulator meets the state; reading changes nothing, not even the expiry.

        Raises:
            UsageError: The app runs elsewhere, has no ConversationMiddleware, or refuses this
                simulator's webhooks; or its store does not answer.
            StateError: What is set cannot be kept.
        """
        return self._stored_state.read()

    @state.setter
    def state(self, state: Mapping[Any, Any] | None) -> None:
        self._stored_state.write(state)

    @property
    def _stored_state(self) -> StoredState:
        account = self._account
        made = params.message(account.sid, self.texting, self.number, "")
        return StoredState(account.fetcher, self.jar, account.urls.webhook, made)

    @property
    def opted_out(self) -> bool:
        """Whether this person's STOP stands: Twilio sends nothing of this number's here (21610)."""
        return self._account.opted_out(self.texting, self.number)

    def text(
        self,
        body: str = "",
        media: Sequence[str] = (),
        deliveries: int = 1,
        **extra: ParamValue,
    ) -> Reply:
        """Write a message.

        Args:
            body: 0 to 1,600 characters.
            media: URLs of attached media.
            deliveries: How often Twilio delivers this one message, at least once: each time the
                same request, cookies and idempotency token included.
            **extra: Parameters to add or to change (``ButtonPayload="yes"``); a list for a repeated
                name, None to leave one out.

        Returns:
            The reply to the last delivery; `Reply.deliveries` has all of them.

        Raises:
            UsageError: The body is longer than 1,600 characters, or `deliveries` is less than one.
        """
        return self._deliver(self._written(body, media, extra), deliveries)

    def overlap(self, *bodies: str) -> list[Reply]:
        """Write several messages at once: all are on their way before the first is answered.

        Returns:
            The replies in the order of `bodies`; the cookies of the last one stay.
        """
        return overlap([(self, body) for body in bodies])

    def reorder(self, *bodies: str) -> list[Reply]:
        """Write several messages that Twilio delivers last one first, one after another.

        Returns:
            The replies in the order of `bodies`.
        """
        written = [self._written(body) for body in bodies]
        return [self._deliver(webhook) for webhook in reversed(written)][::-1]

    def resend(self) -> Reply:
        """Have Twilio deliver the last message once more, with the cookies of now.

        Raises:
            UsageError: Nothing was written yet.
        """
        if self._last is None:
            raise UsageError("There is nothing to resend. Call text() first")
        return self._deliver(self._last)

    def tap(self, text: str, payload: str, **extra: ParamValue) -> Reply:
        """Tap a button of a WhatsApp or RCS message.

        Args:
            text: The words on the button.
            payload: What the app has put behind it, as ``ButtonPayload``.
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
        """Call the number, or with `outbound` be called by it, and listen until the call waits.

        ::

            call = phone.call()
            assert call.said == ["For sales press 1"]
            assert call.press("1").said == ["Sales. Leave a message"]
            call.record("Call me back", seconds=4)
            call.hang_up()

        Args:
            url: What Twilio requests; the simulator's `voice_url`, else its `webhook_url`, if absent.
            method: How the first document is requested, the simulator's `method` if absent.
            outbound: Whether the application called: From is then its number.
            dial_status: How each ``<Dial>`` ends: ``completed``, ``busy``, ``no-answer`` or
                ``failed``.
            state: What the call begins with, to test a step in its middle.
            **extra: Parameters to add or to change, such as ``From="anonymous"``.

        Raises:
            UsageError: A `state` is given, but the app's states are out of reach, as for `state`.
        """
        account, urls = self._account, self._account.urls
        made = params.call(account.sid, self.texting, self.number, outbound=outbound)
        webhook = self._webhook(
            "call", url or urls.voice or urls.webhook, params.changed(made, extra)
        )
        webhook.method = method or urls.method
        if state is not None:
            StoredState(account.fetcher, webhook.jar, webhook.url, webhook.params).write(state)
        return Call(
            account, webhook, status_callback=urls.voice_status_callback, dial_status=dial_status
        )

    @property
    def ringing(self) -> list[RingingCall]:
        """The calls that the app has placed to this phone and that nobody has answered, in order."""
        return [
            call
            for call in self._account.ringing
            if (call.to, call.from_) == (self.number, self.texting)
        ]

    def answer(self, *, dial_status: str = "completed") -> Call:
        """Answer the first call that the app has placed here, with ``client.calls.create``.

        Args:
            dial_status: As `call` takes it.

        Raises:
            UsageError: The phone does not ring.
        """
        if not self.ringing:
            raise UsageError("The phone does not ring. Have the app place a call first")
        rings = self.ringing[0]
        account = self._account
        account.ringing.remove(rings)
        made = params.call(account.sid, self.texting, self.number, outbound=True)
        webhook = self._webhook("call", rings.url, params.changed(made, {"CallSid": rings.sid}))
        webhook.method, webhook.fallback_url = rings.method, rings.fallback_url
        if rings.twiml:
            webhook.url = webhook.url or account.urls.webhook
            webhook.inline = parse(rings.twiml, rings.twiml, "call")
        return Call(
            account, webhook, status_callback=rings.status_callback, dial_status=dial_status
        )

    def deliver_status(
        self,
        status: str = "delivered",
        message: Message | None = None,
        url: str = "",
        **extra: ParamValue,
    ) -> Reply:
        """Tell the app what has become of a message that it sent here.

        Args:
            status: ``queued``, ``sent``, ``delivered``, ``undelivered``, ``failed`` or ``read``.
            message: The message; one that is in no inbox where absent.
            url: Whom to tell: the message's own callback, the simulator's `status_callback`, else
                its `webhook_url`, where absent.
            **extra: Parameters to add or to change.
        """
        if message is None:
            message = Message("", (), self.number, self.texting, params.new_sid("SM"))
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
        self.jar.take_from(other.jar)

    def break_signature(self, times: int = 1) -> None:
        """Sign the next requests wrongly."""
        self._faults.broken_signatures += times

    def drop_reply(self, times: int = 1) -> None:
        """Lose the next replies: the app has run, and Twilio hears nothing (error 11205).

        Twilio asks again where the webhook URL says so (``#rc=1&rp=rt``).
        """
        self._faults.dropped_replies += times

    def _written(
        self, body: str, media: Sequence[str] = (), extra: Mapping[str, ParamValue] | None = None
    ) -> Webhook:
        account, urls = self._account, self._account.urls
        made = params.message(account.sid, self.texting, self.number, body, media)
        return self._webhook("message", urls.webhook, params.changed(made, extra or {}))

    def _webhook(self, kind: Literal["message", "call"], url: str, made: params.Params) -> Webhook:
        urls, known = self._account.urls, dict(made)
        jar = self._account.jar(known.get("To", ""), known.get("From", ""))
        fallback = urls.voice_fallback or urls.fallback if kind == "call" else urls.fallback
        return Webhook(kind, url, urls.method, made, jar, self._faults, fallback)

    def _deliver(self, webhook: Webhook, deliveries: int = 1) -> Reply:
        if deliveries < 1:
            raise UsageError(
                "A text that is never delivered has no reply. Write deliveries=1 or more"
            )
        from_twilio = self._account.record_inbound(dict(webhook.params))
        self._last = webhook
        if deliveries > 1:
            webhook = webhook.with_these_cookies()
        replies = [self._account.deliver(webhook) for _ in range(deliveries)]
        replies[-1].deliveries = replies
        replies[-1].from_twilio = from_twilio
        return replies[-1]

    def _on_the_way(self, body: str) -> Callable[[Callable[[], None]], Reply]:
        webhook = self._written(body).with_these_cookies()
        return lambda storing: self._deliver(replace(webhook, storing=storing))


def overlap(texts: Sequence[tuple[Phone, str]]) -> list[Reply]:
    """Write several messages at once: all are on their way before the first is answered.

    Returns:
        The replies in the same order; of one pair the cookies of the last one stay.
    """
    return at_once([phone._on_the_way(body) for phone, body in texts])  # noqa: SLF001  its own class
