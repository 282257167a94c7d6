"""The re-split guard: of all the forms that one signed string can be split into, one is accepted."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from convostate.errors import RequestError
from convostate.twilio.signature import Request
from tests.proving import SECRETS, Repeated, got, oracle_sign, posted, prove, status_of
from tests.served import ACCOUNT, BOB, FORM, SID, TOKEN, URL, US, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MALLORY, VICTIM = "+15550666666", "+15550100001"
OTHER_ACCOUNT = "AC" + "0" * 31 + "9"
OTHER_SID, CALL = "SM" + "9" * 32, "CA" + "0" * 31 + "1"
OTHER_CALL = "CA" + "9" * 32
WHATSAPP, MALLORY_THERE, VICTIM_THERE = (
    f"whatsapp:{US}",
    f"whatsapp:{MALLORY}",
    f"whatsapp:{VICTIM}",
)
Params = dict[str, str]
FREE = (
    "A",
    "AddOns",
    "Body",
    "CallSomething",
    "Command",
    "Cz",
    "DirectionA",
    "E",
    "ErrorUrl",
    "FriendlyName",
    "G",
    "GroupName",
    "Label",
    "Fro",
    "SipHeader_X",
    "SpeechResult",
    "StableSpeechResult",
    "DialSipCallId",
    "DialSipHeader_X",
    "HandoffData",
    "ItemData",
    "ReferTransferTarget",
    "TranscriptionData",
    "TranscriptionText",
)  # what a sender writes


def sms(body: str, **changes: str) -> Params:
    return text(body, From=MALLORY, **changes)


def there(body: str, **changes: str) -> Params:
    params = text(body, **{"From": MALLORY_THERE, "To": WHATSAPP, "WaId": MALLORY[1:], **changes})
    del params["FromCity"]
    return params


def call(**changes: str) -> Params:
    return {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01", "CallSid": CALL, "Direction": "inbound", "From": MALLORY,
            "To": US, "CallStatus": "ringing", **changes}  # fmt: skip


def glued(params: Mapping[str, str]) -> str:
    return "".join(name + params[name] for name in sorted(params))


def changed(params: Params, *gone: str, **changes: str) -> Params:
    return {name: value for name, value in {**params, **changes}.items() if name not in gone}


def case(true: Params, *gone: str, **changes: str) -> tuple[Params, Params]:
    return true, changed(true, *gone, **changes)


def body_that_forges(**forged: str) -> tuple[Params, Params]:
    """A text that holds a whole other form, and swallows its own tail into an invented name."""
    body = f"hi{glued(forged)}ZZ"
    true = sms(body)
    kept = {name: true[name] for name in ("AccountSid",)}
    tail = glued(true).partition(body)[2]
    return true, {**kept, "Body": "hi", **forged, "ZZ": tail}


def made_a_call(true: Params, name: str) -> tuple[Params, Params]:
    """A text that holds a call's beginning and then this name, which swallows what is before the true receiver."""
    true = changed(true, "FromCity")
    caller = true["Body"].partition("From")[2].removesuffix(name)
    tail = glued(true).partition(true["Body"])[2].removesuffix(f"To{true['To']}")
    read = {name: true[name] for name in ("AccountSid", "To")}
    return true, {
        **read,
        "Body": "hi",
        "CallSid": CALL,
        "Direction": "inbound",
        "From": caller,
        name: tail,
    }


STUDIO = {"body": "hi", "from": MALLORY, "to": US}


@pytest.mark.parametrize("forged", [{"AccountSid": ACCOUNT, "From": VICTIM, "MessageSid": OTHER_SID, "To": US}, {"From": VICTIM, "MessageSid": OTHER_SID}])  # fmt: skip
@pytest.mark.parametrize("names", [("body", "from", "to"), ("message", "phone"), ("caller", "text")])  # fmt: skip
@pytest.mark.parametrize("last", ["ToCity", "ZZ"])
def test_a_flow_of_studio_s_is_not_a_query_and_another_form(
    forged: Params, names: tuple[str, ...], last: str
) -> None:
    """The names in a flow are its author's, so what a person writes there could spell a form of Twilio's own."""
    written = next(name for name in names if name in ("body", "message", "text"))
    true = dict.fromkeys(names, MALLORY) | {written: f"hi{glued(forged)}{last}"}
    head, tail = glued(true).split(true[written])
    url, signature = f"{URL}?step=2", oracle_sign(f"{URL}?step=2", true)
    read = {**forged, last: tail}
    assert f"{url}{head}hi{glued(read)}" == url + glued(true)

    assert status_of(posted(read, url=f"{url}{head}hi", signature=signature)) == 403
    assert dict(prove(posted(true, url=url)).params) == true


