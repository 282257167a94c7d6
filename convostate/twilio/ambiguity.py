"""The re-split guard: one signed string, one reading.

Twilio's signed string has no delimiters, so the signature of an attacker's own text

    …Body hiFrom+1VICTIMFromA From +1ATTACK…      (blanks only here, to show the parameters)

also signs another split of the same characters, with another sender:

    …Body hi From +1VICTIM FromAFrom +1ATTACK…

The rule:

1. Find every place in the signed string where an identity field might begin: `From` or `To` before an
   address, the name of a SID before a SID, `Direction` before its value. A forger cannot remove the true
   places, because they are signed.
2. Pass over the places that the form explains: that very parameter begins there.
3. Refuse if Twilio could have sent a webhook in which the field begins at another place. It could not if
   - the value is not followed by the name of a later parameter (names are sorted), or
   - what such a webhook has before or after the field is not there: the sender of a message comes before
     the message's SID, the sender of a call behind the call's SID and direction, or
   - no parameter with a free text could hide the place at which the form itself begins the field.

A sender that does not look like an address shows otherwise: the word `From` is between the sender and the SID
of an SMS, or before a parameter that holds a caller's words.

The guard also refuses a number or a SID that a parameter's name follows, an undocumented name that is a part
of an identity field, a form that could be the URL of a GET webhook, or the reverse, and a form with more
places than a person's text can hold.

Limits: the names of parameters in a flow of Twilio Studio are its author's. If the flow calls a URL with a query, a
text under an unusual name could spell a form of its own. People's own words can move between their own parameters (`Body`, `ButtonText`). `To` of a call
from `client:` is what that client asked for, so it is not guarded. Parameters that match
CONVOSTATE_OWN_PARAMS are trusted: `callFrom` with `client:x` may also be the `c` of a client that chooses
the names of its parameters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from convostate.errors import RequestError
from convostate.twilio.form import DOCUMENTED, IDENTITY, MESSAGE_SIDS, parse_query
from convostate.twilio.webhook import MAX_ADDRESS_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convostate.twilio.form import Form, Shape

# An optional channel, then + and two digits, or five digits. Shorter numbers occur by chance in the 700 random
# characters of a CallToken: 17 of 20,000 with three digits, 0 with these. Bounded, so that the search is linear.
_CHANNEL = r"[a-z][a-z0-9]{1,23}:"
_NUMBER = rf"(?:{_CHANNEL})?(?:\+[0-9]{{2}}|[0-9]{{5}})[0-9]*"
_SID = r"[A-Z]{2}[0-9a-f]{32}"
_SID_CHARS = 34

_ADDRESS = rf"(?:(?P<number>{_NUMBER})|(?P<named>{_CHANNEL}[!-~]))"
_PLACES = (
    re.compile(f"From(?={_ADDRESS})"),
    re.compile(f"To(?={_ADDRESS})"),
    re.compile(f"(?<=[a-z])Sid(?={_SID})"),
    re.compile("Direction(?:inbound|outbound-api|outbound-dial|trunking-[a-z]{1,20})(?=[D-F])"),
)
_place_of = {"From": _PLACES[0].search, "To": _PLACES[1].search}
_message_sid = re.compile(
    f"MessageSid(?!IM){_SID}"
)  # IM…: of Twilio Conversations, without a sender
_any_message_sid = re.compile(f"(?:Message|Sms)Sid(?!IM){_SID}")
_sms_sid = re.compile(f"Sms(?:Message)?Sid{_SID}").search
_call_sid = re.compile(f"CallSid{_SID}")
_direction = _PLACES[3]
_text = re.compile("(?<![?&=])Body").search  # not the name of a query
_GUARDED_SIDS = ("SmsMessageSid", "AccountSid", "MessageSid", "SmsSid", "CallSid")
_sid_field = re.compile(f"(?:{'|'.join(_GUARDED_SIDS)}){_SID}").match
_whole_sid = re.compile(_SID).fullmatch
_is_date = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}|").fullmatch
_channel = re.compile(_CHANNEL).match
_whole_number = re.compile(_NUMBER).fullmatch
_begins_as_number = re.compile(_NUMBER).match

# Twilio's names are words; one that is not documented begins like one.
_STRICT = frozenset({*IDENTITY, "ForwardedFrom"}) - {"Body"}
_NAMES = sorted(DOCUMENTED, reverse=True)  # of two that begin alike, the longer one first
_name = re.compile(rf"(?P<known>{'|'.join(_NAMES)})|[A-Z][a-z]{{2,40}}")
_PLACES_OF_ENDS = {f"{end}{part}" for end in ("From", "To") for part in ("City", "State", "Zip")}
_ANY_TEXT = frozenset({"client", "sip", "sips"})  # of calls; the address behind it may be any text
_LONGEST_NAME = max(map(len, _NAMES))
_printable = re.compile("[!-~]*")
# Parameters of calls that hold the caller's own words, or what the caller's telephone says.
_SPOKEN = "SpeechResult|StableSpeechResult|UnstableSpeechResult|TranscriptionText|SipHeader_"
_spoken_behind_from = re.compile(_SPOKEN).finditer
_spoken_before_to = re.compile("(?<!ble)SpeechResult|SipHeader_").search
_told_before_call = re.compile("AddOns|CallerName").search
_told_before_sid = re.compile("InteractiveData|Label|List(?:Description|Id|Title)").search
_told_before_from = re.compile("ErrorUrl|ForwardedFromsips?:").search

# Events of TaskRouter, Conversations, Video and conferences, and the debugger's. One at a time: a search for a literal
# takes a tenth of the time.
_OF_ANOTHER_PRODUCT = [
    re.compile(pattern).finditer
    for pattern in (
        *(f"{name}[0-9a-f]{{32}}" for name in ("WorkspaceSidWS", "ConversationSidCH", "RoomSidRM")),
        "PayloadTypeapplication/",
        "StatusCallbackEvent(?:participant|conference)-",
    )
]
_WITHOUT_SENDER = IDENTITY - {"AccountSid", "Body", "CallSid", "MessageSid"}
_PLACES_OF_SENDERS = frozenset({"FromCity", "FromCountry", "FromState", "FromZip"})
_begins_as_place = re.compile("(?:From)?(?:City|Country|State|Zip)").match
_glued_sender = re.compile(r"From(?=\S)(?!From[CSZ])").search
_glued_senders = re.compile(r"From(?=\S)(?!From[CSZ])").finditer
# What the authors of flows call a text, behind the value of a query, and an address behind a text.
_studio_text = re.compile(
    "(?<=[^?&=])(?:answer|body|content|input|message(?!S)|msg|reply|text)", re.IGNORECASE
).search
_studio_addresses = re.compile(
    r"(?<=[^?&=])(?:caller|contact|from|number|phone|sender|to)(?:[a-z]{1,20}:)?\+?[0-9]{5}"
).finditer
# The query that Twilio appends holds nothing else: https://url.spec.whatwg.org/#concept-urlencoded-serializer,
# and what https://github.com/twilio/twilio-node/pull/1194 reports as unescaped.
_query_only = re.compile(r"(?:[A-Za-z0-9.*_+=&~'()!@:$,-]|%[0-9A-F]{2})*").fullmatch
# A place takes up to 20 µs, and one that a name follows up to 7 ns a character of the whole. A person's text has at
# most 4,096 characters, on WhatsApp, and so at most 455 places and 146 that a name follows.
_MOST_PLACES, _MOST_SEARCHED_CHARS = 500, 1024 * 1024


@cache  # compiled when first needed: all of them would be two thirds of the package's import
def _later(above: str, *, loose: bool = False) -> re.Pattern[str]:
    """The names that may follow a field's, `loose` without those that are checked on their own."""
    passed = _STRICT if loose else frozenset()
    return re.compile("|".join(n for n in _NAMES if n > above and n not in passed))


