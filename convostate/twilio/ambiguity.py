"""The re-split guard: one signed string, one reading.

Twilio's signed string has no delimiters, so the signature of an attacker's own text

    …Body hiFrom+1VICTIMFromA From +1ATTACK…      (blanks only here, to show the parameters)

also signs another split of the same characters, with another sender:

    …Body hi From +1VICTIM FromAFrom +1ATTACK…

The rule (`check_places`):

1. Find every place in the signed string where an identity field could begin: `From` or `To` before an
   address, the name of a SID before a SID, `Direction` before its value (`_places`). A forger cannot remove the
   true places, because they are signed.
2. Pass over the places that the form explains: that very parameter begins there, or they are in the JSON of
   an add-on, which could end nowhere else (`_skip_add_ons`).
3. Refuse if Twilio could have signed a webhook in which the field begins at another place (`_could_begin`). It
   could not if
   - no name of a later parameter follows the value (names are sorted; `_is_followed`), or
   - a field that such a webhook has before or after this one is not there (`_fits`), or
   - the form begins the field later, and no parameter between the two could hold that (`_goes_on`), or
   - the form begins the field earlier, and no parameter before that holds free text (`_fits`): the true
     webhook could not hide it.

A sender that does not look like an address is found by the word `From`: between the sender and the SIDs of an
SMS, or between the direction and the sender of a call, and behind that sender as far as a URL before it could reach
(`check_words`).

The guard also refuses

- a parameter of a product without senders in a form that has one (`check_product`),
- an undocumented name that is a part of an identity field (`check_names`),
- an address or a SID that a parameter's name follows (`check_values`),
- a URL that could be a form, and a form that could be a URL (`url_ambiguity`).

Limits: the author of a flow in Twilio Studio chooses the names of its parameters. If the flow calls a URL with
a query, a text under an unusual name could spell a form of its own. People's own words can move between their
own parameters (`Body`, `ButtonText`). A sender that begins with a blank or ``=`` is not found. `To` of a call
from `client:` is what that client asked for, so it is not guarded; and a client may lengthen its own identity by
the names of its parameters, or take another call's SID by one such as `CallSidC`. Parameters that match
CONVOSTATE_OWN_PARAMS are trusted: `callFrom` with `client:x` may also be the `c` of a client that chooses the names.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from fnmatch import fnmatchcase
from functools import cache
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from convostate.errors import RequestError
from convostate.twilio.form import DOCUMENTED, IDENTITY, MESSAGE_SIDS, NOT_FREE, SID
from convostate.twilio.url_ambiguity import check_query, check_studio, check_url, studio_text
from convostate.twilio.webhook import MAX_ADDRESS_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convostate.twilio.form import Form, Shape

# An optional channel, then + and two digits, or five digits. Shorter numbers occur by chance in the 700 random
# characters of a CallToken: 17 of 20,000 with three digits, 0 with these. Bounded, so that the search is linear.
_CHANNEL = "(?P<channel>[a-z][a-z0-9]{1,23}):"
_NUMBER = r"(?P<number>(?:\+[0-9]{2}|[0-9]{5})[0-9]*)"
_ADDRESS = f"(?:{_CHANNEL})?(?:{_NUMBER}|(?<=:)[!-~])"
_SID_CHARS = 34
_ADDRESSES = {name: re.compile(f"{name}(?={_ADDRESS})") for name in ("From", "To")}
_sids = re.compile(f"Sid(?<=[a-z]Sid)(?={SID})").finditer
_channel = re.compile(_CHANNEL).match
_WITH_NUMBER = re.compile(f"(?:{_CHANNEL})?{_NUMBER}")
_whole_sid = re.compile(SID).fullmatch
_printable = re.compile("[!-~]*").match

_DECIDING = frozenset({"MessageSid", "SmsSid", "CallSid"})  # the kind of a webhook
_GUARDED_SIDS = ("SmsMessageSid", "AccountSid", "MessageSid", "SmsSid", "CallSid")
_ANY_TEXT = frozenset({"client", "sip", "sips"})  # of calls; the address behind it may be any text
# Of two that begin alike, the longer one first.
_NAMES = sorted({*DOCUMENTED, "SipHeader_"}, reverse=True)
# Twilio's names are words; one that is not documented begins like one.
_name = re.compile(rf"(?P<known>{'|'.join(_NAMES)})|[A-Z][a-z]{{2,40}}")
# What may be in a word, or in the address of a client or of SIP.
_PLACES = {"FromCity", "FromState", "FromZip", "ToCity", "ToState", "ToZip"}
_BY_CHANCE = frozenset(name for name in _NAMES if len(name) < 9) - _PLACES

# The fields that every webhook with a sender has, in their order, and how they show in a signed string.
_MESSAGE: tuple[str, ...] = ("Body", "From", "MessageSid")
_CALL: tuple[str, ...] = ("CallSid", "Direction", "From")
_SHOWN = {
    "Body": re.compile("Body(?<![?&=]Body)"),  # not the name of a query
    "CallSid": re.compile(f"CallSid{SID}"),
    "Direction": re.compile(
        "Direction(?:inbound|outbound-api|outbound-dial|trunking-[a-z]{1,20})(?=[D-F])"
    ),
    "From": re.compile("From"),
    # IM…: of Twilio Conversations, without a sender
    "MessageSid": re.compile(f"MessageSid(?!IM){SID}"),
    "SmsSid": re.compile(f"Sms(?:Message)?Sid{SID}"),
}
_LAST = {name: re.compile(f"(?s:.*)({shown.pattern})").match for name, shown in _SHOWN.items()}
# The fields that are guarded in each, and the parameters before them that hold free text: in a message mostly its text.
_FREE = {
    _MESSAGE: {
        **dict.fromkeys(("From", "SmsMessageSid", "SmsSid", "To"), re.compile("")),  # Body
        "MessageSid": re.compile("InteractiveData|Label|List(?:Description|Id|Title)"),
    },
    _CALL: {
        **dict.fromkeys(
            ("CallSid", "Direction"), re.compile("AddOns|CallerName|DialSip(?:CallId|Header_)")
        ),
        # The query of a GET that failed holds what a caller said.
        "From": re.compile(r"ErrorUrlhttp[!->@-~]*(?P<query>\?)?|ForwardedFromsips?:(?P<user>)"),
        "To": re.compile(
            "(?:Stable|(?<!ble))SpeechResult|HandoffData|ReferTransferTarget|SipCallId|SipHeader_(?<!DialSipHeader_)"
        ),
    },
}

# Events of TaskRouter, Conversations, Sync, Video, live transcriptions and conferences, and the debugger's. One at a time: a search for a
# literal takes a tenth of the time.
_OF_ANOTHER_PRODUCT = [
    re.compile(pattern).finditer
    for pattern in (
        *(f"{name}[0-9a-f]{{32}}" for name in ("WorkspaceSidWS", "ServiceSidIS", "RoomSidRM")),
        "PayloadTypeapplication/",
        "TranscriptionEventtranscription-",
        "StatusCallbackEvent(?:participant|conference)-",
    )
]
_WITHOUT_SENDER = IDENTITY - {"AccountSid", "Body", "CallSid", "MessageSid"}
_PLACES_OF_SENDERS = frozenset({"FromCity", "FromCountry", "FromState", "FromZip"})
_begins_as_place = re.compile("(?:From)?(?:City|Country|State|Zip)").match
# A sender that is a word or a raw caller ID begins with any character but a blank; From= is of a link. Beside a call
# there may be URLs (From%3A), a client's JSON (From") and prose (From: me).
_word_of_message = re.compile(r"From(?![\s=]|From[CSZ])(?=.)").finditer
_word_of_call = re.compile(r'From(?!\W?\s|["%=\\]|From[CSZ])(?=.)').finditer
_in_name_of_query = re.compile("(?<=To)[a-z]+=").match  # CallToken=
# A place takes up to 20 µs. The longest text is WhatsApp's, with 4,096 characters: at most 819 places (`To+12`).
_MOST_PLACES = 820


@cache  # compiled when first needed: all of them would be two thirds of the package's import
def _later(above: str, most: str = "~", without: frozenset[str] = frozenset()) -> re.Pattern[str]:
    """A pattern of the documented names that sort after a field's, up to one."""
    names = [name for name in _NAMES if above < name <= most and name not in without]
    # By their first two letters: one alternation of all takes three times as long.
    alike = groupby(names, key=lambda name: name[:2])
    return re.compile(
        "|".join(f"{two}(?:{'|'.join(name[2:] for name in each)})" for two, each in alike) or "(?!)"
    )