@pytest.mark.parametrize("query", ["next=context", "body=text&from=1", "step=somebody&to=%2B15550100099", "flow=ask_message&Body=hi"])  # fmt: skip
def test_g1_g2_a_query_may_speak_of_texts(query: str) -> None:
    for params in (text(f"call from +1 or to{US[1:4]}"), call(to=US, caller=MALLORY), STUDIO):
        assert dict(prove(posted(params, url=f"{URL}?{query}")).params) == params


FORGERIES: dict[str, tuple[Params, Params]] = {
    "a05 a boundary moved in the sender": case(sms("hi"), "From", Fro=f"m{MALLORY}"),
    "a05 a boundary moved in the receiver": case(sms("hi"), "To", T=f"o{US}"),
    "a05 a boundary moved in the account": case(sms("hi"), "AccountSid", AccountSi=f"d{ACCOUNT}"),
    "a05 a boundary moved in the sid": case(sms("hi"), "MessageSid", MessageSi=f"d{SID}"),
    "a05 a boundary moved in the call": case(call(), "CallSid", CallSi=f"d{CALL}"),
    "a05 the end of a call's sid moved to a name": case(
        {"AccountSid": ACCOUNT, "CallSid": f"{CALL[:-1]}b", "Final": "true", "TranscriptionEvent": "transcription-content"},
        "Final", "TranscriptionEvent", CallSid=CALL[:-1], bF="inaltrueTranscriptionEventtranscription-content"),
    "a05 a sid moved to a name": case(sms("hi"), "NumMedia", MessageSid="", S=f"{SID[1:]}NumMedia0"),
    "a05 a value moved to its name": case(sms("hi"), "To", **{f"To{US}": ""}),
    "a06 a sender in the text, the true one behind an invented name":
        case(sms(f"hiFrom{VICTIM}FromA"), Body="hi", From=VICTIM, FromAFrom=MALLORY),
    "a06 the true sender swallowed by the forged one": case(sms(f"hiFrom{VICTIM}"), Body="hi", From=f"{VICTIM}From{MALLORY}"),
    "a06b an invented name that ends in From": case(sms(f"hiFrom{VICTIM}FromB"), Body="hi", From=VICTIM, FromBFrom=MALLORY),
    "a06c the true name across an invented name and its value":
        case(sms(f"hiFrom{VICTIM}FromA"), Body="hi", From=VICTIM, FromAFro=f"m{MALLORY}"),
    "a06c all of the true name in the value": case(sms(f"hiFrom{VICTIM}FromA"), Body="hi", From=VICTIM, FromA=f"From{MALLORY}"),
    "a06 a sender on a channel":
        case(there(f"hiFrom{VICTIM_THERE}FromA"), Body="hi", From=VICTIM_THERE, FromAFrom=MALLORY_THERE),
    "a06 a sender without a plus": case(sms("hiFrom15550100001FromA"), Body="hi", From="15550100001", FromAFrom=MALLORY),
    "a06 a true sender without a plus":
        case(text(f"hiFrom{VICTIM}FromA", From="55555"), Body="hi", From=VICTIM, FromAFrom="55555"),
    "a06 a true sender without a number":
        case(there(f"hiFrom{VICTIM_THERE}FromA", From="whatsapp:US.1349"), Body="hi", From=VICTIM_THERE, FromAFrom="whatsapp:US.1349"),
    "a06 a true sender behind ForwardedFrom": case(there("hiForwarded", Label=f"xFrom{VICTIM_THERE}"), "Label",
        Body="hi", ForwardedFrom=f"{MALLORY_THERE}Labelx", From=VICTIM_THERE),
    "a06 a true sender behind ForwardedFrom, its city as the sender":
        case(sms("hiForwarded"), "FromCity", Body="hi", ForwardedFrom=MALLORY, From="City"),
    "a06 a true sender that is a word behind ForwardedFrom, its city as the sender":
        case(text("hiForwarded", From="Mallory"), "FromCity", Body="hi", ForwardedFrom="Mallory", From="City"),
    "a06 a true sender behind ForwardedFrom, and no other": case(there("Forwarded"), "From", Body="", ForwardedFrom=MALLORY_THERE),
    "a06 the true sender at the end of the text": case(sms("hi"), "From", Body=f"hiFrom{MALLORY}"),
    "a06 the true sender at the end of the text, its city as the sender":
        case(sms("hi", FromCity="X"), "FromCity", Body=f"hiFrom{MALLORY}", From="CityX"),
    "a06 the true receiver at the end of the text": case(
        {"AccountSid": ACCOUNT, "Body": "hi", "To": US, "From": MALLORY, "MessageSid": SID}, "From", "MessageSid", "To",
        Body=f"hiFrom{MALLORY}MessageSid{SID}To{US}"),
    "a06 a place's label, the true sender swallowed by the text":
        case(there("", Label=f"xFrom{VICTIM_THERE}", Latitude="1"), "Label", Body=f"From{MALLORY_THERE}Labelx", From=VICTIM_THERE),
    "a06 a place's label, a short code swallowed by the text":
        case(text("", From="55555", Label=f"xFrom{VICTIM}"), "Label", "FromCity", Body="From55555FromCityLabelx", From=VICTIM),
    "a06 a place's label, a sender without a number swallowed by the text":
        case(there("", From="whatsapp:US.1349", Label=f"xFrom{VICTIM_THERE}"), "Label", Body="Fromwhatsapp:US.1349Labelx", From=VICTIM_THERE),
    "a06 a parameter of a voice client":
        case(call(From="client:mallory", Fro=f"m{VICTIM}FromA"), "Fro", From=VICTIM, FromAFrom="client:mallory"),
    "a06 a header of a sip call":
        case(call(To="sip:us@example.com", SipHeader_X=f"To{US}ToA"), SipHeader_X="", To=US, ToATo="sip:us@example.com"),
    "a06 a true sender that is a word": case(text(f"hiFrom{VICTIM}FromA", From="Mallory"), Body="hi", From=VICTIM, FromA="FromMallory"),
    "a06 a true sender that is a word, behind an invented name":
        case(text(f"hiFrom{VICTIM}FromA", From="Mallory"), Body="hi", From=VICTIM, FromAFrom="Mallory"),
    "a06 a true sender that is a word, across two parameters":
        case(text(f"hiFrom{VICTIM}G", From="Mallory"), "FromCity", Body="hi", From=VICTIM, G="From", MalloryFromCity=""),
    "a06 a true sender that is a word, in the city": case(text(f"hiFrom{VICTIM}FromCityX", From="Mallory"),
        Body="hi", From=VICTIM, FromCity="XFromMalloryFromCity"),
    "a06 a true sender that is a word, in a text made a call's": case(text(f"hiCallSid{CALL}From{VICTIM}G", From="Mallory"),
        "FromCity", Body="hi", CallSid=CALL, From=VICTIM, G="FromMalloryFromCity"),
    "a06 a true sender of four digits": case(text(f"hiFrom{VICTIM}FromA", From="1234"), Body="hi", From=VICTIM, FromA="From1234"),
    **{f"a06 a true sender that is a word, in a text made a call from {caller}, swallowed by {name}":
        made_a_call(text(f"hiCallSid{CALL}DirectioninboundFrom{caller}:victim{name}", From="HSBC UK"), name)
       for caller in ("sip", "client") for name in ("Label", "SipDomain", "SpeechResult", "StirVerstat")},
    "a06 a true sender that is a word, in an add-on's text made a call":
        case(text("hi", From="Mallory", AddOns=f"xCallSid{CALL}DirectioninboundFromclient:victimStirVerstat"), "Body", "FromCity", "MessageSid", "NumMedia",
             "SmsMessageSid", "SmsSid", AddOns="x", CallSid=CALL, Direction="inbound", From="client:victim",
             StirVerstat=f"BodyhiFromMalloryFromCityMessageSid{SID}NumMedia0SmsMessageSid{SID}SmsSid{SID}"),
    "a06 a true sender on a channel that begins with digits":
        case(there("hiFromrcs:victimFromCityx", From="rcs:132500SES", To="rcs:us"), Body="hi", From="rcs:victim", FromCity="xFromrcs:132500SES"),
    "a06 a withheld caller": case(call(From="anonymous", SipHeader_X=f"xFrom{VICTIM}"), "SipHeader_X", F="romanonymousSipHeader_Xx", From=VICTIM),
    "a06 a withheld caller, written otherwise":
        case(call(From="Restricted", SipHeader_X=f"xFrom{VICTIM}"), "SipHeader_X", F="romRestrictedSipHeader_Xx", From=VICTIM),
    "a06 a client that names a forwarder": case(call(From="client:mallory", E="xForwarded", Label=f"xFrom{VICTIM}"), "Label",
        E="x", ForwardedFrom="client:malloryLabelx", From=VICTIM),
    "a06 a forwarder in a text": case(there(f"hiCallSid{CALL}Forwarded", From="whatsapp:US.1349", Label=f"xFrom{VICTIM_THERE}"), "Label",
        Body="hi", CallSid=CALL, ForwardedFrom="whatsapp:US.1349Labelx", From=VICTIM_THERE),
    "a06 the sender lengthened by the next parameter": case(there("hi", Label="home"), "Label", From=f"{MALLORY_THERE}Labelhome"),
    "a06 the sender lengthened by a blank one": case(sms("hi"), "FromCity", From=f"{MALLORY}FromCity"),
    "a06 the receiver lengthened by the next parameter": case(there("hi"), "WaId", To=f"{WHATSAPP}WaId{MALLORY[1:]}"),
    "a06 the receiver of a text lengthened by the next parameter": case(sms("hi", WaId="1555"), "WaId", To=f"{US}WaId1555"),
    "a06 a receiver in what a caller says":
        case(call(SpeechResult=f"xTo{VICTIM}ToCity"), SpeechResult="x", To=VICTIM, ToCity=f"To{US}"),
    **{f"a06 {caller} in the query of a GET that failed": case(call(From=caller, ErrorUrl="https://example.com/a?q=xFrom15550100001G"),
        ErrorUrl="https://example.com/a?q=x", From="15550100001", G=f"From{caller}") for caller in (MALLORY, "anonymous")},
    "a06 a receiver in what a caller says so far":
        case(call(StableSpeechResult=f"xTo{VICTIM}ToCity", UnstableSpeechResult=""), StableSpeechResult="x", To=VICTIM, ToCity=f"To{US}"),
    "a05 a boundary moved in a conference's call": case(
        {"AccountSid": ACCOUNT, "CallSid": CALL, "ConferenceSid": f"CF{'1' * 32}", "Muted": "false"}, "CallSid", "ConferenceSid",
        CallSidCA=f"{CALL[2:]}ConferenceSidCF{'1' * 32}"),
    "a05 a boundary moved in a status": case(
        {"AccountSid": ACCOUNT, "From": US, "MessageSid": SID, "MessageStatus": "sent", "SmsSid": SID, "To": VICTIM}, "MessageStatus", MessageStatu="ssent"),
    "a05 the text lengthens the version": case({"ApiVersion": "2010-04-01", **sms("hi")}, "Body", ApiVersion="2010-04-01Bodyhi"),
    "a06 a client that hides itself between two names of its own":
        case(call(From="client:mallory", E="x", G=f"xFrom{VICTIM}"), "G", E="xFromclient:malloryGx", From=VICTIM),
    "a06 a client that names an account": case(call(From="client:mallory", A=f"x yAccountSid{OTHER_ACCOUNT}AddOns"),
        A="x y", AccountSid=OTHER_ACCOUNT, AddOns=f"AccountSid{ACCOUNT}"),
    "a06 a client that turns the direction": case(call(From="client:mallory", Cz="Directionoutbound-apiE", E="x"),
        Cz="", Direction="outbound-api", E="DirectioninboundEx"),
    "a06 a client that turns the direction, which a name of its own follows":
        case(call(Direction="outbound-dial", From="client:mallory", Cz="x", DirectionA="xDirectioninboundE"), "DirectionA",
             Cz="xDirectionoutbound-dialDirectionAx", Direction="inbound", E=""),
    "a06 a client that writes another sender before itself": case(call(From="client:mallory", E=f"xFrom{VICTIM}FromA", G=" "),
        E="x", From=VICTIM, FromA="Fromclient:mallory"),
    "a06 a client that takes the SID of another call":
        case(call(From="client:mallory", B="", CallSomething=f"xCallSid{OTHER_CALL}"), "B", "CallSomething",
             BCallSid=CALL, CallS="omethingx", CallSid=OTHER_CALL),
    "a06 the text of a parameter that Twilio will add": case(there("hi", GroupName=f"xFrom{VICTIM_THERE}"), "GroupName",
        Body=f"hiFrom{MALLORY_THERE}GroupNamex", From=VICTIM_THERE),
    "a06 a word lengthened by the next parameter": case(call(From="Mallory", QueueResult="bridged"), "QueueResult", From="MalloryQueueResultbridged"),
    "a06 digits and letters lengthened by a place": case(there("hi", From="rcs:132500SES", To="rcs:us", Latitude="1"), "Latitude", From="rcs:132500SESLatitude1"),
    "a06 a telephone lengthened by its own header":
        case(call(From="sip:mallory@example.com", SipHeader_X="x", To="sip:us@example.com"), "SipHeader_X", From="sip:mallory@example.comSipHeader_Xx"),
    "a06 a client lengthened by what it calls": case(call(From="client:mallory", Za="x"), "To", "Za", From=f"client:malloryTo{US}Zax"),
    "a06 a message in the command of a device": case(
        {"AccountSid": ACCOUNT, "Command": f"xFrom{VICTIM}MessageSid{OTHER_SID}To{US}Zz", "CommandSid": f"DC{'1' * 32}", "SimSid": f"DE{'1' * 32}"},
        "CommandSid", "SimSid", Command="x", From=VICTIM, MessageSid=OTHER_SID, To=US, Zz=f"CommandSidDC{'1' * 32}SimSidDE{'1' * 32}"),
    "a06 a receiver in what a caller has said, the true one swallowed by a place": case(call(FromCity="X", TranscriptionText=f"xTo{VICTIM}"),
        "TranscriptionText", FromCity=f"XTo{US}TranscriptionTextx", To=VICTIM),
    "a06 a sender in a conference's name, its event in a header": case(
        {"AccountSid": ACCOUNT, "CallSid": CALL, "FriendlyName": f"hiFrom{VICTIM}SipHeader_X", "StatusCallbackEvent": "participant-join"},
        "StatusCallbackEvent", FriendlyName="hi", From=VICTIM, SipHeader_X="StatusCallbackEventparticipant-join"),
    "a06 a receiver in what a language model hands over": case(call(HandoffData=f"xTo{VICTIM}ToCity"), HandoffData="x", To=VICTIM, ToCity=f"To{US}"),
    "a06 a receiver in what a SIP telephone transfers to":
        case(call(ReferTransferTarget=f"sip:xTo{VICTIM}ToCity"), ReferTransferTarget="sip:x", To=VICTIM, ToCity=f"To{US}"),
    **{f"a06 a withheld caller behind what the dialled telephone says in {name}": case(call(From="anonymous", **{name: f"xDirectioninboundFrom{VICTIM}SipDomain"}),
        **{name: "x", "From": VICTIM, "SipDomain": "DirectioninboundFromanonymous"}) for name in ("DialSipHeader_X", "DialSipCallId")},
    **{f"a06 a withheld caller behind {before}, a sender in {name}": case(call(From="anonymous", **{before: value, name: f"xFrom{VICTIM}Sz"}), name,
        **{before: f"{value}Fromanonymous{name}x", "From": VICTIM, "Sz": ""})
       for before, value in (("ForwardedFrom", US), ("ErrorUrl", "https://example.com/a")) for name in ("HandoffData", "ReferTransferTarget", "SpeechResult")},
    "a06 a sender in a live transcription": case({"AccountSid": ACCOUNT, "CallSid": CALL, "Final": "true", "TranscriptionData": f"hiFrom{VICTIM}T", "TranscriptionEvent": "transcription-content"},
        "TranscriptionData", "TranscriptionEvent", Final="trueTranscriptionDatahi", From=VICTIM, T="TranscriptionEventtranscription-content"),
    "a06 a sender in a document of Sync": case({"AccountSid": ACCOUNT, "EventType": "map_item_updated", "ItemData": f"hiFrom{VICTIM}I", "ItemKey": "k", "ServiceSid": f"IS{'1' * 32}"},
        "ItemData", "ItemKey", EventType="map_item_updatedItemDatahi", From=VICTIM, I="ItemKeyk"),
    "a06 the account lengthened by the next parameter": case(sms("hi", AddOns="{}"), "AddOns", AccountSid=f"{ACCOUNT}AddOns{{}}"),
    "a06 the sid lengthened by the next parameter":
        case(sms("hi"), "NumMedia", MessageSid=f"{SID}NumMedia0"),
    "a06 the other sid at the end of the parameter before it": case(sms("hi"), "SmsMessageSid", NumMedia=f"0SmsMessageSid{SID}"),
    "a06 the last sid at the end of the parameter before it":
        case(changed(sms("hi"), "SmsMessageSid"), "SmsSid", NumMedia=f"0SmsSid{SID}"),
    "a06 the other sid of a channel at the end of the parameter before it": case(there("hi"), "SmsMessageSid", NumMedia=f"0SmsMessageSid{SID}"),
    "a06 the sid of a message of Twilio Conversations at the end of the parameter before it": case(
        {"AccountSid": ACCOUNT, "Body": "hi", "ConversationSid": f"CH{'1' * 32}", "MessageSid": f"IM{'1' * 32}"}, "MessageSid",
        ConversationSid=f"CH{'1' * 32}MessageSidIM{'1' * 32}"),
    "a06 the call lengthened by the next parameter": case(call(), "CallStatus", CallSid=f"{CALL}CallStatusringing"),
    "a07 another sender and sid, the tail swallowed":
        body_that_forges(From=VICTIM, MessageSid=OTHER_SID, NumMedia="0", SmsMessageSid=OTHER_SID, SmsSid=OTHER_SID, To=US),
    "a07 another sender and receiver": body_that_forges(From=VICTIM, To=BOB),
    "a07 a call made of a text": body_that_forges(CallSid=CALL, Direction="inbound", From=VICTIM, To=US),
    "a07 a status made of a text": body_that_forges(From=US, MessageSid=OTHER_SID, MessageStatus="delivered", To=VICTIM),
    "a07 another sid, the rest swallowed": body_that_forges(MessageSid=OTHER_SID),
}  # fmt: skip


