"""Messages that an app sends through twilio's own client arrive at the simulator's phones."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from convostate.errors import UsageError
from convostate.testing import TwilioSimulator, catching
from tests.answering import Answer, Answering

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"
SERVICE = "MG" + "0" * 32


@pytest.fixture
def app() -> Answering:
    return Answering(Answer("<Response/>"))


@pytest.fixture
def simulator(app: Answering) -> TwilioSimulator:
    return TwilioSimulator(app, "the-token")


def test_a_message_arrives_at_its_phone_and_at_no_other(simulator: TwilioSimulator) -> None:
    ada, bob = simulator.phone(ADA, texting=US), simulator.phone(BOB, texting=US)
    client = simulator.rest_client()
    sent = client.messages.create(
        to=ADA, from_=US, body="Still coming at 9?", media_url=["https://m.example/1"]
    )

    [message] = ada.inbox
    assert (message.body, message.media) == ("Still coming at 9?", ("https://m.example/1",))
    assert (message.from_, message.to, message.sid) == (US, ADA, sent.sid)
    assert str(message) == "Still coming at 9?"
    assert bob.inbox == []
    assert simulator.phone(ADA, texting="+15550100098").inbox == []
    assert simulator.arrived == [message]


def test_the_client_sees_what_twilio_answers(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    sent = client.messages.create(to=ADA, from_=US, body="x" * 161)

    assert (sent.status, sent.direction, sent.from_, sent.to) == ("queued", "outbound-api", US, ADA)
    assert (sent.num_segments, sent.num_media, sent.account_sid) == (
        "2",
        "0",
        simulator.account_sid,
    )
    assert sent.date_created is not None
    assert sent.date_created.timestamp() == simulator.clock.now()
    assert client.messages(sent.sid).fetch().body == sent.body


@pytest.mark.parametrize("code", [21610, 21211, 30007, 99999])
def test_sends_can_be_refused_with_any_code(simulator: TwilioSimulator, code: int) -> None:
    client = simulator.rest_client()
    simulator.refuse_sends(code, times=1)

    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=ADA, from_=US, body="hello")
    sent = client.messages.create(to=ADA, from_=US, body="again")

    assert (refused.value.code, refused.value.status) == (code, 400)
    assert [message.sid for message in simulator.arrived] == [sent.sid]


@pytest.mark.parametrize("times", [0, -1])
def test_a_refusal_of_no_send_is_a_mistake(simulator: TwilioSimulator, times: int) -> None:
    with pytest.raises(UsageError, match="times=1 or more"):
        simulator.refuse_sends(21610, times=times)

    sent = simulator.rest_client().messages.create(to=ADA, from_=US, body="hello")
    assert sent.status == "queued"


def test_sends_are_refused_until_they_are_accepted_again(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    simulator.refuse_sends(30007)
    for _ in range(3):
        with pytest.raises(TwilioRestException):
            client.messages.create(to=ADA, from_=US, body="hello")
    simulator.accept_sends()

    assert client.messages.create(to=ADA, from_=US, body="hello").status == "queued"


@pytest.mark.parametrize("accepted", [False, True])
def test_the_network_can_fail_before_or_after_the_message_goes_out(
    simulator: TwilioSimulator, accepted: bool
) -> None:
    simulator.refuse_sends(ConnectionError("reset"), accepted=accepted)

    with pytest.raises(ConnectionError, match="reset"):
        simulator.rest_client().messages.create(to=ADA, from_=US, body="hello")

    assert len(simulator.arrived) == accepted


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "", "from_": US, "body": "x"}, 21604),
        ({"to": "Ada", "from_": US, "body": "x"}, 21211),
        ({"to": "+1555010000112345", "from_": US, "body": "x"}, 21211),
        ({"to": ADA, "body": "x"}, 21603),
        ({"to": ADA, "from_": US}, 21619),
        ({"to": ADA, "from_": US, "body": "x" * 1601}, 21617),
        ({"to": ADA, "from_": US, "body": "x", "status_callback": "ftp://x"}, 21609),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused(
    simulator: TwilioSimulator, fields: dict[str, str], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        simulator.rest_client().messages.create(**fields)

    assert refused.value.code == code
    assert simulator.arrived == []


def test_stop_blocks_sends_to_this_person_from_this_number_until_start(
    simulator: TwilioSimulator,
) -> None:
    client = simulator.rest_client()
    phone = simulator.phone(ADA, texting=US)
    phone.text(" Stop ")

    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=ADA, from_=US, body="hello")
    client.messages.create(to=BOB, from_=US, body="hello")
    client.messages.create(to=ADA, from_="+15550100098", body="hello")
    phone.text("start")
    client.messages.create(to=ADA, from_=US, body="welcome back")

    assert refused.value.code == 21610
    assert [message.body for message in phone.inbox] == ["welcome back"]


@pytest.mark.parametrize("text", ["please stop", "stop it", ""])
def test_only_the_whole_text_is_a_keyword(simulator: TwilioSimulator, text: str) -> None:
    simulator.phone(ADA, texting=US).text(text)

    assert simulator.rest_client().messages.create(to=ADA, from_=US, body="x").error_code is None


def test_twilio_knows_no_keywords_on_whatsapp(simulator: TwilioSimulator) -> None:
    simulator.phone(f"whatsapp:{ADA}", texting=f"whatsapp:{US}").text("STOP")
    client = simulator.rest_client()

    assert client.messages.create(to=f"whatsapp:{ADA}", from_=f"whatsapp:{US}", body="x").sid


def test_a_messaging_service_does_not_tell_the_sender_it_takes(simulator: TwilioSimulator) -> None:
    phone = simulator.phone(ADA, texting=US)
    client = simulator.rest_client()
    sent = client.messages.create(to=ADA, messaging_service_sid=SERVICE, body="hello")
    named = client.messages.create(to=ADA, messaging_service_sid=SERVICE, from_=US, body="hello")

    assert (sent.from_, sent.status, sent.messaging_service_sid) == (None, "accepted", SERVICE)
    assert (named.from_, named.status) == (US, "queued")
    assert [message.sid for message in phone.inbox] == [sent.sid, named.sid]


def test_a_messaging_service_takes_the_number_that_the_person_wrote_to_last(
    simulator: TwilioSimulator,
) -> None:
    other = "+15550100098"
    simulator.phone(ADA, texting=US)
    simulator.phone(ADA, texting=other).text("hello")
    simulator.rest_client().messages.create(to=ADA, messaging_service_sid=SERVICE, body="hello")

    assert [message.from_ for message in simulator.arrived] == [other]


def test_a_status_callback_is_requested_after_the_sender_has_its_answer(
    app: Answering, simulator: TwilioSimulator
) -> None:
    sent = simulator.rest_client().messages.create(
        to=ADA, from_=US, body="hello", status_callback="https://example.com/status"
    )
    assert app.asked == []

    replies = simulator.deliver_statuses()
    told = [(asked.path, *asked.form) for asked in app.asked]

    assert [reply.error for reply in replies] == [None, None]
    assert [(path, ("MessageSid", sent.sid) in form) for path, *form in told] == [
        ("/status", True),
        ("/status", True),
    ]
    assert simulator.deliver_statuses() == []


def test_what_an_app_sends_while_it_is_texted_is_reported_on_right_after(
    simulator: TwilioSimulator, app: Answering
) -> None:
    client = simulator.rest_client()

    def sending(_: object) -> Answer:
        client.messages.create(to=ADA, from_=US, body="soon", status_callback="https://a.example/s")
        return Answer("<Response/>")

    app.answers = [sending, Answer("<Response/>")]
    phone = simulator.phone(ADA, texting=US)
    reply = phone.text("hello")

    assert [message.body for message in phone.inbox] == ["soon"]
    assert len(reply.statuses) == 2


def test_held_sends_have_arrived_but_are_not_answered(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    answered = threading.Event()

    def send() -> None:
        client.messages.create(to=ADA, from_=US, body="hello")
        answered.set()

    with ThreadPoolExecutor(1) as pool:
        with simulator.hold_sends() as sends:
            sending = pool.submit(send)
            sends.wait()
            assert len(simulator.arrived) == 1
            assert not answered.is_set()
        sending.result(timeout=30)  # seconds

    assert answered.is_set()
    assert client.messages.create(to=ADA, from_=US, body="no longer held").sid


def test_waiting_in_vain_for_a_send_or_its_release_is_an_error(
    simulator: TwilioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convostate.testing.rest_resources._PATIENCE_S", 0.01)

    with simulator.hold_sends() as sends:
        with pytest.raises(TimeoutError, match="no message was sent"):
            sends.wait()
        with pytest.raises(TimeoutError, match="never released"):
            simulator.rest_client().messages.create(to=ADA, from_=US, body="hello")


def test_other_credentials_and_other_resources_are_refused(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    stranger = simulator.rest_client()
    stranger.auth = (simulator.account_sid, "another-token")

    with pytest.raises(TwilioRestException) as unknown:
        client.messages("SM" + "0" * 32).fetch()
    with pytest.raises(TwilioRestException) as elsewhere:
        client.lookups.v2.phone_numbers(ADA).fetch()
    with pytest.raises(TwilioRestException) as forbidden:
        stranger.messages.create(to=ADA, from_=US, body="hello")

    assert [error.value.code for error in (unknown, elsewhere, forbidden)] == [20404, 20404, 20003]
    assert forbidden.value.status == 401


def test_without_twilio_it_says_what_to_install(
    simulator: TwilioSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "convostate.testing.rest", raising=False)
    monkeypatch.setitem(sys.modules, "twilio.rest", None)

    with pytest.raises(UsageError, match=r'pip install "convostate\[twilio\]"'):
        simulator.rest_client()


def test_an_app_s_own_client_is_caught_until_the_block_ends(simulator: TwilioSimulator) -> None:
    def deny(*_: object, **__: object) -> None:
        raise AssertionError("it left this machine")

    account = simulator.account_sid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwilioHttpClient, "request", deny)
        patch.setattr(catching, "_used", [])  # simulators of other tests that are still in memory
        with simulator.caught_clients():
            Client(account, "the-token").messages.create(to=ADA, from_=US, body="mine")
            Client("SK" + "0" * 32, "secret", account).messages.create(ADA, from_=US, body="key")
            with pytest.raises(TwilioRestException, match="Authenticate"):
                Client(account, "another").messages.create(to=ADA, from_=US, body="not mine")
        with pytest.raises(AssertionError, match="left this machine"):
            Client(account, "the-token").messages.create(to=ADA, from_=US, body="gone")

    assert [message.body for message in simulator.phone(ADA, texting=US).inbox] == ["mine", "key"]


def test_a_block_answers_before_another_simulator_that_is_in_use(
    app: Answering, simulator: TwilioSimulator
) -> None:
    other = TwilioSimulator(app, "another-token")
    person = other.phone(BOB, texting=US)
    person.text("hi")
    other.refuse_sends(21211)
    client = Client("SK" + "0" * 32, "secret", simulator.account_sid)

    with simulator.caught_clients():
        client.messages.create(to=ADA, from_=US, body="in the block")
    with pytest.raises(TwilioRestException) as refused:  # the other one answers outside the block
        client.messages.create(to=ADA, from_=US, body="outside")

    assert refused.value.code == 21211
    assert [message.body for message in simulator.phone(ADA, texting=US).inbox] == ["in the block"]
    assert person.inbox == []


def test_a_message_of_a_template_has_its_sid_and_variables(simulator: TwilioSimulator) -> None:
    template = "HX" + "0" * 32
    simulator.rest_client().messages.create(
        to=f"whatsapp:{ADA}",
        from_=f"whatsapp:{US}",
        content_sid=template,
        content_variables='{"1": "Ada"}',
    )
    [message] = simulator.phone(f"whatsapp:{ADA}", texting=f"whatsapp:{US}").inbox

    assert (message.body, message.content_sid) == ("", template)
    assert message.content_variables == '{"1": "Ada"}'


@pytest.mark.parametrize("address", ["whatsapp:US.1502576394655843", "messenger:abc", f"rcs:{ADA}"])
def test_a_person_may_be_known_to_a_channel_only(simulator: TwilioSimulator, address: str) -> None:
    sent = simulator.rest_client().messages.create(to=address, from_=US, body="hi")

    assert (sent.to, simulator.arrived[0].to) == (address, address)


def test_messages_and_calls_are_listed_newest_first_by_their_ends(
    simulator: TwilioSimulator,
) -> None:
    client = simulator.rest_client()
    sent = [client.messages.create(to=to, from_=US, body="x").sid for to in (ADA, BOB, ADA)]
    call = client.calls.create(to=ADA, from_=US, url="https://example.com/voice")

    assert [message.sid for message in client.messages.list()] == sent[::-1]
    assert [message.sid for message in client.messages.list(to=ADA)] == [sent[2], sent[0]]
    assert client.messages.list(from_="+15550100098") == []
    assert [each.sid for each in client.messages.list(page_size=2)] == sent[::-1]
    assert [each.sid for each in client.messages.list(limit=1)] == sent[2:]
    assert [each.sid for each in client.calls.list(to=ADA)] == [call.sid]
    assert client.calls(call.sid).fetch().status == "queued"


def test_a_message_has_the_status_that_was_last_reported(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    sent = client.messages.create(to=ADA, from_=US, body="hi")
    simulator.deliver_statuses()
    assert (sent.fetch().status, sent.fetch().error_code) == ("delivered", None)

    simulator.phone(ADA, texting=US).deliver_status("failed", simulator.arrived[0])
    assert (sent.fetch().status, sent.fetch().error_code) == ("failed", 30008)


def test_a_message_is_redacted_and_deleted_as_an_erasure_does(simulator: TwilioSimulator) -> None:
    client = simulator.rest_client()
    sent = client.messages.create(to=ADA, from_=US, body="hi")
    assert (sent.update(body="").body, sent.fetch().body) == ("", "")
    assert [message.body for message in simulator.arrived] == ["hi"]

    assert sent.delete()
    for act in (sent.fetch, sent.delete, lambda: client.messages(sent.sid).update(body="")):
        with pytest.raises(TwilioRestException) as refused:
            act()
        assert refused.value.code == 20404
