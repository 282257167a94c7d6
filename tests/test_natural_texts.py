"""What people write, and what Twilio sends beside it, is never taken for a re-split."""

from __future__ import annotations

from random import Random
from urllib.parse import urlencode

import pytest

from convostate.errors import RequestError
from convostate.twilio.ambiguity import check_split
from convostate.twilio.form import Form
from convostate.twilio.signature import sign, signed_string
from tests.proving import got, posted, prove, status_of
from tests.served import ACCOUNT, SID, TOKEN, URL, US, text

pytestmark = pytest.mark.slow

WORDS = """
From To from to FROM TO From: To: Today Tomorrow Total Tom Tokyo Toll Toronto Token Tote Together Topic Fromage Sid Sidney
the meeting is at noon please call me back thanks yes no OK stop help order pizza 2 large 15 15:30 2024-05-01 5pm 10/12 #42 $5.00
+1 +15550100001 15550100001 555-0100 (555) 555.0100 +44 20 7946 0958 whatsapp: sip: client: To: From: from+1 to5 <3 :-) ;-) & % = ? + @
https://example.com/a?b=c&d=%2F https://maps.example/From/To/12345 name@example.com AC123 SM123 CallSid AccountSid MessageSid= key=value
\u043f\u0440\u0438\u0432\u0435\u0442 \u043a\u0430\u043a \u0434\u0435\u043b\u0430 \u03c4\u03b9 \u03ba\u03ac\u03bd\u03b5\u03b9\u03c2 \u4f60\u597d \u4eca\u5929 \u660e\u5929\u89c1 \u3053\u3093\u306b\u3061\u306f \u3042\u3057\u305f \uc548\ub155\ud558\uc138\uc694 \u0645\u0631\u062d\u0628\u0627 \u0643\u064a\u0641 \u05e9\u05dc\u05d5\u05dd
\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 xin ch\u00e0o gr\u00fc\u00dfe stra\u00dfe \u00e7a va ma\u00f1ana \u0130stanbul \u0141\u00f3d\u017a \U0001f600 \U0001f44d\U0001f3fd \u2764\ufe0f \u0661\u0662\u0663\u0664\u0665 \uff11\uff12\uff13\uff14\uff15 \u200f \ufeff
""".split()
BETWEEN = [" ", " ", " ", " ", "\n", ", ", ". ", "! ", "  ", "\r\n", "\t", "/", "..."]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def written(random: Random) -> str:
    parts = [
        word + random.choice(BETWEEN) for word in random.choices(WORDS, k=random.randint(1, 12))
    ]
    return "".join(parts)[:1600]


def number(random: Random) -> str:
    return random.choice(
        ["+1555", "+4930", "+919", "+86139", "whatsapp:+1555", "messenger:12345"]
    ) + str(random.randrange(10**7))


def test_no_text_in_8_000_is_taken_for_a_resplit() -> None:
    random, refused = Random(7), []
    for count in range(8_000):
        body = written(random)
        extra = (
            {"ProfileName": written(random), "ButtonText": written(random)[:20]}
            if count % 3 == 0
            else {}
        )
        params = text(body, From=number(random), To=US, **extra)
        if status_of(posted(params, signature=sign(URL, params.items(), TOKEN))) != 200:
            refused.append(body)
    assert refused == []


def test_no_call_in_8_000_is_taken_for_a_resplit() -> None:
    """A CallToken is 700 random characters."""
    random, refused = Random(7), 0
    for _ in range(8_000):
        caller = number(random)
        params = {"AccountSid": ACCOUNT, "CallSid": "CA" + f"{random.getrandbits(128):032x}", "Direction": "inbound",
                  "From": caller, "Caller": caller, "To": US, "Called": US, "CallStatus": "ringing", "ApiVersion": "2010-04-01",
                  "CallToken": "".join(random.choices(LETTERS, k=700))}  # fmt: skip
        form = Form(params, None)
        try:
            check_split(signed_string(URL, form), form, "")
        except RequestError:
            refused += 1
    assert refused == 0


TEXTS = [
    "From +15550100001", "From: +15550100001", "From+15550100001", "To+15550100001 and From+15550100002!", "Call From55555, please",
    "To12345 or To 12345", "See you Today", "Tom", "Total:", "From whatsapp:+15550100001", "it cost me From100000\n", "My MessageSid is " + SID, "From+1", "To123x", "Today",
    "From home To work", "Forwarded", "ForwardedFrom", "x" * 1600, "To" * 800, "From" * 400, "Sid" * 500, "+" * 1600, "To+1" * 400,
    # g5: values that look like parameters
    "From12345abc", "callFrom+15550100001", "From15550100001To15550100002", "bookFrom20260101To20260131", "From12345" * 177, "From15550100001To15550100002" * 57, "To+15550100001" * 114,
    f"https://example.com/x?CallSid=CA{'1' * 32}", f"https://example.com/x?a=1&AccountSid={ACCOUNT}&CallSid=CA{'1' * 32}&From=%2B1555", f"?AccountSid={ACCOUNT}",
    f"MessageSid{SID}", f"my CallSidCA{'1' * 32} please", f'{{"AccountSid": "{ACCOUNT}", "From": "+15550100001"}}', "hiFrom+15550100001FromA", "To+15550100099ToZ",
    "xx.yy\0live.com", "\0", "Fromclient:bob please", "SpeechResultFromZ", "Directioninbound", "MessageStatussent",
]  # fmt: skip
FREE = (
    "Body",
    "ProfileName",
    "ButtonText",
    "ButtonPayload",
    "Address",
    "ListTitle",
    "ReferralBody",
)


