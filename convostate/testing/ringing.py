"""A call that an app has placed and nobody has answered yet."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RingingCall:
    """What rings at a phone.

    Attributes:
        sid: The call's SID.
        to: The person's address.
        from_: The application's.
        url: The webhook that Twilio requests once the person answers, or "".
        method: ``POST`` or ``GET``, for `url`.
        twiml: The first document itself, instead of `url`, or "".
        fallback_url: What Twilio requests if `url` fails, or "".
        status_callback: Where Twilio reports that the call has ended, or "".
    """

    sid: str
    to: str
    from_: str
    url: str
    method: str = "POST"
    twiml: str = field(default="", repr=False)
    fallback_url: str = ""
    status_callback: str = ""
