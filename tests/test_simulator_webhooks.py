"""What the simulator sends is what Twilio sends."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from twilio.request_validator import RequestValidator

from convostate.errors import UsageError
from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering, Asked

TOKEN = "the-token"
US, ADA = "+15550100099", "+15550100001"
BLANK = {"ToState", "ToCity", "FromZip", "FromState", "FromCity", "ToZip"}


def told(app: Answering, *texts: str, **options: Any) -> list[Asked]:
    """What the app is asked when a person writes some texts."""
    phone = TwilioSimulator(app, TOKEN, **options).phone(ADA, texting=US)
    for text in texts:
        phone.text(text)
    return app.asked


def validates(asked: Asked, url: str, token: str = TOKEN) -> bool:
    """What Twilio's own library says of a request."""
    signature = asked.environ["HTTP_X_TWILIO_SIGNATURE"]
    return bool(RequestValidator(token).validate(url, dict(asked.form), signature))


def test_a_text_carries_every_parameter_of_a_real_one_blank_ones_included() -> None:
    [asked] = told(Answering(), "hello")
    form = dict(asked.form)

    assert list(form) == [
        "ToCountry", "ToState", "SmsMessageSid", "NumMedia", "ToCity", "FromZip", "SmsSid",
        "FromState", "SmsStatus", "FromCity", "Body", "FromCountry", "To", "ToZip", "NumSegments",
        "MessageSid", "AccountSid", "From", "ApiVersion",
    ]  # fmt: skip
    assert {name for name, value in form.items() if not value} == BLANK
    assert form["MessageSid"] == form["SmsSid"] == form["SmsMessageSid"]
    assert (form["MessageSid"][:2], len(form["MessageSid"])) == ("SM", 34)
    assert (form["To"], form["From"], form["Body"]) == (US, ADA, "hello")
    assert (form["NumMedia"], form["NumSegments"], form["SmsStatus"]) == ("0", "1", "received")


@pytest.mark.parametrize("query", ["", "?x=1"])
def test_a_url_without_a_path_is_requested_and_signed_with_a_slash(query: str) -> None:
    [asked] = told(Answering(), "hello", webhook_url=f"https://example.com{query}")

    assert asked.environ["PATH_INFO"] == "/"
    assert validates(asked, f"https://example.com/{query}")
    assert not validates(asked, f"https://example.com{query}")


def test_no_two_texts_share_a_sid_or_an_idempotency_token() -> None:
    asked = told(Answering(), "hello", "hello")

    assert len({dict(each.form)["MessageSid"] for each in asked}) == 2
    assert len({each.token for each in asked}) == 2


def test_the_headers_are_those_of_twilios_client() -> None:
    [asked] = told(Answering(), "hello")
    environ = asked.environ

    assert environ["HTTP_USER_AGENT"] == "TwilioProxy/1.1"
    assert environ["HTTP_ACCEPT"] == "*/*"
    assert environ["HTTP_X_HOME_REGION"] == "us1"
    assert environ["HTTP_HOST"] == "example.com"
    assert environ["CONTENT_TYPE"] == "application/x-www-form-urlencoded"
    assert "HTTP_COOKIE" not in environ


def test_the_form_is_encoded_as_twilio_encodes_it() -> None:
    bodies: list[bytes] = []
    app = Answering()

    def reading(environ: Any, start_response: Any) -> Any:
        length = int(environ["CONTENT_LENGTH"])
        bodies.append(environ["wsgi.input"].read(length))
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>"]

    TwilioSimulator(reading, TOKEN).phone(ADA, texting=US).text("1 + 1 = 2 & zwei ä~")

    assert b"&Body=1+%2B+1+%3D+2+%26+zwei+%C3%A4~&" in bodies[0]
    assert b"&From=%2B15550100001&" in bodies[0]
    assert app.asked == []


def test_twilios_own_library_accepts_the_signature_of_a_text() -> None:
    [asked] = told(Answering(), "Grüße & 💐", webhook_url="https://example.com/sms?a=1")

    assert validates(asked, "https://example.com/sms?a=1")
    assert not validates(asked, "https://example.com/sms?a=2")
    assert not validates(asked, "https://example.com/sms?a=1", token="another-token")


