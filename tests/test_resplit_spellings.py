"""What the re-split guard takes for a place where an identity field begins, to the character."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from convostate.twilio.signature import Secrets
from tests.proving import oracle_sign, posted, prove, status_of
from tests.served import ACCOUNT, ADA, BOB, SID, TOKEN, URL, US, text
from tests.test_resplit import (
    CALL,
    MALLORY,
    OTHER_ACCOUNT,
    OTHER_CALL,
    Params,
    call,
    changed,
    glued,
    there,
)

HEX = "0123456789abcdef"
ADDRESSES = [
    "+12", "+90", "+09", "12345", "67890", "09999", "whatsapp:+12", "ab:+12", f"{'z' * 24}:12345", "az:67890",
    "client:a", "sip:a", "sips:a", "rcs:a", "whatsapp:a", "messenger:a", "client:!", "client:~", "viber:ada",
]  # fmt: skip
NO_ADDRESSES = ["+1", "+x1", "1234", "a:+12", "AB:+12", ":+12", "client: a", "client:é", "clienta", "client", "anonym", "Ada", " +1555", "=+1555", ""]  # fmt: skip


def resplit(address: str) -> tuple[Params, Params]:
    """A text from an address whose writer makes somebody else the sender, and how it is read."""
    channel = address.partition(":")[0] + ":" if ":" in address else ""
    victim = f"{channel}+15550100001"
    true = there(f"hiFrom{victim}FromA", From=address, To=f"{channel}{US}")
    return true, {**true, "Body": "hi", "From": victim, "FromAFrom": address}


def test_a_sender_that_looks_like_an_address_shows_and_another_one_is_not_a_channels() -> None:
    """What does not look like one is found between the sender and the SID, if it has no channel."""
    for address in [
        *ADDRESSES,
        *(each for each in NO_ADDRESSES if each.strip(" ") and ":" not in each),
    ]:
        if address.startswith(("client", "sip")):
            continue  # no message is from there
        true, forged = resplit(address)
        assert glued(true) == glued(forged)
        assert status_of(posted(forged, signature=oracle_sign(URL, true))) == 403, address
        if not address.startswith(("=", " ")):
            assert status_of(posted({**true, "Body": "hi"})) == 200, address


@pytest.mark.parametrize(("true", "forged"), [
    (call(CallerName="xDirectioninboundFrom+15550100001Zz"), {"CallerName": "x", "From": ADA, "Zz": f"DirectioninboundFrom{MALLORY}"}),
    (call(From="mallory", SpeechResult=f"helloFrom{ADA}G"), {"Fro": "mmallorySpeechResulthello", "From": ADA, "G": ""}),
    (call(From="client:mallory", Fra="x", Fro=f"m{ADA}FromA"), {"From": ADA, "FromAFrom": "client:mallory"}),
    (call(SpeechResult="MessageStatussent"), {"SpeechResult": "", "MessageStatus": "sent"}),
    (text("CallStatusringing"), {"Body": "", "CallStatus": "ringing"}),
    ({"AccountSid": ACCOUNT, "EventType": "task.created", "TaskAttributes": f'{{"a":"From{ADA}To{US}', "TaskSid": "WT" + "1" * 32, "WorkspaceSid": "WS" + "1" * 32},
     {"EventType": 'task.createdTaskAttributes{"a":"', "From": ADA, "To": US, "TaskAttributes": None}),
    ({"AccountSid": ACCOUNT, "CallSid": CALL, "FriendlyName": f"xFrom{ADA}", "ConferenceSid": "CF" + "1" * 32, "StatusCallbackEvent": "participant-join"},
     {"FriendlyName": "x", "From": ADA}),
    ({"AccountSid": ACCOUNT, "Level": "ERROR", "Payload": f"{{MessageSid{SID}x", "PayloadType": "application/json"}, {"Level": "ERRORPayload{", "MessageSid": SID, "Payload": None}),
], ids=["o15 a call's name", "o15 a word before speech", "o15 a client's names", "a call as a status", "a call's status in a text",
        "a task's text", "a conference's name", "an error's payload"])  # fmt: skip
def test_o15_a_forgery_that_needs_no_address_is_refused(
    true: Params, forged: dict[str, str | None]
) -> None:
    """Even if Twilio had signed just this."""
    read = {name: value for name, value in {**true, **forged}.items() if value is not None}
    assert status_of(posted(read)) == 403
    calm = {name: "hi" if name in FREE else value for name, value in true.items()}
    assert dict(prove(posted(calm)).params) == calm


FREE = (
    "Body",
    "CallerName",
    "SpeechResult",
    "Fra",
    "Fro",
    "Label",
    "TaskAttributes",
    "FriendlyName",
    "Payload",
)


@pytest.mark.parametrize("name", ["ParentCallSid", "DialCallSid", "DequeuedCallSid", "DequeingCallSid", "OriginalRepliedMessageSid", "interactionAccountSid"])  # fmt: skip
def test_a_parameter_whose_name_ends_in_that_of_a_sid_is_one(name: str) -> None:
    sid = f"AC{HEX}{HEX}"
    for sender in (BOB, "client:bob"):
        assert status_of(posted(call(From=sender, **{name: sid}))) == 200


@pytest.mark.parametrize("sender", ["client:a b", "client:12345ab", "sip:+15550100001@example.com", "sips:12345@example.com", "sip:a@example.com;x=From", "+1555 (0100)",
                                    "messenger:CallerAda", "132500SES", "55555A", "HSBC UK", "Äpfel", "MyFrom", "MyLabel", "1234", "a", "A" * 256])  # fmt: skip
def test_g4_a_sender_in_its_place_may_be_spelled_as_it_likes(sender: str) -> None:
    params = call(From=sender) if sender[:2] in ("cl", "si") else text(From=sender)
    webhook = prove(posted(params))
    assert webhook.pair is not None
    assert webhook.pair.theirs == sender


@pytest.mark.parametrize(("field", "address"), [
    ("From", f"{BOB}FromCity"), ("From", f"{BOB}MediaUrl0"), ("To", f"{US}WaId1"), ("From", "AdaFromZip"), ("From", "Ada FromBob"), ("From", "whatsapp:USLabelx"),
    ("From", "client:adaFromCity"), ("From", f"client:aFrom{BOB}"), ("To", "sip:usToCountry"), ("MessageSid", f"{SID}NumMedia0"),
])  # fmt: skip
def test_a_value_that_goes_on_with_a_name_is_refused(field: str, address: str) -> None:
    params = call() if address[:2] in ("cl", "si") else text()
    with pytest.raises(RequestError) as caught:
        prove(posted({**params, field: address}))
    assert (caught.value.status, caught.value.parameter) in {(403, field), (403, "SmsSid")}


@pytest.mark.parametrize(
    "name", ["From", "To", "AccountSid", "MessageSid", "SmsMessageSid", "Direction", "CallSid"]
)
def test_a05_an_undocumented_name_is_not_a_part_of_an_identity_field(name: str) -> None:
    for true in (text(), call()):
        if name not in true:
            continue
        for size in range(1, len(name)):
            shifted = changed(true, name, **{name[:size]: name[size:] + true[name]})
            assert status_of(posted(shifted, signature=oracle_sign(URL, true))) == 403
        longer = changed(true, name, **{name + true[name][:2]: true[name][2:]})
        assert status_of(posted(longer, signature=oracle_sign(URL, true))) in (400, 403)


def test_own_params_are_trusted_and_named_by_the_refusal() -> None:
    """The `c` of a client that chooses names may be `allFromclient:bob` as well, so only the account can say."""
    params = call(From="client:ada", transferFrom="client:bob")
    with pytest.raises(RequestError) as caught:
        prove(posted(params))
    assert (caught.value.parameter, caught.value.setting) == (
        "transferFrom",
        "CONVOSTATE_OWN_PARAMS",
    )
    assert "bob" not in str(caught.value)

    for own in (["transferFrom"], ["x", "transfer*"]):
        webhook, _ = authenticate(posted(params), Secrets((TOKEN,), own_params=own))
        assert dict(webhook.params) == params
    for other in (["transfer"], ["Transfer*"], []):
        with pytest.raises(RequestError):
            authenticate(posted(params), Secrets((TOKEN,), own_params=other))
    # A documented name is never the account's own.
    _, forged = resplit(BOB)
    signature = oracle_sign(URL, resplit(BOB)[0])
    with pytest.raises(RequestError):
        authenticate(posted(forged, signature=signature), Secrets((TOKEN,), own_params=["Body"]))


LINK = f"https://example.com/a?From=%2B15550100001&To=%2B15550100002&MessageSid={SID}"


@pytest.mark.parametrize("params", [
    text(NumMedia="1", MediaUrl0=LINK, MediaContentType0="image/png"), text(From="Mallory", NumMedia="1", MediaUrl0=LINK),
    call(ErrorUrl=LINK, ErrorCode="11200"), call(From="Restricted", ErrorUrl=f"https://example.com/a?q=From%2B1&CallSid={CALL}"),
    call(ErrorUrl="https://example.com/voice", SpeechResult=f"From{BOB}To{US}Zz"), call(From="sip:a@b", ErrorUrl="https://example.com/voice", **{"SipHeader_X-From": BOB}),
    call(From="client:ada", Extra=f'{{"From":"{BOB}","CallSid":"{CALL}"}}'),
    there("hi", ListTitle=f"From{BOB}"), call(StableSpeechResult="hi", UnstableSpeechResult=f"to To{BOB}"),
    {"AccountSid": ACCOUNT, "From": "FromTheBank", "To": BOB, "MessageSid": SID, "SmsSid": SID, "MessageStatus": "sent", "SmsStatus": "sent"},
], ids=["a picture's link", "a word's picture", "a call's fallback", "a hidden caller's fallback", "a fallback and speech", "a fallback and a header", "a client's JSON", "a list's entry", "speech behind the receiver", "our own name, in a status"])  # fmt: skip
def test_g4_g5_a_link_that_names_a_sender_hides_none(params: Params) -> None:
    assert dict(prove(posted(params)).params) == params


@pytest.mark.parametrize(
    "sender",
    ["Mallory", "(555) 0100", "#31#", "&Co", "_x", "-x", "Äpfel", "1234", *(f"{mark}x" for mark in "!@$£€%'\"./,;:<>?\\^`{|}~[])¡§")],
)  # fmt: skip
def test_a06_a_sender_that_is_no_number_is_found_behind_a_picture(sender: str) -> None:
    true = text(f"hiFrom{ADA}MediaUrl0x", From=sender)
    read = {
        **changed(true, "FromCity"),
        "Body": "hi",
        "From": ADA,
        "MediaUrl0": f"xFrom{sender}FromCity",
    }
    assert glued(read) == glued(true)
    assert status_of(posted(read, signature=oracle_sign(URL, true))) == 403
    assert status_of(posted({**true, "Body": "hi"})) == 200


@pytest.mark.parametrize(("params", "changes"), [
    (there("hi", Label="FromBob"), {"From": BOB, "To": US}),
    ({"AccountSid": ACCOUNT, "Body": "FromBob", "ConversationSid": f"CH{HEX}{HEX}", "MessageSid": f"IM{HEX}{HEX}"}, {"MessageSid": SID}),
], ids=["on a channel every sender is an address", "a message of Twilio Conversations has no sender"])  # fmt: skip
def test_g5_a_word_may_follow_from_if_no_sender_is_a_word(params: Params, changes: Params) -> None:
    assert dict(prove(posted(params)).params) == params
    with pytest.raises(RequestError, match="a sender could begin in it"):
        prove(posted(params | changes))


CALLERS = [MALLORY, "anonymous", "Restricted", "0", "+1", "1234", "!x", "Äpfel", "", "sip:mallory@example.com"]  # fmt: skip


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("behind", ["G", "FromA", "Label", "SipDomain"])
@pytest.mark.parametrize("before", [{"ErrorUrl": "https://example.com/voice?SpeechResult=x"}, {"ForwardedFrom": "sip:x"}])  # fmt: skip
def test_a06_a_caller_in_a_url_is_not_the_caller(before: Params, behind: str, caller: str) -> None:
    """The URL of a GET that failed holds what a caller said, and that of a forwarder what the telephone says."""
    [(name, url)] = before.items()
    true = call(From=caller, **{name: f"{url}From15550100001{behind}"})
    read = {**true, name: url, "From": "15550100001", behind: f"From{caller}"}
    assert glued(read) == glued(true)
    assert status_of(posted(read, signature=oracle_sign(URL, true))) == 403
    assert status_of(posted({**true, name: url})) == 200


@pytest.mark.parametrize(
    "caller", [*filter(None, CALLERS), "client:ada", "client:Fromm", "HSBC UK"]
)
def test_g4_g5_a_fallback_may_repeat_the_get_that_failed(caller: str) -> None:
    said = call(From=caller, SpeechResult="I am From home. From: me", FromCity="St. From", CallerCity="St. From",
                FromState="", FromZip="", FromCountry="US", ForwardedFrom=ADA, CallerName="From Home", CallToken="x")  # fmt: skip
    url = f"https://example.com/voice?step=2&{urlencode(said)}"
    for params in (said, call(From=caller)):
        failed = {**params, "ErrorCode": "11200", "ErrorUrl": url}
        assert dict(prove(posted(failed)).params) == failed


def test_o12_a_call_with_more_senders_than_a_person_can_write_is_refused() -> None:
    params = call(From="client:ada", E="From1=" * 820)
    assert dict(prove(posted(params)).params) == params
    with pytest.raises(RequestError, match="too many places"):
        prove(posted({**params, "E": "From1=" * 821}))


WORKSPACE = f"WorkspaceSidWS{HEX}{HEX}"


@pytest.mark.parametrize(("params", "url"), [
    ({"AccountSid": ACCOUNT, "Command": f"hiFrom{ADA}", "CommandMode": "text", "Direction": "from_sim", "SimSid": f"DE{HEX}{HEX}"}, URL),
    (call(From="client:ada", transferFrom="client:bob"), URL), (call(MessageStatusText="x"), URL), (call(context=WORKSPACE), URL),
    (call(From="PIZZA", Greeting="x"), URL), ({"body": "hi", "note": f"xfrom{US}"}, f"{URL}?step=my_answer"),
    (call(From="client:ada"), f"{URL}?AccountSid={ACCOUNT}&CallSid={CALL}&From=client:bob&x=1"),
], ids=["a sender in a command", "a sender in a name", "a longer name", "another product", "behind a word", "Studio", "a query"])  # fmt: skip
def test_g9_whoever_declares_the_parameter_that_a_refusal_names_gets_the_webhook(
    params: Params, url: str
) -> None:
    with pytest.raises(RequestError) as caught:
        prove(posted(params, url=url))
    assert (caught.value.category, caught.value.setting) == ("re-split", "CONVOSTATE_OWN_PARAMS")

    own = Secrets((TOKEN,), own_params=[caught.value.parameter])
    assert dict(prove(posted(params, url=url), own).params) == params


@pytest.mark.parametrize(
    "own",
    [
        {"Greeting": "hi"},
        {"FromNumber": US, "ToNumber": US},
        {"BodyText": "hi", "Directions": "left"},
        {"CustomerAccountSid": ACCOUNT},
        {"SpeechResult": "hi", "callTo": BOB},
        {"AgentCallSid": OTHER_CALL},
        {"ForwardedFrom": BOB},
        {"From": "client:Tom_Price"},
    ],
)
def test_g3_a_client_may_name_parameters_like_those_of_twilio(own: Params) -> None:
    params = call(**{"From": "client:ada", **own})
    assert dict(prove(posted(params)).params) == params


@pytest.mark.parametrize("own", [
    {"HandoffData": '{"reason": "From Tokyo"}', "SessionStatus": "completed"}, {"QueuePosition": "1", "QueueTime": "3"},
    {"PaymentToken": "tok_1", "PaymentMethod": "credit-card"}, {"TrunkSid": f"TK{HEX}{HEX}", "Direction": "trunking-terminating"},
    {"ExpirationDate": "0530", "SecurityCode": "xxx"}, {"To": "sip:us@us.sip.twilio.com", "VirtualAgentStatus": "completed"}, {"To": "sip:us@us.sip.twilio.com", "VirtualAgentProviderData": '{"x": "To me"}'},
])  # fmt: skip
def test_g4_a_caller_without_a_number_and_a_place_uses_every_product(own: Params) -> None:
    params = call(From="anonymous", **own)
    assert dict(prove(posted(params)).params) == params


@pytest.mark.parametrize("sender", ["client:ada", "sip:ada@example.com", "sips:ada@example.com"])
def test_a_message_is_not_from_a_client_or_sip(sender: str) -> None:
    assert status_of(posted(text(From=sender))) == 403
    assert status_of(posted(call(From=sender))) == 200


def test_a_place_before_the_form_names_no_parameter() -> None:
    """A form that is cut so that its beginning is in the URL."""
    params = text()
    head = f"AccountSid{params['AccountSid']}"
    rest = {**changed(params, "AccountSid")}
    request = posted(rest, url=f"{URL}{head}", signature=oracle_sign(URL, params))
    assert glued(params).startswith(head)
    with pytest.raises(RequestError) as caught:
        prove(request)
    assert (caught.value.category, caught.value.parameter, caught.value.setting) == (
        "re-split",
        "",
        "",
    )


def test_g3_a_sip_call_may_be_about_a_message() -> None:
    """What has the SIDs of a text behind its words is a text; a call's headers have one of them or none before."""
    params = call(From="sip:bob@example.com", To="sip:us@example.com", AddOns='{"x": "Body"}')
    about = {"SipHeader_X-MessageSid": SID, "SipHeader_X-From": BOB, "SipHeader_X-Body": "hi", "SipHeader_X-Orig-CallSid": OTHER_CALL,
             "SipHeader_X-PayloadType": "application/json"}  # fmt: skip
    assert dict(prove(posted(params | about)).params) == params | about


