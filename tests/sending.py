"""What an app in another process sends through Twilio's client arrives in this one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from queue import Queue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from twilio.base.client_base import ClientBase
from werkzeug.wrappers import Request, Response

from tests.listening import listening
from tests.serving import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SENDS_TO = "SENDS_TO"


class Sent:
    """What has been sent from one number with the account's token.

    Attributes:
        environ: What the other process needs in its environment; there `redirect_clients` must be called.
    """

    def __init__(self, ours: str, token: str) -> None:
        self._ours, self._token = ours, token
        self._queue: Queue[tuple[str, str]] = Queue()
        self.environ: dict[str, str] = {}

    def next(self) -> tuple[str, str]:
        """To whom, and what."""
        return self._queue.get(timeout=PATIENCE_S)

    @property
    def is_empty(self) -> bool:
        return self._queue.empty()

    def _take(self, request: Request) -> Response:
        assert request.path.endswith("/Messages.json")
        assert request.authorization is not None
        assert request.authorization.password == self._token
        assert request.form["From"] == self._ours
        self._queue.put((request.form["To"], request.form["Body"]))
        return Response('{"sid": "SM"}', 201, content_type="application/json")


@contextmanager
def sent_here(ours: str, token: str = os.environ["TWILIO_AUTH_TOKEN"]) -> Iterator[Sent]:
    sent = Sent(ours, token)
    with listening(Request.application(sent._take)) as url:
        sent.environ[SENDS_TO] = f"http://{urlsplit(url).netloc}"
        yield sent


def redirect_clients() -> None:
    """Have every client of this process send to the place that the environment names."""
    place = os.environ[SENDS_TO]

    def redirected(request: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, method, uri, *args, **named: request(
            self, method, f"{place}{urlsplit(uri).path}", *args, **named
        )

    ClientBase.request = redirected(ClientBase.request)
    ClientBase.request_async = redirected(ClientBase.request_async)
