"""A phone call: the app's documents played to a person, who presses keys, speaks and hangs up.

Sources: https://www.twilio.com/docs/voice/twiml (requests, order of verbs), …/twiml/gather,
…/twiml/record, …/twiml/dial (actions and their parameters),
https://www.twilio.com/docs/voice/api/call-resource#statuscallback (how a call's end is reported).
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

from convostate.errors import UsageError
from convostate.testing import params
from convostate.testing.fetch import joined
from convostate.testing.reply import Reply
from convostate.testing.twiml import Document, interpret, method_of
from convostate.testing.webhook import MAX_DOCUMENTS, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree import ElementTree as ET

    from convostate.testing.account import Account
    from convostate.testing.params import ParamValue

_KEYS = frozenset("0123456789*#ABCDabcdw")
_REACTIONS = {
    "Gather": "It waits for keys or speech: press(…), say(…), or wait()",
    "Record": "It records: record(…), or wait()",
}


class Call(Reply):
    """A call, and the reply that it led to last; made by ``Phone.call``.

    Each of `press`, `say`, `record`, `wait` and `hang_up` gives the call again, so that
    ``call.press("1").said`` is what was said after the key. Whatever a `Reply` has is about the time
    since the person last did something: `said`, `played`, `errors`, `exchanges`, `twiml`, `state`.

    Attributes:
        over: Whether the call has ended.
        dialed: The numbers, clients and SIP addresses that ``<Dial>`` has called, in order.
    """

    def __init__(
        self,
        account: Account,
        webhook: Webhook,
        *,
        status_callback: str = "",
        dial_status: str = "completed",
    ) -> None:
        super().__init__(dict(webhook.params))
        self._account = account
        self._webhook = webhook
        self._status_callback = status_callback
        self._dial_status = dial_status
        self._base = webhook.params
        self._waiting: ET.Element | None = None
        self._rest: list[ET.Element] = []
        self._url = webhook.url
        self._started = account.clock.now()
        self._steps = 0
        self.over = False
        self.dialed: list[str] = []
        self._deliver(webhook)

    @property
    def sid(self) -> str:
        """The call's SID."""
        return dict(self._base).get("CallSid", "")

    @property
    def waits_for(self) -> str:
        """The verb that the call waits in: ``Gather``, ``Record``, …, or "" once it is over."""
        return "" if self._waiting is None else self._waiting.tag

    def press(self, keys: str) -> Call:
        """Press keys for the ``<Gather>`` that waits: as many as it takes, or up to its finish key.

        Raises:
            UsageError: The call does not wait for keys, or these are none.
        """
        verb = self._awaited("Gather", "keys", "dtmf")
        if not keys or not set(keys) <= _KEYS:
            raise UsageError('A phone has the keys 0 to 9, * and #. Write press("1")')
        finish = verb.get("finishOnKey", "#")
        most = verb.get("numDigits", "")
        digits, finished = "", ""
        for key in keys:
            if key in finish:
                finished = key
                break
            digits += key
            if most.isdecimal() and len(digits) >= int(most):
                break
        if not digits:
            return self.wait()
        told = {"Digits": digits, "FinishedOnKey": finished, "msg": "Gather End"}
        return self._react(verb, told)

    def say(self, words: str, confidence: float = 0.9) -> Call:
        """Speak to the ``<Gather>`` that waits.

        Args:
            words: What Twilio understands.
            confidence: How sure it is, 0 to 1.

        Raises:
            UsageError: The call does not wait for speech.
        """
        verb = self._awaited("Gather", "speech", "speech")
        return self._react(verb, {"SpeechResult": words, "Confidence": str(confidence)})

    def record(self, words: str = "", seconds: int = 5) -> Call:
        """Speak to the ``<Record>`` that waits: its action, then its two callbacks, are requested.

        Args:
            words: What a transcription, if one was asked for, has.
            seconds: How long the recording is.

        Raises:
            UsageError: Nothing is being recorded.
        """
        return self._recorded(self._awaited("Record", "a recording"), words, seconds, "")

    def wait(self) -> Call:
        """Do nothing until the ``<Gather>`` or ``<Record>`` gives up.

        Raises:
            UsageError: The call waits for neither.
        """
        verb = self._waiting
        if verb is None or verb.tag not in _REACTIONS:
            raise UsageError(f"There is nothing to wait for. {self._what_it_does()}")
        if verb.get("actionOnEmptyResult", "").lower() == "true":
            return self._react(verb, {"Digits": "", "msg": "Gather End"})
        super().__init__(self.params)
        self._go_on()
        return self

    def hang_up(self) -> Call:
        """Hang up; the app hears of it where a status callback is configured. No effect afterwards."""
        if self.over:
            return self
        verb = self._waiting
        if verb is not None and verb.tag == "Record":
            return self._recorded(verb, "", 1, "hangup")
        super().__init__(self.params)
        self._end()
        return self

    def _awaited(self, tag: str, what: str, kind: str = "") -> ET.Element:
        """The verb that waits.

        Raises:
            UsageError: It is another one, or takes another kind of input.
        """
        verb = self._waiting
        if verb is None or verb.tag != tag or kind not in verb.get("input", "dtmf"):
            raise UsageError(f"The call does not wait for {what}. {self._what_it_does()}")
        return verb

    def _what_it_does(self) -> str:
        if self.over:
            return "It has ended: phone.call() places another one"
        other = f"It is in <{self.waits_for}>, which is not simulated: hang_up()"
        return _REACTIONS.get(self.waits_for, other)

    def _react(self, verb: ET.Element, told: Mapping[str, ParamValue]) -> Call:
        super().__init__(self.params)
        self._request(verb.get("action", ""), method_of(verb), told)
        return self

    def _recorded(self, verb: ET.Element, words: str, seconds: int, digits: str) -> Call:
        account, sid = self._account, params.new_sid("RE")
        folder = f"https://api.twilio.com/{params.API_VERSION}/Accounts/{account.sid}"
        recording = {
            "RecordingSid": sid,
            "RecordingUrl": f"{folder}/Recordings/{sid}",
            "RecordingDuration": str(seconds),
        }
        url = self._url  # the callbacks are relative to the document that asked for them
        if digits:
            ended = self._made({**recording, "Digits": digits, "CallStatus": "completed"})
            super().__init__(self.params)
            # Twilio does not carry out the answer: nobody is there to hear it.
            self._report(verb.get("action", ""), ended, method_of(verb), base=url)
            self._end()
        else:
            self._react(verb, {**recording, "Digits": digits})
        made = [("AccountSid", account.sid), ("CallSid", self.sid), *recording.items()]
        made += [("RecordingStatus", "completed"), ("RecordingChannels", "1")]
        made += [("RecordingSource", "RecordVerb"), ("ErrorCode", "0")]
        callback = verb.get("recordingStatusCallback")
        if callback:
            method = method_of(verb, "recordingStatusCallbackMethod")
            self._report(callback, made, method, base=url)
        callback = verb.get("transcribeCallback")
        if callback:
            transcription = params.new_sid("TR")
            told = {
                "TranscriptionSid": transcription,
                "TranscriptionText": words,
                "TranscriptionStatus": "completed",
                "TranscriptionUrl": f"{folder}/Transcriptions/{transcription}",
                "TranscriptionType": "fast",
                **{name: recording[name] for name in ("RecordingSid", "RecordingUrl")},
            }
            self._report(callback, self._made(told), base=url)
        return self

    def _request(self, url: str, method: str, told: Mapping[str, ParamValue]) -> None:
        """Request the document that comes next."""
        whole = joined(self._url, url)
        if whole is None:
            self.errors.append(11100)
            self._end()
        else:
            self._deliver(self._webhook.to(whole, method, self._made(told)))

    def _made(self, told: Mapping[str, ParamValue]) -> params.Params:
        return params.changed(self._base, {"CallStatus": "in-progress", **told})

    def _deliver(self, webhook: Webhook) -> None:
        self._steps += 1
        if self._steps > MAX_DOCUMENTS:
            self.errors.append(14106)
            self._end()
            return
        self._merge(self._account.deliver(webhook))
        self._url = webhook.document_url
        self._waiting, self._rest = webhook.document.waiting, webhook.document.rest
        if self._waiting is None:
            self._end()
        elif self._waiting.tag == "Dial":
            self._dial(self._waiting)
        else:
            self._steps = 0

    def _merge(self, reply: Reply) -> None:
        self.params, self.twiml = reply.params, reply.twiml or self.twiml
        for name in ("sent", "said", "played", "errors", "exchanges", "statuses", "blocked"):
            getattr(self, name).extend(getattr(reply, name))

    def _go_on(self) -> None:
        """Carry out the verbs after the one that waited."""
        following = interpret(self._rest, "call", Document(twiml=self.twiml))
        self._deliver(self._webhook.to(self._url, "POST", self._made({}), following))

    def _dial(self, verb: ET.Element) -> None:
        """Dial, talk for a while, and go on, as `dial_status` says."""
        own = [verb.text or ""] if not len(verb) else []
        self.dialed += [text.strip() for text in (*own, *(one.text or "" for one in verb))]
        told = {"DialCallStatus": self._dial_status, "DialCallSid": params.new_sid("CA")}
        if self._dial_status == "completed":
            told |= {"DialCallDuration": "10", "DialBridged": "true"}
        action = verb.get("action")
        if action is None:
            self._go_on()
        else:
            self._request(action, method_of(verb), told)

    def _end(self) -> None:
        """End the call and report it."""
        self.over, self._waiting = True, None
        if not self._status_callback:
            return
        now = self._account.clock.now()
        told = {
            "CallStatus": "completed",
            "CallDuration": str(max(1, int(now - self._started))),
            "Duration": "1",  # minutes begun
            "Timestamp": format_datetime(datetime.fromtimestamp(now, timezone.utc)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
        }
        self._report(self._status_callback, self._made(told), base=self._webhook.url)

    def _report(self, url: str, made: params.Params, method: str = "POST", *, base: str) -> None:
        """Tell a URL of something; what it answers is not read."""
        whole = joined(base, url)
        if whole is None:
            self.errors.append(11100)
        else:
            webhook = self._webhook.to(whole, method, made)
            webhook.kind = "status"
            self.statuses.append(self._account.deliver(webhook))