def test_a_shared_key_signs_with_sha256_and_names_itself() -> None:
    app = Answering()
    twilio = TwilioSimulator(app, TOKEN, shared_key=("key_1", "the-secret"))
    twilio.phone(ADA, texting=US).text("hello")
    environ = app.asked[0].environ
    settings = environ["HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS"]

    validated = [
        RequestValidator(secret).validate(
            "https://example.com/sms",
            dict(app.asked[0].form),
            environ["HTTP_X_TWILIO_SIGNATURE"],
            "HMAC_SHA256",
        )
        for secret in ("the-secret", TOKEN)
    ]

    assert settings == "key=key_1,algorithm=HMAC_SHA256"
    assert validated == [True, False]


def test_a_get_webhook_appends_its_parameters_to_the_query() -> None:
    [asked] = told(Answering(), "a b", method="GET", webhook_url="https://example.com/sms?a=1")

    assert (asked.method, asked.form) == ("GET", [])
    assert asked.query[0] == ("a", "1")
    assert dict(asked.query)["Body"] == "a b"
    assert "&Body=a+b&" in asked.environ["QUERY_STRING"]
    assert validates(asked, f"https://example.com/sms?{asked.environ['QUERY_STRING']}")
    assert not validates(asked, "https://example.com/sms?a=1")


@pytest.mark.parametrize("method", ["get", "PUT", ""])
def test_a_method_that_twilio_does_not_use_is_refused(method: Any) -> None:
    app = Answering()
    phone = TwilioSimulator(app, TOKEN, method=method).phone(ADA)
    for act in (phone.text, phone.call):
        with pytest.raises(UsageError, match='"POST" or method="GET"'):
            act()

    assert app.asked == []


def test_an_mms_carries_its_media() -> None:
    app = Answering()
    phone = TwilioSimulator(app, TOKEN).phone(ADA, texting=US)
    phone.text("look", media=["https://media.example/cat.gif", "https://media.example/7"])
    form = dict(app.asked[0].form)

    assert (form["NumMedia"], form["MessageSid"][:2]) == ("2", "MM")
    assert (form["MediaUrl0"], form["MediaContentType0"]) == (
        "https://media.example/cat.gif",
        "image/gif",
    )
    assert (form["MediaUrl1"], form["MediaContentType1"]) == (
        "https://media.example/7",
        "image/jpeg",
    )


def test_one_media_url_needs_no_list() -> None:
    params = TwilioSimulator(Answering(), TOKEN).phone(ADA).text(media="https://m.example/1").params

    assert (params["NumMedia"], params["MediaUrl0"]) == ("1", "https://m.example/1")


def test_a_message_of_another_channel_has_fewer_fields_about_its_sender() -> None:
    app = Answering()
    TwilioSimulator(app, TOKEN).phone("messenger:12345", texting="messenger:67890").text("hello")
    form = dict(app.asked[0].form)

    assert form["MessageType"] == "text"
    assert not {"WaId", "ProfileName"} & form.keys()


def test_a_whatsapp_message_names_its_writer_and_no_place() -> None:
    app = Answering()
    TwilioSimulator(app, TOKEN).phone(f"whatsapp:{ADA}", texting=f"whatsapp:{US}").text("hello")
    form = dict(app.asked[0].form)

    assert (form["From"], form["WaId"]) == (f"whatsapp:{ADA}", ADA[1:])
    assert (form["MessageType"], form["ProfileName"]) == ("text", "Somebody")
    assert not BLANK & form.keys()


@pytest.mark.parametrize(
    ("body", "segments"),
    [("a" * 160, "1"), ("a" * 161, "2"), ("€" * 80, "1"), ("€" * 81, "2"), ("ж" * 71, "2")],
)
def test_a_long_text_is_one_webhook_with_its_segments_counted(body: str, segments: str) -> None:
    [asked] = told(Answering(), body)

    assert dict(asked.form)["NumSegments"] == segments


