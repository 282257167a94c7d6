"""One webhook to its end: its documents, the ``<Redirect>`` between them, the fallback URL.

Sources: https://www.twilio.com/docs/messaging/twiml/redirect,
https://www.twilio.com/docs/availability-reliability (fallback),
https://www.twilio.com/docs/api/errors/14106 (50 documents).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from convostate.testing.fetch import Faults, Fetcher, FetchJob, Url, joined
from convostate.testing.params import Params, new_sid
from convostate.testing.reply import Reply
from convostate.testing.twiml import Document, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convostate.testing.jar import Jar

MAX_DOCUMENTS = 50  # error 14106


def new_token() -> str:
    """An idempotency token: one for each request, the same for its repetitions."""
    return secrets.token_hex(16)


@dataclass
class Webhook:
    """Something that happened, and whom Twilio tells.

    Attributes:
        kind: What it is about. What answers a status is not read.
        jar: The pair's cookies, or None.
        fallback_url: Whom Twilio asks when `url` fails, or "".
        token: The idempotency token of the first document; a repeated delivery has the same one.
        cookies: The first Cookie header, if it was made up before; else what is in the jar.
        storing: Called when a response is there and before its cookies are stored.
        inline: The first document, if there is nothing to fetch for it.
        document: The last document, once delivered.
        document_url: The URL of the last document, once delivered, to which its URLs are relative.
    """

    kind: Literal["message", "call", "status"]
    url: str
    method: str
    params: Params
    jar: Jar | None = None
    faults: Faults = field(default_factory=Faults)
    fallback_url: str = ""
    token: str = field(default_factory=new_token)
    cookies: str | None = None
    storing: Callable[[], None] = lambda: None
    inline: Document | None = None
    document: Document = field(default_factory=Document, init=False)
    document_url: str = field(default="", init=False)

    def to(self, url: str, method: str, params: Params, inline: Document | None = None) -> Webhook:
        """Another webhook of the same call."""
        return replace(
            self,
            url=url,
            method=method,
            params=params,
            inline=inline,
            cookies=None,
            token=new_token(),
        )

    def with_these_cookies(self) -> Webhook:
        """The same, on its way already: what is stored from now on comes too late for it."""
        cookies = None if self.jar is None else self.jar.header(Url.parse(self.url).sent)
        return replace(self, cookies=cookies)

    def deliver(self, fetcher: Fetcher) -> Reply:
        """Tell the app, and do what it answers."""
        reply = Reply(dict(self.params))
        job = FetchJob(
            self.url,
            self.method,
            self.params,
            self.jar,
            self.faults,
            sign_port="CallSid" not in dict(self.params),
            token=self.token,
            cookies=self.cookies,
            storing=self.storing,
        )
        fallback_url, inline = self.fallback_url, self.inline
        for _ in range(MAX_DOCUMENTS):
            document, url = self._document(fetcher, job, reply, inline)
            inline = None
            self.document, self.document_url = document, url
            if document.fatal and fallback_url:
                job = self._to_fallback(fallback_url, document, url)
                fallback_url = ""
            elif document.redirect is not None:
                job = self._redirected(job, document.redirect)
            else:
                return reply
        reply.errors.append(14106)
        return reply

    def _document(
        self, fetcher: Fetcher, job: FetchJob, reply: Reply, inline: Document | None
    ) -> tuple[Document, str]:
        """Get one document and note what it says: it, and the URL that its URLs are relative to."""
        document, url = inline, self.url
        if document is None:
            exchanges = fetcher.fetch(job)
            reply.exchanges += exchanges
            last = exchanges[-1]
            url = last.url
            if last.error is not None or last.response is None:
                document = Document(error=last.error, fatal=True)
            elif self.kind == "status":
                document = Document()
            else:
                document = read(last.response, self.kind)
        if document.redirect is not None:
            document = _aimed(document, document.redirect, url)
        if document.error is not None:
            reply.errors.append(document.error)
        theirs, ours = _ends(reply.params)
        reply.sent += [
            replace(
                message,
                to=message.to or theirs,
                from_=message.from_ or ours,
                sid=new_sid("MM" if message.media else "SM"),
                # one that leads nowhere stays as it is, for the account to report
                status_callback=message.status_callback
                and (joined(url, message.status_callback) or message.status_callback),
            )
            for message in document.messages
        ]
        reply.said += document.said
        reply.played += document.played
        reply.twiml = document.twiml
        return document, url

    def _to_fallback(self, url: str, document: Document, failed_url: str) -> FetchJob:
        """Nothing says that Twilio keeps cookies for the fallback URL, so it gets none."""
        told = [("ErrorCode", str(document.error)), ("ErrorUrl", failed_url)]
        return FetchJob(url, "POST", self.params + told, None, self.faults)

    def _redirected(self, job: FetchJob, redirect: tuple[str, str]) -> FetchJob:
        url, method = redirect
        return FetchJob(url, method, self.params, job.jar, self.faults, sign_port=job.sign_port)


def _aimed(document: Document, redirect: tuple[str, str], base: str) -> Document:
    """The document with the whole URL of its ``<Redirect>``, or with the error that it has none."""
    whole = joined(base, redirect[0])
    if whole is None:
        return replace(document, redirect=None, error=11100, fatal=True)
    return replace(document, redirect=(whole, redirect[1]))


def _ends(params: Mapping[str, str]) -> tuple[str, str]:
    """The person's address and the application's."""
    from_, to = params.get("From", ""), params.get("To", "")
    return (to, from_) if params.get("Direction") == "outbound-api" else (from_, to)
