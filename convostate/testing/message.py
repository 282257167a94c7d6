"""A message that an app sends to a person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """What arrives at a phone.

    Attributes:
        body: The text, or "".
        media: URLs, in order.
        to: The person's address, or "" in a reply that leaves it out: who wrote gets it.
        from_: The application's address, or "" if Twilio chooses it.
        sid: The message's SID, once it is sent.
        status_callback: Where Twilio reports what becomes of it, or "".
        content_sid: The template that Twilio makes the text of, or "": it knows the words.
        content_variables: What goes into the template, as JSON, or "".
    """

    body: str
    media: tuple[str, ...] = ()
    to: str = ""
    from_: str = ""
    sid: str = ""
    status_callback: str = ""
    content_sid: str = ""
    content_variables: str = ""

    def __str__(self) -> str:
        return self.body