@pytest.mark.parametrize(("true", "forged"), FORGERIES.values(), ids=FORGERIES)
def test_a_resplit_form_is_refused_and_one_without_such_a_text_accepted(
    true: Params, forged: Params
) -> None:
    signature = oracle_sign(URL, true)
    assert RequestValidator(TOKEN).validate(
        URL, Repeated(forged.items()), signature
    )  # it was signed, in a way

    assert status_of(posted(forged, signature=signature)) in {400, 403}
    calm = {name: "hi" if name in FREE else value for name, value in true.items()}
    assert dict(prove(posted(calm)).params) == calm


@pytest.mark.parametrize(("behind", "status"), [("", 403), ("Body", 403), ("AccountSidA", 403), ("AccountSid", 200), ("AccountSie", 403), ("Aa", 200), ("/sms", 200), ("?step=2", 200)])  # fmt: skip
def test_a08_a_url_in_which_a_form_could_begin_proves_nothing(behind: str, status: int) -> None:
    """A form begins with its account, and a name behind it sorts after AccountSid."""
    url = f"{URL}/AccountSid{ACCOUNT}{behind}"
    assert status_of(got(url)) == status


@pytest.mark.parametrize("url", [f"{URL}?a=1", URL])
@pytest.mark.parametrize(
    "body", ["hi", f"hi&From={VICTIM}&To={US}&Body=ho&", f"hi&Body=From{VICTIM}&x="]
)
def test_a08_the_signature_of_a_form_does_not_prove_a_glued_url(url: str, body: str) -> None:
    params = sms(body)
    signature = oracle_sign(url, params)
    glued_url = url + glued(params).replace(" ", "")

    assert status_of(got(glued_url, signature=signature)) == 403
    assert status_of(posted(params, url=url, signature=signature)) == 200


