"""The result of one text, as the page shows it."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import traceback
import wsgiref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.datastructures import Headers

from convostate.testing.codes import ERRORS
from convostate.twilio.diagnosis import diagnose
from convostate.twilio.signature import Request as ReceivedRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.testing.delivery import Request, Response
    from convostate.testing.fetch import Exchange
    from convostate.testing.message import Message
    from convostate.testing.reply import Reply
    from convostate.twilio.signature import Secrets

_REFUSALS = (400, 403, 405, 413, 415)  # the statuses of refused requests
MAX_BODY_CHARS = 20_000  # of one response
_PACKAGE = Path(__file__).parent.parent
_DEMOS = f"{_PACKAGE / 'demo'}{os.sep}"
_BEFORE_APP = (
    f"{_PACKAGE}{os.sep}",
    *(f"{Path(inspect.getfile(module)).parent}{os.sep}" for module in (wsgiref, importlib)),
    "<frozen importlib",
)
_COOKIE_CHARS = 24  # of a sealed cookie's value


class LogLines(logging.Handler):
    """Collects the middleware's log records."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._collectors: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect one record."""
        for lines in list(self._collectors):
            lines.append(record.getMessage())

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect the messages that are logged until the block ends."""
        lines: list[str] = []
        self._collectors.append(lines)
        try:
            yield lines
        finally:
            self._collectors = [each for each in self._collectors if each is not lines]


def reply_view(reply: Reply, secrets: Secrets | None, log: list[str]) -> dict[str, Any]:
    """A reply as JSON, with what the middleware has logged meanwhile; without a middleware there are no secrets."""
    error = reply.exception
    explanation = _explanation(reply, secrets)
    return {
        "status": reply.status,
        "errors": [{"code": code, "text": ERRORS.get(code, "")} for code in reply.errors],
        "exchanges": [_exchange(exchange) for exchange in reply.exchanges],
        "statuses": [_status(status) for status in reply.statuses],
        "traceback": reply.wsgi_errors if error is None else traceback_of(error),
        "raised": _last_line(reply.wsgi_errors) if error is None else one_line(error),
        "explanation": explanation,
        # the explanation says the same, and for every refusal, not once a minute
        "log": [line for line in log if not (explanation and line.startswith("refused a request"))],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    response = exchange.response
    parts = urlsplit(exchange.url)
    return {
        "method": exchange.request.method,
        "url": f"{parts.scheme}://{parts.netloc}{parts.path}",
        "error": exchange.error,
        **({"status": 0, "headers": [], "body": ""} if response is None else _response(response)),
    }


def _response(response: Response) -> dict[str, Any]:
    return {
        "status": response.status,
        "headers": [[name, _header(name, value)] for name, value in response.headers.items()],
        "body": response.body.decode("utf-8", "replace")[:MAX_BODY_CHARS],
    }


def _header(name: str, value: str) -> str:
    if name.lower() != "set-cookie":
        return value
    pair, semicolon, attributes = value.partition(";")
    key, _, sealed = pair.partition("=")
    if len(sealed) > _COOKIE_CHARS:
        sealed = f"{sealed[:_COOKIE_CHARS]}… ({len(sealed)} characters)"
    return f"{key}={sealed}{semicolon}{attributes}"


def _status(reply: Reply) -> dict[str, Any]:
    return {
        "status": reply.params.get("MessageStatus", ""),
        "sid": reply.params.get("MessageSid", ""),
        "answered": reply.status,
    }


def traceback_of(error: BaseException) -> str:
    """The traceback from the app's first frame on, without the frames that lead to the app."""
    shown = traceback.TracebackException.from_exception(error)
    while shown.stack and _is_before_app(shown.stack[0].filename):
        del shown.stack[0]
    return "".join(shown.format())


def _is_before_app(file: str) -> bool:
    return file.startswith(_BEFORE_APP) and not file.startswith(_DEMOS)


def one_line(error: BaseException) -> str:
    """The last line of a traceback: the exception and its message."""
    return traceback.format_exception_only(error)[-1].strip()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _explanation(reply: Reply, secrets: Secrets | None) -> str:
    """Why the app's middleware has refused the request, or ""."""
    refused = [
        exchange.request
        for exchange in reply.exchanges
        if exchange.response is not None and exchange.response.status in _REFUSALS
    ]
    if secrets is None or not refused:
        return ""
    diagnosis = diagnose(_as_received(refused[-1]), secrets)
    return "" if diagnosis.valid else str(diagnosis)


def _as_received(sent: Request) -> ReceivedRequest:
    headers = Headers(sent.headers)
    return ReceivedRequest(
        sent.method,
        sent.url,
        sent.url.partition("?")[2],
        headers.get("Content-Type", ""),
        sent.body,
        headers.get("X-Twilio-Signature", ""),
        headers.get("X-Twilio-Webhooks-Signature-Settings", ""),
    )


def answer_view(error: Exception | None) -> dict[str, Any]:
    """The answer to deferred texts, in the form of `reply_view`."""
    view: dict[str, Any] = dict.fromkeys(("traceback", "raised", "explanation"), "")
    view |= {name: [] for name in ("errors", "exchanges", "statuses", "log")}
    if error is not None:
        view |= {"traceback": traceback_of(error), "raised": one_line(error)}
    return view | {"status": 0}


def message_view(message: Message) -> dict[str, Any]:
    """A message of the app as JSON."""
    body = message.body or (f"[template {message.content_sid}]" if message.content_sid else "")
    return {"body": body, "media": list(message.media), "sid": message.sid}


def delivered_twice(runs: int, *, server_side: bool) -> str:
    """The result of a text that was delivered twice, by how often the app ran."""
    if runs == 1:
        return "Delivered twice. The app ran once; the second delivery got the recorded reply."
    if server_side:
        return "Delivered twice. The app ran twice, because its first reply was not a success."
    return "Delivered twice. The app ran twice, both times from the same cookie."


def verdict(reply: Reply, *, in_progress: bool, where: str) -> str:
    """What happened to the state, in a sentence."""
    if not where or not reply.exchanges:
        return ""
    if reply.exception is not None:
        return "The app raised an exception, so nothing was stored. This is the state from before."
    if reply.status == 0:
        return "No reply arrived."
    if reply.status >= 400:
        return (
            f"The status is {reply.status}, so nothing was stored. This is the state from before."
        )
    if reply.state is None:
        return "The app was not called. This is the stored state."
    if in_progress or getattr(reply.state, "is_new", False):  # new and empty: nothing has ended
        return ""
    return "The conversation is over. The next text begins a new one."


def span(seconds: float) -> str:
    """A time span for people, with its direction."""
    left, words = round(abs(seconds)), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
    return f"{' '.join(words[:2]) or '0 s'} {'back' if seconds < 0 else 'ahead'}"