ECHO = f"stop CallSid{CALL} please"  # an add-on repeats what it was asked about


def test_g5_an_add_on_may_repeat_a_text_that_looks_like_a_call() -> None:
    params = text(
        "ok Directioninbound", From="HSBC", AddOns=json.dumps({"results": {"text": ECHO}})
    )
    assert dict(prove(posted(params)).params) == params


@pytest.mark.parametrize(
    "add_ons",
    [f'{{"text": "{ECHO}', f'{{"text": 1}} {ECHO}', f'{{"text": 1}} {ECHO}}}', f"[{ECHO}]"],
)
def test_a06_add_ons_that_are_not_json_could_end_before_a_call(add_ons: str) -> None:
    with pytest.raises(RequestError, match="could begin in it"):
        prove(posted(text("ok Directioninbound", From="HSBC", AddOns=add_ons)))


@pytest.mark.parametrize("query", [
    f"AccountSid={ACCOUNT}&CallSid={CALL}&step=2", f"CallSid={CALL}", f"a=1&CallSid={CALL}&From=%2B1&To=%2B2", f"AccountSid={ACCOUNT}&From=%2B1555&CallSid={CALL}",
    f"AccountSid={ACCOUNT}&CallSid={CALL}&From={MALLORY[1:]}",
])  # fmt: skip
def test_g1_g2_an_action_url_may_carry_a_whole_identity(query: str) -> None:
    assert dict(prove(posted(call(), url=f"{URL}?{query}")).params) == call()


