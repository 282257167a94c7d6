"""Forgeries: other splits of what Twilio has signed for somebody who writes what a re-split needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from convostate.twilio.form import DOCUMENTED, IDENTITY
from convostate.twilio.signature import Request, sign
from convostate.twilio.webhook import kind_and_pair
from tests.genuine import FORMS, ORIGIN, Params, Sender
from tests.proving import SECRETS
from tests.served import FORM, TOKEN, URL, US

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

VICTIM = "+15550100001"
OTHER = "0" * 31 + "9"
PIECES = [
    *(f"From{VICTIM}", f"Fromwhatsapp:{VICTIM}", "Fromclient:victim", f"Fromsip:{VICTIM}@example.com", "Fromrcs:victim", f"To{VICTIM}", f"To{US}", f"Towhatsapp:{US}"),
    *(f"CallSidCA{OTHER}", f"MessageSidSM{OTHER}", f"SmsSidSM{OTHER}", f"SmsMessageSidSM{OTHER}", f"AccountSidAC{OTHER}", "Directioninbound", "Directionoutbound-api"),
    *("MessageStatussent", "SmsStatusreceived", "CallStatusringing", "Body", "From", "To", "Forwarded", "FromCity", "ToZip", "FromA", "E", "F", "G", "Label", "ProfileName"),
    *("SpeechResult", "SipHeader_X-", "SipHeader_X-From", "SipHeader_X-To", "call", "Phone", "Transfer", "x", "Zz", "12", " ", "hi", "Sms", "Parent", "Dial", "NumMedia0", "Url", "msg"),
]  # fmt: skip
# What a person, a telephone or a client can write into a webhook.
FREE = {
    "Body", "ButtonText", "ButtonPayload", "Label", "Address", "ProfileName", "InteractiveData", "FlowData", "ListTitle", "ListDescription", "SpeechResult",
    "UnstableSpeechResult", "TranscriptionText", "CallerName", "AddOns", "TaskAttributes", "Payload", "Attributes", "FriendlyName", "ReferralBody",
    "HandoffData", "TranscriptionData", "DocumentData", "DialSipCallId", "DialSipHeader_X-Note", "ReferTransferTarget",
}  # fmt: skip
CLIENT_NAMES = [
    "A",
    "B",
    "C",
    "D",
    "E",
    "F",
    "Fr",
    "Fro",
    "Fra",
    "G",
    "Label",
    "S",
    "T",
    "Zz",
    "call",
    "x",
]
SIP_NAMES = ["SipHeader_A", "SipHeader_X", "SipHeader_X-Note"]
ATTACKED = [
    "sms",
    "mms",
    "whatsapp",
    "rcs",
    "messenger",
    "call",
    "client_call",
    "sip_call",
    "gather",
    "transcription",
    "live_transcription",
    "dial",
    "relay",
    "other_product",
    "task_router",
    "debugger",
    "conversation",
    "conference",
]
_name_here = re.compile("|".join(sorted(DOCUMENTED, reverse=True))).match


class Forgery(NamedTuple):
    """One signed string, and another request that it signs.

    Attributes:
        product: What the signed webhook is about.
        true: The parameters of the signed webhook.
        read: Those of the other request.
        signed: The string that both have.
        url: Where the other request's URL ends.
    """

    product: str
    true: Params
    read: Params
    signed: str
    url: str


def written(random: Random) -> str:
    """What an attacker writes."""
    return "".join(random.choices([*PIECES, *PIECES[:8]], k=random.randint(1, 7)))


def attacked(random: Random) -> Iterator[tuple[str, Params]]:
    """What an attacker can have signed, and the product."""
    by = Sender(random)
    while True:
        product = random.choice(ATTACKED)
        true = FORMS[product](by)
        for name in sorted(true.keys() & FREE):
            true[name] = written(random)
        if product == "client_call":
            true |= {name: written(random) for name in random.sample(CLIENT_NAMES, 3)}
            true["From"] = "client:mallory"
        if product == "sip_call":
            true |= {name: written(random) for name in random.sample(SIP_NAMES, 2)}
            true["From"] = "sip:mallory@example.com"
        yield product, true


def glued(params: Params) -> str:
    """The parameters as they are signed."""
    return "".join(name + params[name] for name in sorted(params))


def splits(true: Params, random: Random, most: int) -> Iterator[Params]:
    """Other readings of the signed string: parameters begin where they did, where the text spells one, or near."""
    signed, begins, at = glued(true), {}, 0
    for name in sorted(true):
        begins[at] = len(name)
        at += len(name) + len(true[name])
    spelled = [at for at in range(len(signed)) if at not in begins and _name_here(signed, at)]
    for _ in range(most):
        kept = random.choice([1.0, 0.95, 0.8])
        cuts = {at: size for at, size in begins.items() if random.random() < kept}
        for at in random.sample(spelled, min(len(spelled), random.randint(1, 4))):
            found = _name_here(signed, at)
            assert found is not None
            cuts[at] = len(found[0])
        for at in random.sample(list(begins), random.randint(0, 2)):
            cuts.pop(at, None)
            cuts[max(0, at + random.randint(-9, 4))] = random.choice([1, 2, 3, 4, 5, 9])
        read = _sorted_reading(signed, cuts, random)
        if read is not None and read != true:
            yield read


def _sorted_reading(signed: str, cuts: dict[int, int], random: Random) -> Params | None:
    """The parameters that begin at these places, leaving out those that are not in order."""
    places = [at for at in sorted(cuts) if at + cuts[at] <= len(signed)]
    if not places:
        return None
    if places[0]:
        cuts[0] = random.choice([1, 2, 5, 10])
        places.insert(0, 0)
    read: list[tuple[int, str]] = []
    for at in places:
        name = signed[at : at + cuts[at]]
        while read and (name <= read[-1][1] or at < read[-1][0] + len(read[-1][1])):
            if random.random() < 0.5 or len(read) == 1:
                break
            read.pop()
        else:
            read.append((at, name))
    ends = [at for at, _ in read[1:]] + [len(signed)]
    params = {
        name: signed[at + len(name) : end] for (at, name), end in zip(read, ends, strict=True)
    }
    return params if glued(params) == signed else None


def identity(params: Params) -> tuple[object, ...]:
    """What decides who talks to whom, but for what is the sender's own word: the text, and whom a client calls."""
    own = {"Body"}
    if params.get("From", "").startswith("client:"):
        params, own = {**params, "To": ""}, {"Body", "To"}
    return *kind_and_pair(params), *(params.get(name) for name in sorted(IDENTITY - own))