def from_get(query: str, at: str, *names: str) -> tuple[str, Params]:
    """The URL and the form that the glued rest of a query is read as."""
    head, rest = query[: query.index(at)], query[query.index(at) :]
    form: Params = {}
    for name, following in zip(names, [*names[1:], "ZZ"], strict=True):
        value, _, rest = rest.removeprefix(name).partition(following)
        form[name], rest = value, following + rest
    return f"{URL}?{head}", {**form, "ZZ": rest.removeprefix("ZZ")}


def test_a09_the_signature_of_a_get_does_not_prove_a_form() -> None:
    """A space of the text is a plus in the query, so a text can spell a whole form there."""
    forged = f"hiAccountSid{ACCOUNT}From 15550100001MessageSid{OTHER_SID}To 15550100099ZZ"
    query = urlencode(
        {"Body": "", **sms(forged)}
    )  # the text stands before all that tells who wrote it
    url, form = from_get(query, f"AccountSid{ACCOUNT}", "AccountSid", "From", "MessageSid", "To")
    signature = oracle_sign(f"{URL}?{query}")
    assert form["From"] == VICTIM
    assert RequestValidator(TOKEN).validate(url, Repeated(form.items()), signature)

    assert status_of(posted(form, url=url, signature=signature)) == 403
    assert prove(got(f"{URL}?{urlencode(sms('hi'))}")).params["From"] == MALLORY


