"""Webhook: the typed facts of a proven request, and PhonePair: whose conversation it belongs to.

Parameters and their meaning: https://www.twilio.com/docs/messaging/guides/webhook-request (messages),
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status (message statuses),
https://www.twilio.com/docs/voice/twiml (calls).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import unquote

from convostate.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://www.twilio.com/docs/voice/api/call-resource#call-status-values
LIVE_CALL = frozenset({"queued", "initiated", "ringing", "in-progress"})
FIRST_FAILING_STATUS = 400  # Twilio discards such a reply and calls the fallback URL (error 11217)

Kind = Literal["message", "message-status", "call", "other"]
OptOut = Literal["STOP", "START", "HELP"]

# https://help.twilio.com/articles/223134027: the whole body, in any case, surrounding blanks aside.
# Twilio counts YES as START too; here it is an answer like any other: reminders ask for it.
_KEYWORDS: dict[str, OptOut] = {
    **dict.fromkeys("stop stopall unsubscribe cancel end quit optout revoke".split(), "STOP"),
    **dict.fromkeys("start unstop".split(), "START"),
    **dict.fromkeys("help info".split(), "HELP"),
}
_LONGEST_KEYWORD_CHARS = 40  # the longest one, and generous blanks around it
_INCOMING = frozenset({"received", "receiving"})

MAX_ADDRESS_CHARS = 256  # the longest known kind, a SIP address, stays below

# How Twilio names a caller whose number is unknown or withheld, in words or as dialled digits
# (https://help.twilio.com/articles/223179988), and how SIP telephones do (RFC 3323 §4.1). Many people share
# such a name, so it is not an address.
_WITHHELD = frozenset(
    """anonymous unknown restricted blocked unavailable private withheld unidentified undisclosed
    266696687 7378742833 2562533 8656696 86282452253""".split()
)
_BESIDE_WITHHELD = frozenset("caller call number name id user no not available address".split())
_words = re.compile(r"[^\W_]+").findall


def _is_withheld(caller: str) -> bool:
    """Whether a caller's number is withheld: ``sip:anonymous@anonymous.invalid``, ``Private Number``, ``0``."""
    address = caller.casefold().split(":", maxsplit=1)[-1]
    # RFC 3261 §19.1.2: a SIP address escapes its blanks.
    user, _, host = unquote(address).partition("@")
    host = re.split("[:;>]", host, maxsplit=1)[0]
    words = _words(user)
    return (
        host.endswith(".invalid")  # RFC 2606 §2: no host has such a name
        or not user.strip("+0 ")
        or ("no" in words and "id" in words)
        or ("not" in words and "available" in words)
        or (not _WITHHELD.isdisjoint(words) and set(words) <= _BESIDE_WITHHELD | _WITHHELD)
    )


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


@dataclass(frozen=True, init=False)
class PhonePair:
    """Who talks to whom, on which Twilio account.

    It is (ours, theirs) and not (To, From): message statuses and the calls that the application makes
    carry the two addresses swapped
    (https://www.twilio.com/docs/messaging/guides/track-outbound-message-status).

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

    def __init__(self, account_sid: str, ours: str, theirs: str) -> None:
        given = {"account_sid": account_sid, "ours": ours, "theirs": theirs}
        if not (is_address(account_sid) and is_address(ours) and is_address(theirs)):
            wrong = next(name for name, value in given.items() if not is_address(value))
            raise UsageError(
                f"PhonePair: {wrong} is not an address. "
                f"Give 1 to {MAX_ADDRESS_CHARS} printable characters, without a blank at an end"
            )
        vars(self).update(given)  # a third of what a frozen dataclass takes

    def __repr__(self) -> str:
        return (
            f"PhonePair(account_sid={mask(self.account_sid)!r}, "
            f"ours={mask(self.ours)!r}, theirs={mask(self.theirs)!r})"
        )

    __str__ = __repr__


class Params(dict[str, str]):
    """The parameters of a webhook: a read-only dict."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("the parameters of a webhook are read-only. Change a copy: dict(params)")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return Params, (dict(self),)


@dataclass(frozen=True)
class Webhook:
    """A request that Twilio has signed.

    Attributes:
        kind: ``message`` (somebody wrote), ``message-status`` (what became of a message that was
            sent), ``call`` or ``other`` (recordings, JSON events, …).
        pair: Who talks to whom, or None if the webhook does not name both ends or neither is ours: recording
            callbacks, events, withheld callers, the far leg of ``<Dial>``.
        params: The parameters, read-only; of a repeated name the first value. For a JSON webhook
            those of the query.
        url: The URL that was signed, for a GET with its query.
    """

    kind: Kind
    pair: PhonePair | None
    params: Mapping[str, str] = field(repr=False)
    url: str = field(repr=False)

    @property
    def account_sid(self) -> str:
        """The account that sent the webhook, or ""."""
        return self.params.get("AccountSid", "")

    @property
    def message_sid(self) -> str:
        """The message's SID, or ""."""
        return self.params.get("MessageSid") or self.params.get("SmsSid", "")

    @property
    def body(self) -> str:
        """The text as written, or ""."""
        return self.params.get("Body", "")

    @property
    def media(self) -> tuple[str, ...]:
        """The URLs of the attached media, in order."""
        count = self.params.get("NumMedia", "0")
        if not (count.isascii() and count.isdigit() and len(count) <= 3):
            return ()
        urls = (self.params.get(f"MediaUrl{index}") for index in range(int(count)))
        return tuple(url for url in urls if url)

    @property
    def opt_out_type(self) -> OptOut | None:
        """``STOP``, ``START`` or ``HELP`` if the message is just that, else None.

        Twilio's own word for it if Advanced Opt-Out sends one, which knows other languages too. Otherwise Twilio
        has keywords for SMS, MMS and RCS only, and only in texts that people write: a button is not a keyword.
        """
        if self.kind != "message":
            return None
        declared = self.params.get("OptOutType", "")
        if declared in ("STOP", "START", "HELP"):
            return declared  # type: ignore[return-value]  # mypy does not narrow by `in`
        channel, colon, _ = self.params.get("From", "").partition(":")
        if "ButtonPayload" in self.params or (colon and channel != "rcs"):
            return None
        body = self.params.get("Body", "")
        if len(body) > _LONGEST_KEYWORD_CHARS:
            return None
        return _KEYWORDS.get(body.strip().casefold())


def kind_and_pair(params: Mapping[str, str]) -> tuple[Kind, PhonePair | None]:
    """The kind of a form webhook, ``other`` if it is not known, and the two ends of its conversation, ours first."""
    kind: Kind = "message-status"
    theirs, ours = params.get("From", ""), params.get("To", "")
    if "MessageStatus" in params:
        swapped = params["MessageStatus"] not in _INCOMING
    elif "MessageSid" in params or "SmsSid" in params:
        # statuses of the API before 2014 carry SmsStatus alone
        swapped = params.get("SmsStatus", "received") not in _INCOMING
        kind = "message-status" if swapped else "message"
    elif "CallSid" in params:
        kind, direction = "call", params.get("Direction")
        swapped = direction == "outbound-api"
        # outbound-dial joins two ends that need not be ours
        if not (swapped or direction == "inbound") or _is_withheld(ours if swapped else theirs):
            return kind, None
    else:
        return "other", None
    if swapped:
        ours, theirs = theirs, ours
    try:
        return kind, PhonePair(params.get("AccountSid", ""), ours, theirs)
    except UsageError:
        return kind, None
