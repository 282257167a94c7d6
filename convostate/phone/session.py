"""PhoneSession: what a person can do at the phones, and what is written down of it."""

from __future__ import annotations

import logging
import threading
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convostate.errors import ConvostateError, UsageError
from convostate.phone.inspector import StateInspector
from convostate.phone.messages import twice, verdict
from convostate.phone.rows import Row, compare, rows
from convostate.phone.transcript import Entry, Transcript
from convostate.phone.views import LogLines, message_view, reply_view
from convostate.testing.call import Call
from convostate.twilio.webhook import is_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convostate.testing.phone import Phone
    from convostate.testing.reply import Reply
    from convostate.testing.simulator import TwilioSimulator

MOST_PHONES = 12
LONGEST_ADDRESS = 64  # characters that the page has room for
LOOK_S = 20.0  # how long a page waits for news before it asks again


@dataclass
class Target:
    """An app to try out.

    Attributes:
        simulator: The Twilio that texts it.
        start: Has the app write first, ``start(client, *, to, from_)``; None where it cannot.
        masked: Secrets that no page may show.
        wrapped: Whether the app was wrapped for this time only.
    """

    simulator: TwilioSimulator
    start: Callable[..., object] | None = None
    masked: Sequence[str] = ()
    wrapped: bool = False


@dataclass
class Faults:
    """What will go wrong with a phone's next text, for the page to say."""

    signature: bool = False
    reply: bool = False


