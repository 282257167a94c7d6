"""PhoneSession: what a person can do at the phones, and its record in the transcript."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convostate.errors import ConvostateError, StoreError, UsageError
from convostate.phone.inspector import StateInspector
from convostate.phone.rows import Row, compare, rows
from convostate.phone.transcript import Entry, Transcript
from convostate.phone.views import (
    LogLines,
    answer_view,
    delivered_twice,
    message_view,
    one_line,
    reply_view,
    span,
    verdict,
)
from convostate.testing.call import Call
from convostate.twilio.webhook import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply
    from convostate.testing.simulator import TwilioSimulator
    from convostate.twilio.webhook import PhonePair

MAX_PHONES = 12
MAX_ADDRESS_CHARS = 64  # that fit on the page
BEFORE_S, AFTER_S = 60.0, 1.0  # the clock is put this near to an expiry; it goes on ticking


@dataclass
class Target:
    """An app to try out.

    Attributes:
        simulator: The Twilio that texts the app.
        start: Makes the app write first, ``start(client, *, to, from_)``; None if it cannot.
        masked: Secrets that no page may show.
        wrapped: Whether the app was wrapped for this session only.
    """

    simulator: TwilioSimulator
    start: Callable[..., object] | None = None
    masked: Sequence[str] = ()
    wrapped: bool = False


class PhoneSession:
    """The phones of one app. Its actions raise UsageError, whose message the page shows."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.simulator = target.simulator
        self.transcript = Transcript(target.masked)
        self.inspector = StateInspector(self.simulator)
        middleware = self.inspector.middleware
        self._secrets = None if middleware is None else middleware.settings.secrets()
        self._faults: dict[int, list[str]] = {}  # of a phone's next text
        self._calls: dict[int, Call] = {}
        self._call_rows: dict[str, list[Row]] = {}
        self._collected = 0
        self._collecting = threading.Lock()
        self._later: list[dict[str, Any]] = []  # the latest backlog of each phone
        self._answers: list[tuple[int, Exception | None]] = []  # answers that are not recorded yet
        self._log = LogLines()
        logging.getLogger("convostate").addHandler(self._log)
        self._until_closed = ExitStack()
        self._until_closed.enter_context(self.simulator.caught_clients())
        self._until_closed.enter_context(self.simulator.keep_answering(self._answered))

    def phone(self, number: int) -> Phone:
        """A phone by its id in the transcript."""
        if not 0 <= number < len(self.transcript.phones):
            raise UsageError("There is no such phone. Add one")
        shown = self.transcript.phones[number]
        return self.simulator.phone(shown["number"], shown["texting"])

    def add_phone(self, number: str, texting: str) -> int:
        """Add a person's phone, unless it exists."""
        for address in (number, texting):
            if not is_address(address) or len(address) > MAX_ADDRESS_CHARS:
                raise UsageError("A phone has a number without spaces. Write +15550100002")
        if number == texting:
            raise UsageError("The app has this number. Give the phone another one")
        if len(self.transcript.phones) >= MAX_PHONES:
            raise UsageError(f"There are {MAX_PHONES} phones already. Use one of them")
        return self.transcript.add_phone(number, texting)

    def text(self, phone: int, body: str, media: Sequence[str] = (), deliveries: int = 1) -> None:
        """Write a text."""
        handset = self.phone(phone)
        how = ["delivered twice"] if deliveries > 1 else []
        sent = self._sent(phone, body, media)
        self._deliver(phone, sent, lambda: handset.text(body, media, deliveries=deliveries), how)

    def resend(self, phone: int) -> None:
        """Deliver the last text again, with the current cookies."""
        handset = self.phone(phone)
        entries = self.transcript.phones[phone]["entries"]
        texts = [e for e in entries if e["kind"] == "sent" and e.get("via") != "call"]
        if not texts:
            raise UsageError("There is nothing to deliver again. Write a text first")
        sent = self._sent(phone, texts[-1]["body"], texts[-1]["media"])
        self._deliver(phone, sent, handset.resend, ["delivered again"])

    def overlap(self, texts: Sequence[tuple[int, str]]) -> None:
        """Write texts that are all on their way before the first is answered."""
        written = [(self.phone(phone), body) for phone, body in texts]
        sent = [self._sent(phone, body) for phone, body in texts]
        with self._log.listening() as log:
            try:
                replies = self.simulator.overlap(written)
            except ConvostateError:
                for entry in sent:
                    self.transcript.change_entry(entry, delivery="failed", label="Not sent")
                raise
        for (phone, _), entry, reply in zip(texts, sent, replies, strict=True):
            self._record(phone, entry, reply, log, ["overlapped"])
        if len({phone for phone, _ in texts}) < len(texts) and self.inspector.where == "cookie":
            note = (
                "Both texts began with the same cookie. Twilio keeps the cookie that came last: "
                "what the other text changed is lost. A server-side store makes texts take turns."
            )
            self.note(texts[0][0], note)
        self.collect()

    def start(self, phone: int) -> None:
        """Make the app write first."""
        handset = self.phone(phone)
        if self.target.start is None:
            raise UsageError(
                "This app's module has no start(client, *, to, from_), as convostate.demo.reminder has"
            )
        try:
            self.target.start(
                self.simulator.rest_client(), to=handset.number, from_=handset.texting
            )
        except Exception as error:  # noqa: BLE001  # the page shows any error of the app's code
            self.note(phone, f"start() raised {one_line(error)}")
        self.simulator.deliver_statuses()
        self.collect()

    def call(self, phone: int) -> None:
        """Call the app, or answer the call that it has placed."""
        handset = self.phone(phone)
        if phone in self._calls:
            raise UsageError("A call is in progress. Hang up first")
        if handset.ringing:
            self._call_step(phone, "Answers the call", handset.answer)
        else:
            self._call_step(phone, "Calls", handset.call)

    def press(self, phone: int, keys: str) -> None:
        """Press keys during a call."""
        call = self._on_call(phone)
        self._call_step(phone, f"Presses {keys}", lambda: call.press(keys))

    def say(self, phone: int, words: str) -> None:
        """Speak during a call, or into a recording."""
        call = self._on_call(phone)
        speak = call.record if call.waits_for == "Record" else call.say
        self._call_step(phone, words, lambda: speak(words))

    def wait(self, phone: int) -> None:
        """Do nothing until the call continues."""
        self._call_step(phone, "Waits", self._on_call(phone).wait)

    def hang_up(self, phone: int) -> None:
        """End the call."""
        self._call_step(phone, "Hangs up", self._on_call(phone).hang_up)

    def _on_call(self, phone: int) -> Call:
        if phone not in self._calls:
            raise UsageError("There is no call. Call first")
        return self._calls[phone]

    def _call_step(self, phone: int, action: str, act: Callable[[], Call]) -> None:
        sent = self._sent(phone, action, via="call")

        def step() -> Call:
            call = self._calls[phone] = act()
            if call.over:
                del self._calls[phone]
            return call

        self._deliver(phone, sent, step, [])
        if phone not in self._calls:
            self.note(phone, "The call has ended.")

    def lose_cookie(self, phone: int) -> None:
        """Make Twilio lose the cookies of this pair."""
        self.phone(phone).lose_cookie()
        self.note(phone, "Twilio has lost this phone's cookie.")

    def stale_cookie(self, phone: int) -> None:
        """Make Twilio send the cookies from before the last reply."""
        self.phone(phone).stale_cookie()
        self.note(phone, "Twilio has the cookie from before the last reply again.")

    def swap_cookie(self, phone: int, other: int) -> None:
        """Swap the cookies of two phones."""
        mine, theirs = self.phone(phone), self.phone(other)
        if mine is theirs:
            raise UsageError("That is the same phone. Choose another one")
        cookies = mine.jar.cookies()
        mine.borrow_cookie(theirs)
        theirs.jar.fill(cookies)
        self.note(phone, f"Twilio has swapped this phone's cookie with {theirs.number}'s.")
        self.note(other, f"Twilio has swapped this phone's cookie with {mine.number}'s.")

    def break_signature(self, phone: int) -> None:
        """Send the next text with an invalid signature."""
        self.phone(phone).break_signature()
        self._faults.setdefault(phone, []).append("signature broken")
        self.note(phone, "The next text will have an invalid signature.")

    def drop_reply(self, phone: int) -> None:
        """Lose the next reply."""
        self.phone(phone).drop_reply()
        self._faults.setdefault(phone, []).append("reply dropped")
        self.note(phone, "The app's next reply will be lost on its way to Twilio.")

    def move_clock(self, seconds: float) -> None:
        """Move the clock."""
        if not abs(seconds) <= 400 * 86_400:
            raise UsageError("That is too far. Move the clock by 400 days at most")
        self.simulator.clock.advance(seconds=seconds)
        for phone in range(len(self.transcript.phones)):
            self.note(phone, f"Clock moved {span(seconds)}", clock=True)

    def move_clock_to(self, phone: int, edge: str) -> None:
        """Move the clock to ``before`` or ``after`` a conversation's expiry, or ``now``, the real time."""
        now = self.simulator.clock.now()
        if edge == "now":
            self.move_clock(time.time() - now)
            return
        expires_at = self.inspector.stored(self.phone(phone))["expires_at"]
        if expires_at is None:
            raise UsageError("There is no conversation, so nothing expires. Write a text first")
        self.move_clock(expires_at - now + (AFTER_S if edge == "after" else -BEFORE_S))

    def _sent(self, phone: int, body: str, media: Sequence[str] = (), via: str = "text") -> Entry:
        return self.transcript.add_entry(
            phone,
            "sent",
            self.simulator.clock.now(),
            body=body,
            media=list(media),
            via=via,
            delivery="sending",
            label="Sending",
            turn=None,
        )

    def _deliver(
        self, phone: int, sent: Entry, deliver: Callable[[], Reply], how: list[str]
    ) -> None:
        how += dict.fromkeys(self._faults.pop(phone, ()))
        with self._log.listening() as log:
            try:
                reply = deliver()
            except Exception as error:
                self.transcript.change_entry(sent, delivery="failed", label="Not sent")
                self.note(phone, f"This text could not be sent: {error}")
                if not isinstance(error, ConvostateError):
                    raise
                return
        deliveries = reply.deliveries or [reply]
        for index, delivery in enumerate(deliveries):
            nth = [f"delivery {index + 1} of {len(deliveries)}"] if len(deliveries) > 1 else []
            self._record(phone, sent, delivery, log, nth or how)
            log = []
        if len(deliveries) > 1:
            runs = sum(delivery.state is not None for delivery in deliveries)
            self.note(phone, delivered_twice(runs, server_side=self.inspector.server_side))
        self.collect()

    def _record(
        self, phone: int, sent: Entry, reply: Reply, log: list[str], how: list[str]
    ) -> None:
        """Record a turn and its messages."""
        handset = self.phone(phone)
        turn = reply_view(reply, self._secrets, log)
        stored = self.inspector.stored(handset)
        after = stored.pop("rows")
        others_write = "overlapped" in how or self.inspector.defers
        if others_write and reply.state is not None and stored["in_progress"]:
            # the state after this text; the stored one may be the state after a later text or answer
            after = rows(reply.state)
        before = self.transcript.last_rows(phone)
        if isinstance(reply, Call):  # a call has a state of its own
            after, before = rows(reply.state or {}), self._call_rows.get(reply.sid, [])
            self._call_rows[reply.sid] = after
        elif getattr(reply.state, "is_new", False):
            before = []  # of another conversation
            how = [*how, "begins a conversation"] if stored["in_progress"] else how
        turn |= {
            "body": sent["body"],
            "at": self.simulator.clock.now(),
            "how": how,
            "stored": stored,
            "rows": compare(before, after),
            "verdict": verdict(reply, in_progress=stored["in_progress"], where=stored["where"]),
        }
        number = self.transcript.add_turn(phone, turn)
        if not reply.errors:
            self.transcript.change_entry(sent, delivery="delivered", label="Delivered", turn=number)
        elif sent.get("delivery") != "delivered":
            label = f"Twilio {reply.errors[0]} {turn['errors'][0]['text']}"
            self.transcript.change_entry(sent, delivery="failed", label=label, turn=number)
        self._deliver_messages(phone, reply, number)

    def _deliver_messages(self, phone: int, reply: Reply, number: int) -> None:
        if reply.from_twilio:
            self._received(phone, {"body": reply.from_twilio, "media": []}, "twilio", None)
        for message in reply.sent:
            if message.to == self.phone(phone).number:
                self._received(phone, message_view(message), "reply", number)
        for words in (*reply.said, *reply.played):
            self._received(phone, {"body": words, "media": []}, "call", number)
        if reply.blocked:
            self.note(phone, "Twilio did not deliver the app's reply: this person has sent STOP.")

    def _received(self, phone: int, message: dict[str, Any], via: str, turn: int | None) -> None:
        now = self.simulator.clock.now()
        delivery = {"delivery": "delivered", "label": "Delivered", "via": via, "turn": turn}
        self.transcript.add_entry(phone, "received", now, **message, **delivery)

    def _answered(self, pair: PhonePair, error: Exception | None) -> None:
        """Remember that an answer has ended; its conversation is released a moment later."""
        with self._collecting:
            self._answers.append((self.transcript.add_phone(pair.theirs, pair.ours), error))

    def _look_later(self) -> bool:
        """Record the answers that have ended, and return whether there is new data for the page."""
        if not self.inspector.defers:
            return False
        phones = [self.phone(number) for number in range(len(self.transcript.phones))]
        try:
            later = [self.inspector.later(phone) for phone in phones]
        except StoreError:
            return False
        with self._collecting:
            answering = {number for number, each in enumerate(later) if each["answering"]}
            ended = [each for each in self._answers if each[0] not in answering]
            self._answers = [each for each in self._answers if each not in ended]
            changed, self._later = later != self._later, later
        for phone, error in ended:
            self._record_answer(phone, error)
        if changed:
            self.transcript.touch()
        return changed

    def _record_answer(self, phone: int, error: Exception | None) -> None:
        stored = self.inspector.stored(self.phone(phone))
        failed = "The answer failed, so nothing was stored. An answer has four attempts."
        turn = answer_view(error) | {
            "body": "Answer",
            "at": self.simulator.clock.now(),
            "how": ["answered later"],
            "rows": compare(self.transcript.last_rows(phone), stored.pop("rows")),
            "stored": stored,
            "verdict": "" if error is None else failed,
        }
        self.transcript.add_turn(phone, turn)

    def collect(self) -> None:
        """Add the messages that the app sent on its own; an unknown person gets a phone."""
        self._look_later()
        with self._collecting:
            arrived = self.simulator.arrived
            new, self._collected = arrived[self._collected :], len(arrived)
        for message in new:
            phone = self.transcript.add_phone(message.to, message.from_)
            self._received(phone, message_view(message), "app", None)

    @property
    def has_news(self) -> bool:
        """Whether a message is not collected yet, or a backlog has changed."""
        return len(self.simulator.arrived) != self._collected or self._look_later()

    def all_stored(self) -> list[dict[str, Any]]:
        """The stored state of each phone's conversation, and whether the person has opted out."""
        result = []
        for number, shown in enumerate(self.transcript.phones):
            phone = self.phone(number)
            stored = self.inspector.stored(phone) | {"opted_out": phone.opted_out}
            if "later" in stored:
                stored["later"]["sent"] = sum(e.get("via") == "app" for e in shown["entries"])
            result.append(stored)
        return result

    def all_calls(self) -> list[dict[str, Any]]:
        """For each phone: the verb at which its call waits, or "", and whether the app calls it."""
        return [
            {
                "waits": self._calls[phone].waits_for if phone in self._calls else "",
                "rings": bool(self.phone(phone).ringing),
            }
            for phone in range(len(self.transcript.phones))
        ]

    def note(self, phone: int, text: str, **values: Any) -> None:
        """Add a note to a phone's transcript."""
        self.transcript.add_entry(phone, "note", self.simulator.clock.now(), text=text, **values)

    def close(self) -> None:
        """Release the log and Twilio's clients."""
        self._until_closed.close()
        logging.getLogger("convostate").removeHandler(self._log)