@pytest.mark.parametrize(
    "content_type", ["", FORM, "application/json", "text/plain", "multipart/form-data; boundary=x"]
)
def test_a09_the_signature_of_a_get_does_not_prove_a_post(content_type: str) -> None:
    url = f"{URL}?{urlencode(sms('hi'))}"
    request = Request("POST", url, url.partition("?")[2], content_type, b"", oracle_sign(url), "")

    assert status_of(request) in {403, 415}
    assert status_of(got(url)) == 200


NAMES = ("From", "To", "AccountSid", "MessageSid", "SmsSid", "CallSid")
PIECES = (
    *(f"From{VICTIM}", f"To{VICTIM}", f"From{US}", "From", "To", "Fro", "FromA", "ForwardedFrom", "Forwarded", "Sms", "Parent"),
    *(f"MessageSid{OTHER_SID}", f"SmsSid{OTHER_SID}", f"SmsMessageSid{OTHER_SID}", f"CallSid{CALL}", f"AccountSid{ACCOUNT}"),
    *("MessageSid", "Body", "Directioninbound", "SmsStatusreceived", "MessageStatussent", "x", "+1", "hi", "ToZ", "Z", " ", "12"),
)  # fmt: skip


def texts(random: Random) -> Iterator[Params]:
    """Webhooks whose free texts are made of what a re-split needs."""
    while True:
        free = ["".join(random.choices(PIECES, k=random.randint(1, 6))) for _ in range(3)]
        kind: Callable[..., Params] = random.choice([sms, there])
        extra = {
            name: free.pop()
            for name in random.sample(["Label", "ProfileName"], random.randint(0, 2))
        }
        yield kind(free.pop(), **extra)


