"""The re-split guard's rules about the URL, which is signed with nothing between it and the form.

- A URL that was signed alone could not be a URL and a form (`check_url`).
- A URL and a form could not be one URL, that of a GET webhook (`check_query`).
- The query and the form could not be one form of Twilio Studio (`check_studio`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from convostate.errors import RequestError
from convostate.twilio.form import DOCUMENTED, MESSAGE_SIDS, NOT_FREE, SID, parse_query

if TYPE_CHECKING:
    from convostate.twilio.ambiguity import Reading

_whole_sid = re.compile(SID).fullmatch
_accounts = re.compile(f"AccountSid{SID}").finditer

# Free text of an event without a sender, and what marks such an event beside EventType.
_MARKS = {
    "Payload": "PayloadType",
    "TranscriptionData": "TranscriptionEvent",
    **dict.fromkeys(("ParticipantIdentity", "RoomName", "TrackName"), "RoomSid"),
}
# Every character of a query that Twilio appends: https://url.spec.whatwg.org/#concept-urlencoded-serializer,
# and what https://github.com/twilio/twilio-node/pull/1194 reports as unescaped.
_query_only = re.compile(r"(?:[A-Za-z0-9.*_+=&~'()!@:$,-]|%[0-9A-F]{2})*").fullmatch
# What the authors of flows call a text (after the value of a query) and an address (after a text).
studio_text = re.compile(
    "(?<=[^?&=])(?:answer|body|content|input|message(?!S)|msg|reply|text)", re.IGNORECASE
).search
_studio_addresses = re.compile(
    r"(?<=[^?&=])(?:caller|contact|from|number|phone|sender|to)(?:[a-z]{1,20}:)?\+?[0-9]{5}"
).finditer


def check_url(signed: str) -> None:
    """A form begins with its account, right after the URL, so no name may follow an account in a URL."""
    for found in _accounts(signed):
        rest = signed[found.end() : found.end() + len("AccountSid") + 1]
        if not rest or (rest[0].isalpha() and rest > "AccountSid"):
            raise RequestError(403, "re-split", "AccountSid could begin a form in the URL")


def check_studio(reading: Reading) -> None:
    """The author of a flow chooses the names of its parameters, so they could begin in the query."""
    if not studio_text(reading.signed, reading.start, reading.begin):
        return
    ours = reading.begins.values()
    for found in _studio_addresses(reading.signed, reading.start):
        if found.start() not in ours:
            name = reading.holder(found.start())
            reading.refuse(name, "the query and the form could be one of Twilio Studio's")


def check_query(reading: Reading) -> None:
    """No query that Twilio could have signed goes on in the form and names another account, sender or SID."""
    path, mark, query = reading.signed.partition("?")
    at = max(reading.begin, len(path + mark))  # a query that begins in the form had a longer URL
    if (
        NOT_FREE.isdisjoint(reading.first)
        or "AccountSid=" not in query
        or not _query_only(reading.signed, at)
    ):
        return
    is_longer = reading.begins_in_url(at)
    if at > reading.begin and not is_longer:
        return
    try:
        get = parse_query(query).first
    except RequestError:
        return
    if not _whole_sid(get.get("AccountSid", "")):
        return
    # The query's last value would go on in the form, so only a parameter with free text can be the last.
    url = reading.signed[: reading.begin]
    last = url.rpartition("&")[2].rpartition("?")[2].partition("=")[0]
    sids = [name for name in ("CallSid", *MESSAGE_SIDS) if _whole_sid(get.get(name, ""))]
    marks = _MARKS.values() if is_longer else [_MARKS.get(last, "")]
    is_event = "EventType" in get or not get.keys().isdisjoint(marks)
    is_of_someone = bool(sids) and "From" in get
    if is_longer:
        cut = reading.spans[0][3]
        is_get = is_event or is_of_someone or "AccountSid=" in reading.signed[reading.begin :]
    else:
        cut = last
        names_its_own = is_event or get.get("From", "").startswith(("client:", "sip:"))
        is_free = last not in NOT_FREE and (last in DOCUMENTED or names_its_own)
        is_get = is_free and (is_event or is_of_someone)
    if is_get and any(
        get.get(name, "") != reading.first.get(name, "") for name in ("AccountSid", "From", *sids)
    ):
        reading.refuse(cut, "the query and the form could be one query")
