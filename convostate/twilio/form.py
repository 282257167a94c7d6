"""The strict form parser: what was signed is what is read.

Rules of this file:

1. One spelling. Encoders of ``application/x-www-form-urlencoded`` escape the same byte in the same
   way everywhere, never escape a letter or a digit, and never leave a blank, a control or a
   non-ASCII byte unescaped. Any other spelling is refused, so that no byte can change without
   changing the meaning. (Hexadecimal digits may be upper or lower case, but not both in one form;
   if only one escape holds a letter, it is upper case, as most encoders write it.)
2. One reading. Whatever two form parsers of this field read differently is refused: ``;`` as a
   separator, a missing ``=``, NUL in a name, invalid UTF-8, names that some of them strip or fold.
3. Nothing is repaired. A form either parses whole or is malformed.
"""

from __future__ import annotations

import re
from codecs import unicode_escape_decode
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from convostate.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

# Django's DATA_UPLOAD_MAX_NUMBER_FIELDS and Werkzeug's max_form_parts; the largest known webhook
# of Twilio's, a WhatsApp message with ads and media, has about 60.
MAX_FIELDS = 1000

IDENTITY = frozenset(
    "AccountSid From To Body MessageSid SmsSid SmsMessageSid CallSid Direction MessageStatus SmsStatus CallStatus".split()
)
"""Parameters that identify the conversation and what is said in it: one value each."""

# The re-split guard looks at forms with these: ForwardedFrom may end in the true sender's name.
_LOOKED_AT = frozenset({"ForwardedFrom", "ConferenceSid"})
MESSAGE_SIDS = frozenset({"MessageSid", "SmsSid", "SmsMessageSid"})
NOT_FREE = frozenset({*IDENTITY, "ForwardedFrom"}) - {"Body"}
"""Parameters that never hold free text."""
SID = "[A-Z]{2}[0-9a-f]{32}"
_FIELDS = {field.casefold(): field for field in IDENTITY}

# Sources: https://www.twilio.com/docs/messaging/guides/webhook-request,
# https://www.twilio.com/docs/messaging/guides/track-outbound-message-status,
# https://www.twilio.com/docs/voice/twiml (and the pages of its verbs and callbacks),
# https://www.twilio.com/docs/voice/api/call-resource#statuscallback.
DOCUMENTED = IDENTITY | frozenset(
    """AddOns Address ApiVersion ButtonPayload ButtonText ButtonType ChannelInstallSid ChannelMetadata ChannelPrefix
    ChannelStatusMessage ChannelToAddress ContentSid DeliveryStatus ErrorCode ErrorMessage ErrorUrl EventType FlowData
    Forwarded FrequentlyForwarded FromCity FromCountry FromState FromZip InteractiveData Label Latitude ListDescription
    ListId ListTitle Longitude MediaContentType0 MediaUrl0 MessagePrice MessageType MessagingServiceSid NumMedia
    NumSegments OptOutType OriginalRepliedMessageSender OriginalRepliedMessageSid ProfileName RawDlrDoneDate
    ReferralBody ReferralCtwaClid ReferralHeadline ReferralMediaContentType ReferralMediaId ReferralMediaUrl
    ReferralNumMedia ReferralSourceId ReferralSourceType ReferralSourceUrl ToCity ToCountry ToState ToZip
    VideoTrack WaId

    AccountSid AnsweredBy Attempts CallDuration CallToken Called CalledCity CalledCountry CalledState CalledZip Caller
    CallerCity CallerCountry CallerName CallerState CallerZip CallbackSource Coaching ConferenceSid Confidence
    DequeingCallSid DequeuedCallSid DialBridged DialCallDuration DialCallSid DialCallStatus DialSipCallId
    DialSipHeader DialSipResponseCode Digits Duration EndConferenceOnExit ErrorDescription FinishedOnKey ForwardedFrom FriendlyName
    Hold Language MachineDetectionDuration Muted ParentCallSid PaymentCardNumber PaymentCardType
    PaymentConfirmationCode PaymentError ParticipantLabel ProfileId Price PriceUnit QueueResult QueueSid QueueTime
    QuestionSid ReasonConferenceEnded ReasonParticipantLeft RecordingChannels RecordingDuration RecordingErrorCode
    RecordingFileSize RecordingMode RecordingSid RecordingSource RecordingStartTime RecordingStatus RecordingTrack
    RecordingUrl ReferTransferTarget Result SequenceNumber SessionId SipCallId SipDomain SipDomainSid SipResponseCode
    SpeechModel SpeechResult StableSpeechResult Stability StartConferenceOnEnter StatusCallbackEvent StirPassportToken
    StirStatus StirVerstat StreamError StreamEvent StreamName StreamSid Timestamp TranscriptionSid TranscriptionStatus
    TranscriptionText TranscriptionType TranscriptionUrl UnstableSpeechResult UserAgent Url VoiceFeedback

    AvgQueueTime ByocTrunkSid CallReason CallSidEndingConference CallSidToCoach CurrentQueueSize EncryptionDetails
    HandoffData LanguageCode MaxQueueSize ParticipantCallStatus PaymentCardPostalCode PaymentMethod PaymentToken
    QueuePosition SequenceId SessionDuration SessionStatus TranscriptionData TranscriptionEvent TrunkSid
    BankAccountNumber BankRoutingNumber ExpirationDate SecurityCode VirtualAgentError VirtualAgentErrorCode
    VirtualAgentProvider VirtualAgentProviderData VirtualAgentProviderError VirtualAgentStatus

    interactionAccountSid msg
    """.split()
    + [f"Media{part}{index}" for part in ("Url", "ContentType") for index in range(1, 11)]
)
"""The parameters that Twilio documents for messages and calls, and those that captures show beside them."""

