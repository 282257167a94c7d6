"""What Twilio tells in a webhook, name by name and in the order seen on the wire.

Sources: https://www.twilio.com/docs/messaging/guides/webhook-request (messages),
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status (message statuses),
https://www.twilio.com/docs/voice/twiml (calls); the order, the blank values and the older names
(SmsSid, Caller, Called) from captures of real webhooks.
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
"""One value; several under one name; or None for "leave this parameter out"."""

API_VERSION = "2010-04-01"
MAX_BODY_CHARS = 1600  # https://www.twilio.com/docs/messaging/guides/webhook-request: Body
# A message of one part, and each part of a longer one, holds so many characters: of the GSM alphabet
# seven bits each, of any other sixteen (https://www.twilio.com/docs/glossary/what-sms-character-limit).
_GSM_CHARS = (160, 153)
_UCS2_CHARS = (70, 67)
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# One value under several names: what is changed under the first one changes under the others.
_TWINS = {"MessageSid": ("SmsSid", "SmsMessageSid"), "From": ("Caller",), "To": ("Called",)}
_GSM_ESCAPED = frozenset("^{}\\[~]|€\f")  # two characters each


def new_sid(prefix: str) -> str:
    """A SID that no one has seen: the prefix and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


def encode(params: Iterable[tuple[str, str]]) -> str:
    """Form-encode as Twilio does: UTF-8, a space as ``+``, a ``+`` as ``%2B``."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in params)


def changed(params: Params, extra: Mapping[str, ParamValue]) -> Params:
    """The parameters with those in `extra` put in place, appended or left out.

    Twilio sends some values under several names: a new MessageSid, From or To is put under all of
    those that are there.
    """
    twins = {
        twin: extra[name]
        for name in _TWINS.keys() & extra.keys()
        for twin in _TWINS[name]
        if twin in dict(params)
    }
    extra = {**twins, **extra}
    values = {
        name: [] if value is None else [str(value)] if isinstance(value, str | int) else list(value)
        for name, value in extra.items()
    }
    known = {name for name, _ in params}
    kept = [(name, text) for name, value in params for text in values.get(name, [value])]
    added = [(name, text) for name in values if name not in known for text in values[name]]
    return kept + added


def segments(body: str) -> int:
    """How many SMS a body takes, at least one."""
    gsm = all(char in _GSM or char in _GSM_ESCAPED for char in body)
    if gsm:
        length, (single, part) = len(body) + sum(c in _GSM_ESCAPED for c in body), _GSM_CHARS
    else:
        length, (single, part) = len(body.encode("utf-16-le", "surrogatepass")) // 2, _UCS2_CHARS
    return 1 if length <= single else -(-length // part)


def message(
    account_sid: str, ours: str, theirs: str, body: str, media: Sequence[str] = ()
) -> Params:
    """A message that a person wrote.

    Args:
        account_sid: The account that owns `ours`.
        ours: The number or channel address written to.
        theirs: The writer's.
        body: 0 to 1,600 characters.
        media: URLs of attached media; their type is guessed from the name, else image/jpeg.

    Raises:
        UsageError: The body is longer than Twilio passes on.
    """
    if len(body) > MAX_BODY_CHARS:
        raise UsageError(
            f"A text of {len(body)} characters does not exist at Twilio. "
            f"Write at most {MAX_BODY_CHARS}, or pass Body=… to send it all the same"
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


def message_status(account_sid: str, message: Message, status: str, now: float) -> Params:
    """What became of a message that was sent to a person: From is ours here, and To the person's.

    Args:
        account_sid: The account that sent it.
        message: The message.
        status: ``sent``, ``delivered`` and so on.
        now: Unix time in seconds, for the delivery receipt's date.
    """
    theirs, sid = message.to, message.sid
    params: Params = []
    if status in ("delivered", "undelivered") and ":" not in theirs:
        done = datetime.fromtimestamp(now, timezone.utc).strftime("%y%m%d%H%M")
        params.append(("RawDlrDoneDate", done))
    if status in ("failed", "undelivered"):
        params.append(("ErrorCode", "30008"))  # "Unknown error": the one without a special cause
    params += [("SmsSid", sid), ("SmsStatus", status), ("MessageStatus", status), ("To", theirs)]
    params += [("MessageSid", sid), ("AccountSid", account_sid), ("From", message.from_)]
    return [*params, ("ApiVersion", API_VERSION)]


def call(account_sid: str, ours: str, theirs: str, *, outbound: bool = False) -> Params:
    """A call that a person makes, or with `outbound` the one that the application makes to them."""
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
    """Where a number is from: told of North American ones only, and blank is seen on the wire."""
    return "US" if address.startswith("+1") else ""


def _profile(theirs: str, media: bool) -> Params:
    """What a channel tells of the writer."""
    channel, _, number = theirs.partition(":")
    kind = "image" if media else "text"
    if channel != "whatsapp":
        return [("MessageType", kind)]
    return [
        ("ProfileName", "Somebody"),
        ("MessageType", kind),
        ("WaId", number.removeprefix("+")),
    ]
