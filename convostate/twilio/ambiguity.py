"""The re-split guard: one signed string, one reading.

Twilio's signed string has no delimiters, so the signature of an attacker's own text

    …Body hiFrom+1VICTIMFromA From +1ATTACK…      (spaces only here, to show the parameters)

also signs another split of the same characters, with another sender:

    …Body hi From +1VICTIM FromAFrom +1ATTACK…

The guard looks at the whole signed string. Wherever the name of an address (`From`, `To`) stands
right before an address, or the name of a SID right before a SID, there must begin that very
parameter. The true sender stands in every re-split too, so a second one shows. Excepted are a closed
list of longer names, and addresses that lie wholly inside the body of a message, where people may
write what they like, unless a letter follows at once: so would the name of the parameter behind a true
sender that a forged body has swallowed. SIDs are never excepted: the true MessageSid stands behind the
true sender. And no value may be lengthened by the parameters behind it: a number holds no letters, a
SID is 34 characters. (The name of a client: or sip: address can be, because it may be any text.)

A true sender that does not look like an address shows otherwise. The sender of an SMS may be a word or
a code of three digits; but its text is its Body, which stands before From, so between a forged sender
and the true SID the word `From` stands once more. A caller may be withheld: those words are addresses.

What it cannot tell: a word that begins with City, Country, State or Zip from a place, and a caller whose
number is no number from a parameter's name. Twilio delivers no texts from words, and no caller's text but
speech, which stands behind From.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostate.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.twilio.form import Form, Shape

# An optional channel, then + and two digits, or five digits. Shorter ones refuse too much: 17 of
# 20,000 voice webhooks with a random 700-byte CallToken for three digits, none for these.
# A channel is in lower case: a text that ends in `Today` stands before `Fromwhatsapp:+1`. It is bounded
# so that a hostile text costs linear time.
_CHANNEL = r"(?:[a-z]{2,24}:)?"
_NUMBER = rf"{_CHANNEL}(?:\+[0-9]{{2}}|[0-9]{{5}})"
# Channels on which an address need not be a number, such as client:alice or whatsapp:US.1349.
_CHANNELS = frozenset("client sip sips rcs whatsapp messenger instagram".split())
_NAMED = rf"(?:{'|'.join(sorted(_CHANNELS))}):[!-~]"
# Callers of whom Twilio tells no number (https://help.twilio.com/articles/223179988).
_WITHHELD = "(?i:anonymous|unknown|restricted|blocked|unavailable|private)"
_ADDRESS = f"(?:{_NUMBER}|{_NAMED}|{_WITHHELD})"
_SID = r"[A-Z]{2}[0-9a-f]{32}"

_SENDERS = re.compile(f"From(?={_ADDRESS})")
_RECEIVERS = re.compile(f"To(?={_ADDRESS})")
# A form's SIDs stand right behind their names; `=` between them is left of a URL that was signed whole.
_GUARDED_SIDS = "Sid(?:(?<=AccountSid)|(?<=MessageSid)|(?<=SmsSid)|(?<=CallSid))"
_SIDS_OF_URL = re.compile(f"{_GUARDED_SIDS}(?={_SID})")
_SIDS_OF_FORM = re.compile(f"{_GUARDED_SIDS}(?==?{_SID})")
# In an error's URL only its own, not those of parameters that it swallowed.
_SIDS_OF_ERROR_URL = re.compile(f"{_GUARDED_SIDS}(?=={_SID})")

# In a body people may write addresses, but not where a letter follows at once: there the name of the
# next parameter might begin, and the address be the true sender's.
_QUOTED = rf"(?={_NUMBER}){_CHANNEL}\+?[0-9]+(?![0-9A-Za-z@])"
_QUOTED_SENDERS = re.compile(f"From{_QUOTED}")
_QUOTED_RECEIVERS = re.compile(f"To{_QUOTED}")

# A whole value. Letters behind a number, or anything behind a SID, would be the next parameter.
_whole_address = re.compile(
    rf"(?:client|sips?):[!-~]|{_NUMBER}[^A-Za-z]*\Z|(?!{_NUMBER}){_NAMED}|{_WITHHELD}\Z"
).match
# Not a client, which names its parameters itself: the one before From could end in `Forwarded`.
_whole_forwarder = re.compile(rf"sips?:[!-~]|{_NUMBER}[^A-Za-z]*\Z").match
_whole_sid = re.compile(_SID).fullmatch
_SID_CHARS = 34  # two letters and 32 hexadecimal digits

# Every parameter of Twilio's whose name is, or ends in, one of the guarded names.
_SENDER_NAMES, _FORWARDER_NAMES = ("From",), ("ForwardedFrom",)
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

_MESSAGE_SIDS = frozenset({"MessageSid", "SmsSid", "SmsMessageSid"})
_PLACES = frozenset({"FromCity", "FromCountry", "FromState", "FromZip"})
_GLUED_FROM = re.compile("From(?=[0-9A-Za-z])")


def _count(first: dict[str, str], names: tuple[str, ...], whole: Callable[[str], object]) -> int:
    found = 0
    for name in names:
        if name in first and whole(first[name]):
            found += 1
    return found


def _is_plain(signed: str, first: dict[str, str], shape: Shape) -> bool:
    """Whether nothing but the names of the parameters spells a name: so it is with nearly every webhook.

    The words stand in the names and nowhere else, and no value is longer than a SID or holds more than
    digits.
    """
    if (
        signed.count("From") != shape.senders
        or signed.count("To") != shape.receivers
        or signed.count("Sid") != shape.sids
    ):
        return False
    for name in shape.numbered:  # loops: `all` of a generator takes twice as long
        if len(first[name]) != _SID_CHARS:
            return False
    for name in shape.addresses:  # noqa: SIM110
        if not first[name][1:].isdigit():
            return False
    return True


def check_split(signed: str, form: Form, body: str) -> None:
    """Refuse a signed string that could have been split from another one.

    Args:
        signed: The whole string that the signature covers.
        form: The parameters that are part of it; none for GET and JSON.
        body: The message's text as it stands in `signed` (escaped, for a GET).

    Raises:
        RequestError: 403, an address or a SID stands where no parameter begins, or goes on with what
            might be the next parameter.
    """
    first, _pairs, shape, _ = form
    if shape is not None and _is_plain(signed, first, shape):
        return
    # Of both kinds of SIDs the true one cannot be hidden.
    is_message = not _MESSAGE_SIDS.isdisjoint(first)
    senders = _count(first, _SENDER_NAMES, _whole_address)
    if not is_message:  # only calls are forwarded
        senders += _count(first, _FORWARDER_NAMES, _whole_forwarder)
    receivers = _count(first, _RECEIVER_NAMES, _whole_address)
    if not first or _whole_address(first.get("From", "")):  # else a body ends with the true sender
        senders += len(_QUOTED_SENDERS.findall(body))
        receivers += len(_QUOTED_RECEIVERS.findall(body))
    sids = _count(first, _SID_NAMES, _whole_sid)
    if first:  # a fallback may be told the whole URL of a GET that failed
        sids += len(_SIDS_OF_ERROR_URL.findall(first.get("ErrorUrl", "")))
    if (
        len(_SENDERS.findall(signed)) != senders
        or len(_RECEIVERS.findall(signed)) != receivers
        or len((_SIDS_OF_FORM if first else _SIDS_OF_URL).findall(signed)) != sids
        or (is_message and ":" not in first.get("To", "") and _hides_a_sender(form))
        or _names_another_of_its_channel(signed, first.get("From", ""))
    ):
        raise RequestError(403, "re-split", "a name and its value stand where no parameter begins")


def _hides_a_sender(form: Form) -> bool:
    """Whether `From` stands between the sender and the SID of an SMS, but for the names that Twilio uses.

    The true one stands there in every re-split: the text is before it, the true SID behind it.
    """
    end = min(_MESSAGE_SIDS & form.first.keys())
    between = [name + value for name, value in sorted(set(form.items())) if "From" < name < end]
    return len(_GLUED_FROM.findall("".join(between))) != len(_PLACES & form.first.keys())


def _names_another_of_its_channel(signed: str, sender: str) -> bool:
    """Whether somebody on the sender's channel stands behind `From` once more, where it is none of the listed."""
    channel, colon, _ = sender.partition(":")
    return bool(colon) and channel not in _CHANNELS and signed.count(f"From{channel}:") != 1