def test_a09_the_url_of_a_get_is_not_cut_into_a_form() -> None:
    query = f"AccountSid={ACCOUNT}&CallSid={CALL}&From=client%3Amallory&To=us&x=hi"
    form = call(From=ADA[1:])
    whole = f"{URL}?{query}{glued(form)}"

    assert status_of(posted(form, url=f"{URL}?{query}", signature=oracle_sign(whole))) == 403
    same = call(From="client:mallory")
    assert status_of(posted(same, url=f"{URL}?CallSid={CALL}&x=hi")) == 200


SHORTENED = pytest.mark.parametrize(("signed", "read", "first"), [
    ("/sms/42", "/sms/4", "2"), ("/sms/42", "/sms/", "42"), ("/API", "/", "API"), ("/1/sms?a=1", "/", "1"), ("/sms?tenant=42", "/sms?tenant=4", "2"),
])  # fmt: skip


@SHORTENED
@pytest.mark.parametrize("body", ["hi", f"hiAccountSid{OTHER_ACCOUNT}Bodystop"])
def test_a06_a_text_for_one_url_is_not_read_as_one_for_a_shorter_url(
    signed: str, read: str, first: str, body: str
) -> None:
    signed, read = f"https://example.com{signed}", f"https://example.com{read}"
    true = text(body)
    others = {name: true[name] for name in true if name not in ("AccountSid", "Body")}
    url, form = signed.removeprefix(read + first), glued(true).removesuffix(glued(others))
    own = form.rindex("AccountSid") if OTHER_ACCOUNT in body else len(form)
    forged = {first: url + form[:own], **others}
    if OTHER_ACCOUNT in body:
        forged |= {"AccountSid": OTHER_ACCOUNT, "Body": "stop"}
    assert read + glued(forged) == signed + glued(true)

    assert status_of(posted(true, url=signed)) == 200
    assert status_of(posted(forged, url=read, signature=oracle_sign(signed, true))) == 403


