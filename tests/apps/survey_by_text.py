"""A survey that needs no redirects: three questions, the answers in the state, and a table at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostate import ConversationMiddleware, state_from, webhook_from
from tests.apps.survey import QUESTIONS, WELCOME, said, thanks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def ask(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    state, body = state_from(environ), webhook_from(environ).body
    start_response("200 OK", [("Content-Type", "text/xml")])
    if state.is_new:
        state["answers"] = []
        return [said(f"{WELCOME} {QUESTIONS[0]}").encode()]
    answers = state["answers"]
    answers.append(body)
    if len(answers) < len(QUESTIONS):
        return [said(QUESTIONS[len(answers)]).encode()]
    state.end()
    return [said(thanks(list(zip(QUESTIONS, answers, strict=True)))).encode()]


app = ConversationMiddleware(ask)