def searched(random: Random) -> Iterator[Forgery]:
    """Other splits of texts that are thrown together."""
    for product, true in attacked(random):
        for read in splits(true, random, 12):
            yield Forgery(product, true, read, URL + glued(true), URL)


PATHS = ["/sms", "/sms/42", "/API", "/1/sms", "/sms?tenant=42", "/sms?a=1&B=2", "/sms?lang=EN", "/sms?x=text", "/sms?flag", "/sms?a=", "/sms?id=C9"]  # fmt: skip


def moved(random: Random) -> Iterator[Forgery]:
    """Splits whose form begins earlier or later: the end of the URL becomes a name, or the form's beginning or a GET's text a URL."""
    for product, true in attacked(random):
        own = f"{ORIGIN}{random.choice(PATHS)}"
        is_get = random.random() < 0.5
        signed = own + (f"{'&' if '?' in own else '?'}{urlencode(true)}" if is_get else glued(true))
        spelled = [at for at in range(len(ORIGIN), len(signed)) if _name_here(signed, at)]
        for _ in range(12):
            near = (
                len(own) + random.randint(-8, 4),
                random.randint(len(ORIGIN) + 1, len(signed) - 1),
            )
            end = random.choice([*near, random.choice(spelled)])
            url, rest = signed[:end], signed[end:]
            if not url.isascii() or not url.isprintable() or " " in url or "#" in url:
                continue
            begins = [at - end for at in spelled if at >= end]
            cuts = {0: random.choice([1, 2, 3, 5, 10])}
            for at in random.sample(begins, min(len(begins), random.randint(1, 12))):
                found = _name_here(rest, at)
                assert found is not None
                if at or random.random() < 0.7:
                    cuts[at] = len(found[0])
            for name in ("Zz", "G", "FromA", "~"):
                if (at := rest.rfind(name)) > 0 and random.random() < 0.3:
                    cuts.setdefault(at, len(name))
            read = _sorted_reading(rest, cuts, random)
            if read is not None and (url, read) != (own, true):
                yield Forgery(product, true, read, signed, url)


WORDS = ["Mallory", "132500SES", "1234", "US.1349", "anonymous", "Fromm", "a"]
ENDERS = [
    *("Label", "FromA", "FromCity", "G", "Zz", "SipDomain", "SpeechResult", "StirVerstat", "ToCity", "ToA", "Timestamp", "UserAgent", "WaId", "SipHeader_X", "ErrorUrl"),
    *("E", "F", "Fro", "MediaUrl0", "NumMedia", "ParentCallSid", "ButtonText", "CallerName", "Digits", "S", "SmsT", "T", "x", "msg", "AddOns", "InteractiveData", "ForwardedFrom"),
]  # fmt: skip
PLANS = [
    each.split()
    for each in (
        "From", "From MessageSid", "CallSid Direction From", "CallSid Direction From To", "From MessageSid To", "From MessageSid SmsMessageSid SmsSid To",
        "MessageStatus", "To", "SmsSid", "MessageSid", "CallSid", "ForwardedFrom From", "CallSid CallStatus Direction From", "AccountSid From",
    )
]  # fmt: skip