def test_g5_g7_a_text_that_speaks_of_addresses_passes_wherever_it_is() -> None:
    for words in TEXTS:
        for name in FREE:
            for channel in (
                ("", "whatsapp:", "messenger:") if name < "From" or name > "M" else ("whatsapp:",)
            ):
                params = text(From=f"{channel}+15550100001", To=f"{channel}+15550100099")
                params[name] = words
                assert dict(prove(posted(params)).params) == params, (name, words)
                assert prove(got(f"{URL}?{urlencode(params)}")).params[name] == words


@pytest.mark.parametrize("name", ["TaskAttributes", "Payload", "FriendlyName", "RoomName", "Attributes", "TranscriptionText"])  # fmt: skip
def test_g5_a_text_in_a_webhook_without_a_sender_passes(name: str) -> None:
    for words in TEXTS:
        params = {"AccountSid": ACCOUNT, "CallSid": "CA" + "1" * 32, name: words, "Zz": "1"}
        assert dict(prove(posted(params)).params) == params, words


@pytest.mark.parametrize(
    "body",
    [
        f"hiAccountSid{ACCOUNT}x",
        "From+15550100099Label",
        "hiFrom+15550100001FromCity",
    ],
)
def test_a_text_in_which_another_webhook_could_go_on_is_refused(body: str) -> None:
    """What cannot be told apart: the true sender may be in the text, and the form's own in a later parameter."""
    there = text(body, From="+15550100001", To="+15550100099", Label="x")
    shifted = there | {"Body": f"{body}From+15550100002", "From": "x"}
    statuses = {status_of(posted(there)), status_of(posted(shifted))}
    assert 403 in statuses or body.startswith("hiAccountSid")
    assert status_of(got(f"{URL}?{urlencode(there)}")) == (403 if "Account" in body else 200)


CALL = {
    "AccountSid": ACCOUNT,
    "CallSid": "CA" + "1" * 32,
    "Direction": "inbound",
    "From": "+15550100001",
    "To": US,
}
WEBHOOKS = {
    "a forwarded call": {**CALL, "ForwardedFrom": "+15550100007"},
    "a child call": {**CALL, "ParentCallSid": "CA" + "2" * 32},
    "a dialled call": {**CALL, "DialCallSid": "CA" + "2" * 32, "DialCallStatus": "completed"},
    "a queued call": {**CALL, "DequeuedCallSid": "CA" + "2" * 32, "DequeingCallSid": "CA" + "3" * 32},
    "a browser's call": {**CALL, "From": "client:ada", "to": "+15550100005", "Name": "Ada L."},
    "a sip call": {**CALL, "From": "sip:+15550100001@example.com:5060;transport=udp", "To": "sip:us@example.sip.twilio.com"},
    "a withheld caller": {**CALL, "From": "anonymous"},
    "a raw caller id": {**CALL, "From": "0301234567"},
    "a short code": text(From="55555"),
    "a shorter one": text(From="123"),
    "a sender with a name": text(From="PIZZA"),
    "a whatsapp user with a name": text(From="whatsapp:US.1349123"),
    "a reply": text(OriginalRepliedMessageSid="SM" + "2" * 32, OriginalRepliedMessageSender="whatsapp:+15550100002"),
    "a place": text("", Label="From Tokyo To Toronto", Address="12345 Main St", Latitude="1.5", Longitude="-2"),
    "a fallback for a get": text(ErrorCode="11200", ErrorUrl=f"https://example.com/sms?AccountSid={ACCOUNT}&MessageSid={SID}&From=%2B1555"),
    "blank places": text(**dict.fromkeys(("FromState", "FromZip", "FromCountry", "ToCity", "ToState", "ToZip"), "")),
    "no sender": {"AccountSid": ACCOUNT, "RecordingSid": "RE" + "1" * 32, "CallSid": "CA" + "1" * 32},
}  # fmt: skip


@pytest.mark.parametrize("params", WEBHOOKS.values(), ids=WEBHOOKS)
def test_a_webhook_that_twilio_sends_passes(params: dict[str, str]) -> None:
    assert dict(prove(posted(params)).params) == params


OWN = {
    "PhoneTo": "+15550100009", "callTo": "+15550100009", "TransferFrom": "+15550100009", "agentFrom": "+15550100009", "leadTo": "client:bob", "ReplyTo": "12345",
    "X-From": "+15550100009", "origCallSid": "CA" + "1" * 32, "OrigCallSid": "CA" + "1" * 32, "parentAccountSid": ACCOUNT, "AgentCallSid": "CA" + "1" * 32,
    "messageSid": SID, "LastMessageSid": SID, "from": "+15550100009", "body": "From12345abc", "Body": "From12345abc",
}  # fmt: skip


@pytest.mark.parametrize("to", ["", "+15550100005", "client:bob"])
def test_g3_the_accounts_own_parameters_of_a_call_pass(to: str) -> None:
    for names in [*([name] for name in OWN), list(OWN)]:
        own = {name: OWN[name] for name in names}
        assert (
            dict(prove(posted({**CALL, "From": "client:ada", "To": to, **own})).params)["From"]
            == "client:ada"
        )
        sip = {f"SipHeader_X-{name}": value for name, value in own.items()}
        assert prove(posted({**CALL, "From": "sip:ada@example.com", **sip})).params["To"] == US


def test_a_get_that_quotes_addresses_passes_and_one_that_glues_a_form_does_not() -> None:
    query = f"AccountSid={ACCOUNT}&Body=From15550100001+please&From=%2B15550100001&To=%2B15550100099&MessageSid={SID}"

    assert prove(got(f"{URL}?{query}")).body == "From15550100001 please"
    assert status_of(got(f"{URL}?{query}&x=From15550100001")) == 200
    assert status_of(got(f"{URL}?{query}&x=AccountSid{ACCOUNT}Bodyhi")) == 403
