"""The parameters of webhooks, name by name, in the order seen on the wire.

Sources: https://www.twilio.com/docs/messaging/guides/webhook-request (messages),
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status (message statuses),
https://www.twilio.com/docs/voice/twiml (calls). The order, the blank values and the older names
(SmsSid, Caller, Called) come from captures of real webhooks.
"""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from convostate.errors import UsageError

if TYPE_CHECKING:
    from convostate.testing.message import Message

Params = list[tuple[str, str]]
ParamValue = str | int | Sequence[str] | None
"""One value; several values under one name; or None, which leaves the parameter out."""

FAILED = ("failed", "undelivered")
UNKNOWN_ERROR = "30008"  # of a message that was not delivered
API_VERSION = "2010-04-01"
MAX_BODY_CHARS = 1600  # https://www.twilio.com/docs/messaging/guides/webhook-request: Body
# The characters that fit into a message of one part, and into each part of a longer one. A character
# of the GSM alphabet takes seven bits, any other sixteen
# (https://www.twilio.com/docs/glossary/what-sms-character-limit).
_GSM_CHARS = (160, 153)
_UCS2_CHARS = (70, 67)
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_ESCAPED = frozenset("^{}\\[~]|€\f")  # two characters each
# Names that carry the same value: a change of the first one changes the others.
_ALIASES = {"MessageSid": ("SmsSid", "SmsMessageSid"), "From": ("Caller",), "To": ("Called",)}


def new_sid(prefix: str) -> str:
    """A new SID: the prefix and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def encode(params: Iterable[tuple[str, str]]) -> str:
    """Form-encode as Twilio does: UTF-8, a space as ``+``, a ``+`` as ``%2B``."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in params)


def merged(params: Params, extra: Mapping[str, ParamValue]) -> Params:
    """The parameters with those in `extra` replaced, appended or left out.

    Twilio sends some values under several names: a new MessageSid, From or To replaces the value
    under all of its names that are present.
    """
    aliases = {
        alias: extra[name]
        for name in _ALIASES.keys() & extra.keys()
        for alias in _ALIASES[name]
        if alias in dict(params)
    }
    values = {
        name: [] if value is None else [str(value)] if isinstance(value, str | int) else list(value)
        for name, value in {**aliases, **extra}.items()
    }
    names = {name for name, _ in params}
    kept = [(name, text) for name, value in params for text in values.get(name, [value])]
    added = [(name, text) for name in values if name not in names for text in values[name]]
    return kept + added


def segments(body: str) -> int:
    """The number of SMS that a body takes, at least one."""
    if _GSM.union(_GSM_ESCAPED).issuperset(body):
        length, (single, part) = len(body) + sum(c in _GSM_ESCAPED for c in body), _GSM_CHARS
    else:
        length, (single, part) = len(body.encode("utf-16-le", "surrogatepass")) // 2, _UCS2_CHARS
    return 1 if length <= single else -(-length // part)


def message_params(
    account_sid: str, ours: str, theirs: str, body: str, media: Sequence[str] = ()
) -> Params:
    """The parameters of a message that a person writes, of at most 1,600 characters.

    The type of attached media is guessed from the name of their URL, else it is image/jpeg.
    """
    if len(body) > MAX_BODY_CHARS:
        raise UsageError(
            f"Twilio delivers no text of {len(body)} characters. "
            f"Write at most {MAX_BODY_CHARS}, or pass Body=… to send it anyway"
        )
    sid = new_sid("MM" if media else "SM")
    count = str(len(media))
    params: Params
    if ":" in theirs:
        params = [
            *[("SmsMessageSid", sid), ("NumMedia", count), *_profile(theirs, bool(media))],
            *[("SmsSid", sid), ("SmsStatus", "received"), ("Body", body), ("To", ours)],
            *[("NumSegments", "1"), ("ReferralNumMedia", "0"), ("MessageSid", sid)],
            *[("AccountSid", account_sid), ("From", theirs)],
        ]
    else:
        parts = "1" if media else str(segments(body))
        params = [
            *[("ToCountry", _country(ours)), ("ToState", ""), ("SmsMessageSid", sid)],
            *[("NumMedia", count), ("ToCity", ""), ("FromZip", ""), ("SmsSid", sid)],
            *[("FromState", ""), ("SmsStatus", "received"), ("FromCity", ""), ("Body", body)],
            *[("FromCountry", _country(theirs)), ("To", ours), ("ToZip", "")],
            *[("NumSegments", parts), ("MessageSid", sid), ("AccountSid", account_sid)],
            ("From", theirs),
        ]
    for index, url in enumerate(media):
        kind = mimetypes.guess_type(url)[0] or "image/jpeg"
        params += [(f"MediaContentType{index}", kind), (f"MediaUrl{index}", url)]
    return [*params, ("ApiVersion", API_VERSION)]


def status_params(account_sid: str, message: Message, status: str, now: float) -> Params:
    """The parameters of a message status: From is the app's address, To the person's. `now` dates the receipt."""
    theirs, sid = message.to, message.sid
    params: Params = []
    if status in ("delivered", "undelivered") and ":" not in theirs:
        done = datetime.fromtimestamp(now, timezone.utc).strftime("%y%m%d%H%M")
        params.append(("RawDlrDoneDate", done))
    if status in FAILED:
        params.append(("ErrorCode", UNKNOWN_ERROR))
    params += [("SmsSid", sid), ("SmsStatus", status), ("MessageStatus", status), ("To", theirs)]
    params += [("MessageSid", sid), ("AccountSid", account_sid), ("From", message.from_)]
    return [*params, ("ApiVersion", API_VERSION)]


def call_params(account_sid: str, ours: str, theirs: str, *, outbound: bool = False) -> Params:
    """The parameters of a call that a person makes or, with `outbound`, that the app makes to them."""
    to, from_ = (theirs, ours) if outbound else (ours, theirs)
    status, direction = ("in-progress", "outbound-api") if outbound else ("ringing", "inbound")
    params: Params = [("AccountSid", account_sid), ("ApiVersion", API_VERSION)]
    params += [("CallSid", new_sid("CA")), ("CallStatus", status), ("Direction", direction)]
    for name, older, address in (("From", "Caller", from_), ("To", "Called", to)):
        params += [(name, address), (older, address)]
        for field in (name, older):
            params += [(f"{field}City", ""), (f"{field}State", ""), (f"{field}Zip", "")]
            params += [(f"{field}Country", _country(address))]
    return params


def _country(address: str) -> str:
    """A number's country: Twilio sends US for most North American numbers, and often a blank value."""
    return "US" if address.startswith("+1") else ""


def _profile(theirs: str, media: bool) -> Params:
    """What a channel adds about the writer."""
    channel, _, number = theirs.partition(":")
    kind = ("MessageType", "image" if media else "text")
    if channel != "whatsapp":
        return [kind]
    return [("ProfileName", "Somebody"), kind, ("WaId", number.removeprefix("+"))]
