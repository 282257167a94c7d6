"""A call: the app's documents are played to a person, who presses keys, speaks, records and hangs up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest

from convostate import ConversationMiddleware, UsageError, state_from
from convostate.stores import MemoryStore
from convostate.testing import Call, TwilioSimulator
from convostate.twilio.signature import sign
from tests.served import TOKEN, settings

if TYPE_CHECKING:
    from convostate.testing.phone import Phone

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
END = "https://example.com/ended"


class Hotline:
    """An app with a document for each path; it writes down what it is asked."""

    def __init__(self, **documents: str) -> None:
        self.documents = documents
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.cookies: list[str] = []

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        body = environ["wsgi.input"].read().decode() if method == "POST" else ""
        query = environ["QUERY_STRING"]
        self.asked.append((path, method, dict(parse_qsl(f"{body}&{query}", True))))
        self.cookies.append(environ.get("HTTP_COOKIE", ""))
        start_response(
            "200 OK",
            [("Content-Type", "text/xml"), ("Set-Cookie", f"step={len(self.asked)}; Path=/")],
        )
        document = self.documents.get(path.strip("/").replace("/", "_"), "")
        return [f"<Response>{document}</Response>".encode()]

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


def phone_of(app: Hotline, **options: Any) -> Phone:
    options = {"voice_url": "https://example.com/voice", **options}
    return TwilioSimulator(app, "the-token", **options).phone(ADA, texting=US)


MENU = '<Gather action="/menu" numDigits="1"><Say>For sales press 1</Say></Gather><Say>Bye</Say>'


def test_a_menu_is_gone_through_key_by_key() -> None:
    app = Hotline(voice=MENU, menu="<Say>Sales</Say><Hangup/>")
    call = phone_of(app).call()
    assert (call.said, call.over) == (["For sales press 1"], False)

    assert call.press("1").said == ["Sales"]
    assert call.over
    assert app.paths() == ["/voice", "/menu"]
    path, method, told = app.asked[-1]
    assert (method, told["Digits"], told["FinishedOnKey"]) == ("POST", "1", "")
    assert told["CallSid"] == call.sid == app.asked[0][2]["CallSid"]
    assert [asked["CallStatus"] for _, _, asked in app.asked] == ["ringing", "in-progress"]
    assert path == "/menu"


@pytest.mark.parametrize(
    ("attributes", "keys", "digits", "finished"),
    [
        ('numDigits="3"', "12345", "123", ""),
        ("", "123#", "123", "#"),
        ('finishOnKey="*"', "12#*9", "12#", "*"),
        ('finishOnKey=""', "1#", "1#", ""),
        ("", "42", "42", ""),
    ],
)
def test_keys_count_up_to_the_number_or_the_key_that_ends_them(
    attributes: str, keys: str, digits: str, finished: str
) -> None:
    app = Hotline(voice=f'<Gather action="/menu" {attributes}/>')
    phone_of(app).call().press(keys)

    told = app.asked[-1][2]
    assert (told["Digits"], told["FinishedOnKey"]) == (digits, finished)


def test_speech_is_what_twilio_understands() -> None:
    app = Hotline(voice='<Gather input="speech dtmf" action="menu?step=2" method="GET"/>')
    call = phone_of(app).call()
    call.say("sales", confidence=0.8)

    path, method, told = app.asked[-1]
    assert (path, method) == ("/menu", "GET")
    assert (told["SpeechResult"], told["Confidence"], told["step"]) == ("sales", "0.8", "2")


def test_a_caller_who_does_nothing_hears_what_follows_or_reaches_the_action() -> None:
    app = Hotline(voice=MENU, other='<Gather action="/menu" actionOnEmptyResult="true"/>')
    phone = phone_of(app)
    ignored = phone.call().wait()
    told = phone.call("https://example.com/other").wait()

    assert (ignored.said, ignored.over) == (["Bye"], True)
    assert (app.paths()[-1], told.params["Digits"]) == ("/menu", "")


def test_a_gather_without_an_action_asks_its_own_document_again() -> None:
    app = Hotline(voice="<Redirect>/inner</Redirect>", inner="<Gather><Say>Again</Say></Gather>")
    call = phone_of(app).call()
    call.press("1")

    assert app.paths() == ["/voice", "/inner", "/inner"]


def test_redirects_are_followed_with_their_method_and_the_call_s_cookies_are_kept() -> None:
    app = Hotline(voice='<Say>One</Say><Redirect method="GET">next</Redirect>', next=MENU)
    call = phone_of(app).call()
    call.press("2")

    assert [(path, method) for path, method, _ in app.asked] == [
        ("/voice", "POST"),
        ("/next", "GET"),
        ("/menu", "POST"),
    ]
    assert app.cookies == ["", "step=1", "step=2"]
    assert call.said == []


def test_a_recording_is_posted_to_its_action_and_its_callbacks() -> None:
    app = Hotline(
        voice="<Say>Speak</Say>"
        '<Record action="/done" recordingStatusCallback="/recorded" transcribeCallback="/written"/>',
        done="<Say>Thanks</Say>",
    )
    call = phone_of(app).call().record("Call me back", seconds=7)

    assert (call.said, call.over, len(call.statuses)) == (["Thanks"], True, 2)
    done, recorded, written = (told for _, _, told in app.asked[1:])
    assert app.paths() == ["/voice", "/done", "/recorded", "/written"]
    assert done["RecordingDuration"] == "7"
    assert done["RecordingUrl"].endswith(done["RecordingSid"])
    assert recorded["RecordingSid"] == written["RecordingSid"] == done["RecordingSid"]
    assert (recorded["RecordingStatus"], "From" in recorded) == ("completed", False)
    assert (written["TranscriptionText"], written["From"]) == ("Call me back", ADA)


def test_an_empty_recording_goes_on_and_one_that_ends_with_the_call_is_posted() -> None:
    app = Hotline(voice='<Record action="/done"/><Say>Nothing heard</Say>')
    phone = phone_of(app)
    assert phone.call().wait().said == ["Nothing heard"]
    ended = phone.call().hang_up()

    assert (ended.over, ended.said) == (True, [])
    path, _, told = app.asked[-1]
    assert (path, told["Digits"], told["CallStatus"]) == ("/done", "hangup", "completed")


@pytest.mark.parametrize(
    ("attributes", "keys", "digits"),
    [("", "5", "5"), ('finishOnKey="*#"', "1#", "#"), ('finishOnKey="#"', "12", None)],
)
def test_e8_a_recording_ends_with_its_finish_key_and_with_no_other(
    attributes: str, keys: str, digits: str | None
) -> None:
    app = Hotline(voice=f'<Record action="/done" {attributes}/>', done="<Say>Thanks</Say>")
    call = phone_of(app).call().press(keys)

    assert app.asked[-1][2].get("Digits") == digits
    assert (call.waits_for, call.over) == (("Record", False) if digits is None else ("", True))


@pytest.mark.parametrize("status", ["completed", "busy", "no-answer", "failed"])
def test_a_dial_ends_as_the_test_says_and_its_action_is_asked(status: str) -> None:
    app = Hotline(
        voice='<Dial action="/after"><Number>+15550100077</Number><Client>ada</Client></Dial>',
        after="<Say>Back</Say>",
    )
    call = phone_of(app).call(dial_status=status)

    told = app.asked[-1][2]
    assert (call.dialed, call.said, call.over) == (["+15550100077", "ada"], ["Back"], True)
    assert told["DialCallStatus"] == status
    assert ("DialCallDuration" in told) == (status == "completed")
    assert told["DialCallSid"] != told["CallSid"]


def test_a_dial_without_an_action_goes_on_with_what_follows() -> None:
    app = Hotline(voice="<Dial>+15550100077</Dial><Say>Goodbye</Say>")
    call = phone_of(app).call()

    assert (call.dialed, call.said, app.paths()) == (["+15550100077"], ["Goodbye"], ["/voice"])


def test_e8_a_client_is_dialed_by_its_identity_and_keys_that_are_played_are_no_file() -> None:
    client = "<Client><Identity>ada</Identity><Parameter name='a' value='b'/></Client>"
    call = phone_of(Hotline(voice=f'<Play digits="ww1"/><Dial>{client}</Dial>')).call()

    assert (call.dialed, call.played) == (["ada"], [])


@pytest.mark.parametrize("status", ["completed", "busy"])
def test_e8_a_recorded_dial_gives_its_action_and_its_callback_the_recording(status: str) -> None:
    app = Hotline(
        voice='<Dial action="/after" record="record-from-answer-dual"'
        ' recordingStatusCallback="/recorded">+15550100077</Dial>'
    )
    call = phone_of(app).call(dial_status=status)

    if status == "busy":
        assert app.paths() == ["/voice", "/after"]
        assert "RecordingUrl" not in app.asked[-1][2]
        return
    recorded, after = (told for _, _, told in app.asked[1:])
    assert (app.paths(), len(call.statuses)) == (["/voice", "/recorded", "/after"], 1)
    assert recorded["RecordingUrl"] == after["RecordingUrl"]
    assert (recorded["RecordingSource"], recorded["CallSid"]) == ("DialVerb", call.sid)


@pytest.mark.parametrize(
    ("status", "events", "told"),
    [
        ("completed", "initiated ringing answered completed", "initiated ringing in-progress completed"),
        ("no-answer", "initiated ringing answered completed", "initiated ringing no-answer"),
        ("busy", "completed", "busy"),
        ("completed", None, "completed"),
        ("completed", "answered", "in-progress"),
    ],
)  # fmt: skip
def test_e8_the_progress_of_a_dialed_number_is_reported_as_far_as_it_was_asked_for(
    status: str, events: str | None, told: str
) -> None:
    asked_for = f'statusCallbackEvent="{events}"' if events else ""
    app = Hotline(
        voice=f'<Dial><Number statusCallback="/progress" {asked_for}>+15550100077</Number></Dial>'
    )
    call = phone_of(app).call(dial_status=status)

    progress = [asked for path, _, asked in app.asked if path == "/progress"]
    assert [asked["CallStatus"] for asked in progress] == told.split()
    for asked in progress:
        assert (asked["ParentCallSid"], asked["To"]) == (call.sid, "+15550100077")
        assert asked["CallSid"] != call.sid


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("<Reject/>", "no-answer"),
        ('<Reject reason="busy"/><Say>never</Say>', "busy"),
        ("<Redirect>/other</Redirect>", "no-answer"),
        ("<Say>Sorry</Say><Reject/>", "completed"),
        ("<Hangup/>", "completed"),
    ],
)
def test_e8_a_call_that_is_rejected_first_was_never_answered(document: str, status: str) -> None:
    app = Hotline(voice=document, other="<Reject/>")
    phone_of(app, voice_status_callback=END).call()

    ended = app.asked[-1][2]
    assert ended["CallStatus"] == status
    assert ended["CallDuration"] == ("1" if status == "completed" else "0")


def test_the_end_of_a_call_is_reported_once() -> None:
    app = Hotline(voice=MENU)
    phone = phone_of(app, voice_status_callback=END)
    call = phone.call()
    assert app.paths() == ["/voice"]
    call.hang_up().hang_up()

    path, method, told = app.asked[-1]
    assert (app.paths(), method) == (["/voice", "/ended"], "POST")
    assert (told["CallStatus"], told["CallSid"], told["CallDuration"]) == (
        "completed",
        call.sid,
        "1",
    )
    assert path == "/ended"
    phone.call().wait()
    assert app.paths()[2:] == ["/voice", "/ended"]


def test_e8_everything_can_be_sent_with_get() -> None:
    app = Hotline(voice='<Gather action="/menu?a=1" method="GET"/>', sms="<Message>hi</Message>")
    phone = phone_of(app, method="GET")
    call = phone.call(Digits="7")
    call.press("1")

    assert [(path, method) for path, method, _ in app.asked] == [
        ("/voice", "GET"),
        ("/menu", "GET"),
    ]
    assert app.asked[-1][2]["Digits"] == "1"
    assert phone.text("hello").messages == ["hi"]
    assert app.asked[-1][1] == "GET"


@pytest.mark.parametrize(
    ("document", "act", "says"),
    [
        (
            MENU,
            lambda call: call.say("sales"),
            r"does not wait for speech. .* press\(…\) for dtmf, say\(…\) for speech",
        ),
        ('<Gather input="speech"/>', lambda call: call.press("1"), "does not wait for keys"),
        (MENU, lambda call: call.record(), "does not wait for a recording"),
        ("<Record/>", lambda call: call.say("hi"), "It records"),
        ("<Say>Bye</Say>", lambda call: call.press("1"), "It has ended"),
        ("<Say>Bye</Say>", lambda call: call.wait(), "nothing to wait for"),
        ("<Enqueue>support</Enqueue>", lambda call: call.press("1"), "in <Enqueue>"),
        (MENU, lambda call: call.press(""), "has the keys 0 to 9"),
        (MENU, lambda call: call.press("x"), "has the keys 0 to 9"),
    ],
)
def test_what_the_call_does_not_wait_for_is_a_mistake(document: str, act: Any, says: str) -> None:
    call = phone_of(Hotline(voice=document)).call()

    with pytest.raises(UsageError, match=says):
        act(call)


def test_a_call_that_never_stops_dialing_ends_with_twilio_s_code() -> None:
    app = Hotline(voice='<Dial action="/voice">+15550100077</Dial>')
    call = phone_of(app).call()

    assert (call.error, call.over, len(app.asked)) == (14106, True, 50)


def test_an_invalid_action_is_an_error() -> None:
    call = phone_of(Hotline(voice='<Gather action="ftp://x/y"/>')).call().press("1")

    assert (call.error, call.over) == (11100, True)


def test_a_step_that_fails_leads_to_the_fallback_url() -> None:
    app = Hotline(voice='<Gather action="/missing"/>', sorry="<Say>Sorry</Say>")
    served = app.__class__.__call__

    def failing(environ: Any, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/missing":
            start_response("500 Oops", [("Content-Type", "text/plain")])
            return [b""]
        return served(app, environ, start_response)

    phone = TwilioSimulator(
        failing,
        "the-token",
        voice_url="https://example.com/voice",
        voice_fallback_url="https://example.com/sorry",
    ).phone(ADA, texting=US)
    call = phone.call().press("1")

    assert (call.said, call.error) == (["Sorry"], 11200)
    assert app.asked[-1][2]["ErrorUrl"] == "https://example.com/missing"


@pytest.mark.parametrize("what", ["call", "text"])
def test_a_fallback_is_signed_as_its_webhook_is_which_a_call_over_https_has_without_a_port(
    what: str,
) -> None:
    signed: list[tuple[str, str, str]] = []

    def failing(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read().decode()
        signed.append((environ["PATH_INFO"], environ["HTTP_X_TWILIO_SIGNATURE"], body))
        start_response("500 Oops", [("Content-Type", "text/plain")])
        return [b""]

    url = "https://example.com:8443/first"
    phone = TwilioSimulator(
        failing, "the-token", url, fallback_url="https://example.com:8443/sorry"
    ).phone(ADA, texting=US)
    phone.call() if what == "call" else phone.text("hi")

    port = "" if what == "call" else ":8443"
    assert [path for path, _, _ in signed] == ["/first", "/sorry"]
    for path, signature, body in signed:
        params = parse_qsl(body, keep_blank_values=True)
        assert signature == sign(f"https://example.com{port}{path}", params, "the-token")


@pytest.mark.parametrize("caller", ["anonymous", "+266696687", "sip:anonymous@anonymous.invalid"])
def test_a_caller_may_withhold_the_number(caller: str) -> None:
    app = Hotline(voice=MENU)
    phone_of(app).call(From=caller)

    told = app.asked[0][2]
    assert (told["From"], told["Caller"]) == (caller, caller)


def test_a_text_sent_during_a_call_arrives_at_the_person() -> None:
    app = Hotline(voice="<Sms>see you</Sms><Say>Sent</Say>")

    assert phone_of(app).call().messages == ["see you"]
    assert phone_of(app).call(outbound=True).messages == ["see you"]


def test_words_in_ssml_are_said_as_well() -> None:
    app = Hotline(voice="<Say>I <emphasis>mean</emphasis> it</Say><Play>/tune.mp3</Play>")
    call = phone_of(app).call()

    assert (call.said, call.played) == (["I mean it"], ["/tune.mp3"])


def test_an_app_places_a_call_and_the_person_answers_it() -> None:
    app = Hotline(remind=MENU, menu="<Say>Confirmed</Say>")
    twilio = TwilioSimulator(app, "the-token")
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    placed = twilio.rest_client().calls.create(
        to=ADA, from_=US, url="https://example.com/remind?id=7", status_callback=END
    )
    assert (placed.status, placed.direction, app.asked) == ("queued", "outbound-api", [])
    assert [call.sid for call in ada.ringing] == [placed.sid]
    assert bob.ringing == []

    call = ada.answer()
    assert isinstance(call, Call)
    assert (call.sid, call.said) == (placed.sid, ["For sales press 1"])
    assert call.press("1").said == ["Confirmed"]
    first = app.asked[0][2]
    assert (first["From"], first["To"], first["Direction"]) == (US, ADA, "outbound-api")
    assert (first["CallStatus"], first["id"]) == ("in-progress", "7")
    assert app.paths() == ["/remind", "/menu", "/ended"]
    with pytest.raises(UsageError, match="does not ring"):
        ada.answer()


EVERY_EVENT = ["initiated", "ringing", "answered", "completed"]


@pytest.mark.parametrize(
    ("status", "events", "reported"),
    [
        ("answered", None, "completed"),
        ("answered", EVERY_EVENT, "initiated ringing in-progress completed"),
        ("answered", ["answered"], "in-progress"),
        ("answered", "ringing", "ringing"),
        ("no-answer", None, "no-answer"),
        ("busy", EVERY_EVENT, "initiated ringing busy"),
        ("no-answer", ["initiated", "answered"], "initiated"),
        ("no-answer", "answered", ""),
        ("failed", EVERY_EVENT, "initiated failed"),
    ],
)
def test_e8_the_progress_of_a_placed_call_is_reported_as_far_as_it_was_asked_for(
    status: Any, events: Any, reported: str
) -> None:
    app = Hotline(remind="<Say>Hi</Say>")
    twilio = TwilioSimulator(app, "the-token")
    asked_for = {"status_callback_event": events} if events else {}
    placed = twilio.rest_client().calls.create(
        to=ADA,
        from_=US,
        url="https://example.com/remind",
        status_callback=END,
        status_callback_method="GET",
        **asked_for,
    )
    assert app.asked == []

    phone = twilio.phone(ADA, texting=US)
    if status == "answered":
        assert len(phone.answer().statuses) == len(reported.split())
    else:
        assert (phone.decline(status) is None) == (not reported)
    progress = [(method, told) for path, method, told in app.asked if path == "/ended"]
    assert [told["CallStatus"] for _, told in progress] == reported.split()
    assert all((method, told["CallSid"]) == ("GET", placed.sid) for method, told in progress)


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed"])
def test_e8_a_call_that_nobody_answers_is_reported_and_listed(status: Any) -> None:
    app = Hotline()
    twilio = TwilioSimulator(app, "the-token")
    phone, client = twilio.phone(ADA, texting=US), twilio.rest_client()
    placed = client.calls.create(to=ADA, from_=US, url=END, status_callback=END)
    client.calls.create(to=ADA, from_=US, url=END)

    reply = phone.decline(status)
    assert reply is not None
    assert reply.status == 200
    ((path, method, told),) = app.asked
    assert (path, method, told["CallSid"]) == ("/ended", "POST", placed.sid)
    assert (told["CallStatus"], told["To"], told["From"]) == (status, ADA, US)
    assert [call.sid for call in client.calls.list(status=status)] == [placed.sid]

    assert phone.decline() is None  # without a callback
    assert len(app.asked) == 1
    with pytest.raises(UsageError, match="does not ring"):
        phone.decline()


def test_a_status_in_which_no_call_ends_is_refused_and_the_phone_rings_on() -> None:
    twilio = TwilioSimulator(Hotline(), "the-token")
    phone = twilio.phone(ADA, texting=US)
    twilio.rest_client().calls.create(to=ADA, from_=US, url=END)
    tried: Any = (phone.decline, lambda status: phone.call(dial_status=status))
    for end in (*tried, lambda status: phone.answer(dial_status=status)):
        with pytest.raises(UsageError, match="busy or no-answer or failed"):
            end("engaged")

    assert len(phone.ringing) == 1


def test_a_call_that_has_ended_has_a_duration() -> None:
    twilio = TwilioSimulator(
        Hotline(voice=MENU), "the-token", voice_url="https://example.com/voice"
    )
    call = twilio.phone(ADA, texting=US).call()
    twilio.clock.advance(seconds=7)
    call.hang_up()

    ended = twilio.rest_client().calls(call.sid).fetch()
    assert (ended.status, ended.duration) == ("completed", "7")


def test_an_app_places_a_call_with_its_first_document() -> None:
    app = Hotline(menu="<Say>Confirmed</Say>")
    twilio = TwilioSimulator(app, "the-token")
    twilio.rest_client().calls.create(
        to=ADA, from_=US, twiml=f"<Response>{MENU.replace('/menu', END[:-6] + '/menu')}</Response>"
    )
    call = twilio.phone(ADA, texting=US).answer()

    assert (call.said, app.asked) == (["For sales press 1"], [])
    assert call.press("1").said == ["Confirmed"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "", "from_": US, "url": END}, 21201),
        ({"to": ADA, "from_": "", "url": END}, 21213),
        ({"to": ADA, "from_": US}, 21205),
        ({"to": ADA, "from_": US, "url": "ftp://x"}, 21205),
    ],
)
def test_a_call_that_cannot_be_placed_is_refused(fields: dict[str, str], code: int) -> None:
    from twilio.base.exceptions import TwilioRestException

    twilio = TwilioSimulator(Hotline(), "the-token")
    with pytest.raises(TwilioRestException) as refused:
        twilio.rest_client().calls.create(**fields)

    assert refused.value.code == code
    assert twilio.phone(ADA, texting=US).ringing == []


QUEUED = '<Enqueue action="/after" waitUrl="/music">support</Enqueue><Say>Nobody</Say>'


def test_a_call_that_no_person_ends_is_completed_with_twilios_parameters() -> None:
    app = Hotline(voice=QUEUED, music="<Say>You are first</Say>", after="<Say>Goodbye</Say>")
    call = phone_of(app).call()
    assert (call.waits_for, call.said) == ("Enqueue", ["You are first"])
    assert app.asked[-1][2]["QueuePosition"] == "1"

    assert call.complete(QueueResult="bridged", QueueTime=7).said == ["Goodbye"]
    path, _, told = app.asked[-1]
    assert (path, told["QueueResult"], told["QueueTime"]) == ("/after", "bridged", "7")
    assert call.over


QUEUE_MENU = '<Gather action="/key" numDigits="1"><Say>Press 1 to be called back</Say></Gather>'


def test_e8_a_caller_leaves_the_queue_by_a_key() -> None:
    app = Hotline(voice=QUEUED, music=QUEUE_MENU, key="<Leave/>", after="<Say>We will call</Say>")
    call = phone_of(app).call()
    assert (call.waits_for, call.said) == ("Gather", ["Press 1 to be called back"])

    assert call.press("1").said == ["We will call"]
    path, _, told = app.asked[-1]
    assert (path, told["QueueResult"], call.over) == ("/after", "leave", True)
    assert told["QueueSid"] == app.asked[1][2]["QueueSid"]


def test_e8_without_a_key_the_caller_stays_in_the_queue_until_somebody_answers() -> None:
    app = Hotline(
        voice=QUEUED, music=QUEUE_MENU, key="<Say>Thank you</Say>", after="<Say>Bye</Say>"
    )
    phone = phone_of(app)

    assert phone.call().wait().waits_for == "Enqueue"
    told = phone.call().press("2")
    assert (told.said, told.waits_for) == (["Thank you"], "Enqueue")
    assert told.complete(QueueResult="bridged").said == ["Bye"]
    assert phone.call().complete(QueueResult="bridged").said == ["Bye"]


@pytest.mark.parametrize(
    ("leaves", "said"), [("<Leave/>", ["Hm", "Nobody"]), ("<Hangup/>", ["Hm"])]
)
def test_e8_a_document_of_the_queue_ends_the_wait_or_the_call(leaves: str, said: list[str]) -> None:
    voice = '<Enqueue waitUrl="/music">support</Enqueue><Say>Nobody</Say>'
    call = phone_of(Hotline(voice=voice, music=f"<Say>Hm</Say>{leaves}")).call()

    assert (call.said, call.over) == (said, True)
    with pytest.raises(UsageError, match="nothing to complete"):
        call.complete()


def test_e8_a_referred_call_is_completed_by_the_test() -> None:
    app = Hotline(voice='<Refer action="/after"><Sip>sip:a@example.com</Sip></Refer>')
    call = phone_of(app).call()

    assert call.complete(ReferCallStatus="completed").over
    assert app.asked[-1][2]["ReferCallStatus"] == "completed"


def test_without_an_action_the_next_verb_follows() -> None:
    app = Hotline(voice="<Connect><Stream url='wss://example.com/s'/></Connect><Say>Done</Say>")
    call = phone_of(app).call()

    assert call.waits_for == "Connect"
    assert call.complete().said == ["Done"]
    assert app.paths() == ["/voice"]


@pytest.mark.parametrize("document", [MENU, "<Record/>", "<Say>Bye</Say>"])
def test_what_a_person_ends_is_not_completed(document: str) -> None:
    call = phone_of(Hotline(voice=document)).call()

    with pytest.raises(UsageError, match="nothing to complete"):
        call.complete()


DIALED = '<Dial><Number url="/whisper">+15550100077</Number><Number>+15550100078</Number></Dial>'


def test_whoever_answers_a_dial_hears_the_whisper_in_a_call_of_their_own() -> None:
    app = Hotline(voice=DIALED, whisper="<Say>From the hotline</Say>")
    phone = phone_of(app)
    call = phone.call()

    assert (call.said, [each.said for each in call.whispers]) == ([], [["From the hotline"]])
    told = app.asked[-1][2]
    assert (told["ParentCallSid"], told["To"], told["From"]) == (call.sid, "+15550100077", ADA)
    assert (told["CallSid"] != call.sid, told["Direction"]) == (True, "outbound-dial")
    assert phone.call(dial_status="busy").whispers == []


def test_the_app_sends_a_call_elsewhere_and_what_it_waited_in_ends() -> None:
    app = Hotline(voice="<Enqueue>support</Enqueue>", agent="<Say>Hello</Say>")
    twilio = TwilioSimulator(app, "the-token", voice_url="https://example.com/voice")
    call = twilio.phone(ADA, texting=US).call()
    client = twilio.rest_client()
    assert client.calls(call.sid).fetch().status == "in-progress"

    client.calls(call.sid).update(url="https://example.com/agent", method="GET")

    assert (call.said, call.over) == (["Hello"], True)
    assert app.asked[-1][:2] == ("/agent", "GET")
    assert app.asked[-1][2]["CallSid"] == call.sid
    assert client.calls(call.sid).fetch().status == "completed"


def test_an_app_may_change_the_call_that_it_answers() -> None:
    class Changing(Hotline):
        def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
            answer = super().__call__(environ, start_response)
            if environ["PATH_INFO"] == "/voice":
                client.calls(self.asked[-1][2]["CallSid"]).update(
                    twiml="<Response><Say>Second</Say></Response>"
                )
            return answer

    twilio = TwilioSimulator(
        Changing(voice="<Say>First</Say><Record/>"),
        "the-token",
        voice_url="https://example.com/voice",
    )
    client = twilio.rest_client()
    call = twilio.phone(ADA, texting=US).call()

    assert (call.said, call.over) == (["First", "Second"], True)


@pytest.mark.parametrize("status", ["completed", "canceled"])
def test_the_app_ends_a_call(status: str) -> None:
    twilio = TwilioSimulator(Hotline(voice=MENU), "the-token", voice_status_callback=END)
    phone, client = twilio.phone(ADA, texting=US), twilio.rest_client()
    call = phone.call("https://example.com/voice")
    client.calls(call.sid).update(status=status)
    assert (call.over, len(call.statuses)) == (True, 1)

    placed = client.calls.create(to=ADA, from_=US, url="https://example.com/voice")
    assert client.calls(placed.sid).update(status=status).status == "canceled"
    assert phone.ringing == []


@pytest.mark.parametrize(
    ("over", "fields", "code"),
    [
        (True, {"twiml": "<Response/>"}, 21220),
        (False, {"url": "ftp://x"}, 21205),
    ],
)
def test_a_call_that_cannot_be_changed_is_refused(
    over: bool, fields: dict[str, str], code: int
) -> None:
    from twilio.base.exceptions import TwilioRestException

    twilio = TwilioSimulator(Hotline(voice=MENU), "the-token")
    client, call = (
        twilio.rest_client(),
        twilio.phone(ADA, texting=US).call("https://example.com/voice"),
    )
    if over:
        call.hang_up()
        with pytest.raises(UsageError, match="cannot be redirected"):
            call.update(twiml="<Response/>")
    with pytest.raises(TwilioRestException) as refused:
        client.calls(call.sid).update(**fields)
    assert refused.value.code == code
    with pytest.raises(TwilioRestException):
        client.calls("CA" + "0" * 32).update(status="completed")


def counting(environ: Any, start_response: Any) -> list[bytes]:
    state = state_from(environ)
    state["step"] = state.get("step", 0) + 1
    start_response("200 OK", [("Content-Type", "text/xml")])
    return [f"<Response><Say>{state['step']}</Say><Gather action='/menu'/></Response>".encode()]


@pytest.mark.parametrize("store", ["cookie", "memory"])
@pytest.mark.parametrize("calls", ["own", "shared"])
def test_a_call_begins_with_the_state_that_the_test_gives_it(store: str, calls: str) -> None:
    where = MemoryStore() if store == "memory" else None
    app = ConversationMiddleware(counting, settings(calls=calls), store=where)
    phone = TwilioSimulator(app, TOKEN).phone(ADA, texting=US)
    call = phone.call(state={"step": 4})

    assert call.said == ["5"]
    assert call.press("1").said == ["6"]
    assert phone.call().said == (["7"] if calls == "shared" else ["1"])


def test_a_call_s_state_cannot_be_given_to_an_app_without_the_middleware() -> None:
    with pytest.raises(UsageError, match="ConversationMiddleware"):
        phone_of(Hotline(voice=MENU)).call(state={"step": 4})
