"""A simulator that several threads use: what it keeps is read and changed under one lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convostate.testing import TwilioSimulator
from convostate.testing.rest_resources import answer
from tests.answering import Answering

if TYPE_CHECKING:
    from collections.abc import Callable

US, ADA, BOB = "+15550100099", "+15550100001", "+15550100002"


@pytest.fixture
def simulator() -> TwilioSimulator:
    return TwilioSimulator(Answering(), "the-token")


class WitnessedLock:
    """Counts how often it is taken, and tells whether it is held."""

    def __init__(self) -> None:
        self.taken = 0
        self.held = False

    def __enter__(self) -> None:
        assert not self.held
        self.taken, self.held = self.taken + 1, True

    def __exit__(self, *_: object) -> None:
        self.held = False


@pytest.mark.parametrize(
    "act",
    [
        lambda account: account.record_inbound({"To": US, "From": ADA, "Body": "STOP"}),
        lambda account: account.register(US, ADA),
        lambda account: account.opted_out(US, ADA),
        lambda account: account.sender_for(ADA),
        lambda account: account.export(),
        lambda account: account.jar(US, ADA),
    ],
)
def test_what_is_kept_of_people_is_read_and_changed_under_the_lock(
    simulator: TwilioSimulator, act: Callable[[Any], object]
) -> None:
    account: Any = simulator._account
    account._lock = lock = WitnessedLock()
    act(account)

    assert (lock.taken, lock.held) == (1, False)


def test_a_refusal_is_counted_down_under_the_lock(simulator: TwilioSimulator) -> None:
    simulator.refuse_sends(21610, times=2)
    account: Any = simulator._account
    account.rest.lock = lock = WitnessedLock()
    path = ["2010-04-01", "Accounts", simulator.account_sid, "Messages"]
    form = {"To": [ADA], "From": [US], "Body": ["hello"]}

    assert [answer(account, "POST", path, form)[0] for _ in range(3)] == [400, 400, 201]
    assert (lock.taken, lock.held) == (3, False)


def test_what_was_exported_stays_as_it_was(simulator: TwilioSimulator) -> None:
    simulator.phone(ADA, texting=US)
    exported = simulator.export()
    simulator.phone(BOB, texting=US).text("STOP")

    assert exported["last_texted"] == {ADA: US}
    assert simulator.export()["last_texted"] == {ADA: US, BOB: US}
