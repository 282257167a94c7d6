"""Webhooks as Twilio sends them, drawn at random: every product, every documented parameter, any text."""
# ruff: noqa: RUF001, PLE2502  # people's texts

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

from convostate.twilio.signature import Request, sign
from tests.served import ACCOUNT, FORM, TOKEN, US

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

Params = dict[str, str]
ORIGIN = "https://example.com"

WORDS = """
From To from to FROM TO From: To: Today Tomorrow Total Tom Tokyo Toll Toronto Token Together Topic Fromage Sid Sidney Direction Directions
the meeting is at noon please call me back thanks yes no OK stop help order pizza 2 large 15 15:30 2024-05-01 5pm 10/12 #42 $5.00
+1 +15550100001 15550100001 555-0100 (555) 555.0100 +44 20 7946 0958 whatsapp: sip: client: To: From: from+1 to5 <3 :-) ;-) & % = ? + @
https://example.com/a?b=c&d=%2F https://maps.example/From/To/12345 name@example.com AC123 SM123 CallSid AccountSid MessageSid= key=value
From12345abc From+15550100001/Label callFrom+15550100001 From15550100001To15550100002 To12345 From+15550100001, ToYou FromMe PhoneTo+15550100001 bookFrom20260101To20260131
Fromsip:ada@example.com Direction=inbound Directioninbound FromCity ToZip Label ProfileName Body BodyFrom CallStatus=ringing
привет как дела τι κάνεις 你好 今天 明天见 こんにちは あした 안녕하세요 مرحبا كيف שלום
नमस्ते สวัสดี xin chào grüße straße ça va mañana İstanbul Łódź 😀 👍🏽 ❤️ ١٢٣٤٥ １２３４５ ‏ \ufeff \x00 xx.yy\x00live.com \x01 \x7f e\u0301
""".split()
BETWEEN = [" ", " ", " ", " ", "\n", ", ", ". ", "! ", "  ", "\r\n", "\t", "/", "...", "", "-"]
TOKEN_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEX = "0123456789abcdef"
CITIES = ["", "SAN FRANCISCO", "St. John 1", "FROMBERG", "TOKYO", "Łódź", "To", "St. From"]


class Sender:
    """Draws the parts of webhooks."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def sid(self, kind: str) -> str:
        """A SID such as ``SM…``."""
        return kind + "".join(self.random.choices(HEX, k=32))

    def some(self, choices: list[str] | tuple[str, ...]) -> str:
        """One of several."""
        return self.random.choice(choices)

    def text(self, most: int = 12) -> str:
        """What a person writes, quoted parameters included."""
        words = self.random.choices(WORDS, k=self.random.randint(1, most))
        if self.random.random() < 0.15:
            words.append(self.quoted())
        text = "".join(word + self.some(BETWEEN) for word in words)[:1600]
        # Three limits of the guard: see its module and the page on 403.
        text = re.sub(r"(From(?:[a-z]+:)?\+?[0-9]{2,})(?=[A-SU-Z])", r"\1 ", text)
        text = re.sub("(Direction(?:inbound|outbound))(?=From)", r"\1 ", text)
        return text.replace("Fromclient:", "From client:")

    def quoted(self) -> str:
        """Somebody else's webhook in a text: a link, JSON, a list of parameters."""
        call, message = self.sid("CA"), self.sid("SM")
        query = urlencode(
            {"AccountSid": ACCOUNT, "CallSid": call, "From": "+15550100001", "To": US}
        )
        return self.some(
            [
                f"https://example.com/cb?CallSid={call}",
                f"https://example.com/cb?{query}",
                f"https://example.com/cb?a=1&{query}&b=2",
                json.dumps({"AccountSid": ACCOUNT, "From": "+15550100001", "MessageSid": message}),
                f"AccountSid: {ACCOUNT}\nFrom: +15550100001\nMessageSid: {message}",
                f"From=+15550100001&To=+15550100002&MessageSid={message}",
                f"MessageSid {message}", f"CallSid{call} please", f"(MessageSid{message})", f"my CallSid{call}",
            ]
        )  # fmt: skip

    def number(self) -> str:
        """A telephone number."""
        head = self.some(["+1555", "+4930", "+919", "+86139", "+1", "+15550100"])
        return head + str(self.random.randrange(10**7))

    def places(self, *sides: str) -> Params:
        """The cities of both ends."""
        return {f"{side}{part}": self.some(CITIES) if part == "City" else self.some(["", "CA", "94105"])
                for side in sides for part in ("City", "State", "Zip", "Country")}  # fmt: skip

    def few(self, params: Params, share: float = 0.5) -> Params:
        """Some of these parameters."""
        return {name: value for name, value in params.items() if self.random.random() < share}


