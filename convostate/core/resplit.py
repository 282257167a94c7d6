"""The re-split guard: one signed string, one reading.

Twilio's signed string has no delimiters, so the signature of an attacker's own text

    …Body hiFrom+1VICTIMFromA From +1ATTACK…      (spaces only here, to show the parameters)

also signs another split of the same characters, with another sender:

    …Body hi From +1VICTIM FromAFrom +1ATTACK…

The guard looks at the whole signed string. Wherever the name of an address (`From`, `To`) stands
right before an address, or the name of a SID right before a SID, there must begin that very
parameter. The true sender stands in every re-split too, so a second one shows. Excepted are a closed
list of longer names, and addresses that lie wholly inside the body of a message, where people may
write what they like. SIDs are never excepted: the true MessageSid stands behind the true sender, so
a body that swallows the one swallows the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostate.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.core.form import Form

# An optional channel, then + and two digits, or five digits. Shorter ones refuse too much: 17 of
# 20,000 voice webhooks with a random 700-byte CallToken for three digits, none for these.
# The channel is bounded so that a hostile text costs linear time.
_ADDRESS = r"(?:[A-Za-z]{2,24}:)?(?:\+[0-9]{2}|[0-9]{5})"
_SID = r"[A-Z]{2}[0-9a-f]{32}"

_SENDERS = re.compile(f"From(?={_ADDRESS})")
_RECEIVERS = re.compile(f"To(?={_ADDRESS})")
_SIDS = re.compile(f"Sid(?:(?<=AccountSid)|(?<=MessageSid)|(?<=SmsSid)|(?<=CallSid))(?={_SID})")
_starts_as_address = re.compile(_ADDRESS).match
_starts_as_sid = re.compile(_SID).match

# Every parameter of Twilio's whose name is, or ends in, one of the guarded names.
_SENDER_NAMES = ("From", "ForwardedFrom")
_RECEIVER_NAMES = ("To",)
_SID_NAMES = (
    "AccountSid",
    "MessageSid",
    "SmsSid",
    "SmsMessageSid",
    "CallSid",
    "ParentCallSid",
    "DialCallSid",
    "DequeuedCallSid",
    "DequeingCallSid",
    "OriginalRepliedMessageSid",
    "interactionAccountSid",
)


def _count(first: dict[str, str], names: tuple[str, ...], starts: Callable[[str], object]) -> int:
    found = 0
    for name in names:
        if name in first and starts(first[name]):
            found += 1
    return found


def check_split(signed: str, form: Form, body: str) -> None:
    """Refuse a signed string that could have been split from another one.

    Args:
        signed: The whole string that the signature covers.
        form: The parameters that are part of it; none for GET and JSON.
        body: The message's text as it stands in `signed` (escaped, for a GET).

    Raises:
        RequestError: 403, an address or a SID stands where no parameter begins.
    """
    first, _pairs, shape = form
    if (
        shape is not None
        and signed.count("From") == shape.senders
        and signed.count("To") == shape.receivers
        and signed.count("Sid") == shape.sids
    ):
        return  # these words stand in the names of the parameters and nowhere else
    senders = _count(first, _SENDER_NAMES, _starts_as_address) + len(_SENDERS.findall(body))
    receivers = _count(first, _RECEIVER_NAMES, _starts_as_address) + len(_RECEIVERS.findall(body))
    if (
        len(_SENDERS.findall(signed)) != senders
        or len(_RECEIVERS.findall(signed)) != receivers
        or len(_SIDS.findall(signed)) != _count(first, _SID_NAMES, _starts_as_sid)
    ):
        raise RequestError(403, "re-split", "a name and its value stand where no parameter begins")
