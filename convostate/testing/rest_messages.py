"""The Messages endpoint of Twilio's REST API, as far as sending goes.

Source: https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from convostate.testing import params
from convostate.testing.codes import ERRORS
from convostate.testing.fetch import is_webhook_url
from convostate.testing.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convostate.testing.account import Account

# Longer than any wait that is meant; then the test that holds the sends is stuck.
_PATIENCE_S = 60.0
_STATUS = {20003: 401, 20404: 404}  # all other refusals are 400


@dataclass
class Refusal:
    """What happens to sends.

    Attributes:
        reason: Twilio's error code, or an exception for the sender, as when its network fails.
        times: How many sends it is for; None for all.
        accepted: Whether the message goes out all the same, as when only the answer is lost.
    """

    reason: int | BaseException
    times: int | None
    accepted: bool


class HeldSends:
    """Sends that Twilio takes, but does not answer until the ``with`` block ends."""

    def __init__(self) -> None:
        self._arrivals = threading.Semaphore(0)
        self._released = threading.Event()

    def __enter__(self) -> HeldSends:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def wait(self) -> None:
        """Wait until one more send has arrived.

        Raises:
            TimeoutError: None came within a minute.
        """
        if not self._arrivals.acquire(timeout=_PATIENCE_S):
            raise TimeoutError("no message was sent")

    def release(self) -> None:
        """Answer all sends, those to come too."""
        self._released.set()

    def arrive(self) -> None:
        """Be one send: arrive, and wait for the release.

        Raises:
            TimeoutError: Nobody released it within a minute.
        """
        self._arrivals.release()
        if not self._released.wait(_PATIENCE_S):
            raise TimeoutError("the sends were never released. Leave the block of hold_sends()")


@dataclass
class Messages:
    """The messages of one account, as its REST clients see them.

    Attributes:
        refusal: What happens to sends, or None where they succeed.
        held: What they wait for, or None.
    """

    account: Account
    refusal: Refusal | None = None
    held: HeldSends | None = None
    _resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, form: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, Any]]:
        """Send a message.

        Args:
            form: The fields of the request, each with its values.

        Returns:
            HTTP status and the JSON object.
        """
        first = {name: values[0] for name, values in form.items() if values}
        code = self._judge(first, form.get("MediaUrl", ()))
        refusal = self._take_refusal()
        if code is None and (refusal is None or refusal.accepted):
            resource = self._accept(first, tuple(form.get("MediaUrl", ())))
        if self.held is not None:
            self.held.arrive()
        if code is not None:
            return refused(code)
        if refusal is not None:
            if isinstance(refusal.reason, BaseException):
                raise refusal.reason
            return refused(refusal.reason)
        return 201, resource

    def _take_refusal(self) -> Refusal | None:
        """What happens to one send; the last one that a refusal is for ends it."""
        with self._lock:
            refusal = self.refusal
            if refusal is not None and refusal.times is not None:
                refusal.times -= 1
                if refusal.times == 0:
                    self.refusal = None
            return refusal

    def fetch(self, sid: str) -> tuple[int, dict[str, Any]]:
        """Look a message up: HTTP status and the JSON object."""
        resource = self._resources.get(sid)
        return refused(20404) if resource is None else (200, resource)

    def _judge(self, form: Mapping[str, str], media: Sequence[str]) -> int | None:
        """Why Twilio refuses a send, as its error code, or None."""
        to, from_ = form.get("To", ""), form.get("From", "")
        if not to:
            return 21604
        number = to.rpartition(":")[2].removeprefix("+")
        if not (
            number.isascii() and number.isdecimal() and number[:1] != "0" and len(number) <= 15
        ):
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
        sender = from_ or self.account.sender_for(to)
        return 21610 if self.account.opted_out(sender, to) else None

    def _accept(self, form: Mapping[str, str], media: tuple[str, ...]) -> dict[str, Any]:
        sid = params.new_sid("MM" if media else "SM")
        to, from_, body = form["To"], form.get("From", ""), form.get("Body", "")
        sender = from_ or self.account.sender_for(to)
        callback = form.get("StatusCallback", "")
        now = format_datetime(datetime.fromtimestamp(self.account.clock.now(), timezone.utc))
        uri = f"/{params.API_VERSION}/Accounts/{self.account.sid}/Messages/{sid}"
        resource = {
            "account_sid": self.account.sid,
            "api_version": params.API_VERSION,
            "body": body,
            "date_created": now,
            "date_sent": None,
            "date_updated": now,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": from_ or None,  # a Messaging Service chooses the sender later
            "messaging_service_sid": form.get("MessagingServiceSid"),
            "num_media": str(len(media)),
            "num_segments": str(params.segments(body)) if from_ else "0",
            "price": None,
            "price_unit": None,
            "sid": sid,
            "status": "queued" if from_ else "accepted",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": to,
            "uri": f"{uri}.json",
        }
        self._resources[sid] = resource
        self.account.send(Message(body, media, to, sender, sid, callback))
        return resource


def refused(code: int) -> tuple[int, dict[str, Any]]:
    """An error of the REST API: HTTP status and the JSON object."""
    status = _STATUS.get(code, 400)
    return status, {
        "code": code,
        "message": ERRORS.get(code, "Refused"),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
