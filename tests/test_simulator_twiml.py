"""The simulator reads replies as Twilio does, and reports Twilio's error codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate.testing import TwilioSimulator
from tests.answering import Answer, Answering

if TYPE_CHECKING:
    from convostate.testing.reply import Reply

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"


def reply_to(answer: Answer) -> Reply:
    return TwilioSimulator(Answering(answer), "the-token").phone(ADA, texting=US).text("hello")


def twiml(verbs: str) -> Answer:
    return Answer(f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{verbs}</Response>')


def test_messages_and_media_are_read_in_order() -> None:
    reply = reply_to(
        twiml(
            "<Message>one &amp; only</Message>"
            "<Message><Body>two</Body><Media>https://m.example/1</Media>"
            "<Media>https://m.example/2</Media></Message>"
            "<Message><Media>https://m.example/3</Media></Message>"
        )
    )

    assert reply.messages == ["one & only", "two"]
    assert reply.media == [f"https://m.example/{n}" for n in (1, 2, 3)]
    assert [message.sid[:2] for message in reply.sent] == ["SM", "MM", "MM"]
    assert (reply.status, reply.error) == (200, None)
    assert reply.twiml.startswith("<?xml")
    assert repr(reply) == "Reply(messages=['one & only', 'two'], status=200, error=None)"


def test_blanks_around_a_text_are_not_part_of_it() -> None:
    assert reply_to(twiml("\n <Message>\n  Hello\n  you\n</Message>\n")).messages == [
        "Hello\n  you"
    ]


def test_a_message_to_somebody_else_arrives_there() -> None:
    twilio = TwilioSimulator(
        Answering(twiml(f'<Message to="{BOB}">psst</Message><Message>ok</Message>')), "the-token"
    )
    ada, bob = twilio.phone(ADA, texting=US), twilio.phone(BOB, texting=US)
    reply = ada.text("hello")

    assert reply.messages == ["ok"]
    assert [message.body for message in bob.inbox] == ["psst"]
    assert ada.inbox == []


@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/xml", "text/html; charset=utf-8", "TEXT/XML"]
)
def test_three_content_types_are_twiml(content_type: str) -> None:
    reply = reply_to(Answer("<Response><Message>hi</Message></Response>", content_type))

    assert (reply.messages, reply.error) == (["hi"], None)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", "¡hola!".encode()),
        ("text/plain; charset=latin-1", "¡hola!".encode("latin-1")),
        ("text/plain; charset=unheard-of", "¡hola!".encode()),
    ],
)
def test_plain_text_is_the_message_itself(content_type: str, body: bytes) -> None:
    reply = reply_to(Answer(body, content_type))

    assert (reply.messages, reply.error, reply.twiml) == (["¡hola!"], None, "")


def test_e8_plain_text_is_read_aloud_in_a_call_which_then_ends() -> None:
    app = Answering(Answer(b"Hello\n  there", "text/plain"))
    call = TwilioSimulator(app, "the-token").phone(ADA, texting=US).call()

    assert (call.said, call.messages, call.error, call.over) == (["Hello there"], [], None, True)


def test_a_document_may_have_another_encoding() -> None:
    document = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><Response><Message>ä</Message></Response>'
    )

    assert reply_to(Answer(document.encode("latin-1"))).messages == ["ä"]


@pytest.mark.parametrize("charset", ["hex", "base64", "idna", "bogus"])
def test_an_unknown_charset_is_read_as_utf_8(charset: str) -> None:
    answer = Answer("Größe".encode(), f"text/plain; charset={charset}")

    assert reply_to(answer).messages == ["Größe"]


@pytest.mark.parametrize("encoding", ["hex", "shift_jis", "bogus"])
def test_an_encoding_that_twilio_cannot_read_is_a_parse_failure(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'

    assert reply_to(Answer(f"{declared}<Response/>")).error == 12100


def test_a_204_and_an_empty_response_say_nothing() -> None:
    nothing = Answer("", None, "204 No Content")

    assert (reply_to(nothing).messages, reply_to(nothing).error) == ([], None)
    assert (reply_to(twiml("")).messages, reply_to(twiml("")).error) == ([], None)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status="404 Not Found"), 11200),
        (Answer(status="500 Oops"), 11200),
        (Answer(status="304 Not Modified"), 11200),
        (Answer(status="302 Found"), 11200),
        (Answer(b"<Response>" + b" " * 65_536 + b"</Response>"), 11750),
        (Answer(""), 11770),
        (Answer("", "text/plain"), 11770),
        (Answer("\n<?xml version='1.0'?><Response/>"), 12100),
        (Answer("<Response><Message>hi</Response>"), 12100),
        (Answer("<Response><Message>a & b</Message></Response>"), 12100),
        (Answer("hello"), 12100),
        (Answer(b"<Response><Message>\xff</Message></Response>"), 12100),
        (Answer("<html/>"), 12102),
        (Answer("<response/>"), 12102),
        (Answer("<Response/>", "application/json"), 12300),
        (Answer("<Response/>", None), 12300),
        (Answer("<Response/>", ""), 12300),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_twilio_cannot_use_is_its_error_and_sends_nothing(answer: Answer, error: int) -> None:
    reply = reply_to(answer)

    assert (reply.error, reply.errors) == (error, [error])
    assert (reply.messages, reply.media) == ([], [])


def test_64_kib_are_not_too_much() -> None:
    padding = b" " * (65_536 - len(b"<Response></Response>"))

    assert reply_to(Answer(b"<Response>" + padding + b"</Response>")).error is None


@pytest.mark.parametrize(
    "verbs",
    [
        "<message>typo</message>",
        "<Say>voice</Say>",
        "stray text",
        '<Message colour="red">x</Message>',
        "<Message><Img>x</Img></Message>",
    ],
)
def test_what_the_schema_does_not_know_is_warned_of_and_the_rest_is_sent(verbs: str) -> None:
    reply = reply_to(twiml(f"{verbs}<Message>still sent</Message>"))

    assert reply.error == 12200
    assert reply.messages[-1] == "still sent"


@pytest.mark.parametrize("text", ["", "x" * 1601])
def test_a_message_of_no_or_too_many_characters_is_not_sent(text: str) -> None:
    reply = reply_to(twiml(f"<Message>{text}</Message><Message>{'x' * 1600}</Message>"))

    assert reply.error == 14103
    assert reply.messages == ["x" * 1600]


@pytest.mark.parametrize(
    ("verb", "error"), [("<Gather><Say>Press</Say></Gather>", None), ("<Saay/>", 12200)]
)
def test_a_calls_verbs_are_those_of_voice(verb: str, error: int | None) -> None:
    phone = TwilioSimulator(Answering(twiml(verb)), "the-token").phone(ADA, texting=US)
    reply = phone.call()

    assert reply.error == error
    assert reply.said == (["Press"] if error is None else [])


def test_headers_and_body_of_the_reply_are_there() -> None:
    reply = reply_to(
        Answer("<Response/>", headers=(("X-One", "1"), ("Set-Cookie", "a"), ("Set-Cookie", "b")))
    )

    assert reply.headers["x-one"] == "1"
    assert reply.headers.getlist("set-cookie") == ["a", "b"]
    assert reply.body == b"<Response/>"