def message(by: Sender, sender: str, receiver: str, **more: str) -> Params:
    sid = by.sid(by.some(["SM", "MM"]))
    return {"ToCountry": "US", "SmsMessageSid": sid, "NumMedia": "0", "SmsSid": sid, "SmsStatus": "received",
            "Body": by.text(), "To": receiver, "NumSegments": "1", "MessageSid": sid, "AccountSid": ACCOUNT,
            "From": sender, "ApiVersion": "2010-04-01", **more}  # fmt: skip


def sms(by: Sender) -> Params:
    sender = by.some(
        [
            by.number(),
            by.number(),
            "55555",
            "123",
            "132500SES",
            "55555A",
            "HSBC UK",
            "PIZZA",
            "Äpfel",
            "0301234567",
            "A&B",
            "My-Co_1",
        ]
    )
    more = by.few({"MessagingServiceSid": by.sid("MG"), "OptOutType": "STOP", "AddOns": json.dumps({"status": "successful", "results": {"x": by.text(3)}}),
                   "ErrorCode": "11200", "ErrorUrl": f"{ORIGIN}/sms?AccountSid={ACCOUNT}&MessageSid={by.sid('SM')}&From=%2B15550100001"}, 0.2)  # fmt: skip
    return message(by, sender, by.some([US, "55512"]), **by.places("From", "To"), **more)


def mms(by: Sender) -> Params:
    count = by.random.randint(1, 10)
    media = {
        f"MediaUrl{n}": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Media/{by.sid('ME')}{by.some(['', '?From=%2B15550100001&To=1'])}"
        for n in range(count)
    }
    media |= {
        f"MediaContentType{n}": by.some(["image/jpeg", "audio/amr", "text/vcard"])
        for n in range(count)
    }
    return message(by, by.number(), US, **{**by.places("From"), **media, "NumMedia": str(count)})


def whatsapp(by: Sender) -> Params:
    person = by.some([by.number(), "US.1349123abc"])
    more = by.few({
        "ButtonText": by.text(2)[:20], "ButtonPayload": by.some(["callFrom+15550100001", "cancel_42", by.text(4), "bookFrom20260101To20260131"]),
        "ButtonType": "REPLY", "InteractiveData": json.dumps({"flow": by.text(3), "from": "From+15550100001"}),
        "FlowData": json.dumps({"screen": by.text(3)}), "Latitude": "1.5", "Longitude": "-2", "Address": by.text(4), "Label": by.some(["Fromm", "To go", by.text(2)]),
        "OriginalRepliedMessageSid": by.sid("SM"), "OriginalRepliedMessageSender": f"whatsapp:{US}", "Forwarded": "true", "FrequentlyForwarded": "false",
        "ReferralBody": by.text(3), "ReferralHeadline": by.text(2), "ReferralSourceUrl": "https://fb.me/From12345", "ReferralNumMedia": "0",
        "ReferralSourceId": "123456", "ReferralSourceType": "ad", "ReferralCtwaClid": "x" * 60, "ListId": by.text(1), "ListTitle": by.some(["From+15550100001", by.text(2)]), "ListDescription": by.text(3),
        "ChannelMetadata": json.dumps({"type": "whatsapp", "data": {"context": {"ProfileName": by.text(2)}}}),
    }, 0.25)  # fmt: skip
    return message(
        by,
        f"whatsapp:{person}",
        f"whatsapp:{US}",
        **{
            "ProfileName": by.some(["Ada", "From12345abc", by.text(2)]),
            "WaId": "15550100001",
            "MessageType": "text",
            **more,
        },
    )


def rcs(by: Sender) -> Params:
    more = by.few(
        {"ButtonText": by.text(2), "ButtonPayload": by.text(2), "Latitude": "1", "Longitude": "2"}
    )
    return message(by, f"rcs:{by.number()}", by.some(["rcs:brand_agent", US]), **more)


def messenger(by: Sender) -> Params:
    channel = by.some(["messenger", "instagram", "viber"])
    return message(by, f"{channel}:{by.some(['1234567890', 'ada'])}", f"{channel}:12345678")