_FORM_BYTES = bytes(byte for byte in range(0x21, 0x7F) if byte != ord(";"))
# Twilio's names are words with dots, dashes and digits; parameters that a client application adds
# may be freer. What would shift the boundary between name, value and URL is never part of a name.
_UNWRITTEN = "it holds an escape sequence that no encoder writes"
_bad_in_name = re.compile(r"[&=?#%/;+\x00-\x1f\x7f]").search
_NAME_TRIMMINGS = " \t\r\n[]\ufeff\u200b"


def _written() -> str:
    """A pattern of the two digits of every escape that an encoder writes."""
    digits = "0123456789ABCDEF"
    rows = [
        "".join(second for low, second in enumerate(digits) if _is_escaped(high * 16 + low))
        for high in range(16)
    ]
    return "|".join(f"{first}[{row}]" for first, row in zip(digits, rows, strict=True))


def _is_escaped(byte: int) -> bool:
    return not (byte < 128 and chr(byte).isalnum())


_not_upper = re.compile(f"%(?!{_written()})").search
_not_lower = re.compile(f"%(?!{_written().lower()})").search
_not_either = re.compile(f"%(?!{_written()})", re.IGNORECASE).search
_lower_escape = re.compile("%[0-9a-f]?[a-f]").search


@dataclass(slots=True)
class Shape:
    """What follows from a form's names alone if all are documented. Twilio sends few such sets, so each is kept.

    Attributes:
        names: The names in the order received.
        signed: The names in the order in which they are signed, each with room for its value behind it.
        values: Gives the values in that order.
        senders: How often ``From`` occurs in the names.
        receivers: How often ``To`` occurs.
        sids: How often ``Sid`` occurs.
        directions: How often ``Direction`` occurs.
        addresses: The names whose values are addresses.
        numbered: The names whose values are SIDs.
    """

    names: tuple[str, ...]
    signed: list[str]
    values: Callable[[dict[str, str]], tuple[str, ...]]
    senders: int
    receivers: int
    sids: int
    directions: int
    addresses: tuple[str, ...]
    numbered: tuple[str, ...]


def _shape_of(names: tuple[str, ...]) -> Shape:
    senders, receivers, sids, directions = (
        sum(name.count(part) for name in names) for part in ("From", "To", "Sid", "Direction")
    )
    addresses = tuple(name for name in names if name in ("From", "To"))
    numbered = tuple(name for name in names if name.endswith("Sid"))
    ordered = sorted(names)
    signed = [part for name in ordered for part in (name, "")]
    values = itemgetter(*ordered) if len(ordered) > 1 else lambda first: tuple(first.values())
    return Shape(names, signed, values, senders, receivers, sids, directions, addresses, numbered)


# By the number of &: an expression that finds the values of a form with the names of a shape, and the shape.
_SHAPES: dict[int, list[tuple[Callable[[str], re.Match[str] | None], Shape]]] = {}
_MOST_SHAPES = 32  # with one number of &
# Longer forms are read without them: a stranger's would be searched once for each shape, at 10 ns a character.
_MOST_MATCHED_CHARS = 8192


@dataclass(slots=True, repr=False)
class Form:
    """A parsed form.

    Attributes:
        first: Name to value; of a repeated name the first one, as Werkzeug reads it.
        pairs: Every (name, value) in the order received, or None if no name is repeated.
        shape: What follows from the names, or None if one is repeated or not documented.
        is_unknown: The shape is not kept yet; see `learn`.
    """

    first: dict[str, str]
    pairs: list[tuple[str, str]] | None
    shape: Shape | None = None
    is_unknown: bool = False

    def __repr__(self) -> str:
        return f"<Form of {len(self.first)} parameters>"

    def items(self) -> list[tuple[str, str]]:
        """Every (name, value), repeated names included."""
        return list(self.first.items()) if self.pairs is None else self.pairs


EMPTY = Form({}, None, _shape_of(()))


