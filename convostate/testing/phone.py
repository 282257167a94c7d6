"""A phone: a person who writes to one of the application's numbers, and what can go wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from convostate.errors import UsageError
from convostate.testing import params
from convostate.testing.fetch import Faults
from convostate.testing.message import Message
from convostate.testing.overlap import at_once
from convostate.testing.webhook import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from convostate.testing.account import Account
    from convostate.testing.jar import Jar
    from convostate.testing.params import ParamValue
    from convostate.testing.reply import Reply


class Phone:
    """A person and the number they write to; made by ``TwilioSimulator.phone``.

    Attributes:
        number: The person's address.
        texting: The application's address.
    """

    def __init__(self, account: Account, number: str, texting: str) -> None:
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

    def call(self, url: str = "", *, outbound: bool = False, **extra: ParamValue) -> Reply:
        """Call the number, or with `outbound` be called by it.

        Args:
            url: Whom Twilio asks; the simulator's `voice_url`, else its `webhook_url`, where absent.
                The next step of a call is another one with ``CallSid=reply.params["CallSid"]``.
            outbound: Whether the application called: From is then its number.
            **extra: Parameters to add or to change, such as ``Digits="1"``.
        """
        account, urls = self._account, self._account.urls
        made = params.call(account.sid, self.texting, self.number, outbound=outbound)
        asked = url or urls.voice or urls.webhook
        return account.deliver(self._webhook("call", asked, params.changed(made, extra)))

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
        told = url or message.status_callback or urls.status_callback or urls.webhook
        return self._account.message_status(told, status, message, extra, self._faults)

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

    def _webhook(self, kind: Literal["message", "call"], url: str, told: params.Params) -> Webhook:
        urls, known = self._account.urls, dict(told)
        jar = self._account.jar(known.get("To", ""), known.get("From", ""))
        return Webhook(kind, url, urls.method, told, jar, self._faults, urls.fallback)

    def _deliver(self, webhook: Webhook, deliveries: int = 1) -> Reply:
        if deliveries < 1:
            raise UsageError(
                "A text that is never delivered has no reply. Write deliveries=1 or more"
            )
        known = dict(webhook.params)
        self._account.hear(known.get("To", ""), known.get("From", ""), known.get("Body", ""))
        self._last = webhook
        if deliveries > 1:
            webhook = webhook.with_these_cookies()
        replies = [self._account.deliver(webhook) for _ in range(deliveries)]
        replies[-1].deliveries = replies
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
