"""What a text, a call or a message status led to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from convostate.testing.delivery import Response
    from convostate.testing.fetch import Exchange
    from convostate.testing.message import Message


@dataclass(eq=False, repr=False)  # its deliveries hold it again
class Reply:
    """What came of one webhook: redirects, retries and the fallback URL included.

    Attributes:
        params: The webhook's parameters; of a repeated name the last value.
        sent: Every message of the reply, those to other people too, with their SIDs.
        blocked: Messages of the reply that Twilio does not deliver, because this person has sent STOP.
        from_twilio: What Twilio itself answers to STOP, START and HELP, or "".
        said: What ``<Say>`` reads to a caller.
        played: The URLs that ``<Play>`` plays to a caller.
        twiml: The last document as text, or "" if there was none.
        error: The first error that Twilio would have reported, as its code, or None. The fallback
            URL may have answered all the same.
        errors: All of them.
        exchanges: Every HTTP request and its response, in order.
        deliveries: The replies to each delivery of the same text, this one, the last, included.
        statuses: What the app answered when it was told what became of its messages.
    """

    params: dict[str, str]
    sent: list[Message] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    twiml: str = ""
    errors: list[int] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    deliveries: list[Reply] = field(default_factory=list)
    statuses: list[Reply] = field(default_factory=list)
    blocked: list[Message] = field(default_factory=list)
    from_twilio: str = ""

    def __repr__(self) -> str:
        return f"Reply(messages={self.messages}, status={self.status}, error={self.error})"

    @property
    def error(self) -> int | None:
        """The first of `errors`, or None."""
        return self.errors[0] if self.errors else None

    @property
    def messages(self) -> list[str]:
        """The texts that the person gets, in order."""
        return [message.body for message in self._mine if message.body]

    @property
    def media(self) -> list[str]:
        """The URLs of the media that the person gets, in order."""
        return [url for message in self._mine for url in message.media]

    @property
    def _mine(self) -> list[Message]:
        outbound = self.params.get("Direction") == "outbound-api"
        person = self.params.get("To" if outbound else "From")
        return [message for message in self.sent if message.to == person]

    @property
    def _response(self) -> Response | None:
        return self.exchanges[-1].response if self.exchanges else None

    @property
    def status(self) -> int:
        """The HTTP status of the last response, 0 if none came."""
        response = self._response
        return 0 if response is None else response.status

    @property
    def headers(self) -> Headers:
        """The headers of the last response; names in any case, `getlist` for repeated ones."""
        response = self._response
        return Headers() if response is None else response.headers

    @property
    def body(self) -> bytes:
        """The body of the last response."""
        response = self._response
        return b"" if response is None else response.body

    @property
    def exception(self) -> BaseException | None:
        """What the app raised, unless it came out of the call; its framework may have answered 500."""
        raised = [exchange.response.exception for exchange in self.exchanges if exchange.response]
        return next((error for error in raised if error is not None), None)

    @property
    def wsgi_errors(self) -> str:
        """What the app wrote to ``wsgi.errors`` before it answered 500 or more, or ""."""
        written = [exchange.response.errors for exchange in self.exchanges if exchange.response]
        return "".join(written)

    @property
    def state(self) -> dict[Any, Any] | None:
        """The conversation's State as the app last left it.

        None if the app runs elsewhere, was not called, or has no ConversationMiddleware.
        """
        seen = [exchange.response.state for exchange in self.exchanges if exchange.response]
        return next((state for state in reversed(seen) if state is not None), None)
