"""One installation whose texts are answered later: an app, the function that answers, and a Twilio for both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from convostate import AsyncConversations, ConversationMiddleware, Conversations, asgi
from convostate.testing import TwilioSimulator
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, TOKEN, US, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from convostate import Answering
    from convostate.testing.clock import Clock
    from convostate.testing.phone import Phone

EMPTY = "<Response/>"


def client_for_asyncio(token: str = TOKEN) -> Client:
    """A client that sends without blocking."""
    http = AsyncTwilioHttpClient(pool_connections=False)
    return Client(ACCOUNT_SID, token, http_client=http)


def log_and_reply(turn: Answering) -> None:
    """Append the texts to ``state["log"]``, and send the whole log."""
    log = turn.state.setdefault("log", [])
    log += [text.body for text in turn.texts]
    turn.reply(" ".join(log))


class Deferring:
    """An installation.

    Args:
        door: ``threads``: WSGI and `Conversations`; ``loop``: ASGI and `AsyncConversations`.
        store: Where its conversations are; of the kind that the door takes.
        clock: Its Twilio's clock, if it is another installation's.
        **changes: Settings that are different.

    Attributes:
        answer: What answers; called in the event loop as well, where it must not block.
        view: Called with the environ or scope of each text; `answer_later` by default.
    """

    def __init__(self, door: str, store: Any, clock: Clock | None = None, **changes: Any) -> None:
        self.settings = settings(**{"defer_paths": "/sms", **changes})
        self.answer: Callable[[Answering], Any] = log_and_reply
        self.conversations: Any
        self.app: Any
        if door == "threads":
            client = Client(ACCOUNT_SID, TOKEN)
            self.conversations = Conversations(self.settings, store=store, client=client)
            self.app = ConversationMiddleware(self._wsgi, self.settings, store=store)
            self.conversations.answers(lambda turn: self.answer(turn))  # noqa: PLW0108  # the answer of then
        else:
            client = client_for_asyncio()
            self.conversations = AsyncConversations(self.settings, store=store, client=client)
            self.app = asgi.ConversationMiddleware(
                self._asgi, self.settings, store=self.conversations.store
            )

            async def answer(turn: Answering) -> Any:
                await asyncio.sleep(0)
                return self.answer(turn)

            self.conversations.answers(answer)

        self.view: Callable[[Any], Any] = self.conversations.answer_later
        self.twilio = TwilioSimulator(
            self.app, TOKEN, account_sid=ACCOUNT_SID, clock=clock, raise_app_errors=False
        )

    def _wsgi(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.view(environ)
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [EMPTY.encode()]

    async def _asgi(self, scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.view(scope)
        headers = [(b"content-type", b"text/xml")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": EMPTY.encode()})

    def phone(self, number: str = ADA) -> Phone:
        return self.twilio.phone(number, texting=US)

    def run(self, result: Any) -> Any:
        """The result of a method of `conversations`, in the app's loop if it has one."""
        return self.twilio.result_of(result)

    def close(self) -> None:
        """Close the connections."""
        self.run(self.conversations.store.close())

    def backlog(self, number: str = ADA) -> tuple[int, bool, int, int]:
        """Texts, answering, replies, dead letters."""
        return tuple(self.run(self.conversations.backlog(ours=US, theirs=number)))

    def work(self) -> list[str]:
        """What is sent now, as texts."""
        return [message.body for message in self.twilio.work(self.conversations)]