@SHORTENED
def test_a09_the_url_of_a_get_is_not_a_shorter_url_and_a_form(
    signed: str, read: str, first: str
) -> None:
    signed, read = f"https://example.com{signed}", f"https://example.com{read}"
    body = f"hiAccountSid{OTHER_ACCOUNT}BodystopFrom15550666666MessageSid{SID}Zz"
    url = f"{signed}{'&' if '?' in signed else '?'}{urlencode(text(body))}"
    query, _, rest = url.removeprefix(read + first).partition(f"AccountSid{OTHER_ACCOUNT}")
    forged = {first: query, "AccountSid": OTHER_ACCOUNT, "Body": "stop", "From": "15550666666", "MessageSid": SID,
              "Zz": rest.partition("Zz")[2]}  # fmt: skip
    assert read + glued(forged) == url

    assert status_of(posted(forged, url=read, signature=oracle_sign(url))) == 403


@pytest.mark.parametrize(("signed", "read", "first"), [("/sms?tenant=42&", "/sms?tenant=4", "2"), ("/API?", "/", "API"), ("/1/sms?", "/", "1")])  # fmt: skip
@pytest.mark.parametrize(
    "named", [{"From": BOB[1:]}, {"AccountSid": OTHER_ACCOUNT, "MessageSid": SID}]
)
def test_a09_the_url_of_an_event_by_get_is_not_a_shorter_url_and_a_form(
    signed: str, read: str, first: str, named: Params
) -> None:
    """Even if the event has no sender, and the form no account."""
    signed, read = f"https://example.com{signed}", f"https://example.com{read}"
    event = {"AccountSid": ACCOUNT, "Level": "ERROR", "Payload": f"hi{glued(named)}"}
    url = signed + urlencode(event)
    forged = {first: url.removeprefix(read + first).removesuffix(glued(named)), **named}
    assert read + glued(forged) == url

    assert status_of(posted(forged, url=read, signature=oracle_sign(url))) == 403
    for written in (url, f"see {url}"):
        flow = {"body": written, "from": BOB, "to": US}
        assert dict(prove(posted(flow, url=read)).params) == flow


