"""What the re-split guard takes for an address or a SID, to the character, and where."""

from __future__ import annotations

import pytest

from convostate.twilio.signature import sign
from tests.proving import posted, status_of
from tests.served import ACCOUNT, BOB, SID, TOKEN, URL, US, text
from tests.test_resplit import CALL, call, there

HEX = "0123456789abcdef"
ADDRESSES = [
    "+12", "+90", "+09", "12345", "67890", "09999", "whatsapp:+12", "ab:+12", f"{'z' * 24}:12345", "az:67890",
    "client:a", "sip:a", "sips:a", "rcs:a", "whatsapp:a", "messenger:a", "instagram:a", "client:!", "client:~",
    "anonymous", "Anonymous", "unknown", "restricted", "BLOCKED", "Unavailable", "private",
]  # fmt: skip
NO_ADDRESSES = [
    "+1", "+x1", "1234", "a:+12", f"{'z' * 25}:+12", "AB:+12", "a1:+12", ":+12", "client: a", "client:é", "clienta", "client", "clients:a",
    "WhatsApp:a", "anonym", "Ada", " +1555", "=+1555", "",
]  # fmt: skip
SIDS = [f"{kind}{HEX}{HEX}" for kind in ("AC", "SM", "ZA")]
NO_SIDS = [f"AC{HEX}{HEX[:-1]}", f"AC{HEX}{HEX[:-1]}g", f"aC{HEX}{HEX}", f"A0{HEX}{HEX}", f"AC{HEX}{HEX[:-1]}F", f" AC{HEX}{HEX}"]  # fmt: skip


@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_behind_its_name_is_refused_where_no_parameter_begins(
    name: str, address: str
) -> None:
    assert status_of(posted(text(ProfileName=f"x{name}{address}"))) == 403
    assert status_of(posted(call(Label=f"{name}{address}"))) == 403
    assert status_of(posted(text(ProfileName=f"x{name} {address}"))) == 200
    assert status_of(posted(text(ProfileName=address))) == 200


@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_may_stand_behind_the_name(name: str, address: str) -> None:
    assert status_of(posted(text(ProfileName=f"x{name}{address}"))) == 200
    assert status_of(posted(call(Label=f"{name}{address}"))) == 200


@pytest.mark.parametrize("name", ["AccountSid", "MessageSid", "SmsSid", "SmsMessageSid", "CallSid", "ParentCallSid"])  # fmt: skip
@pytest.mark.parametrize("sid", SIDS)
@pytest.mark.parametrize("equals", ["", "="])
def test_a_sid_behind_its_name_is_refused_where_no_parameter_begins(
    name: str, sid: str, equals: str
) -> None:
    assert status_of(posted(text(f"{name}{equals}{sid}"))) == 403
    assert status_of(posted(text(f"{name} {equals}{sid}"))) == 200


@pytest.mark.parametrize("name", ["ServiceSid", "MessagingServiceSid", "Sid", "accountSid", "AccountSi"])  # fmt: skip
def test_a_sid_of_something_else_may_stand_behind_its_name(name: str) -> None:
    assert status_of(posted(text(f"{name}{SIDS[0]}"))) == 200


@pytest.mark.parametrize("sid", NO_SIDS)
def test_what_is_no_sid_may_stand_behind_the_name(sid: str) -> None:
    assert status_of(posted(text(f"AccountSid{sid}"))) == 200


@pytest.mark.parametrize("name", [
    "ParentCallSid", "DialCallSid", "DequeuedCallSid", "DequeingCallSid", "OriginalRepliedMessageSid", "interactionAccountSid",
])  # fmt: skip
def test_a_parameter_whose_name_ends_in_that_of_a_sid_is_one(name: str) -> None:
    for sender in (BOB, "client:bob"):
        assert status_of(posted(call(From=sender, **{name: SIDS[0]}))) == 200
        assert status_of(posted(call(From=sender, **{f"Zz{name}": SIDS[0]}))) == 403
        assert status_of(posted(call(From=sender, **{name: f"{SIDS[0]}x"}))) == 403


def test_the_url_of_an_error_may_hold_sids_and_no_other_value_may() -> None:
    url = f"{URL}?AccountSid={ACCOUNT}&MessageSid={SID}"

    assert status_of(posted(text(ErrorUrl=url))) == 200
    assert status_of(posted(text(ErrorUrl=URL, ProfileName=url))) == 403


def test_the_url_of_an_error_holds_no_sids_of_parameters_that_it_swallowed() -> None:
    before = {"AccountSid": ACCOUNT, "ApiVersion": "2010-04-01"}
    true = {"CallSid": SIDS[0], "CallStatus": "ringing", "Direction": "inbound"}
    behind = {"From": "client:eve", "To": US}
    swallowed = "http://x" + "".join(name + value for name, value in true.items())
    forged = true | {"CallSid": SIDS[1], "ErrorUrl": swallowed}
    written = f"1CallSid{SIDS[1]}CallStatusringingDirectioninboundErrorUrlhttp://x"
    signature = sign(URL, (before | {"B": written} | true | behind).items(), TOKEN)
    assert signature == sign(URL, (before | {"B": "1"} | forged | behind).items(), TOKEN)

    request = posted(before | {"B": "1"} | forged | behind, signature=signature)
    assert status_of(request) == 403
    assert status_of(posted(before | {"B": "1"} | true | behind)) == 200