KNOWN = """AccountSid Body From FromCity ForwardedFrom Label MessageSid MessageStatus NumMedia SmsMessageSid SmsSid
    SmsStatus To ToZ WaId CallSid Direction ProfileName FromA FromAFrom FromAFro Z x""".split()


def splits(signed: str, random: Random) -> Iterator[Params]:
    """Ways to read a glued string as sorted parameters with known names."""
    begins = [
        (at, name) for at in range(len(signed)) for name in KNOWN if signed.startswith(name, at)
    ]
    for _ in range(40):
        cuts = [begin for begin in begins if begin[0] == 0]
        while following := [
            (at, name)
            for at, name in begins
            if at >= cuts[-1][0] + len(cuts[-1][1]) and name > cuts[-1][1]
        ]:
            near = following[: random.randint(1, 8)]
            if random.random() < 0.05:
                break
            cuts.append(random.choice(near))
        ends = [at for at, _ in cuts[1:]] + [len(signed)]
        yield {
            name: signed[at + len(name) : end] for (at, name), end in zip(cuts, ends, strict=True)
        }


def identity(true: Mapping[str, str], read: Mapping[str, str]) -> dict[str, str | None]:
    """What a reading says of the addresses and SIDs that the true one has."""
    return {name: read.get(name) for name in NAMES if name in true}


