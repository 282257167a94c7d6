"""One server of a fleet: a script that answers JSON lines, whatever release of convostate it imports.

A line is ``[action, arguments]``, see `ACTIONS`, and so is each answer a line.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import UUID

import convostate
from convostate import ConversationMiddleware, Conversations, ConvostateError, Settings, state_from

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# One of each type that a state can hold.
VALUES = [
    None, True, -7, 2**70, 1.5, "é", b"\0", [1], {2: {"3": 4}}, {5, 6}, (7, (8,)), UUID(int=9), Decimal("1.10"),
    datetime(2026, 11, 23, 9, 0, 0, 7, timezone(timedelta(hours=-3))), datetime(2026, 11, 23, tzinfo=timezone.utc).date(),
]  # fmt: skip


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Count the texts of a conversation; ``hold``, ``write`` and ``read`` do more."""
    state = state_from(environ)
    state["n"] = state.get("n", 0) + 1
    answer = str(state["n"])
    body = environ["convostate.webhook"].params.get("Body")
    if body == "hold":
        answer_line("holding")
        sys.stdin.readline()
    elif body == "write":
        state["values"] = VALUES
    elif body == "read":
        answer = repr(state["values"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]


def answer_line(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


class Server:
    """What the lines ask for, by the names of the methods."""

    def __init__(self) -> None:
        self.middleware = ConversationMiddleware(app)
        if Settings.from_environ().store != "cookie":
            self.conversations = Conversations(store=self.middleware.store)

    def where(self) -> str:
        """The file that was imported."""
        return str(convostate.__file__)

    def serve(self, environ: dict[str, Any], body: str) -> list[Any]:
        """Serve a request: status, cookie, body."""
        told: list[Any] = []
        environ |= {"wsgi.input": BytesIO(body.encode()), "wsgi.errors": sys.stderr}
        chunks = self.middleware(environ, lambda *said: told.extend(said))  # type: ignore[arg-type]  # nothing calls write()
        answer = b"".join(chunks).decode()
        cookie = next((value for name, value in told[1] if name == "Set-Cookie"), "")
        return [int(told[0][:3]), cookie.partition(";")[0], answer]

    def peek(self, pair: dict[str, str]) -> str:
        state = self.conversations.peek(**pair)
        return repr(None if state is None else dict(state))

    def write(self, pair: dict[str, str], number: int) -> str:
        with self.conversations.turn(**pair) as state:
            state["n"] = number
        return self.peek(pair)

    def start(self, pair: dict[str, str], number: int) -> str:
        """Start the conversation with a text that goes nowhere; the error's name, if there is one."""
        try:
            self.conversations.start(
                Outbox(), to=pair["theirs"], from_=pair["ours"], body="hello", state={"n": number}
            )  # fmt: skip
        except ConvostateError as error:
            return type(error).__name__
        return ""

    def end(self, pair: dict[str, str]) -> None:
        self.conversations.end(**pair)

    def forget(self, pair: dict[str, str]) -> None:
        self.conversations.forget(**pair)


class Outbox:
    """The part of twilio-python's client that `start` uses."""

    account_sid = None

    @property
    def messages(self) -> Outbox:
        return self

    def create(self, **message: Any) -> dict[str, Any]:
        return message


if __name__ == "__main__":
    server = Server()
    for line in sys.stdin:
        action, arguments = json.loads(line)
        answer_line(getattr(server, action)(*arguments))