class PhoneSession:
    """The phones of one app.

    Args:
        target: The app and the Twilio between.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.simulator = target.simulator
        self.transcript = Transcript(target.masked)
        self.inspector = StateInspector(self.simulator)
        middleware = self.inspector.middleware
        self._secrets = None if middleware is None else middleware.settings.secrets()
        self.faults: dict[int, Faults] = {}
        self._calls: dict[int, Call] = {}
        self._call_rows: dict[str, list[Row]] = {}
        self._arrived = 0
        self._arriving = threading.Lock()
        self._log = LogLines()
        logging.getLogger("convostate").addHandler(self._log)
        self._until_closed = ExitStack()
        self._until_closed.enter_context(self.simulator.caught_clients())

    def phone(self, number: int) -> Phone:
        """A phone by its number in the transcript.

        Raises:
            UsageError: There is none.
        """
        if not 0 <= number < len(self.transcript.phones):
            raise UsageError("There is no such phone. Add one")
        shown = self.transcript.phones[number]
        return self.simulator.phone(shown["number"], shown["texting"])

    def add_phone(self, number: str, texting: str) -> int:
        """Add a person's phone, unless it is there.

        Raises:
            UsageError: That is no address, or there are too many.
        """
        for address in (number, texting):
            if not is_address(address) or len(address) > LONGEST_ADDRESS:
                raise UsageError("A phone has a number without spaces. Write +15550100002")
        if number == texting:
            raise UsageError("The app has this number. Give the phone another one")
        if len(self.transcript.phones) >= MOST_PHONES:
            raise UsageError(f"{MOST_PHONES} phones are on the table. Use one of them")
        return self.transcript.add_phone(number, texting)

    def text(self, phone: int, body: str, media: Sequence[str] = (), deliveries: int = 1) -> None:
        """Write a text."""
        self.phone(phone)
        how = ["delivered twice"] if deliveries > 1 else []
        sent = self._sent(phone, body, media)
        self._deliver(
            phone, sent, lambda: self.phone(phone).text(body, media, deliveries=deliveries), how
        )

    def resend(self, phone: int) -> None:
        """Have Twilio deliver the last text once more, with the cookies of now."""
        handset = self.phone(phone)
        entries = self.transcript.phones[phone]["entries"]
        texts = [e for e in entries if e["kind"] == "sent" and e.get("via") != "call"]
        if not texts:
            raise UsageError("There is nothing to deliver again. Write a text first")
        sent = self._sent(phone, texts[-1]["body"], texts[-1]["media"])
        self._deliver(phone, sent, handset.resend, ["delivered again"])

    def call(self, phone: int) -> None:
        """Call the app, or answer the call that it has placed.

        Raises:
            UsageError: A call is going on.
        """
        handset = self.phone(phone)
        if phone in self._calls:
            raise UsageError("A call is going on. Hang up first")
        answers = bool(handset.ringing)
        self._call_step(
            phone,
            "Answers the call" if answers else "Calls",
            handset.answer if answers else handset.call,
        )

    def press(self, phone: int, keys: str) -> None:
        """Press keys during a call."""
        call = self._on_call(phone)
        self._call_step(phone, f"Presses {keys}", lambda: call.press(keys))

    def say(self, phone: int, words: str) -> None:
        """Speak during a call, or into a recording."""
        call = self._on_call(phone)
        self._call_step(
            phone,
            words,
            lambda: call.record(words) if call.waits_for == "Record" else call.say(words),
        )

    def wait(self, phone: int) -> None:
        """Do nothing until the call goes on."""
        self._call_step(phone, "Waits", self._on_call(phone).wait)

    def hang_up(self, phone: int) -> None:
        """End the call."""
        self._call_step(phone, "Hangs up", self._on_call(phone).hang_up)

    def _on_call(self, phone: int) -> Call:
        if phone not in self._calls:
            raise UsageError("Nobody is on the phone. Call first")
        return self._calls[phone]

    def _call_step(self, phone: int, what: str, act: Callable[[], Call]) -> None:
        sent = self._sent(phone, what, via="call")

        def step() -> Call:
            call = self._calls[phone] = act()
            if call.over:
                del self._calls[phone]
            return call

        self._deliver(phone, sent, step, [])
        if phone not in self._calls:
            self.note(phone, "The call has ended.")

    def all_calls(self) -> list[dict[str, Any]]:
        """Of each phone: the verb that its call waits in, or "", and whether the app calls it."""
        return [
            {
                "waits": self._calls[phone].waits_for if phone in self._calls else "",
                "rings": bool(self.phone(phone).ringing),
            }
            for phone in range(len(self.transcript.phones))
        ]

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
            self._note_down(phone, entry, reply, log, ["overlapped"])
        if len({phone for phone, _ in texts}) < len(texts) and self.inspector.where == "cookie":
            note = (
                "Both texts began from the same cookie. Twilio keeps the one that came last: "
                "what the other text changed is lost. A store at the server takes turns."
            )
            self.note(texts[0][0], note)
        self.collect()

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
        faults = self.faults.pop(phone, Faults())
        how += ["signature broken"] * faults.signature + ["reply dropped"] * faults.reply
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
            self._note_down(phone, sent, delivery, log, nth or how)
            log = []
        if len(deliveries) > 1:
            ran = sum(delivery.state is not None for delivery in deliveries)
            self.note(phone, twice(ran, server_side=self.inspector.server_side))
        self.collect()

    def _note_down(
        self, phone: int, sent: Entry, reply: Reply, log: list[str], how: list[str]
    ) -> None:
        """Write a turn and its messages down."""
        handset = self.phone(phone)
        turn = reply_view(reply, self._secrets, log)
        kept = self.inspector.kept(handset)
        left = kept.pop("rows")
        if "overlapped" in how and reply.state is not None and kept["goes_on"]:
            # what this one left; what is kept is what the last one left
            left = rows(reply.state)
        before = self.transcript.last_rows(phone)
        if isinstance(reply, Call):  # its state is its own
            left, before = rows(reply.state or {}), self._call_rows.get(reply.sid, [])
            self._call_rows[reply.sid] = left
        elif getattr(reply.state, "is_new", False):
            before = []  # the conversation before this one has nothing to do with it
            how = [*how, "begins a conversation"] if kept["goes_on"] else how
        turn |= {
            "body": sent["body"],
            "at": self.simulator.clock.now(),
            "how": how,
            "kept": kept,
            "rows": compare(before, left),
            "verdict": verdict(reply, goes_on=kept["goes_on"], where=kept["where"]),
        }
        number = self.transcript.add_turn(phone, turn)
        failed = bool(reply.errors)
        code = f"{reply.errors[0]} {turn['errors'][0]['text']}" if failed else ""
        label = f"Twilio {code}" if failed else "Delivered"
        if not (failed and sent.get("delivery") == "delivered"):
            delivery = "failed" if failed else "delivered"
            self.transcript.change_entry(sent, delivery=delivery, label=label, turn=number)
        if reply.from_twilio:
            self._received(phone, {"body": reply.from_twilio, "media": []}, "twilio", None)
        for message in reply.sent:
            if message.to == handset.number:
                self._received(phone, message_view(message), "reply", number)
        for words in (*reply.said, *reply.played):
            self._received(phone, {"body": words, "media": []}, "call", number)
        if reply.blocked:
            self.note(phone, "Twilio did not deliver the app's reply: a STOP stands.")

    def _received(self, phone: int, message: dict[str, Any], via: str, turn: int | None) -> None:
        now = self.simulator.clock.now()
        delivery = {"delivery": "delivered", "label": "Delivered", "via": via, "turn": turn}
        self.transcript.add_entry(phone, "received", now, **message, **delivery)

    def collect(self) -> None:
        """Bring what the app sent of its own accord to the phones; unknown people get one."""
        with self._arriving:
            arrived = self.simulator.arrived
            news, self._arrived = arrived[self._arrived :], len(arrived)
        for message in news:
            phone = self.transcript.add_phone(message.to, message.from_)
            self._received(phone, message_view(message), "app", None)

    def all_kept(self) -> list[dict[str, Any]]:
        """What is kept of each phone's conversation now, and whether its STOP stands."""
        return [
            self.inspector.kept(phone) | {"opted_out": phone.opted_out}
            for phone in map(self.phone, range(len(self.transcript.phones)))
        ]

    @property
    def stirred(self) -> bool:
        """Whether something has arrived that nobody has collected."""
        return len(self.simulator.arrived) != self._arrived

    def start(self, phone: int) -> None:
        """Have the app write first.

        Raises:
            UsageError: It cannot.
        """
        handset = self.phone(phone)
        if self.target.start is None:
            raise UsageError(
                "This app's module has no start(client, *, to, from_), as convostate.demo.reminder has"
            )
        try:
            self.target.start(
                self.simulator.rest_client(), to=handset.number, from_=handset.texting
            )
        except Exception as error:  # noqa: BLE001  # the developer's own code; the page shows it
            self.note(phone, f"start() raised {traceback.format_exception_only(error)[-1].strip()}")
        self.simulator.deliver_statuses()
        self.collect()

    def note(self, phone: int, text: str, **facts: Any) -> None:
        """Say on a phone what was done."""
        self.transcript.add_entry(phone, "note", self.simulator.clock.now(), text=text, **facts)

    def close(self) -> None:
        """Let go of the log and of Twilio's clients."""
        self._until_closed.close()
        logging.getLogger("convostate").removeHandler(self._log)
