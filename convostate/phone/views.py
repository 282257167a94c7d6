"""What came of one text, as the page shows it."""

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

    from convostate.testing.delivery import Request
    from convostate.testing.fetch import Exchange
    from convostate.testing.message import Message
    from convostate.testing.reply import Reply
    from convostate.twilio.signature import Secrets

_REFUSALS = (400, 403, 405, 413, 415)  # what a request that is not proven is answered with
MOST_BODY_CHARS = 20_000  # of one response that the page shows
_PACKAGE = Path(__file__).parent.parent
_DEMOS = f"{_PACKAGE / 'demo'}{os.sep}"
_BEFORE = (
    f"{_PACKAGE}{os.sep}",
    *(f"{Path(inspect.getfile(module)).parent}{os.sep}" for module in (wsgiref, importlib)),
    "<frozen importlib",
)
_SHORTENED_COOKIE = 24  # characters of a sealed cookie's value; nobody reads the others


class LogLines(logging.Handler):
    """Keeps what the middleware logs while somebody listens."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._heard: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take one line."""
        for lines in list(self._heard):
            lines.append(record.getMessage())

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collect the lines that are logged meanwhile."""
        lines: list[str] = []
        self._heard.append(lines)
        try:
            yield lines
        finally:
            self._heard = [heard for heard in self._heard if heard is not lines]


def reply_view(reply: Reply, secrets: Secrets | None, log: list[str]) -> dict[str, Any]:
    """A reply as JSON.

    Args:
        reply: What came of one delivery.
        secrets: What the app's middleware accepts, or None where there is no middleware.
        log: What it said meanwhile.
    """
    error = reply.exception
    explanation = _explanation(reply, secrets)
    return {
        "status": reply.status,
        "errors": [{"code": code, "text": ERRORS.get(code, "")} for code in reply.errors],
        "exchanges": [_exchange(exchange) for exchange in reply.exchanges],
        "statuses": [_status(status) for status in reply.statuses],
        "traceback": reply.wsgi_errors if error is None else traceback_of(error),
        "raised": _last_line(reply.wsgi_errors) if error is None else _one_line(error),
        "explanation": explanation,
        # the explanation says the same, and at every refusal, not once a minute
        "log": [line for line in log if not (explanation and line.startswith("refused a request"))],
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    response = exchange.response
    parts = urlsplit(exchange.url)
    return {
        "method": exchange.request.method,
        "url": f"{parts.scheme}://{parts.netloc}{parts.path}",
        "error": exchange.error,
        "status": 0 if response is None else response.status,
        "headers": []
        if response is None
        else [[name, _header(name, value)] for name, value in response.headers.items()],
        "body": ""
        if response is None
        else response.body.decode("utf-8", "replace")[:MOST_BODY_CHARS],
    }


def _header(name: str, value: str) -> str:
    if name.lower() != "set-cookie":
        return value
    pair, semicolon, attributes = value.partition(";")
    key, _, sealed = pair.partition("=")
    if len(sealed) > _SHORTENED_COOKIE:
        sealed = f"{sealed[:_SHORTENED_COOKIE]}… ({len(sealed)} characters)"
    return f"{key}={sealed}{semicolon}{attributes}"


def _status(reply: Reply) -> dict[str, Any]:
    return {
        "status": reply.params.get("MessageStatus", ""),
        "sid": reply.params.get("MessageSid", ""),
        "answered": reply.status,
    }


def traceback_of(error: BaseException) -> str:
    """From the app's first frame on: what was done before to get there is of no interest."""
    shown = traceback.TracebackException.from_exception(error)
    while shown.stack and _is_before_the_app(shown.stack[0].filename):
        del shown.stack[0]
    return "".join(shown.format())


def _is_before_the_app(file: str) -> bool:
    if file.startswith(_DEMOS):
        return False
    return file.startswith(_BEFORE)


def _one_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _last_line(text: str) -> str:
    """What a printed traceback ends with: the exception."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _explanation(reply: Reply, secrets: Secrets | None) -> str:
    """Why the app's middleware refused the request, or ""."""
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


def message_view(sent: Message) -> dict[str, Any]:
    """A message of the app's as JSON."""
    body = sent.body or (f"[template {sent.content_sid}]" if sent.content_sid else "")
    return {"body": body, "media": list(sent.media), "sid": sent.sid}
