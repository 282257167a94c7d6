"""Interpreting TwiML: what a reply makes Twilio do.

Sources: https://www.twilio.com/docs/messaging/twiml, https://www.twilio.com/docs/voice/twiml (content types, verbs),
https://www.twilio.com/docs/api/errors (the codes).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from werkzeug.http import parse_options_header

from convostate.testing.delivery import MAX_DOCUMENT_BYTES, Response
from convostate.testing.message import Message
from convostate.testing.params import MAX_BODY_CHARS

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["message", "call"]

_TWIML_TYPES = ("text/xml", "application/xml", "text/html")
_MESSAGE_VERBS = {
    "Message": {"to", "from", "action", "method", "statusCallback"},
    "Redirect": {"method"},
}
_NOUNS = {"Body", "Media"}
# A call waits at these verbs until the caller or another person acts.
_WAITING = {"Gather", "Record", "Dial", "Connect", "Echo", "Enqueue", "Pay", "Prompt", "Refer"}
_ENDING = {"Hangup", "Leave", "Reject"}
_VOICE_VERBS = {
    *("Connect", "Dial", "Echo", "Enqueue", "Gather", "Hangup", "Leave", "Message", "Pause", "Pay"),
    *("Play", "Prompt", "Queue", "Record", "Redirect", "Refer", "Reject", "Say", "Sms", "Start"),
    *("Stop",),
}


@dataclass
class Document:
    """The content of one response.

    Attributes:
        redirect: The URL of the next document, which may be relative or empty, and its method.
        waiting: The verb at which the call waits, or None.
        rest: The verbs of a call after `waiting`.
        ending: The ``<Hangup>``, ``<Leave>`` or ``<Reject>`` that ended the document, or None.
        error: Twilio's error code, or None.
        fatal: Whether Twilio cannot use the document and requests the fallback URL.
        twiml: The document as text, or "" if it is not TwiML.
    """

    messages: list[Message] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    redirect: tuple[str, str] | None = None
    waiting: ET.Element | None = None
    rest: list[ET.Element] = field(default_factory=list)
    ending: ET.Element | None = None
    error: int | None = None
    fatal: bool = False
    twiml: str = ""


def read(response: Response, kind: Kind) -> Document:
    """Read a response with a status below 300; the verbs of messages and calls differ."""
    if response.status == 204:
        return Document()
    content_type, options = parse_options_header(response.headers.get("Content-Type"))
    text = _decoded(response.body, options.get("charset", "utf-8"))
    if len(response.body) > MAX_DOCUMENT_BYTES:
        return Document(error=11750, fatal=True, twiml=text[:MAX_DOCUMENT_BYTES])
    content_type = content_type.lower()
    if content_type not in (*_TWIML_TYPES, "text/plain"):
        return Document(error=12300, fatal=True)
    if not response.body:
        return Document(error=11770, fatal=True)
    if content_type == "text/plain":  # sent as a message, or read aloud
        body = text.strip()
        if kind == "call":
            return Document(said=[" ".join(body.split())])
        return Document([Message(body)] if body else [])
    return parse(text, response.body, kind)


def parse(text: str, source: str | bytes, kind: Kind) -> Document:
    """Read a TwiML document, decoded and as it arrived, of a response or of ``calls.create(twiml=…)``."""
    try:
        root = ET.fromstring(source)  # noqa: S314  the developer's own app wrote it
    except (ET.ParseError, LookupError, ValueError):  # the last two come from its encoding=
        return Document(error=12100, fatal=True, twiml=text)
    if root.tag != "Response":
        return Document(error=12102, fatal=True, twiml=text)
    wrong = bool(_own_text(root)) or any(not _known(verb, kind) for verb in root)
    return interpret(root, kind, Document(twiml=text, error=12200 if wrong else None))


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):  # unknown, or not a charset, such as hex
        return body.decode("utf-8", "replace")


def interpret(verbs: Iterable[ET.Element], kind: Kind, document: Document) -> Document:
    """Carry out verbs until one waits or redirects, and add the results to `document`."""
    remaining = list(verbs)
    while remaining:
        verb = remaining.pop(0)
        if verb.tag == "Redirect":
            document.redirect = (_own_text(verb), method_of(verb))
            break  # "All verbs after <Redirect> are unreachable and ignored"
        if verb.tag in ("Message", "Sms"):
            message = _message(verb)
            if len(message.body) > MAX_BODY_CHARS or not (message.body or message.media):
                document.error = document.error or 14103
            else:
                document.messages.append(message)
        if kind == "message":
            continue
        document.said += [_spoken(say) for say in verb.iter("Say")]
        document.played += [url for play in verb.iter("Play") if (url := _own_text(play))]
        if verb.tag in _ENDING:
            document.ending = verb
            break
        if verb.tag in _WAITING:
            document.waiting, document.rest = verb, remaining
            break
    return document


def method_of(verb: ET.Element, attribute: str = "method") -> str:
    """The HTTP method of a verb: GET if it says so, else POST."""
    return "GET" if verb.get(attribute, "").upper() == "GET" else "POST"


def _known(verb: ET.Element, kind: Kind) -> bool:
    """Whether Twilio's schema allows this verb; for a call, only the name is checked."""
    if kind == "call":
        return verb.tag in _VOICE_VERBS
    attributes = _MESSAGE_VERBS.get("Message" if verb.tag == "Sms" else verb.tag)
    return (
        attributes is not None
        and set(verb.keys()) <= attributes
        and all(noun.tag in _NOUNS and not len(noun) for noun in verb)
    )


def _message(verb: ET.Element) -> Message:
    bodies = [_own_text(noun) for noun in verb.iter("Body")]
    return Message(
        body="\n".join(bodies) if bodies else _own_text(verb),
        media=tuple(_own_text(noun) for noun in verb.iter("Media")),
        to=verb.get("to", ""),
        from_=verb.get("from", ""),
        status_callback=verb.get("statusCallback", ""),
    )


def _spoken(say: ET.Element) -> str:
    """The text that is read aloud, including text in SSML elements, without line breaks."""
    return " ".join("".join(say.itertext()).split())


def _own_text(element: ET.Element) -> str:
    """The text directly in an element, without blanks around it."""
    return "".join([element.text or "", *(child.tail or "" for child in element)]).strip()