def parse_form(raw: bytes) -> Form:
    """Read the body of a form.

    Args:
        raw: The body as received, bounded by the caller; at most 1000 fields.

    Raises:
        RequestError: 400, the bytes are not the one spelling of a form.
    """
    if not raw:
        return EMPTY
    if raw.translate(None, _FORM_BYTES):
        raise _malformed("it holds bytes that must be escaped in a form")
    text = raw.decode("ascii")
    plain = text.replace("+", " ").replace("%2B", "+")
    if _not_upper(plain):
        _check_lower(text)
    is_matched = len(text) <= _MOST_MATCHED_CHARS
    for match, shape in _SHAPES.get(text.count("&"), ()) if is_matched else ():
        found = match(plain)
        if found is not None:
            first = {}
            for name, value in zip(shape.names, found.groups(), strict=True):
                first[name] = _unescape(value) if "%" in value else value
            return Form(first, None, shape)
    _check_length(text)
    form = _read(text, bare_names=False)
    form.is_unknown &= is_matched
    return form


def parse_query(query: str) -> Form:
    """Read the query of a GET webhook: the developer's own part, then what Twilio appended.

    A name without ``=``, an empty field and a lower-case escape are the developer's and pass. (The
    query is signed byte for byte as received, so they cannot hide anything.)

    Raises:
        RequestError: 400, a name or value has more than one reading.
    """
    if not query:
        return EMPTY
    if not query.isascii() or query.encode("ascii").translate(None, _FORM_BYTES):
        raise _malformed("its query holds bytes that must be escaped in a URL")
    _check_length(query)
    if _not_either(query):
        raise _malformed(_UNWRITTEN)
    return _read(query, bare_names=True)


def names_of_query(query: str) -> set[str]:
    """Every name that any framework could find in the query of a POST."""
    return {unquote_plus(field.partition("=")[0]) for field in query.replace(";", "&").split("&")}


def _check_lower(text: str) -> None:
    """Every escape is in lower case, and one alone may be an upper-case one with one byte changed."""
    first = _lower_escape(text)
    if first is None or _lower_escape(text, first.end()) is None or _not_lower(text):
        raise _malformed(_UNWRITTEN)


def _check_length(text: str) -> None:
    if text.count("&") >= MAX_FIELDS:
        raise _malformed(f"it has more than {MAX_FIELDS} fields")


def _read(text: str, *, bare_names: bool) -> Form:
    first: dict[str, str] = {}
    pairs: list[tuple[str, str]] | None = None
    for field in text.replace("+", " ").split("&"):
        name, equals, value = field.partition("=")
        if not equals and not bare_names:
            raise _malformed("a field has no =")
        if "%" in field:
            name, value = _unescape(name), _unescape(value)
        if name in first:
            pairs = list(first.items()) if pairs is None else pairs
        elif name or equals:
            first[name] = value
        else:
            continue
        if pairs is not None:
            pairs.append((name, value))
    if not DOCUMENTED.issuperset(first):
        _check_names(first)
    elif pairs is None and _LOOKED_AT.isdisjoint(first):
        return Form(first, pairs, _shape_of(tuple(first)), True)
    return Form(first, pairs)


def learn(form: Form) -> None:
    """Keep the shape of a form that Twilio has signed. A stranger could fill the room with others."""
    if form.shape is not None:
        alike = _SHAPES.setdefault(len(form.first) - 1, [])
        if len(alike) < _MOST_SHAPES:
            fields = "&".join(f"{name}=([^&]*)" for name in form.shape.names)
            alike.append((re.compile(fields).fullmatch, form.shape))


def _unescape(text: str) -> str:
    """Decode a text whose escapes have been checked."""
    # Python's own escapes, which C decodes: a third of the time of any loop.
    python = text.replace("\\", "\\\\").replace("%", "\\x")
    decoded = unicode_escape_decode(python)[0]
    if decoded.isascii():
        return decoded
    try:
        return decoded.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("a value is not UTF-8") from None


def _check_names(names: dict[str, str]) -> None:
    is_message = not MESSAGE_SIDS.isdisjoint(names)
    for name in names.keys() - DOCUMENTED:
        if not name or _bad_in_name(name) or name != name.strip():
            raise _malformed(
                "a name holds a URL's delimiter or a control character, or begins or ends with a blank"
            )
        trimmed = name.strip(_NAME_TRIMMINGS)
        field = _FIELDS.get(trimmed.casefold())
        # `from`, `to` and `body` are usual names of parameters that an account adds: in calls of Twilio's voice
        # SDKs, and in requests of Twilio Studio, which have no exact ones beside them.
        if field is not None and (
            name != trimmed or is_message or (field in names and "CallSid" not in names)
        ):
            raise RequestError(
                403,
                "form",
                "a name is another spelling of a parameter that identifies the conversation",
                parameter=name,
            )


def _malformed(why: str) -> RequestError:
    return RequestError(400, "form", f"malformed form: {why}")
