"""The resources of Twilio's REST API that are simulated: messages and calls.

Sources: https://www.twilio.com/docs/messaging/api/message-resource,
https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from convostate.testing import params
from convostate.testing.codes import ERRORS
from convostate.testing.fetch import is_webhook_url
from convostate.testing.message import Message, RingingCall

if TYPE_CHECKING:
    from convostate.testing.account import Account
    from convostate.testing.call import Call

# Longer than any intended wait: after it the test that holds the sends is stuck.
_PATIENCE_S = 60.0
# Every other error has the status 400.
_STATUS = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}


@dataclass
class Refusal:
    """What happens to sends instead of success; see `TwilioSimulator.refuse_sends`."""

    reason: int | BaseException
    times: int | None
    accepted: bool


class HeldSends:
    """Sends that Twilio accepts, but does not answer until the ``with`` block ends."""

    def __init__(self) -> None:
        self._arrivals = threading.Semaphore(0)
        self._released = threading.Event()

    def __enter__(self) -> HeldSends:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def wait(self) -> None:
        """Wait until another send has arrived; TimeoutError after a minute."""
        if not self._arrivals.acquire(timeout=_PATIENCE_S):
            raise TimeoutError("no message was sent")

    def release(self) -> None:
        """Answer all sends, including later ones."""
        self._released.set()

    def arrive(self) -> None:
        """Announce one send, and wait for the release; TimeoutError after a minute."""
        self._arrivals.release()
        if not self._released.wait(_PATIENCE_S):
            raise TimeoutError("the sends were never released. Leave the block of hold_sends()")


@dataclass
class RestState:
    """What an account's REST API keeps: each message and call as JSON, by SID, oldest first; and the `Call` objects."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusal: Refusal | None = None
    held: HeldSends | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_status(self, sid: str, status: str) -> None:
        """Record the status of a message; replies are not among the resources."""
        if sid in self.resources:
            code = int(params.UNKNOWN_ERROR) if status in params.FAILED else None
            self.resources[sid] |= {"status": status, "error_code": code}

    def take_refusal(self) -> Refusal | None:
        """The refusal of one send, or None; a refusal that has been used up is removed."""
        with self.lock:
            refusal = self.refusal
            if refusal is not None and refusal.times is not None:
                refusal.times -= 1
                if refusal.times == 0:
                    self.refusal = None
            return refusal


Fields = Mapping[str, Sequence[str]]
Answer = tuple[int, dict[str, Any]]
"""HTTP status and the JSON object."""


def answer(account: Account, method: str, path: Sequence[str], fields: Fields) -> Answer:
    """Answer a request to api.twilio.com: the parts of its path without ``.json``, and the values of each field."""
    match method, *path:
        case "POST", params.API_VERSION, "Accounts", account.sid, "Messages":
            return _send(account, fields)
        case "POST" | "DELETE", params.API_VERSION, "Accounts", account.sid, "Messages", sid:
            return _change(account, method, sid, _form(fields))
        case "POST", params.API_VERSION, "Accounts", account.sid, "Calls":
            return _place(account, fields)
        case "POST", params.API_VERSION, "Accounts", account.sid, "Calls", sid:
            return _update(account, sid, _form(fields))
        case "GET", params.API_VERSION, "Accounts", account.sid, ("Messages" | "Calls") as kind:
            return 200, _listed(account, kind, fields)
        case "GET", params.API_VERSION, "Accounts", account.sid, "Messages" | "Calls", sid:
            found = account.rest.resources.get(sid)
            return refused(20404) if found is None else (200, found)
    return refused(20404)


def _form(fields: Fields) -> dict[str, str]:
    return {name: values[0] for name, values in fields.items() if values}


def _send(account: Account, fields: Fields) -> Answer:
    form = _form(fields)
    media = tuple(fields.get("MediaUrl", ()))
    code = _judge(account, form, media)
    refusal = account.rest.take_refusal()
    resource: dict[str, Any] = {}
    if code is None and (refusal is None or refusal.accepted):
        resource = _accept(account, form, media)
    if account.rest.held is not None:
        account.rest.held.arrive()
    if code is not None:
        return refused(code)
    if refusal is not None:
        if isinstance(refusal.reason, BaseException):
            raise refusal.reason
        return refused(refusal.reason)
    return 201, resource


def _judge(account: Account, form: Mapping[str, str], media: Sequence[str]) -> int | None:
    """Twilio's error code for a send, or None if it accepts the send."""
    to, from_ = form.get("To", ""), form.get("From", "")
    if not to:
        return 21604
    if not _is_number(to):
        return 21211
    if not (from_ or form.get("MessagingServiceSid")):
        return 21603
    if not (form.get("Body") or media or form.get("ContentSid")):
        return 21619
    if len(form.get("Body", "")) > params.MAX_BODY_CHARS:
        return 21617
    callback = form.get("StatusCallback", "")
    if callback and not is_webhook_url(callback):
        return 21609
    return 21610 if account.opted_out(from_ or account.sender_for(to), to) else None


