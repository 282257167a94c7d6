"""Signed webhooks as Twilio sends them: what every case feeds to every contender.

Parameters and their order: https://www.twilio.com/docs/messaging/guides/webhook-request. No two
requests are the same, because a store answers a repeated one from its record.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlencode

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
KEY = "x7iiBl0tHjvhJ5yrfV3ABILCQgSMgjK8u-1eHxxMpg8"
ACCOUNT = f"AC{1:032x}"
OURS = "+15550100099"
ORIGIN = "https://example.com"
PATH = "/sms"
QUESTION = "Is my table for two still free at nine?"
FORM = "application/x-www-form-urlencoded"

_numbers = count(int.from_bytes(os.urandom(8), "big"))  # another process has others


class Signed(NamedTuple):
    """A webhook that is ready to be sent, and the parameters of its form."""

    url: str
    params: dict[str, str]
    body: bytes
    content_type: str
    signature: str


def sign(url: str, params: Mapping[str, str]) -> str:
    """Sign as https://www.twilio.com/docs/usage/security#validating-requests says."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(params.items()))
    return b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()


def form(params: dict[str, str]) -> Signed:
    """Sign a form."""
    url = ORIGIN + PATH
    return Signed(url, params, urlencode(params).encode(), FORM, sign(url, params))


def sms(person: int = 1, body: str = QUESTION, **more: str) -> Signed:
    """A text message of 20 fields, and `more`, with a SID of its own."""
    sid = f"SM{next(_numbers):032x}"
    return form(
        {
            "ToCountry": "US", "ToState": "CA", "SmsMessageSid": sid, "NumMedia": "0",
            "ToCity": "SAN FRANCISCO", "FromZip": "94107", "SmsSid": sid, "FromState": "CA",
            "SmsStatus": "received", "FromCity": "SAN FRANCISCO", "Body": body,
            "FromCountry": "US", "To": OURS, "MessagingServiceSid": f"MG{1:032x}",
            "ToZip": "94105", "NumSegments": "1", "MessageSid": sid, "AccountSid": ACCOUNT,
            "From": f"+1555{person % 10_000_000:07d}", "ApiVersion": "2010-04-01", **more,
        }
    )  # fmt: skip


def whatsapp(person: int = 1) -> Signed:
    """A WhatsApp message of 40 fields, ten media among them, with a SID of its own."""
    from convostate.testing.params import message_params  # heavy, for the others

    number = f"whatsapp:+1555{person % 10_000_000:07d}"
    media = [f"{ORIGIN}/Media/ME{next(_numbers):032x}.jpg" for _ in range(10)]
    params = message_params(ACCOUNT, f"whatsapp:{OURS}", number, QUESTION, media)
    place = {
        "Latitude": "37.7749",
        "Longitude": "-122.4194",
        "Address": "1 Market St",
        "Label": "Us",
    }
    return form({**dict(params), **place, "Forwarded": "true"})


def event(person: int = 1) -> Signed:
    """A JSON webhook of about 1 kB: it has no phone pair, so it is verified and passed on."""
    people = [{"address": f"+1555{person:07d}", "sid": f"MB{index:032x}"} for index in range(10)]
    kind = "com.twilio.messaging.inbound-message.received"
    data = {"accountSid": ACCOUNT, "participants": people}
    body = json.dumps([{"id": f"EZ{next(_numbers):032x}", "type": kind, "data": data}]).encode()
    url = f"{ORIGIN}{PATH}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Signed(url, {}, body, "application/json", sign(url, {}))


KINDS = {"sms": sms, "whatsapp": whatsapp, "json": event}


def headers_of(webhook: Signed, cookie: str = "") -> dict[str, str]:
    """The headers that Twilio's proxy sends with a webhook."""
    headers = {
        "Host": "example.com", "User-Agent": "TwilioProxy/1.1", "Accept": "*/*",
        "Content-Length": str(len(webhook.body)), "Content-Type": webhook.content_type,
        "I-Twilio-Idempotency-Token": "5c1b1a2e-0b5c-4d3e-9a3e-1b7a4a5b6c7d",
        "X-Home-Region": "us1", "X-Twilio-Signature": webhook.signature,
    }  # fmt: skip
    return {**headers, "Cookie": cookie} if cookie else headers


def environ_of(webhook: Signed, cookie: str = "", **changes: Any) -> dict[str, Any]:
    """The webhook as gunicorn hands it to a WSGI app, with `changes`."""
    target = webhook.url.removeprefix(ORIGIN)
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "wsgi.errors": None, "wsgi.version": (1, 0), "wsgi.multithread": False,
        "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.file_wrapper": None,
        "wsgi.input_terminated": True, "wsgi.input": BytesIO(webhook.body),
        "wsgi.url_scheme": "https", "SERVER_SOFTWARE": "gunicorn", "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": "POST",
        "QUERY_STRING": query, "RAW_URI": target, "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000", "PATH_INFO": path, "SCRIPT_NAME": "",
    }  # fmt: skip
    for name, value in headers_of(webhook, cookie).items():
        key = name.upper().replace("-", "_")
        environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value
    return environ | changes