@pytest.mark.parametrize("about", [{"Body": "", "ConversationSid": "CH" + "1" * 32, "MessageSid": "IM" + "1" * 32}, {"TaskAttributes": "", "TaskSid": "WT" + "1" * 32},
                                   {"TranscriptionData": "", "TranscriptionEvent": "transcription-content", "CallSid": CALL},
                                   {"Payload": "", "PayloadType": "application/json"}, {"ParticipantIdentity": "", "RoomSid": "RM" + "1" * 32}])  # fmt: skip
def test_a09_an_event_by_get_is_not_a_url_and_a_message(about: Params) -> None:
    name, *_ = about
    body = f"AccountSid{OTHER_ACCOUNT}BodystopFrom15550666666MessageSid{SID}Zz"
    kind = (
        {}
        if name in ("TranscriptionData", "Payload", "ParticipantIdentity")
        else {"EventType": "onMessageAdded"}
    )
    url = f"{URL}?{urlencode({'AccountSid': ACCOUNT, **kind, **about, name: body})}"
    read, rest = url.split(body)
    forged = {
        "AccountSid": OTHER_ACCOUNT,
        "Body": "stop",
        "From": "15550666666",
        "MessageSid": SID,
        "Zz": rest,
    }
    assert read + glued(forged) == url

    assert status_of(posted(forged, url=read, signature=oracle_sign(url))) == 403
    assert status_of(posted(text(), url=f"{URL}?EventType=onMessageAdded&step=2")) == 200


