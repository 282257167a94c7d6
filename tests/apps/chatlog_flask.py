"""A bot that asks a language model, and keeps what was said in the session as the model takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from flask import Flask, Response, request, session
from markupsafe import escape

from convostate.frameworks.flask import ConvoState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostate import Settings


class Line(TypedDict):
    role: str
    content: str


SYSTEM = Line(role="system", content="You answer in one sentence.")


def echoing(lines: Sequence[Line]) -> str:
    """A model that has read everything: it says how much, and repeats the last line."""
    return f"{len(lines)} lines, the last is: {lines[-1]['content']}"


def make_app(settings: Settings, model: Callable[[Sequence[Line]], str] = echoing) -> Flask:
    app = Flask(__name__)

    @app.post("/sms")
    def sms() -> Response:
        if request.form["Body"].strip().lower() == "reset":
            session.clear()
            return Response("<Response/>", content_type="text/xml")
        log: list[Any] = session.setdefault("log", [SYSTEM])
        log.append(Line(role="user", content=request.form["Body"]))
        answer = model(log)
        log.append(Line(role="assistant", content=answer))
        session.modified = True
        text = f"<Response><Message>{escape(answer)}</Message></Response>"
        return Response(text, content_type="text/xml")

    ConvoState(app, settings)
    return app
