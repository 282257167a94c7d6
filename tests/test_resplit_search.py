"""A search for a split of one signed string that makes somebody else its sender."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING

import pytest

import convostate.twilio.ambiguity
import convostate.twilio.authenticate
from convostate.errors import RequestError
from tests.proving import oracle_sign, posted, prove
from tests.served import URL, US, text
from tests.test_resplit import (
    CALL,
    MALLORY,
    MALLORY_THERE,
    OTHER_SID,
    VICTIM,
    VICTIM_THERE,
    Params,
    call,
    glued,
    there,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostate.twilio.form import Form

TRIES = 4000
PIECES = [
    f"From{VICTIM}", f"From{VICTIM_THERE}", f"To{VICTIM}", f"To{US}", "From", "Forwarded", "FromCity", "FromMallory", "From1234",
    "To", f"CallSid{CALL}", f"MessageSid{OTHER_SID}", "MessageStatussent", "Directioninbound", "E", "F", "G", "x", "Z", "12", " ",
]  # fmt: skip
_forged_from = re.compile(r"From(?=(?:whatsapp:)?\+15550100001)")
_forged_number = re.compile(r"From(?:whatsapp:)?\+15550100001").match
KEPT = {"AccountSid", "CallSid", "MessageSid", "SmsMessageSid", "SmsSid", "To"}


def webhooks(random: Random) -> Iterator[Params]:
    """What an attacker can have signed: a sender of each kind, with all that this kind can write."""

    def written() -> str:
        return "".join(random.choices([*PIECES, PIECES[0], PIECES[1]], k=random.randint(1, 5)))

    def some(*names: str) -> Params:
        return {name: written() for name in names if random.random() < 0.6}

    while True:
        yield text(written(), From=random.choice(["Mallory", "My Co", "1234", "55555", MALLORY]))
        yield there(written(), From=MALLORY_THERE, **some("Label", "ProfileName", "ButtonText"))
        yield there(written(), From="whatsapp:US.1349", **some("Label", "ProfileName"))
        yield call(From="client:mallory", **some("A", "E", "Fro", "F", "G", "Label", "Zz"))
        yield call(From="sip:mallory@example.com", **some("SipHeader_A", "SipHeader_X"))
        yield call(
            From=random.choice(["anonymous", "Restricted", "unknown"]), **some("SpeechResult")
        )


def splits(true: Params, random: Random) -> Iterator[Params]:
    """Readings in which a sender begins where the text spells one, and nothing else moves but at random."""
    signed, begins, at = glued(true), {}, 0
    for name in sorted(true):
        begins[name] = at
        at += len(name) + len(true[name])
    for hit in _forged_from.finditer(signed):
        found = _forged_number(signed, hit.start())
        assert found is not None
        for _ in range(6):
            cuts = {
                begins[name]: len(name)
                for name in true
                if name != "From" and (name in KEPT or random.random() < 0.8)
            }
            cuts = {at: size for at, size in cuts.items() if not hit.start() <= at < found.end()}
            cuts[found.end()] = cuts.get(found.end(), random.choice([1, 2, 3, 5, 8]))
            for near in random.choices([begins["From"], begins["From"] - 9, begins["From"] + random.randint(-3, 4)], k=random.randint(0, 2)):  # fmt: skip
                cuts[near] = random.choice([1, 2, 3, 5, 13])
            cuts[hit.start()] = len("From")
            places = sorted(at for at in cuts if 0 <= at < len(signed))
            names = [signed[at : at + cuts[at]] for at in places]
            values = [
                signed[at + cuts[at] : end]
                for at, end in zip(places, [*places[1:], len(signed)], strict=True)
            ]
            read = dict(zip(names, values, strict=True))
            if places[0] == 0 and names == sorted(read) and glued(read) == signed:
                yield read


def forged(seed: int) -> tuple[int, list[tuple[Params, Params]]]:
    """How many splits were tried, and those that were believed."""
    random, tried, believed = Random(seed), 0, []
    for true in webhooks(random):
        for read in splits(true, random):
            if read.get("From") in (None, true["From"]):
                continue
            tried += 1
            try:
                prove(posted(read, signature=oracle_sign(URL, true)))
            except RequestError:
                continue
            believed.append((true, read))
        if tried >= TRIES:
            return tried, believed
    raise AssertionError("webhooks come without end")


def test_a06_no_split_makes_somebody_else_the_sender() -> None:
    assert forged(1)[1] == []


@pytest.mark.parametrize(("part", "without"), [
    ("_hides_a_sender", lambda _form: False),
    ("_SENDERS", re.compile(r"From(?=\+[0-9]{2}|[0-9]{5})")),
])  # fmt: skip
def test_a06_without_a_part_of_the_guard_the_search_finds_one(
    part: str, without: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convostate.twilio.ambiguity, part, without)

    assert forged(1)[1]


def test_a06_without_the_guard_nearly_all_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(_signed: str, _form: Form, _body: str) -> None:
        """Believe all."""

    monkeypatch.setattr(convostate.twilio.authenticate, "check_split", lenient)
    tried, believed = forged(2)

    assert len(believed) > tried // 2
