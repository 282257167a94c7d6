"""The survey that every framework runs: its texts, and the conversation about it.

/sms                  begins, or passes an answer on
/sms/question/<n>     asks it; reached by a GET redirect
/sms/answer/<n>       takes it; reached by a POST redirect
/                     a page for browsers, which counts its visits in the framework's own session
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twilio.twiml.messaging_response import MessagingResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.testing.phone import Phone

WELCOME = "Thank you for taking our survey!"
QUESTIONS = ("What is your name?", "How old are you?", "Do you like texting?")
PATHS = ("/sms", "/sms/*")


def thanks(answers: list[tuple[str, str]]) -> str:
    """The last message: a table of what was asked and answered."""
    return "\n".join(
        ["Thank you!", *(f"{question} | {answer or '-'}" for question, answer in answers)]
    )


def begun(first_question: str) -> str:
    response = MessagingResponse()
    response.message(WELCOME)
    response.redirect(first_question, method="GET")
    return str(response)


def passed_on(answer: str) -> str:
    response = MessagingResponse()
    response.redirect(answer)
    return str(response)


def said(message: str) -> str:
    response = MessagingResponse()
    response.message(message)
    return str(response)


def after_answer(
    number: int, answers: list[tuple[str, str]], question: Callable[[int], str]
) -> str:
    """The way on from an answer: to the next question, or to the thanks."""
    if number + 1 == len(QUESTIONS):
        return said(thanks(answers))
    response = MessagingResponse()
    response.redirect(question(number + 1), method="GET")
    return str(response)


def converse(phone: Phone, answers: tuple[str, str, str]) -> list[list[str]]:
    """Take part in the survey; what the phone got back, text by text."""
    replies = [phone.text(body) for body in ("hi", *answers)]
    assert [reply.errors for reply in replies] == [[]] * 4
    return [reply.messages for reply in replies]


def transcript(answers: tuple[str, str, str]) -> list[list[str]]:
    """What `converse` gives where nothing is forgotten and nothing mixed up."""
    table = thanks(list(zip(QUESTIONS, answers, strict=True)))
    return [[WELCOME, QUESTIONS[0]], [QUESTIONS[1]], [QUESTIONS[2]], [table]]
