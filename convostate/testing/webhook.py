"""A webhook from start to end: its documents, the ``<Redirect>`` between them, the fallback URL.

Sources: https://www.twilio.com/docs/messaging/twiml/redirect,
https://www.twilio.com/docs/availability-reliability (fallback),
https://www.twilio.com/docs/api/errors/14106 (50 documents).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from convostate.testing.fetch import FetchJob, Url, new_token, resolve_url
from convostate.testing.params import Params, new_sid
from convostate.testing.reply import Reply
from convostate.testing.twiml import Document, read

if TYPE_CHECKING:
    from convostate.testing.fetch import Fetcher

MAX_DOCUMENTS = 50  # error 14106


@dataclass
class Webhook(FetchJob):
    """An event that Twilio reports to the app.

    Attributes:
        kind: What the event is about. The response to a status is not interpreted.
        fallback_url: The URL that Twilio requests if `url` fails, or "".
        inline: The first document, if there is nothing to fetch for it.
        document: The last document, once delivered.
        document_url: The URL of the last document, once delivered; its URLs are relative to it.
    """

    kind: Literal["message", "call", "status"] = "message"
    fallback_url: str = ""
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

    def with_current_cookies(self) -> Webhook:
        """The same webhook, already on its way: cookies that are stored later do not reach it."""
        cookies = None if self.jar is None else self.jar.header(Url.parse(self.url).sent)
        return replace(self, cookies=cookies)

    def deliver(self, fetcher: Fetcher) -> Reply:
        """Request the document and those that it leads to, and return the reply."""
        reply = Reply(dict(self.params))
        job: FetchJob = replace(self)
        fallback_url, inline = self.fallback_url, self.inline
        for _ in range(MAX_DOCUMENTS):
            document, url = self._document(fetcher, job, reply, inline)
            inline = None
            self.document, self.document_url = document, url
            if document.fatal and fallback_url:
                extra = [("ErrorCode", str(document.error)), ("ErrorUrl", url)]
                # Twilio does not document that it keeps cookies for the fallback URL.
                job = FetchJob(fallback_url, "POST", self.params + extra, None, self.faults)
                fallback_url = ""
            elif document.redirect is not None:
                job = FetchJob(*document.redirect, self.params, job.jar, self.faults)
            else:
                return reply
        reply.errors.append(14106)
        return reply

    def _document(
        self, fetcher: Fetcher, job: FetchJob, reply: Reply, inline: Document | None
    ) -> tuple[Document, str]:
        """Get one document and add its content to the reply; also the base of its URLs."""
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
            reference, method = document.redirect
            target = resolve_url(url, reference)
            if target is None:
                document = replace(document, redirect=None, error=11100, fatal=True)
            else:
                document = replace(document, redirect=(target, method))
        if document.error is not None:
            reply.errors.append(document.error)
        theirs, ours = reply.params.get("From", ""), reply.params.get("To", "")
        if reply.params.get("Direction") == "outbound-api":
            theirs, ours = ours, theirs
        reply.sent += [
            replace(
                message,
                to=message.to or theirs,
                from_=message.from_ or ours,
                sid=new_sid("MM" if message.media else "SM"),
                # an invalid URL stays as it is: the account reports it
                status_callback=message.status_callback
                and (resolve_url(url, message.status_callback) or message.status_callback),
            )
            for message in document.messages
        ]
        reply.said += document.said
        reply.played += document.played
        reply.twiml = document.twiml
        return document, url