@cache
def _long_later(above: str) -> re.Pattern[str]:
    """Those of them that are in no address by chance."""
    names = (n for n in _NAMES if n > above and (len(n) > 8 or n in _PLACES_OF_ENDS))
    return re.compile("|".join(names))


def _is_plain(signed: str, first: dict[str, str], shape: Shape) -> bool:
    """Whether nothing but the names of the parameters spells a name: so it is with nearly every webhook.

    The words are in the names and nowhere else, a SID is 34 characters long, and an address is a number, bare
    or of WhatsApp.
    """
    if (
        signed.count("From") != shape.senders
        or signed.count("To") != shape.receivers
        or signed.count("Sid") != shape.sids
        or signed.count("Direction") != shape.directions
    ):
        return False
    for name in shape.numbered:  # loops: `all` of a generator takes twice as long
        if len(first[name]) != _SID_CHARS:
            return False
    for name in shape.addresses:  # noqa: SIM110
        if not first[name].removeprefix("whatsapp:")[1:].isdigit():
            return False
    return True


def check_split(signed: str, form: Form, own_params: Sequence[str] = ()) -> None:
    """Refuse a signed string that Twilio could have signed for another webhook.

    Args:
        signed: The whole string that the signature covers.
        form: The parameters that are part of it; none for GET and JSON.
        own_params: Patterns of names that the account itself adds.

    Raises:
        RequestError: 403, with the name of the parameter in which the other webhook shows.
    """
    if form.shape is not None and _is_plain(signed, form.first, form.shape):
        query = signed.find("?")
        if query < 0 or not _studio_text(signed, query):
            return
    reading = _Reading(signed, form, own_params)
    if not form.first:
        reading.check_url()
        return
    reading.check_product()
    reading.check_names()
    reading.check_values()
    reading.check_places()
    reading.check_words()
    reading.check_studio()
    reading.check_query()