@pytest.mark.parametrize("channel", ["viber", "telegram", "x2"])
@pytest.mark.parametrize("victim", ["victim", "123456"])
def test_a_sender_on_a_channel_that_nobody_knows_is_guarded_too(channel: str, victim: str) -> None:
    true = text(f"hiFrom{channel}:{victim}FromA", From=f"{channel}:eve", To=f"{channel}:us")
    forged = true | {"Body": "hi", "From": f"{channel}:{victim}", "FromA": f"From{channel}:eve"}
    signature = sign(URL, true.items(), TOKEN)
    assert signature == sign(URL, forged.items(), TOKEN)

    assert status_of(posted(forged, signature=signature)) == 403
    assert status_of(posted(true | {"Body": f"hi From {channel}:{victim}"})) == 200


@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("address", ["+12", "+1999", "12345", "99999", "+15550100002", "whatsapp:+1555"])  # fmt: skip
@pytest.mark.parametrize("end", ["", ".", " x", "-", "\n", "é"])
def test_a_text_may_hold_an_address_behind_the_name_where_its_end_shows(
    name: str, address: str, end: str
) -> None:
    assert status_of(posted(text(f"hi {name}{address}{end}"))) == 200
    assert status_of(posted(there(f"hi {name}{address}{end}"))) == 200
    assert status_of(posted(text(f"hi {name}{address}x{end}"))) == 403


@pytest.mark.parametrize("name", ["From", "To"])
@pytest.mark.parametrize("end", ["a", "z", "A", "Z", "@", "9x", "0x"])
def test_a_text_may_not_hold_an_address_that_another_name_may_follow(name: str, end: str) -> None:
    assert status_of(posted(text(f"hi {name}{BOB}{end}"))) == 403
    assert status_of(posted(there(f"hi {name}whatsapp:{BOB}{end}"))) == 403


@pytest.mark.parametrize("sender", ["client:a b", "client: a", "client:12345ab", "sip:+15550100001@example.com", "sips:12345@example.com", "sip:a@example.com;x=From", "+1555 (0100)", "whatsapp:US.13ab", "12345;1"])  # fmt: skip
def test_a_sender_in_its_place_may_be_spelled_as_it_likes(sender: str) -> None:
    params = call(From=sender) if sender[0] in "cs" else text(From=sender)
    assert status_of(posted(params)) == 200


@pytest.mark.parametrize("sender", ["+1555a", "12345A", "whatsapp:+12B", "anonymousX", "private "])
def test_a_sender_that_goes_on_with_letters_is_refused(sender: str) -> None:
    assert status_of(posted(call(From=sender))) == 403
    assert status_of(posted(call(To=sender))) == 403


@pytest.mark.parametrize("forwarder", [BOB, "12345", "whatsapp:+1555", "sip:a", "sips:a", "Ada", "sipx", "sip: a", ""])  # fmt: skip
def test_a_call_may_be_forwarded_and_a_message_may_not(forwarder: str) -> None:
    assert status_of(posted(call(ForwardedFrom=forwarder))) == 200
    as_message = 200 if forwarder in ("Ada", "sipx", "sip: a", "") else 403
    for receiver in (US, f"whatsapp:{US}"):
        params = text(To=receiver, ForwardedFrom=forwarder)
        assert status_of(posted(params)) == as_message


@pytest.mark.parametrize("forwarder", ["client:a", "rcs:a", f"{BOB}x", "anonymous"])
def test_what_cannot_forward_a_call_is_refused(forwarder: str) -> None:
    assert status_of(posted(call(ForwardedFrom=forwarder))) == 403


@pytest.mark.parametrize(
    "sids", [["MessageSid"], ["SmsSid"], ["SmsMessageSid"], ["SmsMessageSid", "SmsSid"]]
)
@pytest.mark.parametrize("name", ["FromA", "G", "Label", "FromCity"])
def test_between_the_sender_of_an_sms_and_its_sid_stands_no_other_sender(
    sids: list[str], name: str
) -> None:
    """Whatever the sender looks like: a word is one too."""
    params = {"AccountSid": ACCOUNT, "From": BOB, "To": US, **dict.fromkeys(sids, SID)}

    for sender in ("Ada", "Zoe", "0123", "9999", "a", "z"):
        assert status_of(posted({**params, name: f"xFrom{sender}"})) == 403
    assert status_of(posted({**params, "FromCity": "X", "Label": "Bromley From Ada"})) == 200
    assert status_of(posted({**params, "Tz": "xFromAda"})) == 200
    assert status_of(posted({**params, "CallSid": CALL, name: "xFromAda"})) == 403


def test_a_place_in_a_chat_may_be_called_like_a_sender() -> None:
    assert status_of(posted(there("hi", Label="Frome"))) == 200
    assert status_of(posted(text("hi", Label="Frome"))) == 403


def test_the_places_of_the_sender_are_no_senders() -> None:
    places = {f"From{place}": "X" for place in ("City", "Country", "State", "Zip")}

    assert status_of(posted(text("it is From me", **places))) == 200
    assert status_of(posted(text("it is From me", **places, FromPlanet="X"))) == 403


@pytest.mark.parametrize("body", [f"from{BOB} now", f"rom{BOB} now", f"FROM{BOB} now", f"to{BOB} now", f"o{BOB}"])  # fmt: skip
def test_only_the_very_name_makes_a_number_one_of_a_parameter(body: str) -> None:
    assert status_of(posted(text(f"From me, To you: {body}x"))) == 200
    assert status_of(posted(text(f"From me, To you: {body}", ProfileName=body))) == 200