def _is_number(address: str) -> bool:
    """Whether Twilio sends to this address: a number, or a channel's own form of address."""
    channel, _, number = address.rpartition(":")
    if channel and channel not in ("whatsapp", "rcs"):
        return bool(number)
    # WhatsApp: +1555…, or US.1555… for a person without a number
    digits = number.removeprefix("+").rpartition(".")[2]
    longest = 32 if "." in number else 15
    return digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) <= longest


def _accept(account: Account, form: Mapping[str, str], media: tuple[str, ...]) -> dict[str, Any]:
    to, from_, body = form["To"], form.get("From", ""), form.get("Body", "")
    message = Message(
        body,
        media,
        to,
        from_ or account.sender_for(to),
        params.new_sid("MM" if media else "SM"),
        form.get("StatusCallback", ""),
        form.get("ContentSid", ""),
        form.get("ContentVariables", ""),
    )
    resource = _new_resource(account, "Messages", message.sid) | {
        "body": body,
        "direction": "outbound-api",
        "from": from_ or None,  # a Messaging Service picks the sender later
        "messaging_service_sid": form.get("MessagingServiceSid"),
        "num_media": str(len(media)),
        "num_segments": str(params.segments(body)) if from_ else "0",
        "status": "queued" if from_ else "accepted",
        "to": to,
    }
    account.rest.resources[message.sid] = resource
    account.send(message)
    return resource


def _change(account: Account, method: str, sid: str, form: Mapping[str, str]) -> Answer:
    """Redact, cancel or delete a message; it has arrived all the same."""
    resource = account.rest.resources.get(sid)
    if resource is None:
        return refused(20404)
    if method == "DELETE":
        del account.rest.resources[sid]
        return 204, {}
    resource |= {name: form[name.title()] for name in ("body", "status") if name.title() in form}
    return 200, resource


def _place(account: Account, fields: Fields) -> Answer:
    """Place a call: it rings until `Phone.answer` or `Phone.decline`."""
    form = _form(fields)
    to, from_, url = form.get("To", ""), form.get("From", ""), form.get("Url", "")
    if not to:
        return refused(21201)
    if not from_:
        return refused(21213)
    if not (url or form.get("Twiml") or form.get("ApplicationSid")):
        return refused(21205)
    if url and not is_webhook_url(url):
        return refused(21205)
    call = RingingCall(
        params.new_sid("CA"),
        to,
        from_,
        url,
        form.get("Method", "POST"),
        form.get("Twiml", ""),
        form.get("FallbackUrl", ""),
        form.get("StatusCallback", ""),
        form.get("StatusCallbackMethod", "POST"),
        tuple(fields.get("StatusCallbackEvent", ("completed",))),
    )
    resource = call_resource(account, call.sid, to, from_, "outbound-api")
    account.rest.resources[call.sid] = resource
    account.ringing.append(call)
    return 201, resource


def _update(account: Account, sid: str, form: Mapping[str, str]) -> Answer:
    """Redirect or end a call."""
    resource, call = account.rest.resources.get(sid), account.rest.calls.get(sid)
    if resource is None or not sid.startswith("CA"):
        return refused(20404)
    url, is_end = form.get("Url", ""), form.get("Status", "") in ("completed", "canceled")
    if url and not is_webhook_url(url):
        return refused(21205)
    if is_end and call is not None:
        call.hang_up()
    elif is_end:
        account.ringing[:] = [ringing for ringing in account.ringing if ringing.sid != sid]
        resource["status"] = "canceled"
    elif call is None or call.over:
        return refused(21220)
    else:
        call.update(url, form.get("Method", "POST"), form.get("Twiml", ""))
    return 200, resource


def call_resource(
    account: Account, sid: str, to: str, from_: str, direction: str
) -> dict[str, Any]:
    """The REST API's resource of a call that has just begun, without fields that are null."""
    return _new_resource(account, "Calls", sid) | {
        "direction": direction,
        "from": from_,
        "status": "queued",
        "to": to,
    }


def _new_resource(account: Account, kind: str, sid: str) -> dict[str, Any]:
    now = format_datetime(datetime.fromtimestamp(account.clock.now(), timezone.utc))
    return {
        "account_sid": account.sid,
        "api_version": params.API_VERSION,
        "date_created": now,
        "date_updated": now,
        "sid": sid,
        "uri": f"/{params.API_VERSION}/Accounts/{account.sid}/{kind}/{sid}.json",
    }


def _listed(account: Account, kind: str, fields: Fields) -> dict[str, Any]:
    """The resources that match, newest first, as the only page."""
    filters = {name: fields[name][0] for name in ("To", "From", "Status") if name in fields}
    prefixes = {"Messages": ("SM", "MM"), "Calls": ("CA",)}[kind]
    found = [
        resource
        for resource in reversed(account.rest.resources.values())
        if resource["sid"].startswith(prefixes)
        and all(resource[name.lower()] == value for name, value in filters.items())
    ]
    uri = f"/{params.API_VERSION}/Accounts/{account.sid}/{kind}.json"
    return {kind.lower(): found, "next_page_uri": None, "uri": uri}


def refused(code: int) -> Answer:
    """An error of the REST API."""
    status = _STATUS.get(code, 400)
    return status, {
        "code": code,
        "message": ERRORS.get(code, "Refused"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