def message_status(by: Sender) -> Params:
    sid, channel = by.sid("SM"), by.some(["", "whatsapp:"])
    more = by.few({"ErrorCode": "30003", "RawDlrDoneDate": "2611251200", "ChannelInstallSid": by.sid("XE"), "ChannelStatusMessage": by.text(3),
                   "ChannelPrefix": "whatsapp", "EventType": "READ", "ApiVersion": "2010-04-01", "To": f"{channel}{by.number()}"})  # fmt: skip
    status = by.some(["queued", "sent", "delivered", "undelivered", "failed", "read"])
    return {
        "SmsSid": sid,
        "SmsStatus": status,
        "MessageStatus": status,
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "From": f"{channel}{US}",
        **more,
    }


def call(by: Sender, caller: str = "", called: str = US, **more: str) -> Params:
    caller = caller or by.some(
        [
            by.number(),
            by.number(),
            by.number(),
            "anonymous",
            "Restricted",
            "Private Number",
            "UNKNOWN NAME",
            "0301234567",
            "+266696687",
            "0",
        ]
    )
    legacy = (
        {"Caller": caller, "Called": called, **by.places("Caller", "Called")}
        if by.random.random() < 0.7
        else {}
    )
    more = {**by.few({"ForwardedFrom": by.number(), "CallerName": by.some(["FROM HOME", "SMITH", "From Home", "To Go"]), "ParentCallSid": by.sid("CA"),
                      "CallToken": quote_plus("".join(by.random.choices(TOKEN_CHARS, k=700))), "StirVerstat": "TN-Validation-Passed-A", "ErrorCode": "11205", "ErrorUrl": f"{ORIGIN}/voice", "CallReason": by.text(3),
                      "AddOns": json.dumps({"results": {"name": by.text(2)}})}, 0.2), **more}  # fmt: skip
    return {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallSid": by.sid("CA"), "CallStatus": by.some(["ringing", "in-progress", "completed", "no-answer"]),
            "Direction": by.some(["inbound", "outbound-api", "outbound-dial"]), "From": caller, "To": called, **legacy, **by.places("From", "To"), **more}  # fmt: skip


def fallback(by: Sender) -> Params:
    """A call whose GET failed: `ErrorUrl` repeats it."""
    failed = call(by, **by.few({"Digits": "1", "SpeechResult": "From home. From: me", "Confidence": "0.9"}))  # fmt: skip
    failed = {name: failed[name] for name in failed if name not in ("AddOns", "CallReason")}
    return {**failed, "ErrorCode": "11200", "ErrorUrl": f"{ORIGIN}/voice?{urlencode(failed)}"}


OWN_NAMES = [
    "PhoneTo",
    "callTo",
    "TransferFrom",
    "agentFrom",
    "leadTo",
    "X-From",
    "returnTo",
    "dialFrom",
    "customerTo",
    "billTo",
    "forwardFrom",
    "ReplyTo",
    "FromNumber",
    "ToNumber",
    "Greeting",
]


def client_call(by: Sender) -> Params:
    """A call of a Voice SDK, with parameters of the developer's own."""
    own: Params = {
        name: by.number() for name in by.random.sample(OWN_NAMES, by.random.randint(0, 4))
    }
    own |= by.few({"to": by.number(), "origCallSid": by.sid("CA"), "OrigCallSid": by.sid("CA"), "parentAccountSid": ACCOUNT, "AgentCallSid": by.sid("CA"),
                   "name": by.text(3), "context": json.dumps({"from": by.number()}), "from": by.number(), "Body": by.text(3)}, 0.3)  # fmt: skip
    return call(
        by,
        by.some(["client:ada", "client:ada_lovelace", "client:Fromm"]),
        by.some(["", "+15550100005", "client:bob", US]),
        **own,
    )


def sip_call(by: Sender) -> Params:
    """A call of a SIP domain, with the telephone's own headers."""
    number = by.number()
    names = {"From": number, "To": number, "Orig-CallSid": by.sid("CA"), "AccountSid": ACCOUNT, "Call-From": f"sip:{number}@example.com", "Direction": "inbound",
             "Route-To": number, "Reply-To": f"sip:{number}@example.com", "Note": by.text(2), "TaskSid": by.sid("WT"), "MessageSid": by.sid("SM")}  # fmt: skip
    headers = {f"SipHeader_X-{name}": value for name, value in by.few(names, 0.35).items()}
    sip = {"SipDomain": "us.sip.twilio.com", "SipCallId": "x@1.2.3.4", "SipDomainSid": by.sid("SD")}
    caller = by.some(
        [
            f"sip:{number}@example.com:5060;transport=udp",
            "sip:ada@example.com",
            "sip:anonymous@anonymous.invalid",
        ]
    )
    return call(by, caller, by.some(["sip:us@us.sip.twilio.com", US]), **sip, **headers)


