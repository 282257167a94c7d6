"""A phone call: the app's documents are played to a person, who presses keys, speaks and hangs up.

Sources: https://www.twilio.com/docs/voice/twiml (requests, order of verbs), …/twiml/gather,
…/twiml/record, …/twiml/dial, …/twiml/enqueue, …/twiml/number (actions and their parameters),
https://www.twilio.com/docs/voice/api/call-resource (how a call is changed and its end is reported).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

from convostate.errors import UsageError
from convostate.testing.fetch import resolve_url
from convostate.testing.params import API_VERSION, Params, merged, new_sid
from convostate.testing.reply import Reply
from convostate.testing.rest_resources import call_resource
from convostate.testing.twiml import Document, interpret, method_of, parse
from convostate.testing.webhook import MAX_DOCUMENTS, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree import ElementTree as ET

    from convostate.testing.account import Account
    from convostate.testing.message import RingingCall
    from convostate.testing.params import ParamValue

_KEYS = frozenset("0123456789*#ABCDabcdw")
_DIALED_S = 10  # the length of what a <Dial> connects, in seconds
_RECORDED_S = 5  # the length of a recording, in seconds, if a test does not say it
# Events of a call's progress and the CallStatus that each reports:
# https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent
_UNTIL_ANSWERED = {"initiated": "initiated", "ringing": "ringing", "answered": "in-progress"}
_INPUT_HINTS = {
    "Gather": "Its <Gather> takes what its input names: press(…) for dtmf, say(…) for speech; or wait()",
    "Record": "It records: record(…), or wait()",
}


@dataclass(frozen=True)
class _Queued:
    """The ``<Enqueue>`` in which a call waits while a document of its ``waitUrl`` is played."""

    verb: ET.Element
    rest: list[ET.Element]
    url: str
    params: dict[str, str]


class Call(Reply):
    """A call and its latest reply; made by ``Phone.call``.

    The methods `press`, `say`, `record`, `wait`, `complete` and `hang_up` return the call, so that
    ``call.press("1").said`` is what was said after the key. The attributes of `Reply` describe what
    has happened since the person's last action: `said`, `played`, `errors`, `exchanges`, `twiml`,
    `state`.

    Attributes:
        over: Whether the call has ended.
        dialed: The numbers, clients and SIP addresses that ``<Dial>`` has called, in order.
        whispers: What the people who answered a ``<Dial>`` heard first: one reply for each noun
            with a ``url``.
    """

    def __init__(
        self,
        account: Account,
        webhook: Webhook,
        placed: RingingCall,
        *,
        dial_status: str = "completed",
        unanswered: str = "",
    ) -> None:
        super().__init__(dict(webhook.params))
        self._account = account
        self._webhook = webhook
        self._placed = placed
        self._reported = 0
        self._dial_status = dial_status
        self._base = webhook.params
        self._waiting: ET.Element | None = None
        self._rest: list[ET.Element] = []
        self._url = webhook.url
        self._queued: _Queued | None = None
        self._started = account.clock.now()
        self._steps = 0
        self._delivering = False
        self._update: Webhook | None = None
        self.over = False
        self.dialed: list[str] = []
        self.whispers: list[Reply] = []
        to, from_, direction = (self.params.get(name, "") for name in ("To", "From", "Direction"))
        resource = call_resource(account, self.sid, to, from_, direction)
        self._resource = account.rest.resources.setdefault(self.sid, resource)
        self._resource["status"] = "in-progress"
        account.rest.calls[self.sid] = self
        missing = {"": (), "failed": ("ringing", "answered")}.get(unanswered, ("answered",))
        for event, status in _UNTIL_ANSWERED.items():
            if event not in missing:
                self._progress(event, status)
        if unanswered:
            self._end(unanswered)
        else:
            self._deliver(webhook)

    @property
    def sid(self) -> str:
        """The call's SID."""
        return dict(self._base).get("CallSid", "")

    @property
    def waits_for(self) -> str:
        """The verb at which the call waits: ``Gather``, ``Record``, …, or "" once it is over."""
        return "" if self._waiting is None else self._waiting.tag

    def press(self, keys: str) -> Call:
        """Press keys for the current ``<Gather>``: as many as it takes, or up to its finish key.

        At a ``<Record>``, its finish key ends the recording.

        Raises:
            UsageError: The call does not wait for keys, or a phone does not have them.
        """
        if not keys or not set(keys) <= _KEYS:
            raise UsageError('A phone has the keys 0 to 9, * and #. Write press("1")')
        verb = self._waiting
        if verb is not None and verb.tag == "Record":
            ending = [key for key in keys if key in verb.get("finishOnKey", "1234567890*#")]
            return self._recorded(verb, "", _RECORDED_S, ending[0]) if ending else self
        verb = self._awaited("Gather", "keys", "dtmf")
        finish = verb.get("finishOnKey", "#")
        limit = verb.get("numDigits", "")
        digits, finished = "", ""
        for key in keys:
            if key in finish:
                finished = key
                break
            digits += key
            if limit.isdecimal() and len(digits) >= int(limit):
                break
        if not digits:
            return self.wait()
        extra = {"Digits": digits, "FinishedOnKey": finished, "msg": "Gather End"}
        return self._react(verb, extra)

    def say(self, words: str, confidence: float = 0.9) -> Call:
        """Speak to the current ``<Gather>``.

        Args:
            words: The words that Twilio recognizes.
            confidence: The confidence of the recognition, 0 to 1.

        Raises:
            UsageError: The call does not wait for speech.
        """
        verb = self._awaited("Gather", "speech", "speech")
        return self._react(verb, {"SpeechResult": words, "Confidence": str(confidence)})

    def record(self, words: str = "", seconds: int = _RECORDED_S) -> Call:
        """Speak to the current ``<Record>``: its action, then its two callbacks are requested.

        Args:
            words: The text of the transcription, if the app asked for one.
            seconds: The length of the recording.

        Raises:
            UsageError: Nothing is being recorded.
        """
        return self._recorded(self._awaited("Record", "a recording"), words, seconds, "")

    def wait(self) -> Call:
        """Do nothing until the ``<Gather>`` or ``<Record>`` times out.

        Raises:
            UsageError: The call waits for neither.
        """
        verb = self._waiting
        if verb is None or verb.tag not in _INPUT_HINTS:
            raise UsageError(f"There is nothing to wait for. {self._hint}")
        if verb.get("actionOnEmptyResult", "").lower() == "true":
            return self._react(verb, {"Digits": "", "msg": "Gather End"})
        super().__init__(self.params)
        self._continue()
        return self

    def complete(self, **extra: ParamValue) -> Call:
        """End a verb that the caller does not end, such as ``<Enqueue>`` or ``<Pay>``.

        Its action is requested; without an action, the call continues with the next verb.

        Args:
            **extra: The parameters that Twilio sends to the action, such as
                ``QueueResult="bridged"`` or ``Result="success"``.

        Raises:
            UsageError: The call does not wait, or waits for keys, speech or a recording.
        """
        verb = self._waiting if self._queued is None else self._queued.verb
        if verb is None or verb.tag in _INPUT_HINTS:
            raise UsageError(f"There is nothing to complete. {self._hint}")
        super().__init__(self.params)
        self._leave(verb, extra)
        return self

    def update(self, url: str = "", method: str = "POST", twiml: str = "") -> Call:
        """Give the call another document, as ``client.calls(sid).update(…)`` does.

        The current verb ends. If the app is answering a webhook of this call, that reply takes
        effect first.

        Args:
            url: The next document's URL.
            method: ``POST`` or ``GET``, for `url`.
            twiml: The next document itself, instead of `url`.

        Raises:
            UsageError: The call has ended.
        """
        if self.over:
            raise UsageError(f"The call cannot be redirected. {self._hint}")
        inline = parse(twiml, twiml, "call") if twiml else None
        self._update = self._webhook.to(url or self._url, method, self._params({}), inline)
        if not self._delivering:
            self._deliver_update()
        return self

    def hang_up(self) -> Call:
        """Hang up; the end is reported to the status callback, if there is one. Later calls do nothing."""
        if self.over:
            return self
        verb = self._waiting
        if verb is not None and verb.tag == "Record":
            return self._recorded(verb, "", 1, "hangup")
        super().__init__(self.params)
        self._end()
        return self

    def _awaited(self, tag: str, what: str, kind: str = "") -> ET.Element:
        """The current verb; UsageError if it is another, or takes another kind of input."""
        verb = self._waiting
        if verb is None or verb.tag != tag or kind not in verb.get("input", "dtmf"):
            raise UsageError(f"The call does not wait for {what}. {self._hint}")
        return verb

    @property
    def _hint(self) -> str:
        if self.over:
            return "It has ended: phone.call() places another one"
        other = f"It is in <{self.waits_for}>: complete(…) with Twilio's parameters, or hang_up()"
        return _INPUT_HINTS.get(self.waits_for, other)

    def _react(self, verb: ET.Element, extra: Mapping[str, ParamValue]) -> Call:
        super().__init__(self.params)
        self._request(verb.get("action", ""), method_of(verb), extra)
        return self

    def _recorded(self, verb: ET.Element, words: str, seconds: int, digits: str) -> Call:
        recording = self._recording(seconds)
        url = self._url  # the callbacks are relative to the document that names them
        if digits == "hangup":
            final = self._params({**recording, "Digits": digits, "CallStatus": "completed"})
            super().__init__(self.params)
            # The call is over: Twilio does not carry out the response.
            self._report(verb.get("action", ""), final, method_of(verb), base=url)
            self._end()
        else:
            self._react(verb, {**recording, "Digits": digits})
        self._report_recording(verb, recording, url)
        callback = verb.get("transcribeCallback")
        if callback:
            transcription = new_sid("TR")
            extra = {
                "TranscriptionSid": transcription,
                "TranscriptionText": words,
                "TranscriptionStatus": "completed",
                "TranscriptionUrl": f"{self._folder}/Transcriptions/{transcription}",
                "TranscriptionType": "fast",
                **{name: recording[name] for name in ("RecordingSid", "RecordingUrl")},
            }
            self._report(callback, self._params(extra), base=url)
        return self

    @property
    def _folder(self) -> str:
        return f"https://api.twilio.com/{API_VERSION}/Accounts/{self._account.sid}"

    def _recording(self, seconds: int) -> dict[str, str]:
        sid = new_sid("RE")
        return {
            "RecordingSid": sid,
            "RecordingUrl": f"{self._folder}/Recordings/{sid}",
            "RecordingDuration": str(seconds),
        }

    def _report_recording(self, verb: ET.Element, recording: dict[str, str], base: str) -> None:
        """Report that the recording of a ``<Record>`` or ``<Dial>`` can be fetched."""
        callback = verb.get("recordingStatusCallback")
        if callback:
            params = [("AccountSid", self._account.sid), ("CallSid", self.sid), *recording.items()]
            params += [("RecordingStatus", "completed"), ("RecordingChannels", "1")]
            params += [("RecordingSource", f"{verb.tag}Verb"), ("ErrorCode", "0")]
            method = method_of(verb, "recordingStatusCallbackMethod")
            self._report(callback, params, method, base=base)

    def _request(self, url: str, method: str, extra: Mapping[str, ParamValue]) -> None:
        """Request the next document."""
        target = resolve_url(self._url, url)
        if target is None:
            self.errors.append(11100)
            self._end()
        else:
            self._deliver(self._webhook.to(target, method, self._params(extra)))

    def _params(self, extra: Mapping[str, ParamValue]) -> Params:
        return merged(self._base, {"CallStatus": "in-progress", **extra})

    def _deliver(self, webhook: Webhook) -> None:
        self._steps += 1
        if self._steps > MAX_DOCUMENTS:
            self.errors.append(14106)
            self._end()
            return
        self._delivering = True
        try:
            self._merge(self._account.deliver(webhook))
        finally:
            self._delivering = False
        if self.over:  # the app has ended the call meanwhile
            return
        self._url = webhook.document_url
        self._waiting, self._rest = webhook.document.waiting, webhook.document.rest
        ending = webhook.document.ending
        if self._update is not None:
            self._deliver_update()
        elif self._waiting is not None:
            self._act_on(self._waiting)
        elif self._queued is not None and ending is None:
            self._waiting = self._queued.verb
        elif self._queued is not None and ending is not None and ending.tag == "Leave":
            self._leave(self._queued.verb, {"QueueResult": "leave", **self._queued.params})
        else:
            self._end(self._status_after(ending))

    def _act_on(self, verb: ET.Element) -> None:
        """Do what the verb at which the call waits does by itself."""
        if verb.tag == "Dial":
            self._dial(verb)
            return
        self._steps = 0
        if verb.tag == "Enqueue":
            self._queue(verb)

    def _status_after(self, ending: ET.Element | None) -> str:
        """The status in which the call ends: a ``<Reject>`` that comes first leaves it unanswered."""
        answered = self.params.get("CallStatus") != "ringing" or self.said or self.played
        if ending is None or ending.tag != "Reject" or answered:
            return "completed"
        return "busy" if ending.get("reason") == "busy" else "no-answer"

    def _deliver_update(self) -> None:
        webhook, self._update = self._update, None
        if webhook is not None:
            self._queued = None
            self._deliver(webhook)

    def _queue(self, verb: ET.Element) -> None:
        """Play the document of a ``waitUrl`` to the caller, once."""
        params = {"QueueSid": new_sid("QU"), "QueueTime": "0"}
        self._queued = _Queued(verb, self._rest, self._url, params)
        if verb.get("waitUrl"):
            extra = {**params, "QueuePosition": "1", "CurrentQueueSize": "1", "AvgQueueTime": "0"}
            self._request(verb.get("waitUrl", ""), method_of(verb, "waitUrlMethod"), extra)

    def _merge(self, reply: Reply) -> None:
        self.params, self.twiml = reply.params, reply.twiml or self.twiml
        for name in ("sent", "said", "played", "errors", "exchanges", "statuses", "blocked"):
            getattr(self, name).extend(getattr(reply, name))

    def _continue(self) -> None:
        """Carry out the verbs after the current one."""
        following = interpret(self._rest, "call", Document(twiml=self.twiml))
        self._deliver(self._webhook.to(self._url, "POST", self._params({}), following))

    def _dial(self, verb: ET.Element) -> None:
        """Dial, and continue as `dial_status` says."""
        nouns = list(verb) or [verb]
        sid = new_sid("CA")
        extra = {"DialCallStatus": self._dial_status, "DialCallSid": sid}
        for noun in nouns:
            self.dialed.append((noun.findtext("Identity") or noun.text or "").strip())
            self._ring(noun, {"CallSid": sid, "ParentCallSid": self.sid, "To": self.dialed[-1]})
        if self._dial_status == "completed":
            extra |= {"DialCallDuration": str(_DIALED_S), "DialBridged": "true"}
            if verb.get("record", "").startswith(("record-from", "true")):
                recording = self._recording(_DIALED_S)
                extra |= recording
                self._report_recording(verb, recording, self._url)
        self._leave(verb, extra)

    def _ring(self, noun: ET.Element, extra: Mapping[str, ParamValue]) -> None:
        """Call whom a ``<Dial>`` names: report this call's progress, and play its ``url`` if it is answered."""
        statuses = _UNTIL_ANSWERED | {"completed": self._dial_status}
        if self._dial_status != "completed":
            del statuses["answered"]
        extra = {**extra, "Direction": "outbound-dial"}
        callback = noun.get("statusCallback")
        events = noun.get("statusCallbackEvent", "completed").split() if callback else ()
        for event, status in statuses.items():
            if callback and event in events:
                method = method_of(noun, "statusCallbackMethod")
                params = self._params({**extra, "CallStatus": status})
                self._report(callback, params, method, base=self._url)
            if event == "answered":
                self._whisper(noun, extra)

    def _whisper(self, noun: ET.Element, extra: Mapping[str, ParamValue]) -> None:
        """Play the document of a ``<Number url>`` to the dialed person, in a call of its own."""
        target = resolve_url(self._url, noun.get("url", ""))
        if noun.get("url") and target is not None:
            webhook = self._webhook.to(target, method_of(noun), self._params(extra))
            self.whispers.append(self._account.deliver(replace(webhook, jar=None)))

    def _leave(self, verb: ET.Element, extra: Mapping[str, ParamValue]) -> None:
        """Continue with the action of a verb, or without one with the next verb."""
        if self._queued is not None and verb is self._queued.verb:
            self._rest, self._url, self._queued = self._queued.rest, self._queued.url, None
        action = verb.get("action")
        if action is None:
            self._continue()
        else:
            self._request(action, method_of(verb), extra)

    def _end(self, status: str = "completed") -> None:
        """End the call and report it."""
        self.over, self._waiting, self._queued, self._update = True, None, None, None
        answered = status == "completed"
        seconds = max(1, int(self._account.clock.now() - self._started)) if answered else 0
        self._resource |= {"status": status, "duration": str(seconds)}
        minutes = int(answered)  # rounded up
        self._progress("completed", status, CallDuration=str(seconds), Duration=str(minutes))

    def _progress(self, event: str, status: str, **extra: str) -> None:
        """Report the progress of the call, if it is asked for."""
        placed = self._placed
        if not placed.status_callback or event not in placed.status_callback_events:
            return
        now = datetime.fromtimestamp(self._account.clock.now(), timezone.utc)
        extra |= {
            "CallStatus": status,
            "Timestamp": format_datetime(now),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(self._reported),
        }
        self._reported += 1
        url, method = placed.status_callback, placed.status_callback_method
        self._report(url, self._params(extra), method, base=self._webhook.url)

    def _report(self, url: str, params: Params, method: str = "POST", *, base: str) -> None:
        """Report an event to a URL; the response is not interpreted."""
        target = resolve_url(base, url)
        if target is None:
            self.errors.append(11100)
        else:
            webhook = self._webhook.to(target, method, params)
            webhook.kind = "status"
            self.statuses.append(self._account.deliver(webhook))