def test_a_text_that_twilio_would_not_pass_on_is_refused() -> None:
    app = Answering()

    with pytest.raises(UsageError, match=r"at most 1600.*Body=… to send it anyway$"):
        told(app, "a" * 1601)

    assert app.asked == []


def test_parameters_can_be_changed_added_repeated_and_left_out() -> None:
    app = Answering()
    phone = TwilioSimulator(app, TOKEN).phone(ADA, texting=US)
    phone.text("hi", Body="a" * 2000, OptOutType="STOP", Tag=["x", "y"], FromZip=None, NumMedia=3)
    form = app.asked[0].form

    assert ("Body", "a" * 2000) in form
    assert form[-3:] == [("OptOutType", "STOP"), ("Tag", "x"), ("Tag", "y")]
    assert "FromZip" not in dict(form)
    assert ("NumMedia", "3") in form


def test_a_call_names_its_caller_and_its_reply_what_they_hear() -> None:
    app = Answering(Answer("<Response><Say>Hello.</Say></Response>"))
    twilio = TwilioSimulator(app, TOKEN, voice_url="https://example.com:8443/voice")
    reply = twilio.phone(ADA, texting=US).call(Digits=1)
    [asked] = app.asked
    form = dict(asked.form)

    assert asked.path == "/voice"
    assert (form["Direction"], form["CallStatus"], form["CallSid"][:2]) == (
        "inbound",
        "ringing",
        "CA",
    )
    assert (form["From"], form["Caller"], form["To"], form["Called"]) == (ADA, ADA, US, US)
    assert form["Digits"] == "1"
    assert reply.said == ["Hello."]
    assert (reply.messages, reply.error) == ([], None)


def test_calls_over_https_are_signed_without_the_port_and_messages_with_it() -> None:
    url = "https://example.com:8443/hook"
    app = Answering()
    phone = TwilioSimulator(app, TOKEN, url).phone(ADA, texting=US)
    phone.call()
    phone.text("hello")
    call, text = app.asked
    # The library tries a URL with and without its port, so the other port tells them apart.
    other = "https://example.com:1/hook"

    assert urlsplit(url).port == 8443
    assert validates(call, other)
    assert not validates(text, other)
    assert validates(text, url)


def test_an_outbound_call_has_the_two_ends_swapped() -> None:
    app = Answering()
    TwilioSimulator(app, TOKEN).phone(ADA, texting=US).call(outbound=True)
    form = dict(app.asked[0].form)

    assert (form["Direction"], form["From"], form["To"]) == ("outbound-api", US, ADA)


def test_the_token_comes_from_the_environment_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC123")
    app = Answering()
    TwilioSimulator(app).phone(ADA, texting=US).text("hello")

    assert validates(app.asked[0], "https://example.com/sms")
    assert dict(app.asked[0].form)["AccountSid"] == "AC123"


def test_without_a_token_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWILIO_AUTH_TOKEN", raising=False)

    with pytest.raises(UsageError, match=r"Set TWILIO_AUTH_TOKEN .* or pass auth_token="):
        TwilioSimulator(Answering())


@pytest.mark.parametrize(
    "url",
    [
        "/sms",
        "ftp://example.com/",
        "https://",
        "https://exämple.com/",
        "https://[::1/sms",
        "https://ada:hunter2@example.com:99999/sms",
        "https://ada:hunter2@example.com:abc/sms",
    ],
)
def test_an_invalid_webhook_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError, match=r"Write https://example\.com/sms") as refused:
        TwilioSimulator(Answering(), TOKEN, url)

    assert "hunter2" not in str(refused.value)


def test_a_proxy_may_cut_a_prefix_off_the_path_that_twilio_signs() -> None:
    url = "https://example.com/bots/sms?a=/bots"
    [asked] = told(Answering(), "hello", webhook_url=url, stripped_prefix="/bots/")
    [other] = told(Answering(), "hello", webhook_url=url, stripped_prefix="/bot")

    assert asked.environ["RAW_URI"] == "/sms?a=/bots"
    assert asked.path == "/sms"
    assert validates(asked, url)
    assert other.path == "/bots/sms"
