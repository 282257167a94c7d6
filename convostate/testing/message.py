"""What an app sends to a person, and the calls that it places."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """What arrives at a phone.

    Attributes:
        body: The text, or "".
        media: URLs, in order.
        to: The person's address, or "" in a reply that leaves it out: the reply goes to the sender.
        from_: The app's address, or "" if Twilio chooses it.
        sid: The message's SID, once it is sent.
        status_callback: The URL to which Twilio reports the message's statuses, or "".
        content_sid: The template from which Twilio makes the text, or "".
        content_variables: The variables of the template, as JSON, or "".
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


@dataclass(frozen=True)
class RingingCall:
    """A call that the app has placed and that has not been answered.

    Attributes:
        to, from_: The person's address, and the app's.
        url: The webhook that Twilio requests once the person answers, or "".
        method: ``POST`` or ``GET``, for `url`.
        twiml: The first document itself, instead of `url`, or "".
        fallback_url: The URL that Twilio requests if `url` fails, or "".
        status_callback: The URL to which Twilio reports the progress of the call, or "".
        status_callback_method: ``POST`` or ``GET``, for `status_callback`.
        status_callback_events: What is reported: ``initiated``, ``ringing``, ``answered``, ``completed``.
    """

    sid: str
    to: str
    from_: str
    url: str
    method: str = "POST"
    twiml: str = field(default="", repr=False)
    fallback_url: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"
    status_callback_events: tuple[str, ...] = ("completed",)