def planned(random: Random) -> Iterator[Forgery]:
    """The same for texts that hold the fields of another webhook, and then a name that swallows what follows."""
    by = Sender(random)
    while True:
        product = random.choice(ATTACKED)
        true = FORMS[product](by)
        frees = sorted(true.keys() & FREE)
        true |= {name: random.choice(["", "x", "hi"]) for name in frees}
        if product in ("client_call", "sip_call"):
            true["From"] = f"{product.partition('_')[0]}:mallory"
            frees = random.sample(CLIENT_NAMES if product == "client_call" else SIP_NAMES, 2)
            true |= dict.fromkeys(frees, "x")
        elif random.random() < 0.5 and "From" in true:
            channel, colon, _ = true["From"].rpartition(":")
            true["From"] = channel + colon + random.choice(WORDS)
        if not frees:
            continue
        hider, ender = random.choice(frees), random.choice(ENDERS)
        other = _other_webhook(random)
        names = [name for name in random.choice(PLANS) if hider < name < ender]
        if not names or ender in true:
            continue
        begin = random.choice(["", "hi", "Forwarded", "Sms"])
        written = begin + glued({name: other[name] for name in names}) + ender
        true[hider] = written
        later = random.choice([name for name in true if name > ender] or ["~"])
        before = {name: true[name] for name in true if name < hider}
        behind = {name: true[name] for name in true if name >= later}
        read = {**before, hider: begin, **{name: other[name] for name in names}, **behind}
        tail = glued(true).removeprefix(glued(before) + hider + written)
        read[ender] = tail[: len(tail) - len(glued(behind))]
        if glued(read) == glued(true):
            yield Forgery(product, true, read, URL + glued(true), URL)


OWN = ["A", "C", "Dz", "Ea", "Fra", "FromA", "G", "S", "T", "Zz", "x", "ToA", "MessageSidA", "CallSidA", "AccountSidA", "DirectionA"]  # fmt: skip


def chained(random: Random) -> Iterator[Forgery]:
    """The same for fields and names in several texts, which a client or a telephone may name, with any of them taken for one."""
    by = Sender(random)
    while True:
        product = random.choice([*ATTACKED, *["client_call", "sip_call"] * 6])
        true = FORMS[product](by)
        frees = sorted(true.keys() & FREE)
        if product in ("client_call", "sip_call"):
            true["From"] = f"{product.partition('_')[0]}:mallory"
            own = random.sample(
                OWN if product == "client_call" else SIP_NAMES, random.randint(1, 3)
            )
            true |= dict.fromkeys(own, "x")
            frees += own
        true |= {name: random.choice(["", "x"]) for name in frees}
        other = _other_webhook(random)
        for name in random.sample(frees, min(len(frees), random.randint(1, 2))):
            fields = random.sample(sorted(other), random.randint(1, 3))
            begin = random.choice(["", "x", "Sms", "Forwarded", "Parent"])
            true[name] = (
                begin
                + glued({field: other[field] for field in fields})
                + random.choice([*ENDERS, *OWN, ""])
            )
        signed, cuts, at = glued(true), {}, 0
        for name in sorted(true):
            cuts[at] = len(name)
            at += len(name) + len(true[name])
        spelled = {
            found.start(): len(name)
            for name in (*OWN, *ENDERS, *other)
            for found in re.finditer(name, signed)
        }
        for _ in range(10):
            few = {at: size for at, size in spelled.items() if random.random() < 0.3}
            read = _sorted_reading(signed, {**cuts, **few}, random)
            if read is not None and read != true:
                yield Forgery(product, true, read, URL + signed, URL)


def _other_webhook(random: Random) -> Params:
    channel = random.choice(["", "whatsapp:", "rcs:", "messenger:", "sip:", "client:"])
    sender = channel + random.choice([VICTIM, "victim", "15550100001", "victim@example.com"])
    sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), f"SM{OTHER}")
    return {"AccountSid": f"AC{OTHER}", "CallSid": f"CA{OTHER}", "CallStatus": "ringing", "Direction": random.choice(["inbound", "outbound-api"]),
            "ForwardedFrom": VICTIM, "From": sender, "MessageStatus": "sent", "To": random.choice([US, channel + US]), **sids}  # fmt: skip


def believed(
    random: Random, tries: int, search: Callable[[Random], Iterator[Forgery]] = searched
) -> tuple[int, list[Forgery]]:
    """How many forgeries were tried, and those that were believed."""
    tried = 0
    found: list[Forgery] = []
    for forgery in search(random):
        if tried >= tries:
            return tried, found
        if identity(forgery.read) == identity(forgery.true):
            continue
        tried += 1
        body, signature = urlencode(forgery.read).encode(), sign(forgery.signed, (), TOKEN)
        query = forgery.url.partition("?")[2]
        try:
            webhook, _ = authenticate(Request("POST", forgery.url, query, FORM, body, signature, ""), SECRETS)  # fmt: skip
        except RequestError:
            continue
        if webhook.kind != "other" or "From" in webhook.params:  # else it is nobody's
            found.append(forgery)
    raise AssertionError("webhooks come without end")