@pytest.mark.parametrize("true", [
    text("hi", From="Mallory", FromCity="SAN FROM", FromState="CA"), text("Sent From1 Fromage", From="1234"),
    text("From me ToYou", From="MyFrom"), text("hi", From="38000", MediaUrl0="https://api.example/Fro/m1"),
    call(From="anonymous"), call(From="Restricted", CallerName="From Home"), call(ForwardedFrom=VICTIM),
    call(ForwardedFrom="sip:us@example.com"), call(From="client:Fromm", Label="Frome"),
], ids=lambda true: f"{true['From']} {true.get('Body', '')}")  # fmt: skip
def test_a_sender_that_is_not_a_number_is_accepted(true: Params) -> None:
    assert dict(prove(posted(true)).params) == true


@pytest.mark.unmeasured
def test_no_generated_resplit_moves_a_sender_a_receiver_an_account_or_a_sid() -> None:
    random = Random(20260806)
    tried = moved = 0
    for true, _ in zip(texts(random), range(150), strict=False):
        signature = oracle_sign(URL, true)
        proven = prove(posted(sms("hi") if true["To"] == US else there("hi")))
        for forged in splits(glued(true), random):
            assert glued(forged) == glued(true)
            tried += 1
            moved += identity(true, forged) != identity(true, true)
            try:
                webhook = prove(posted(forged, signature=signature))
            except RequestError:
                continue
            assert identity(true, webhook.params) == identity(true, true), (true, forged)
            assert (webhook.kind, webhook.pair) == (proven.kind, proven.pair), (true, forged)
    assert moved > 1000, f"the generator moves {moved} of {tried}: too few to prove anything"


