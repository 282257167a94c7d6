"""The result of a text, a call or a message status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.datastructures import Headers

from convostate.testing.delivery import Response

if TYPE_CHECKING:
    from convostate.testing.fetch import Exchange
    from convostate.testing.message import Message


@dataclass(eq=False, repr=False)  # `deliveries` contains the reply itself
class Reply:
    """The result of one webhook, including redirects, retries and the fallback URL.

    Attributes:
        params: The webhook's parameters; of a repeated name the last value.
        sent: Every message of the reply, including those to other people, with their SIDs.
        blocked: Messages of the reply that Twilio does not deliver, because this person has sent STOP.
        from_twilio: Twilio's own reply to STOP, START and HELP, or "".
        said: The text that ``<Say>`` reads to a caller.
        played: The URLs that ``<Play>`` plays to a caller.
        twiml: The last document as text, or "" if there was none.
        errors: The codes of all errors that Twilio would have reported. The fallback URL may still
            have answered.
        exchanges: Every HTTP request and its response, in order.
        deliveries: The replies to all deliveries of the same text; the last one is this reply.
        statuses: The app's replies to the statuses of its messages.
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
        return [message.body for message in self._for_person if message.body]

    @property
    def media(self) -> list[str]:
        """The URLs of the media that the person gets, in order."""
        return [url for message in self._for_person for url in message.media]

    @property
    def _for_person(self) -> list[Message]:
        outbound = self.params.get("Direction") == "outbound-api"
        person = self.params.get("To" if outbound else "From")
        return [message for message in self.sent if message.to == person]

    @property
    def _responses(self) -> list[Response]:
        return [exchange.response for exchange in self.exchanges if exchange.response]

    @property
    def _last(self) -> Response:
        last = self.exchanges[-1].response if self.exchanges else None
        return Response(0, Headers(), b"") if last is None else last

    @property
    def status(self) -> int:
        """The HTTP status of the last response, or 0 if no response came."""
        return self._last.status

    @property
    def headers(self) -> Headers:
        """The headers of the last response; names in any case, `getlist` for repeated ones."""
        return self._last.headers

    @property
    def body(self) -> bytes:
        """The body of the last response."""
        return self._last.body

    @property
    def exception(self) -> BaseException | None:
        """The app's exception, if ``phone.text()`` did not raise it; the framework may have answered 500."""
        return next((each.exception for each in self._responses if each.exception), None)

    @property
    def wsgi_errors(self) -> str:
        """What the app wrote to ``wsgi.errors`` before it answered 500 or more, or ""."""
        return "".join(each.errors for each in self._responses)

    @property
    def state(self) -> dict[Any, Any] | None:
        """The conversation's State as the app last left it.

        None if the app runs elsewhere, was not called, or has no ConversationMiddleware.
        """
        states = [each.state for each in self._responses if each.state is not None]
        return states[-1] if states else None
