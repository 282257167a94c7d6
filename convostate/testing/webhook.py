"""One webhook to its end: its documents, the ``<Redirect>`` between them, the fallback URL.

Sources: https://www.twilio.com/docs/messaging/twiml/redirect,
https://www.twilio.com/docs/availability-reliability (fallback),
https://www.twilio.com/docs/api/errors/14106 (50 documents).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from convostate.testing.fetch import Errand, Exchange, Faults, Fetcher, Url, joined
from convostate.testing.params import Params, new_sid
from convostate.testing.reply import Reply
from convostate.testing.twiml import Document, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.testing.jar import Jar

MAX_DOCUMENTS = 50  # error 14106


@dataclass
class Webhook:
    """Something that happened, and whom Twilio tells.

    Attributes:
        kind: What it is about. What answers a message status is not read.
        jar: The pair's cookies, or None.
        fallback_url: Whom Twilio asks when `url` fails, or "".
        token: The idempotency token of the first document; a repeated delivery has the same one.
        cookies: The first Cookie header, where it was made up before; else what is in the jar.
        storing: Called when a response is there and before its cookies are stored.
    """

    kind: Literal["message", "call", "message-status"]
    url: str
    method: str
    params: Params
    jar: Jar | None = None
    faults: Faults = field(default_factory=Faults)
    fallback_url: str = ""
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    cookies: str | None = None
    storing: Callable[[], None] = lambda: None

    def with_these_cookies(self) -> Webhook:
        """The same, on its way already: what is stored from now on comes too late for it."""
        cookies = None if self.jar is None else self.jar.header(Url.parse(self.url).sent)
        return replace(self, cookies=cookies)

    def deliver(self, fetcher: Fetcher) -> Reply:
        """Tell the app, and do what it answers."""
        reply = Reply(dict(self.params))
        errand = Errand(
            self.url,
            self.method,
            self.params,
            self.jar,
            self.faults,
            sign_port=self.kind != "call",
            token=self.token,
            cookies=self.cookies,
            storing=self.storing,
        )
        fallback_url = self.fallback_url
        for _ in range(MAX_DOCUMENTS):
            document, last = self._document(fetcher, errand, reply)
            if document.fatal and fallback_url:
                errand = self._to_fallback(fallback_url, document, last)
                fallback_url = ""
            elif document.redirect is not None:
                errand = self._redirected(errand, document.redirect)
            else:
                return reply
        reply.errors.append(14106)
        return reply

    def _document(
        self, fetcher: Fetcher, errand: Errand, reply: Reply
    ) -> tuple[Document, Exchange]:
        exchanges = fetcher.fetch(errand)
        reply.exchanges += exchanges
        last = exchanges[-1]
        if last.error is not None or last.response is None:
            document = Document(error=last.error, fatal=True)
        elif self.kind == "message-status":
            document = Document()
        else:
            document = read(last.response, self.kind)
        if document.redirect is not None:
            document = _aimed(document, document.redirect, last)
        if document.error is not None:
            reply.errors.append(document.error)
        ours, theirs = (reply.params.get(name, "") for name in ("To", "From"))
        reply.sent += [
            replace(
                message,
                to=message.to or theirs,
                from_=message.from_ or ours,
                sid=new_sid("MM" if message.media else "SM"),
                # one that leads nowhere stays as it is, for the account to report
                status_callback=message.status_callback
                and (joined(last.url, message.status_callback) or message.status_callback),
            )
            for message in document.messages
        ]
        reply.said += document.said
        reply.twiml = document.twiml
        return document, last

    def _to_fallback(self, url: str, document: Document, last: Exchange) -> Errand:
        """Nothing says that Twilio keeps cookies for the fallback URL, so it gets none."""
        told = [("ErrorCode", str(document.error)), ("ErrorUrl", last.url)]
        return Errand(url, "POST", self.params + told, None, self.faults)

    def _redirected(self, errand: Errand, redirect: tuple[str, str]) -> Errand:
        url, method = redirect
        return Errand(url, method, self.params, errand.jar, self.faults, sign_port=errand.sign_port)


def _aimed(document: Document, redirect: tuple[str, str], last: Exchange) -> Document:
    """The document with the whole URL of its ``<Redirect>``, or with the error that it has none."""
    whole = joined(last.url, redirect[0])
    if whole is None:
        return replace(document, redirect=None, error=11100, fatal=True)
    return replace(document, redirect=(whole, redirect[1]))