def gather(by: Sender) -> Params:
    """What was pressed or said; while it is being said, what it may be."""
    heard = {"SpeechResult": by.text(), "Confidence": "0.9", "Language": "en-US"}
    hearing = {
        "UnstableSpeechResult": by.text(3),
        "StableSpeechResult": by.text(2),
        "Stability": "0.5",
        "SequenceNumber": "1",
    }
    return call(
        by,
        **by.random.choice(
            [heard, hearing, {"Digits": "1234#*", "FinishedOnKey": "#", "msg": "Gather End"}]
        ),
    )


def recording(by: Sender) -> Params:
    return {"AccountSid": ACCOUNT, "CallSid": by.sid("CA"), "RecordingSid": by.sid("RE"), "RecordingUrl": f"https://api.twilio.com/{by.sid('RE')}",
            "RecordingStatus": "completed", "RecordingDuration": "7", "RecordingChannels": "1", "RecordingSource": "RecordVerb", "RecordingTrack": "both",
            "RecordingStartTime": "Wed, 25 Nov 2026 12:00:00 +0000", "ErrorCode": "0"}  # fmt: skip


def transcription(by: Sender) -> Params:
    return call(by, TranscriptionSid=by.sid("TR"), TranscriptionText=by.text(20), TranscriptionStatus="completed", TranscriptionUrl="https://api.twilio.com/x",
                RecordingSid=by.sid("RE"), RecordingUrl="https://api.twilio.com/y", Url="https://api.twilio.com/z", TranscriptionType="fast")  # fmt: skip


def dial(by: Sender) -> Params:
    return call(by, DialCallSid=by.sid("CA"), DialCallStatus="completed", DialCallDuration="3", DialBridged="true", QueueSid=by.sid("QU"),
                DequeuedCallSid=by.sid("CA"), DequeingCallSid=by.sid("CA"), QueueResult="bridged", QueueTime="3", Duration="1", CallDuration="12",
                **by.few({"DialSipCallId": "y@5.6.7.8", "DialSipResponseCode": "200", "DialSipHeader_X-Note": by.some(["Fromm", "To go", "From 12345abc"]), "ReferTransferTarget": "sip:bob@example.com"}))  # fmt: skip


def relay(by: Sender) -> Params:
    """The end of a ConversationRelay, where a language model hands over."""
    handoff = json.dumps({"reason": by.text(3), "from": by.number()}, ensure_ascii=False)
    return call(by, SessionId=by.sid("VX"), SessionStatus="completed", SessionDuration="12", HandoffData=handoff)  # fmt: skip


def live_transcription(by: Sender) -> Params:
    """What is being said in a call."""
    data = json.dumps({"transcript": by.text(8), "confidence": 0.9}, ensure_ascii=False)
    return {"AccountSid": ACCOUNT, "CallSid": by.sid("CA"), "TranscriptionSid": by.sid("GT"), "TranscriptionEvent": "transcription-content", "Final": "true",
            "LanguageCode": "en-US", "SequenceId": "2", "Stability": "0.9", "Timestamp": "2026-11-25T12:00:00Z", "Track": "inbound_track", "TranscriptionData": data}  # fmt: skip


def conference(by: Sender) -> Params:
    return {"AccountSid": ACCOUNT, "CallSid": by.sid("CA"), "ConferenceSid": by.sid("CF"), "FriendlyName": by.some(["From15550100001To15550100002", by.text(3)]),
            "StatusCallbackEvent": "participant-join", "SequenceNumber": "1", "Timestamp": "Wed, 25 Nov 2026 12:00:00 +0000", "Muted": "false", "Hold": "false",
            "Coaching": "false", "EndConferenceOnExit": "false", "StartConferenceOnEnter": "true", **by.few({"CallSidToCoach": by.sid("CA"), "CallSidEndingConference": by.sid("CA"), "ParticipantLabel": by.text(2), "ReasonParticipantLeft": "hung_up"})}  # fmt: skip


