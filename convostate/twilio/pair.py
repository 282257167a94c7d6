"""PhonePair: the one identity of a conversation, for the cookie, the sealing key and the store.

The pair is (ours, theirs) and not (To, From): message statuses and the calls that the application
makes carry the two addresses swapped (https://www.twilio.com/docs/messaging/guides/track-outbound-message-status).
"""

from __future__ import annotations

from dataclasses import dataclass

from convostate.errors import UsageError

MAX_ADDRESS_CHARS = 256  # the longest known kind, a SIP address, stays below


def is_address(text: object) -> bool:
    """Whether `text` can be one end of a conversation: 1 to 256 printable characters, blanks only inside."""
    return (
        type(text) is str
        and 0 < len(text) <= MAX_ADDRESS_CHARS
        and text.isprintable()
        and text.strip(" ") == text
    )


def mask(text: str) -> str:
    """Hide all but the last two characters, and short texts whole."""
    return f"***{text[-2:]}" if len(text) > 4 else "***"


@dataclass(frozen=True)
class PhonePair:
    """Who talks to whom, on which Twilio account.

    Addresses are opaque and compared exactly: ``whatsapp:+15550100001`` and ``+15550100001`` are
    two people.

    Args:
        account_sid: The account that owns `ours`, such as ``AC`` and 32 hexadecimal digits.
        ours: The application's number, short code or channel address.
        theirs: The person's.

    Raises:
        UsageError: One of them is not 1 to 256 printable characters, or has a blank at an end.
    """

    account_sid: str
    ours: str
    theirs: str

    def __post_init__(self) -> None:
        if not (is_address(self.account_sid) and is_address(self.ours) and is_address(self.theirs)):
            names = ("account_sid", "ours", "theirs")
            wrong = next(name for name in names if not is_address(getattr(self, name)))
            raise UsageError(
                f"PhonePair: {wrong} is not an address. "
                f"Give 1 to {MAX_ADDRESS_CHARS} printable characters, without a blank at an end"
            )

    def __repr__(self) -> str:
        return (
            f"PhonePair(account_sid={mask(self.account_sid)!r}, "
            f"ours={mask(self.ours)!r}, theirs={mask(self.theirs)!r})"
        )

    __str__ = __repr__
