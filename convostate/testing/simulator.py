"""TwilioSimulator: a Twilio that texts and calls an app, in this process or over HTTP."""

from __future__ import annotations

import importlib
import os
import weakref
from contextlib import contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Literal

from convostate.errors import UsageError
from convostate.middleware import interface_of
from convostate.testing.account import Account, Urls
from convostate.testing.asgi import AsgiTransport
from convostate.testing.catching import caught_clients
from convostate.testing.clock import Clock
from convostate.testing.configured import (
    ACCOUNT_SID,
    OUR_NUMBER,
    WEBHOOK_URL,
    configured_prefix,
    configured_url,
)
from convostate.testing.delivery import HttpTransport
from convostate.testing.fetch import Fetcher, Secret, Url
from convostate.testing.inprocess import WsgiTransport
from convostate.testing.phone import Phone, overlap
from convostate.testing.rest_resources import HeldSends, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from _typeshed.wsgi import WSGIApplication

    App = WSGIApplication | Callable[[Any, Any, Any], Awaitable[None]]
    from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]

    from convostate.testing.message import Message
    from convostate.testing.reply import Reply


class _Used:
    """Referenced by a simulator and its phones, so that it is collected with the last of them."""


class TwilioSimulator:
    """A Twilio that texts and calls an app.

    While an app in this process runs, no ``twilio.rest.Client`` of this process reaches Twilio, whoever
    made it: its messages arrive at the phones, and its calls ring there. This also holds for threads and
    tasks of the app, for as long as the simulator or one of its phones is referenced.

    Args:
        app_or_url: A WSGI or ASGI app, called in this process and checked against its specification; or
            the URL of a running app, ``http://127.0.0.1:8000/sms``.
        auth_token: The token to sign with; ``TWILIO_AUTH_TOKEN`` if absent.
        webhook_url: The URL configured at Twilio for incoming messages, including connection overrides
            (``#rc=2&rp=5xx``) and ``user:password@``. If absent, the URL in `app_or_url`; for an app
            in this process the URL that its settings name: CONVOSTATE_PUBLIC_URL with ``/sms`` or the
            first path of CONVOSTATE_PATHS, else ``https://example.com/sms``. Every request goes to the
            one app, whatever host its URL names.
        clock: The time; it does not move until ``simulator.clock.advance(hours=4)``. An app in this
            process gets it as ``environ["convostate.clock"]``; for a running app, only cookies age.
        method: The method of webhooks: ``POST`` or ``GET``.
        fallback_url: The URL that Twilio requests if a webhook fails.
        voice_url: The URL that Twilio requests for calls; `webhook_url` if absent.
        status_callback: The URL to which Twilio reports the statuses of messages without their own.
        voice_fallback_url: The URL that Twilio requests if the webhook of a call fails; `fallback_url`
            if absent.
        voice_status_callback: The URL to which Twilio reports that a call has ended.
        statuses: The statuses that each message goes through, in order.
        post_after_302: Whether a POST stays a POST, with its parameters, after a 301 or 302. Browsers
            make it a GET without parameters; Twilio does not document what it does.
        stripped_prefix: The prefix that a proxy in front of the app strips from each path: with
            ``/bots``, Twilio's ``https://example.com/bots/sms`` reaches the app as ``/sms``. If both
            this and `webhook_url` are absent, the path of CONVOSTATE_PUBLIC_URL.
        account_sid: The account; ``TWILIO_ACCOUNT_SID`` if absent, else a made-up one.
        shared_key: (key id, secret) to sign with HMAC-SHA256 instead of the auth token.
        raise_app_errors: Whether ``phone.text()`` raises the exceptions of an app in this process; else
            they are error 11200 and `Reply.exception`, as Twilio sees them.

    Attributes:
        app: The app in this process, or None if it runs elsewhere.
        clock: The time.

    Raises:
        UsageError: There is no token, a URL is invalid, or this is not an app; the message says what
            to do.
    """

    def __init__(
        self,
        app_or_url: App | str,
        auth_token: str | None = None,
        webhook_url: str | None = None,
        *,
        clock: Clock | None = None,
        method: Literal["POST", "GET"] = "POST",
        fallback_url: str = "",
        voice_url: str = "",
        status_callback: str = "",
        voice_fallback_url: str = "",
        voice_status_callback: str = "",
        statuses: Sequence[str] = ("sent", "delivered"),
        post_after_302: bool = False,
        stripped_prefix: str = "",
        account_sid: str | None = None,
        shared_key: tuple[str, str] | None = None,
        raise_app_errors: bool = True,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.app = None if isinstance(app_or_url, str) else app_or_url
        token = auth_token or os.environ.get("TWILIO_AUTH_TOKEN", "")
        if not token and shared_key is None:
            raise UsageError(
                "There is no auth token to sign with. Set TWILIO_AUTH_TOKEN to the app's token, "
                "or pass auth_token=…"
            )
        transport: HttpTransport | WsgiTransport
        self._local: WsgiTransport | None = None
        self._raise_app_errors = raise_app_errors
        prefix = stripped_prefix.rstrip("/")
        if isinstance(app_or_url, str):
            default_url, transport = app_or_url, HttpTransport(app_or_url, prefix)
        else:
            interface = interface_of(app_or_url)
            if not interface:
                raise UsageError(
                    "The simulator takes a WSGI or ASGI app, or the URL of a running one. If this makes "
                    "the app, call it: TwilioSimulator(create_app())"
                )
            default_url = WEBHOOK_URL
            make: Any = AsgiTransport if interface == "ASGI" else WsgiTransport
            path = "/" + webhook_url.partition("://")[2].partition("/")[2] if webhook_url else ""
            local: WsgiTransport = make(
                app_or_url,
                self.clock,
                raise_app_errors=raise_app_errors,
                path=path.removeprefix(prefix),
            )
            if local.settings is not None:
                default_url = configured_url(local.settings)
                if webhook_url is None and not prefix:
                    prefix = configured_prefix(local.settings)
            local.stripped_prefix = prefix
            transport = self._local = local
        urls = Urls(
            webhook_url or default_url,
            method,
            fallback_url,
            voice_url,
            status_callback,
            voice_fallback_url,
            voice_status_callback,
        )
        for url in (urls.webhook, *astuple(urls)[2:]):
            if url:
                Url.parse(url)
        secret = Secret(token) if shared_key is None else Secret(shared_key[1], shared_key[0])
        self._account = Account(
            account_sid or os.environ.get("TWILIO_ACCOUNT_SID") or ACCOUNT_SID,
            token,
            self.clock,
            Fetcher(transport, secret, post_after_302=post_after_302),
            urls,
            statuses,
            in_process=self.app is not None,
        )
        self._used = _Used()
        self._account.in_use = weakref.ref(self._used)
        self._phones: dict[tuple[str, str], Phone] = {}
        self._worked = 0  # how many messages had arrived after the last `work`

    @property
    def account_sid(self) -> str:
        """The account that sends the webhooks."""
        return self._account.sid

    @property
    def webhook_url(self) -> str:
        """The URL configured at Twilio for incoming messages."""
        return self._account.urls.webhook

    @property
    def arrived(self) -> list[Message]:
        """Every message that the app sent on its own, to any person, in order."""
        return list(self._account.arrived)

    def phone(self, number: str, texting: str = OUR_NUMBER) -> Phone:
        """A person's phone; the same object for the same two numbers.

        Args:
            number: The person's address: ``+15550100001``, ``whatsapp:+15550100001``, ``38000``.
            texting: The app's address.
        """
        self._account.register(texting, number)
        return self._phones.setdefault(
            (number, texting), Phone(self._account, number, texting, self._used)
        )

    def overlap(self, texts: Sequence[tuple[Phone, str]]) -> list[Reply]:
        """Write texts at once: all are on their way, with the current cookies, before the first is answered.

        Args:
            texts: Each a phone and the body of its text.

        Returns:
            The replies in the same order; of one pair, the cookies of the last one are kept.
        """
        return overlap(texts)

    def deliver_statuses(self) -> list[Reply]:
        """Report the statuses of the messages that the app has sent, and return its replies.

        After a text this happens by itself (`Reply.statuses`). For messages that are sent outside of
        a text, through `rest_client`, call this: Twilio, too, answers the sender first.
        """
        return self._account.deliver_statuses()

    def work(self, conversations: Any = None) -> list[Message]:
        """Do what a worker would have done by now: answer the deferred texts that are due.

        Failed answers are retried after 1, 10 and 60 s, and texts wait for others as CONVOSTATE_BURST
        says: move the clock, and call this again. At the end the statuses of the messages are reported.
        Workers that the app has started in this process are stopped: from then on only this call answers.

        Args:
            conversations: The `Conversations` with the answer function; by default those whose
                `answer_later` the app has called.

        Returns:
            The messages that were sent, in order; also by workers that had to be stopped.

        Raises:
            UsageError: The app runs elsewhere, or `conversations` is not a Conversations.
            Exception: An exception of the answer function, unless `raise_app_errors` is false.
        """
        if self._local is None:
            raise UsageError("The app runs elsewhere, and so do its workers. Run: convostate work")
        if conversations is not None and not hasattr(conversations, "answer_due"):
            raise UsageError(
                "work() takes the Conversations object with the answer function, or nothing; "
                f"got {type(conversations).__name__}"
            )
        before, errors = len(self._account.arrived), list[Exception]()
        for each in self._local.answering if conversations is None else [conversations]:
            if self._local.stop_workers(each):
                before = self._worked
            clock, each.clock = each.clock, self.clock
            try:
                with caught_clients(self._account):
                    errors += self._local.answer_due(each)
            finally:
                each.clock = clock
        self._account.deliver_statuses()
        self._worked = len(self._account.arrived)
        if errors and self._raise_app_errors:
            raise errors[0]
        return self._account.arrived[before:]

    @contextmanager
    def keep_answering(self, ended: Callable[[Any, Exception | None], object]) -> Iterator[None]:
        """Answer deferred texts as they arrive, in workers on this clock; for interactive use.

        Args:
            ended: Called after each answer, with the pair of its conversation and the exception of the
                answer function, or None.
        """
        local = self._local
        if local is None:
            yield
            return
        local.ended = ended
        try:
            yield
        finally:
            local.ended = None
            for each in local.answering:
                local.stop_workers(each, 0)

    @property
    def middleware(self) -> Any:
        """The ConversationMiddleware of the app in this process, or None."""
        return None if self._local is None else self._local.middleware

    def result_of(self, value: Any) -> Any:
        """The value that the app's store returns, awaited on the app's event loop if it is a coroutine."""
        return value if self._local is None else self._local.result_of(value)

    def is_answering(self, phone: Phone) -> bool:
        """Whether workers of this process have texts of a phone to answer, or replies to send to it."""
        local, sid = self._local, self.account_sid
        return local is not None and local.is_answering(
            ours=phone.texting, theirs=phone.number, account_sid=sid
        )

    def export(self) -> dict[str, Any]:
        """What Twilio keeps about people (cookies, STOPs), as JSON values.

        A process that takes over from this one passes it to `restore` of another simulator.
        """
        return self._account.export()

    def restore(self, exported: Mapping[str, Any]) -> None:
        """Continue with what `export` returned."""
        self._account.restore(exported)

    def rest_client(self) -> Client:
        """A real ``twilio.rest.Client`` of this account; its messages arrive in `Phone.inbox`.

        Its calls ring at `Phone.ringing`. Blocking and asynchronous methods both work.

        Raises:
            UsageError: The package twilio is not installed.
        """
        try:
            rest: Any = importlib.import_module("convostate.testing.rest")  # an extra
        except ImportError as error:
            raise UsageError(
                'A REST client needs the package twilio. Run: pip install "convostate[twilio]"'
            ) from error
        client: Client = rest.SimulatedClient(self._account)
        return client

    def caught_clients(self) -> AbstractContextManager[None]:
        """Answer the requests of every ``twilio.rest.Client`` of this process.

        For code outside of a webhook, such as a scheduled job: ``with simulator.caught_clients():``.
        A client with other credentials than this account's gets Twilio's error 20003.
        """
        return caught_clients(self._account)

    def refuse_sends(
        self, reason: int | BaseException, times: int | None = None, *, accepted: bool = False
    ) -> None:
        """Have Twilio refuse messages that are sent through the REST API.

        Args:
            reason: Twilio's error code, which the client raises as TwilioRestException (21610 opted
                out, 21211 no such number, 30007 filtered, any other); or an exception that the client
                raises itself, as when the network fails or a worker dies.
            times: How many sends are refused; if absent, all until `accept_sends`.
            accepted: Whether the message is sent anyway, as if only the response were lost.

        Raises:
            UsageError: `times` is less than one.
        """
        if times is not None and times < 1:
            raise UsageError(
                "A refusal is for one send at least. Write times=1 or more, or call accept_sends()"
            )
        self._account.rest.refusal = Refusal(reason, times, accepted)

    def accept_sends(self) -> None:
        """End the effect of `refuse_sends`."""
        self._account.rest.refusal = None

    def hold_sends(self) -> HeldSends:
        """Delay the responses to sends: messages arrive, but the client waits until the block ends.

        with simulator.hold_sends() as sends:
            thread.start()  # it sends
            sends.wait()    # its message is in the inbox, and it waits for Twilio
        """
        self._account.rest.held = HeldSends()
        return self._account.rest.held