def beside_a_call(by: Sender) -> Params:
    """Streams, SIPREC, fax, answering machines, payments, encrypted recordings."""
    mine = {"AccountSid": ACCOUNT, "CallSid": by.sid("CA"), "Timestamp": "2026-11-25T12:00:00.000Z"}
    name = by.some(["From15550100001To15550100002", by.text(2)])
    return by.random.choice([
        {**mine, "StreamSid": by.sid("MZ"), "StreamName": name, "StreamEvent": "stream-started"},
        {**mine, "SiprecSid": by.sid("SR"), "SiprecName": name, "SiprecEvent": "siprec-started", "ConnectorName": "recorder"},
        {"AccountSid": ACCOUNT, "FaxSid": by.sid("FX"), "FaxStatus": "received", "Direction": "inbound", "From": by.number(), "To": US, "RemoteStationId": by.text(2), "ApiVersion": "v1"},
        {**mine, "AnsweredBy": "machine_end_beep", "MachineDetectionDuration": "3200"},
        {**mine, "PaymentSid": by.sid("PK"), "Capture": "payment-card-number", "PaymentCardNumber": "xxxxxxxxxxxx1111", "PartialResult": "true", "Required": "expiration-date", "For": "payment-card-number"},
        {**mine, "RecordingSid": by.sid("RE"), "RecordingStatus": "completed", "EncryptionDetails": json.dumps({"encrypted_cek": "".join(by.random.choices(TOKEN_CHARS, k=344)), "iv": "x", "public_key_sid": by.sid("CR")})},
    ])  # fmt: skip


def task_router(by: Sender) -> Params:
    attributes = json.dumps(
        {
            "from": by.number(),
            "body": by.text(),
            "url": f"https://example.com/?AccountSid={ACCOUNT}&CallSid={by.sid('CA')}",
        }
    )
    return {"AccountSid": ACCOUNT, "EventType": "reservation.created", "EventDescription": by.text(3), "ResourceType": "reservation", "ResourceSid": by.sid("WR"),
            "TaskAttributes": attributes, "TaskSid": by.sid("WT"), "WorkerAttributes": json.dumps({"contact_uri": "client:ada"}), "WorkerSid": by.sid("WK"),
            "WorkspaceSid": by.sid("WS"), "WorkflowSid": by.sid("WW"), "Timestamp": "1764072000", "TaskAge": "3", "Sid": by.sid("EV")}  # fmt: skip


def debugger(by: Sender) -> Params:
    payload = {
        "resource_sid": by.sid("SM"),
        "webhook": {
            "request": {
                "url": f"https://example.com/sms?AccountSid={ACCOUNT}",
                "parameters": {"Body": by.text(), "From": by.number()},
            }
        },
    }
    return {"AccountSid": ACCOUNT, "Sid": by.sid("NO"), "ParentAccountSid": "", "Timestamp": "2026-11-25T12:00:00Z", "Level": "ERROR", "PayloadType": "application/json",
            "Payload": json.dumps(payload, ensure_ascii=False)}  # fmt: skip


def conversation(by: Sender) -> Params:
    return {"AccountSid": ACCOUNT, "EventType": by.some(["onMessageAdded", "onMessageAdd"]), "ConversationSid": by.sid("CH"), "ChatServiceSid": by.sid("IS"), "MessageSid": by.sid("IM"),
            "ParticipantSid": by.sid("MB"), "Author": by.some([by.number(), "ada"]), "Body": by.text(), "Attributes": json.dumps({"x": by.text(2)}), "Index": "3", "Source": "SMS",
            "DateCreated": "2026-11-25T12:00:00.000Z", "RetryCount": "0", "ClientIdentity": "ada", "MessagingBinding.Address": by.number(), "MessagingBinding.ProxyAddress": US}  # fmt: skip


def studio(by: Sender) -> Params:
    """What the HTTP widget of Twilio Studio posts: names as the flow's author writes them."""
    return by.few(
        {
            "from": by.number(),
            "to": US,
            "body": by.text(),
            "callSid": by.sid("CA"),
            "direction": "inbound",
            "messageSid": by.sid("SM"),
            "accountSid": ACCOUNT,
            "answer": by.text(3),
        },
        0.7,
    )