@pytest.mark.parametrize("piece", ["To12345 ", "From12345\n", "To+12", "From+12 ", "Directioninbound ", "From15550100001To15550100002", "From+12To+12A"])  # fmt: skip
@pytest.mark.parametrize("text", [sms, there])
def test_g5_a_text_of_4_096_characters_may_be_full_of_addresses(
    piece: str, text: Callable[..., Params]
) -> None:
    params = text((piece * 4096)[:4096])
    assert dict(prove(posted(params)).params) == params


@pytest.mark.parametrize("piece", ["To+12", f"From{VICTIM}", f"To{VICTIM}", "DirectioninboundF"])
def test_a_text_with_more_places_than_a_person_can_write_is_refused(piece: str) -> None:
    """Each place costs the guard time; a text of 4,096 characters has at most 819."""
    assert status_of(posted(sms(piece * 820))) == 200
    assert status_of(posted(sms(piece * 821))) == 403


def test_every_secret_of_a_refusal_stays_secret() -> None:
    true, forged = FORGERIES["a06 a sender in the text, the true one behind an invented name"]
    with pytest.raises(RequestError) as caught:
        prove(posted(forged, signature=oracle_sign(URL, true)), SECRETS)
    assert not any(
        part in str(caught.value) for part in (MALLORY, VICTIM, ACCOUNT, SID, TOKEN, "hi")
    )