def test_g2_a_call_may_be_made_to_a_url_that_repeats_an_event_by_get() -> None:
    event = {"AccountSid": ACCOUNT, "CallSid": CALL, "TranscriptionData": "hi", "TranscriptionEvent": "transcription-content", "Track": "inbound_track"}  # fmt: skip
    url = f"{URL}?{urlencode(event)}"
    for params in (call(), text()):
        assert dict(prove(posted(params, url=url)).params) == params


@pytest.mark.parametrize("cut", ["Timestamp=20", f"CallSid={CALL[:20]}", "tenant=4"])
def test_a09_the_url_of_a_live_transcription_is_not_cut_in_an_earlier_value(cut: str) -> None:
    spoken = f"AccountSid{OTHER_ACCOUNT}From15550666666"
    event = {"tenant": "42", "AccountSid": ACCOUNT, "CallSid": CALL, "Timestamp": "2026", "TranscriptionEvent": "transcription-content", "TranscriptionData": spoken}  # fmt: skip
    url = f"{URL}?{urlencode(event)}"
    read, rest = url[: url.index(cut) + len(cut)], url[url.index(cut) + len(cut) :]
    forged = {
        rest[:1]: rest[1:].removesuffix(spoken),
        "AccountSid": OTHER_ACCOUNT,
        "From": "15550666666",
    }
    assert read + glued(forged) == url

    assert status_of(posted(forged, url=read, signature=oracle_sign(url))) == 403
    assert status_of(posted(text(), url=read)) == 200


def test_a09_a_link_with_a_whole_webhook_may_be_in_a_text() -> None:
    link = f"https://example.com/sms/42?{urlencode(text('hi', From=BOB))}"

    assert prove(posted(text(link), url="https://example.com/sms/42")).body == link
    assert prove(posted({**call(From="client:ada"), "link": link})).params["link"] == link


@pytest.mark.parametrize("query", [
    pytest.param(urlencode(text()), id="the same webhook"),
    pytest.param(urlencode({"AccountSid": ACCOUNT, "From": MALLORY, "Body": "hi"}), id="a sender without a SID"),
])  # fmt: skip
def test_g1_g2_a_query_that_could_not_be_another_webhook_s_may_name_an_account(query: str) -> None:
    assert dict(prove(posted(text(), url=f"{URL}?{query}")).params) == text()


def test_g3_a_form_of_no_conversation_may_have_a_name_that_goes_on_after_one_of_twilio_s() -> None:
    for params in ({"AccountSid": ACCOUNT, "ToNumber": US, "FromNumber": BOB}, {"messageSid": SID}):
        assert dict(prove(posted(params)).params) == params