def other_product(by: Sender) -> Params:
    """Proxy, Verify, Video, Conversations, Sync."""
    return by.random.choice([
        {"AccountSid": ACCOUNT, "interactionSid": by.sid("KI"), "interactionSessionSid": by.sid("KC"), "interactionAccountSid": ACCOUNT, "interactionData": json.dumps({"body": by.text()}),
         "inboundParticipantSid": by.sid("KP"), "inboundResourceSid": by.sid("SM"), "inboundResourceStatus": "received"},
        {"AccountSid": ACCOUNT, "type": "approved", "sid": by.sid("YX"), "service_sid": by.sid("VA"), "factor_sid": by.sid("YF"), "identity": by.text(2)},
        {"AccountSid": ACCOUNT, "RoomSid": by.sid("RM"), "RoomName": by.text(2), "RoomStatus": "in-progress", "RoomType": "group", "ParticipantIdentity": by.text(2), "ParticipantSid": by.sid("PA"),
         "StatusCallbackEvent": "participant-connected", "SequenceNumber": "2", "Timestamp": "2026-11-25T12:00:00.000Z"},
        {"AccountSid": ACCOUNT, "EventType": "onParticipantAdded", "ConversationSid": by.sid("CH"), "ChatServiceSid": by.sid("IS"), "Identity": by.text(1), "MessagingBinding.Address": by.number(), "MessagingBinding.ProxyAddress": US, "RoleSid": by.sid("RL")},
        {"AccountSid": ACCOUNT, "EventType": "document_updated", "ServiceSid": by.sid("IS"), "DocumentSid": by.sid("ET"), "DocumentData": json.dumps({"text": by.text()}), "Identity": "ada"},
    ])  # fmt: skip


_PRODUCTS = [sms, mms, whatsapp, rcs, messenger, message_status, call, fallback, client_call, sip_call, gather, recording, transcription, live_transcription, dial, relay, conference,
             task_router, debugger, conversation, studio, other_product, beside_a_call]  # fmt: skip
FORMS: dict[str, Callable[[Sender], Params]] = {each.__name__: each for each in _PRODUCTS}


def url_for(by: Sender, params: Params) -> str:
    """The account's own URL, which may carry what it likes."""
    own = {"CallSid": params.get("CallSid", by.sid("CA")), "To": "+15557654321", "From": params.get("From", ""), "step": "2", "next": "/menu", "token": by.text(1),
           "MessageSid": params.get("MessageSid", by.sid("SM")), "Direction": "outbound", "Body": by.text(1), "CallStatus": "completed"}  # fmt: skip
    query = (
        urlencode(by.few(own, 0.25)) if "AccountSid" in params and by.random.random() < 0.4 else ""
    )
    path = by.some(["/sms", "/voice/menu", "/hooks/to/from"])
    return f"{ORIGIN}{path}{'?' * bool(query)}{query}"


def regulatory(by: Sender) -> Request:
    """A GET whose URL carries its hash twice."""
    digest = f"bodySHA256={hashlib.sha256(b'').hexdigest()}"
    query = (
        f"AccountSid={ACCOUNT}&Status=twilio-approved&BundleSid={by.sid('BU')}&{digest}&{digest}"
    )
    return _asked("GET", f"{ORIGIN}/bundles?{query}", "", b"")


def event(by: Sender) -> Request:
    """A JSON event."""
    body = json.dumps(
        [
            {
                "type": "com.twilio.messaging.inbound-message.received",
                "data": {"body": by.text(), "from": by.number()},
            }
        ]
    ).encode()
    digest = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    query = by.some(
        [
            digest,
            f"{digest}&{digest}",
            f"AccountSid={ACCOUNT}&{digest}",
            f"CallSid={by.sid('CA')}&{digest}",
        ]
    )
    return _asked(
        "POST",
        f"{ORIGIN}/events?{query}",
        by.some(
            ["application/json", "application/json; charset=utf-8", "application/cloudevents+json"]
        ),
        body,
    )


def _asked(method: str, url: str, content_type: str, body: bytes, params: Any = ()) -> Request:
    return Request(
        method, url, url.partition("?")[2], content_type, body, sign(url, params, TOKEN), ""
    )


def request_of(by: Sender, params: Params) -> Request:
    """A form, or the GET that the account has asked for instead."""
    url = url_for(by, params)
    if by.random.random() < 0.15 and "?" not in url:
        return _asked("GET", f"{url}?{urlencode(params)}", "", b"")
    content_type = by.some([FORM, f"{FORM}; charset=UTF-8"])
    return _asked("POST", url, content_type, urlencode(params).encode(), params.items())


def webhooks(random: Random) -> Iterator[tuple[str, Params, Request]]:
    """Webhooks without end: the product, the form's parameters, the request."""
    by, names = Sender(random), [*FORMS, "regulatory", "event"]
    while True:
        name = random.choice(names)
        if name in FORMS:
            params = FORMS[name](by)
            yield name, params, request_of(by, params)
        else:
            yield name, {}, (regulatory if name == "regulatory" else event)(by)