def _is_plain(signed: str, first: dict[str, str], shape: Shape) -> bool:
    """Whether only the parameters' own names spell a name, as in most webhooks.

    The words `From`, `To`, `Sid` and `Direction` occur in names only, every SID has 34 characters, and every
    address is a telephone number, bare or on WhatsApp.
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


def check_split(signed: str, form: Form, query: str, own_params: Sequence[str] = ()) -> None:
    """Refuse a signed string that Twilio could have signed for another webhook.

    Args:
        signed: The whole string that the signature covers.
        form: The parameters that are part of it; empty for GET and JSON.
        query: The raw query of its URL, or "".
        own_params: Patterns of the names that the account itself adds.

    Raises:
        RequestError: 403, with the name of the parameter that could hold another webhook's field.
    """
    if (
        form.shape is not None
        and _is_plain(signed, form.first, form.shape)
        and not (query and studio_text(query))
    ):
        return
    if not form.first:
        check_url(signed)
        return
    reading = Reading(signed, form, own_params)
    reading.check_product()
    reading.check_names()
    reading.check_values()
    reading.check_places()
    reading.check_words()
    check_studio(reading)
    check_query(reading)


class _Place(NamedTuple):
    """Where an identity field could begin.

    Attributes:
        name: The field's name.
        at: Where it begins in the signed string.
        end: Where its number, SID or direction ends; for another address, where its channel ends.
        behind: The name of a later parameter there, or "".
        channel: The address's, such as ``whatsapp``, or "".
        is_number: The value is not an address such as ``client:ada``.
    """

    name: str
    at: int
    end: int
    behind: str
    channel: str = ""
    is_number: bool = True


class Reading:
    """A signed string, split as the form says.

    Attributes:
        begin: Where the form begins.
        start: Where another form could begin at the earliest: at the query, if there is one.
        spans: Each parameter's (begin, end of the name, end of the value, name), in order.
        begins: Where each name begins; if it is repeated, the first one.
        channel: The sender's, such as ``client``, or "".
        decides: Whether it is a message or a call.
    """

    def __init__(self, signed: str, form: Form, own_params: Sequence[str]) -> None:
        self.signed, self.first, self.own_params = signed, form.first, own_params
        pairs = sorted(set(form.items()))
        at = self.begin = len(signed) - sum(len(name) + len(value) for name, value in pairs)
        query = signed.find("?", 0, at)
        self.start = at if query < 0 else query
        self.spans: list[tuple[int, int, int, str]] = []
        self.begins: dict[str, int] = {}
        for name, value in pairs:
            middle = at + len(name)
            self.begins.setdefault(name, at)
            self.spans.append((at, middle, middle + len(value), name))
            at = middle + len(value)
        self.client = signed.rfind("Fromclient:")
        if self.client < 0:  # whose sender chooses names, so that AddOns may be another one's value
            self._skip_add_ons()
        self.run = _run_from(signed, self.begin, len(signed))
        self.firsts: dict[str, int] = {}
        self.lasts: dict[str, int] = {}
        self.later: dict[tuple[str, str, frozenset[str]], int] = {}
        self.windows: dict[tuple[tuple[str, ...], str], tuple[int, int, int]] = {}
        self.channel = _channel_of(form.first.get("From", ""))
        self.receivers_channel = _channel_of(form.first.get("To", ""))
        self.decides = not _DECIDING.isdisjoint(form.first)

    def _skip_add_ons(self) -> None:
        """Look for nothing in the AddOns behind the account: no part of a JSON object is one, so it ends nowhere else."""
        if [span[3] for span in self.spans[:2]] == ["AccountSid", "AddOns"]:
            _, begin, end, _ = self.spans[1]
            text = self.signed[begin:end]
            if text.endswith("}") and _is_object(text):
                self.signed = self.signed[:begin] + '"' * len(text) + self.signed[end:]

    def _places(self) -> Iterator[_Place]:
        signed = self.signed
        for name, pattern in _ADDRESSES.items():
            for found in pattern.finditer(signed):
                channel, is_number = found["channel"] or "", found["number"] is not None
                end = found.end("number") if is_number else found.end("channel") + 1
                behind = _later_name(signed, end, name) if is_number else ""
                yield _Place(name, found.start(), end, behind, channel, is_number)
        for found in _sids(signed):
            at, middle = found.span()
            end = middle + _SID_CHARS
            for name in _fields_of(signed[max(0, at - len("SmsMessage")) : middle]):
                yield _Place(name, middle - len(name), end, _later_name(signed, end, name))
        for found in _SHOWN["Direction"].finditer(signed):
            at, end = found.span()
            yield _Place("Direction", at, end, _later_name(signed, end, "Direction"))

    def holder(self, at: int) -> str:
        """The name of the parameter that covers a position; before the form ""."""
        index = bisect_right(self.spans, at, key=itemgetter(0)) - 1
        return self.spans[index][3] if index >= 0 else ""

    def refuse(self, name: str, why: str) -> None:
        """Refuse because of a parameter, unless the account has declared its name."""
        setting = "CONVOSTATE_OWN_PARAMS" if name and name not in DOCUMENTED else ""
        if setting and any(fnmatchcase(name, pattern) for pattern in self.own_params):
            return
        raise RequestError(403, "re-split", why, parameter=name, setting=setting)

    def check_product(self) -> None:
        """A form with a sender, a receiver or a status has no parameter of a product without them."""
        first = self.first
        if _WITHOUT_SENDER.isdisjoint(first) and first.get("MessageSid", "IM")[:2] == "IM":
            return
        for find in _OF_ANOTHER_PRODUCT:
            for found in find(self.signed):
                name = self.holder(found.start())
                is_in_name = found.start() < self.begins.get(name, 0) + len(name)
                if not (name.startswith("SipHeader_") and is_in_name and len(name) <= 64):
                    self.refuse(name, "it belongs to webhooks that have no sender")

    def check_names(self) -> None:
        """No undocumented name is the beginning of an identity field's name, or begins with a missing one."""
        missing = IDENTITY - self.first.keys() - {"Body"}
        for begin, middle, _, name in self.spans:
            if name in DOCUMENTED:
                continue
            whole = self.signed[begin : middle + 40]
            for field in IDENTITY:
                is_part = len(field) > len(name) and whole.startswith(field)
                goes_on = field in missing and name.startswith(field)
                if is_part or (goes_on and (self.decides or field.endswith("Sid"))):
                    self.refuse(name, f"a name is a part of the parameter {field}")

    def check_values(self) -> None:
        """No address and no SID has swallowed the parameters that follow it."""
        first = self.first
        for field in ("ForwardedFrom", "From", "To"):
            if _is_lengthened(field, first.get(field, "")):
                self.refuse(field, "an address continues with a parameter's name")
            if (cut := self._cut_of(field)) not in DOCUMENTED:
                self.refuse(cut, "a name could be the end of an address")
        if self.channel in _ANY_TEXT and not MESSAGE_SIDS.isdisjoint(first):
            self.refuse("From", "a message is not from a client or SIP")
        for field in _GUARDED_SIDS:
            if field not in first:
                continue
            size, begin = len(first[field]), self.begins[field] + len(field)
            if size > _SID_CHARS:
                self.refuse(field, "a SID is longer than 34 characters")
            if size < _SID_CHARS and _whole_sid(self.signed, begin, begin + _SID_CHARS):
                self.refuse(field, "a SID goes on in the next parameter's name")

    def _cut_of(self, field: str) -> str:
        """The parameter that follows an address of any text and could belong to it; else the address's own name."""
        address = self.first.get(field)
        if address is None or self.channel == "client" or _WITH_NUMBER.fullmatch(address):
            return field
        name = next((name for at, _, _, name in self.spans if at > self.begins[field]), field)
        return field if name.startswith("SipHeader_") else name

    def check_places(self) -> None:
        """No identity field could begin at a place where the form does not begin it."""
        explained = {self.begins.get(name) for name in ("From", "To", "Direction")}
        for _, middle, end, name in self.spans:
            fields = _fields_of(name)
            if end - middle == _SID_CHARS and (name in DOCUMENTED or fields == ("Sid",)):
                explained.update(middle - len(field) for field in fields)
        others = (place for place in self._places() if place.at not in explained)
        for place in islice(others, _MOST_PLACES):
            if self._could_begin(place):
                self.refuse(self.holder(place.at), f"{place.name} could begin in it")
        if next(others, None) is not None:
            self.refuse("", "there are too many places where it could be split")

    def _is_followed(self, place: _Place, most: str = "~") -> bool:
        """Whether a parameter could follow whose name sorts after the field's, up to one; or the end."""
        signed, name, end = self.signed, place.name, place.end
        if name not in _ADDRESSES:
            if end == len(signed):
                return True
            if name == "Sid":
                return signed[end].isalpha()
            # Not `AgentCallSid` before the form's own `CallSid`.
            is_own = end == self.begins.get(name)
            return signed[end].isalpha() and not is_own and signed[end : end + len(name) + 1] > name
        if place.is_number:
            if name < place.behind <= most or end == len(signed):
                return True
            if not place.channel:
                return False
        elif place.channel == "client" and name == "From":  # it chooses the names
            return True
        run = _run_from(signed, end, end + MAX_ADDRESS_CHARS)
        return (name == "To" and run == len(signed)) or self._next(name, end, most) <= run

    def _could_begin(self, place: _Place) -> bool:
        """Whether Twilio could send a webhook in which the field begins there."""
        name, at, own = place.name, place.at, self.begins.get(place.name)
        if not self._is_followed(place):
            return False
        if own is not None and own > at and not self._goes_on(place, own):
            return False
        if name == "AccountSid":  # it comes first, behind a URL that may have been longer
            return (
                at <= self.begin
                or (not NOT_FREE.isdisjoint(self.first) and self.begins_in_url(at))
                or at <= min(self.client, self._last("CallSid"))
            )
        if name == "Sid":  # of another product, whose text a forged sender was in
            return self.decides and self.begins.get("From", at) < at
        sid = self.signed[place.end - _SID_CHARS : place.end]
        if name not in _ADDRESSES and sid[:2] == "IM":  # of Twilio Conversations
            return self._first("Body") <= at
        if name == "To" and self.channel == "client":  # the client chooses whom it calls
            return False
        return self._fits(place, _CALL) or (
            self._is_of_message(place) and self._fits(place, _MESSAGE)
        )

    def _goes_on(self, place: _Place, until: int) -> bool:
        """Whether a parameter that sorts after the field begins before `until`, and could hold what is there."""
        if self.client >= 0:
            return True
        if place.behind and place.behind not in NOT_FREE:
            return True
        return self._next(place.name, place.end, without=NOT_FREE) <= until

    def _fits(self, place: _Place, kind: tuple[str, ...]) -> bool:
        """Whether the other fields of such a webhook are around the place, and free text could hold the form's own field."""
        name, at, own = place.name, place.at, self.begins.get(place.name)
        if name not in _FREE[kind]:
            return False
        opens, closes, hides = self.windows.get((kind, name)) or self._window(kind, name)
        is_hidden = at <= hides or own is None or at < own or at <= self.client
        return is_hidden and opens <= at and place.end <= closes

    def _window(self, kind: tuple[str, ...], name: str) -> tuple[int, int, int]:
        """Where a field could begin and end, and how far a parameter with free text before the form's own one could go, or -1."""
        opens = max((self._first(field) for field in kind if field < name), default=0)
        closes = min(
            (self._last(field) for field in kind if field > name), default=len(self.signed)
        )
        own, free, signed = self.begins.get(name, 0), _FREE[kind][name], self.signed
        if kind is _CALL and name == "From":  # in a URL
            urls = [url.end() for url in free.finditer(signed, self.start, own) if url.lastgroup]
            hides = _run_from(signed, urls[-1], len(signed)) if urls else -1
        elif (found := free.search(signed, self.start, own)) is None:
            hides = -1
        elif found[0] == "StableSpeechResult":  # what may follow comes behind the receiver
            hides = signed.rfind("UnstableSpeechResult")
        else:
            hides = len(signed)
        self.windows[kind, name] = opens, closes, hides
        return opens, closes, hides

    def _first(self, field: str) -> int:
        """Where a field ends that begins at the query or behind it; behind the text if there is none."""
        if field not in self.firsts:  # a long text is searched for few of them
            found = _SHOWN[field].search(self.signed, self.start)
            self.firsts[field] = len(self.signed) + 1 if found is None else found.end()
        return self.firsts[field]

    def _last(self, field: str) -> int:
        """Where a field could begin for the last time, or -1."""
        if field not in self.lasts:
            found = _LAST[field](self.signed)
            self.lasts[field] = -1 if found is None else found.start(1)
        return self.lasts[field]

    def begins_in_url(self, until: int) -> bool:
        """Whether the first parameter could be the end of the URL that was signed: ``2`` of ``/sms?tenant=42``."""
        return until <= self.run and self.begins.get("AccountSid") != self.begin

    def _is_of_message(self, place: _Place) -> bool:
        """Whether the field could be a message's: both ends are on one channel, not a call's, and its SIDs are together."""
        if place.name == "From":
            channel, other = place.channel, self.receivers_channel
            is_one = channel in (other, "rcs") and channel not in _ANY_TEXT
            return is_one and self._is_followed(place, "MessageSid")
        return self.channel not in _ANY_TEXT or place.end <= self._last("SmsSid")

    def _next(
        self, above: str, begin: int, most: str = "~", without: frozenset[str] = frozenset()
    ) -> int:
        """Where the next name begins that sorts after a field's, or behind the text.

        Places come in order, so the searches for all of them together read the text once.
        """
        key = above, most, without
        at = self.later.get(key, 0)
        if at < begin:
            found = _later(*key).search(self.signed, begin)
            at = self.later[key] = len(self.signed) + 1 if found is None else found.start()
        return at

    def check_words(self) -> None:
        """No sender that is a word is hidden: wherever a word follows `From`, the form begins a sender or its city there."""
        first = self.first
        sender, own = first.get("From", ""), self.begins.get("From", self.begin)
        is_missing = not sender or _begins_as_place(sender) is not None
        sids = [at for name, at in self.begins.items() if name in MESSAGE_SIDS and first[name][:2] != "IM"]  # fmt: skip
        words = _word_of_message if sids or is_missing else _word_of_call
        begin, end = self.begin, len(self.signed)
        ours = {self.begins.get(name) for name in _PLACES_OF_SENDERS}
        if sids:
            if ":" in first.get("To", "") and not is_missing:
                return  # every sender on a channel looks like an address
            begin = max(begin if is_missing else own + len("From"), self._first("Body"))
            end = min(sids)
        elif is_missing and "Direction" not in first:
            return
        else:
            ours.add(self.begins.get("ForwardedFrom", 0) + len("Forwarded"))
        if words is _word_of_call:  # behind its direction, up to the sender or in a URL before it
            begin = self._first("Direction")
            end = max(own, self._window(_CALL, "From")[2] + len("From."))
        self.later.clear()  # words come in order as places do
        found = words(self.signed, begin, max(begin, end))
        for each in islice(found, _MOST_PLACES):
            name = self.holder(each.start())
            if name == "From" or each.start() in ours:
                continue
            if words is _word_of_message or self._is_caller(each.end(), own):
                self.refuse(name, "a sender could begin in it")
        if next(found, None):
            self.refuse("", "there are too many places where it could be split")

    def _is_caller(self, at: int, own: int) -> bool:
        """Whether a parameter follows a word as it follows a caller: not in the query of a URL, nor behind the form's own caller."""
        end = at + MAX_ADDRESS_CHARS if at > own else min(own, at + MAX_ADDRESS_CHARS)
        name = _later("From").match(self.signed, self._next("From", at))
        if name is None or name.end() > end or _in_name_of_query(self.signed, name.end()):
            return False
        return self.signed.find("=", at, name.end() + 1) < 0