class _Place(NamedTuple):
    """Where an identity field may begin.

    Attributes:
        name: The field's name.
        at: Where it begins in the signed string.
        end: Behind its number or SID; of a `named` address where its free part begins.
        channel: Of an address, such as ``whatsapp``, or "".
        named: The channel and its colon where the address is not a number, such as ``client:``.
    """

    name: str
    at: int
    end: int
    channel: str = ""
    named: str = ""

    @property
    def is_client(self) -> bool:
        """Whether a client of the Voice SDK calls."""
        return self.name == "From" and self.named == "client:"


class _Reading:
    """A signed string as a form splits it.

    Attributes:
        spans: Each parameter's (begin, end of the name, end of the value), by its name; for a repeated name
            the first.
    """

    def __init__(self, signed: str, form: Form, own_params: Sequence[str]) -> None:
        self.signed, self.first, self.own_params = signed, form.first, own_params
        pairs = sorted(set(form.items()))
        at = self.begin = len(signed) - sum(len(name) + len(value) for name, value in pairs)
        # The beginning of the form that Twilio signed may be in the query, if it is another one.
        query = signed.find("?", 0, at)
        self.start = at if query < 0 else query
        self.spans: list[tuple[int, int, int, str]] = []
        self.begins: dict[str, int] = {}
        for name, value in pairs:
            middle = at + len(name)
            self.begins.setdefault(name, at)
            self.spans.append((at, middle, middle + len(value), name))
            at = middle + len(value)
        self.loose: dict[str, list[int]] = {}  # where later names are, by the field
        self.from_client = form.first.get("From", "").startswith("client:")

    def refuse(self, at: int, why: str) -> RequestError:
        """The refusal of what begins at a place, with the parameter that holds it."""
        name = next((name for begin, _, end, name in self.spans if begin <= at < end), "")
        return self.refuse_parameter(name, why)

    def refuse_parameter(self, name: str, why: str) -> RequestError:
        """The refusal of a parameter."""
        setting = "CONVOSTATE_OWN_PARAMS" if name and name not in DOCUMENTED else ""
        return RequestError(403, "re-split", why, parameter=name, setting=setting)

    def is_own(self, name: str) -> bool:
        """Whether the account has declared a name."""
        return name not in DOCUMENTED and any(
            fnmatchcase(name, pattern) for pattern in self.own_params
        )

    def check_product(self) -> None:
        """A sender, a receiver or a status is not in a form of a product that has none, only in its texts."""
        first = self.first
        if _WITHOUT_SENDER.isdisjoint(first) and first.get("MessageSid", "IM")[:2] == "IM":
            return
        for found in chain.from_iterable(find(self.signed) for find in _OF_ANOTHER_PRODUCT):
            at = found.start()
            spans = (each for each in self.spans if each[0] <= at < each[2])
            begin, middle, _, name = next(spans, (at, at, at, ""))
            if not (name.startswith("SipHeader_") and at < middle <= begin + 64):
                raise self.refuse_parameter(name, "it is a parameter of a webhook without a sender")

    def check_names(self) -> None:
        """An undocumented name is not a part of an identity field's, nor an identity field that goes on."""
        if DOCUMENTED.issuperset(self.first):
            return
        deciding = not _KINDS.isdisjoint(self.first)
        for begin, middle, _, name in self.spans:
            if name in DOCUMENTED or self.is_own(name):
                continue
            whole = self.signed[begin : middle + 40]
            if _sid_field(whole):
                raise self.refuse_parameter(name, "a name is a part of a SID's")
            for field in IDENTITY:
                if (len(field) > len(name) and whole.startswith(field)) or (
                    deciding
                    and field != "Body"
                    and field not in self.first
                    and name.startswith(field)
                ):
                    raise self.refuse_parameter(name, f"a name is a part of the parameter {field}")

    def check_values(self) -> None:
        """No number and no SID is lengthened by the parameters behind it."""
        sender = self.first.get("From", "")
        for field in ("From", "To"):
            if self._is_lengthened(field, self.first.get(field, "")):
                raise self.refuse_parameter(field, "an address goes on with a parameter's name")
            if (cut := self._is_shortened(field)) is not None:
                raise self.refuse_parameter(cut, "a name could be the end of an address")
        if not MESSAGE_SIDS.isdisjoint(self.first) and _channel_of(sender) in _ANY_TEXT:
            raise self.refuse_parameter("From", "a message is not from a client or SIP")
        if not _is_date(self.first.get("ApiVersion", "2010-04-01")):
            raise self.refuse_parameter("ApiVersion", "a date goes on with a parameter's name")
        for field in IDENTITY:
            if field.endswith("Sid") and len(self.first.get(field, "")) > _SID_CHARS:
                raise self.refuse_parameter(field, "a SID is longer than 34 characters")

    @staticmethod
    def _is_lengthened(field: str, address: str) -> bool:
        address = address[: 2 * MAX_ADDRESS_CHARS]  # a longer one is nobody's
        channel, number = _channel_of(address), _begins_as_number(address)
        if (number and _later(field).match(address, number.end())) or _place_of[field](address, 1):
            return True
        if channel in _ANY_TEXT:
            return _long_later(field).search(address, 1) is not None
        if channel and not number and _later(field).search(address, len(channel) + 1):
            return True
        return field == "From" and _glued_sender(address, 1) is not None

    def _is_shortened(self, field: str) -> str | None:
        """The undocumented parameter behind an address that may be any text."""
        if field not in self.first or self.from_client or _whole_number(self.first[field]):
            return None
        following = next((name for at, _, _, name in self.spans if at > self.begins[field]), "")
        is_known = following in DOCUMENTED or not following or following.startswith("SipHeader_")
        return None if is_known or self.is_own(following) else following

    def check_places(self) -> None:
        """No other identity field begins where the form begins none."""
        explained = {self.begins.get(name) for name in ("From", "To", "Direction")}
        for _, middle, end, name in self.spans:
            if name.endswith("Sid") and end - middle == _SID_CHARS:
                field = _field_of(name)
                if name in DOCUMENTED or field == "Sid":
                    explained |= {middle - len(field), middle - len(field.removeprefix("Sms"))}
        others = (place for place in self._places() if place.at not in explained)
        followed = (place for place in islice(others, _MOST_PLACES) if self._is_followed(place))
        for doubts, place in enumerate(followed):
            if self._is_declared(place.at):
                continue
            if doubts * len(self.signed) > _MOST_SEARCHED_CHARS or self._could_begin(place):
                raise self.refuse(place.at, f"{place.name} could begin in it")
        if next(others, None) is not None:
            raise RequestError(403, "re-split", "there are too many places where it could be split")

    def _is_declared(self, at: int) -> bool:
        """Whether the parameter at a place is one that the account has declared."""
        if not self.own_params:
            return False
        return any(begin <= at < end and self.is_own(name) for begin, _, end, name in self.spans)

    def _places(self) -> Iterator[_Place]:
        senders, receivers, sids, directions = _PLACES
        for name, pattern in (("From", senders), ("To", receivers)):
            for found in pattern.finditer(self.signed):
                number = found["number"]
                named = "" if number is not None else found["named"][:-1]
                address = number or named
                channel = _channel_of(address)
                yield _Place(name, found.start(), found.end() + len(address), channel, named)
        for found in sids.finditer(self.signed):
            name = _field_of(self.signed[max(0, found.start() - len("SmsMessage")) : found.end()])
            for field in dict.fromkeys((name, name.replace("SmsM", "M"))):  # a text may end in Sms
                yield _Place(field, found.end() - len(field), found.end() + _SID_CHARS)
        for found in directions.finditer(self.signed):
            yield _Place("Direction", found.start(), found.end())

    def _is_followed(self, place: _Place, most: str = "~") -> bool:
        """Whether the name of a later parameter follows the value, or the end; at most this name."""
        signed, name, end = self.signed, place.name, place.end
        if place.is_client:  # who chooses the names of parameters
            return True
        if place.named or (place.channel and not _later_name(signed, end, name)):
            run = end + len(_printable.findall(signed, end, end + MAX_ADDRESS_CHARS)[0])
            later = _later(name).finditer(signed, end, run + _LONGEST_NAME)
            return (name == "To" and run == len(signed)) or any(
                found.start() <= run and found[0] <= most for found in later
            )
        if end == len(signed):
            return name != "From"
        if name == "Direction" and not self.from_client:
            return "" < _later_name(signed, end, name) <= "From"
        if name in ("From", "To"):
            return "" < _later_name(signed, end, name) <= most
        return signed[end].isalpha() and (name == "Sid" or signed[end : end + len(name)] > name)

    def _could_begin(self, place: _Place) -> bool:
        """Whether Twilio could send a webhook in which the field begins there."""
        own = self.begins.get(place.name)
        if own is not None and own > place.at and not self._goes_on(place, own):
            return False
        if place.name == "From":
            return self._in_message(place) or self._in_call(place, own)
        if place.name == "To":
            return self._could_receive(place, own)
        return self._could_name(place)

    def _could_receive(self, place: _Place, own: int | None) -> bool:
        """`To` begins behind the text and the SID of a message, or behind the SID of a call."""
        signed, at = self.signed, place.at
        if self.from_client:
            return False
        if self._is_text(at) and _any_message_sid.search(signed, self.start, at):
            return True
        sender = self.begins.get("From", self.begin)
        is_call = _call_sid.search(signed, self.start, at) and _direction.search(
            signed, self.start, at
        )
        return is_call is not None and (
            own is None or own > at or _spoken_before_to(signed, sender, own) is not None
        )

    def _could_name(self, place: _Place) -> bool:
        """A SID or a direction begins before what follows it in every webhook, and behind what does not."""
        signed, at, end = self.signed, place.at, place.end
        sender = self.begins.get("From")
        client = signed.find("Fromclient:", end) >= 0  # who chooses the names of parameters
        if place.name == "AccountSid":  # it comes first
            return at <= self.begin or (client and _call_sid.search(signed, end) is not None)
        if place.name == "Sid":  # of another product, whose text a forged sender was in
            return sender is not None and sender < at and not _KINDS.isdisjoint(self.first)
        if place.name in ("CallSid", "Direction"):
            return self._could_be_called(place, client)
        own = self.begins.get("MessageSid")
        if (
            place.name == "MessageSid"
            and own is not None
            and own < at
            and not _told_before_sid(signed, self.start, own)
            and not _glued_sender(signed, own, at)
        ):
            return False  # nothing before the form's own could hold it
        # A call from a client or from SIP is not a message's, whose other SIDs are behind the first.
        is_call = "CallSid" in self.first and not _sms_sid(signed, end)
        is_call = is_call and _channel_of(self.first.get("From", "")) in _ANY_TEXT
        return (
            not is_call
            and self._is_text(at)
            and (sender is None or signed.find("From", self.start, at) >= 0)
        )

    def _could_be_called(self, place: _Place, client: bool) -> bool:
        """A call's SID and then its direction come before the caller; few free texts come before them."""
        signed, at, end = self.signed, place.at, place.end
        own = self.begins.get(place.name)
        if own is not None and own < at and not client and not _told_before_call(signed, self.start, own):  # fmt: skip
            return False
        if place.name == "Direction":
            return (
                _call_sid.search(signed, self.start, at) is not None
                and signed.find("From", end) >= 0
            )
        if own is not None and "Direction" not in self.first:
            return "From" not in self.first or signed.find("From", end) >= 0
        return _direction.search(signed, end) is not None

    def _is_text(self, at: int) -> bool:
        """Whether a message's text is before a place."""
        return _text(self.signed, self.start, at) is not None

    def _in_message(self, place: _Place) -> bool:
        """`From` begins behind the text of a message and before its SID."""
        channels = {place.channel, _channel_of(self.first.get("To", ""))}
        sids = _message_sid if "MessageSid" in self.first else _any_message_sid
        tail = self.begins.get("SmsMessageSid", -4) + 3  # another parameter
        return (
            self._is_text(place.at)
            and channels.isdisjoint(_ANY_TEXT)
            and (len(channels) == 1 or place.channel == "rcs")  # both ends are on one
            and self._is_followed(place, "MessageSid")
            and any(found.start() != tail for found in sids.finditer(self.signed, place.end))
        )

    def _in_call(self, place: _Place, own: int | None) -> bool:
        """`From` begins behind a call's SID and direction."""
        signed, at = self.signed, place.at
        if not _call_sid.search(signed, self.start, at):
            return False
        hider = own if own is not None and own < at else self.start
        directions = _direction.finditer(signed, hider, at + 1)
        if place.is_client:
            return hider > self.start or any(directions)
        return _told_before_from(signed, self.start, hider) is not None or any(
            found.end() == at or "" < _later_name(signed, found.end(), "Direction") < "From"
            for found in directions
        )

    def _goes_on(self, place: _Place, until: int) -> bool:
        """Whether a later parameter begins before `until`, and could hold what is there."""
        if place.is_client or self.from_client:
            return True
        if not place.named:
            following = _later_name(self.signed, place.end, place.name)
            if following and following not in _STRICT:
                return True
        name = place.name
        if name not in self.loose:
            self.loose[name] = [
                found.start() for found in _later(name, loose=True).finditer(self.signed)
            ]
        begins = self.loose[name]
        at = bisect_left(begins, place.end)
        return at < len(begins) and begins[at] <= until

    def check_words(self) -> None:
        """No sender that is a word is hidden: where one is glued to `From`, the form begins a sender or its place."""
        first, signed = self.first, self.signed
        sender = first.get("From", "")
        is_missing = not sender or _begins_as_place(sender) is not None
        own = self.begins.get("From", self.begin)
        sids = [at for name, at in self.begins.items() if name in MESSAGE_SIDS and first[name][:2] != "IM"]  # fmt: skip
        begin, end = self.begin, len(signed)
        if sids:
            if ":" in first.get("To", "") and not is_missing:
                return  # every sender on a channel looks like one
            begin, end = begin if is_missing else own + len("From"), min(sids)
        elif is_missing and "Direction" not in first:
            return
        elif not is_missing:  # a caller's, behind the call's SID and before the caller's words
            call = _call_sid.search(signed, self.start, own)
            spoken = [found.start() for found in _spoken_behind_from(signed, begin, own)]
            if call is None or not spoken:
                return
            begin, end = call.end(), spoken[-1] + 1
        ours = {self.begins.get(name) for name in ("From", *_PLACES_OF_SENDERS)}
        if not sids and not is_missing:
            ours.add(self.begins.get("ForwardedFrom", 0) + len("Forwarded"))
        for found in _glued_senders(signed, begin, max(begin, end)):
            if found.start() not in ours:
                raise self.refuse(found.start(), "a sender could begin in it")

    def check_url(self) -> None:
        """A URL that was signed alone is not a URL and a form: a form's account is right behind the URL."""
        for place in self._places():
            if place.name == "AccountSid" and self._is_followed(place):
                raise RequestError(403, "re-split", "AccountSid could begin a form in the URL")

    def check_studio(self) -> None:
        """A query and a form are not the form that a flow of Twilio Studio sends, whose author chooses the names."""
        if not _studio_text(self.signed, self.start, self.begin):
            return
        ours = self.begins.values()
        for found in _studio_addresses(self.signed, self.start):
            if found.start() not in ours:
                raise self.refuse(
                    found.start(), "the query and the form could be one of Twilio Studio's"
                )

    def check_query(self) -> None:
        """A URL and a form were not signed as one URL, whose query names another account, sender or SID."""
        if "AccountSid=" not in self.signed or not _query_only(self.signed, self.begin):
            return
        before = self.signed[: self.begin]
        if "?" not in before:
            return
        query = self.signed.partition("?")[2]
        try:
            get = parse_query(query).first
        except RequestError:
            return
        sids = [name for name in ("CallSid", *MESSAGE_SIDS) if _whole_sid(get.get(name, ""))]
        if not _whole_sid(get.get("AccountSid", "")) or not sids or "From" not in get:
            return
        # Where the URL ends and the form begins, the GET's value goes on: so it holds free text.
        cut = before.rpartition("&")[2].rpartition("?")[2].partition("=")[0]
        if cut in _STRICT:
            return
        if cut not in DOCUMENTED and not get.get("From", "").startswith(("client:", "sip:")):
            return
        if any(get.get(name, "") != self.first.get(name, "") for name in ("AccountSid", "From", *sids)):  # fmt: skip
            raise self.refuse_parameter(cut, "the query and the form could be one query")


_KINDS = frozenset({"MessageSid", "SmsSid", "CallSid"})


def _field_of(name: str) -> str:
    """The guarded field that a name ends in; of another SID's name ``Sid``."""
    return next((field for field in _GUARDED_SIDS if name.endswith(field)), "Sid")


def _channel_of(address: str) -> str:
    """What is before the colon of an address; "" of a telephone number."""
    found = _channel(address)
    return found[0][:-1] if found is not None else ""


def _later_name(text: str, at: int, above: str) -> str:
    """The parameter's name that is at a place, if it sorts behind `above`; else ""."""
    found = _name.match(text, at)
    return found[0] if found is not None and found[0] > above else ""