def _fields_of(name: str) -> tuple[str, ...]:
    """The guarded fields that a name ends with; ``Sid`` for the name of another SID."""
    return tuple(field for field in _GUARDED_SIDS if name.endswith(field)) or ("Sid",)


def _is_lengthened(field: str, address: str) -> bool:
    """Whether the name of a later parameter is in an address."""
    address = address[: 2 * MAX_ADDRESS_CHARS]  # no address is longer
    channel, number = _channel_of(address), _WITH_NUMBER.match(address)
    if any(begins.search(address, 1) for begins in _ADDRESSES.values()):
        return True
    if field == "From" and channel not in _ANY_TEXT and next(_word_of_call(address, 1), None):
        return True
    if channel and channel not in _ANY_TEXT:
        return _later(field).search(address, len(channel) + 1) is not None
    if number and not channel and _later(field).match(address, number.end()):
        return True
    return _later(field, without=_BY_CHANCE).search(address, 1) is not None


def _is_object(text: str) -> bool:
    """Whether it is a JSON object."""
    try:
        return type(json.loads(text)) is dict
    except (ValueError, RecursionError):
        return False


def _channel_of(address: str) -> str:
    """What is before the colon of an address, or ""."""
    found = _channel(address)
    return found["channel"] if found is not None else ""


def _run_from(text: str, at: int, end: int) -> int:
    """Where the printable characters end that begin at a position."""
    found = _printable(text, at, end)
    return at if found is None else found.end()


def _later_name(text: str, at: int, above: str) -> str:
    """The parameter name at a position if it sorts after `above`, else ""."""
    found = _name.match(text, at)
    return found[0] if found is not None and found[0] > above else ""
