"""The names of today: a change of any would lose every conversation and record at the servers."""

from __future__ import annotations

from convostate import Keyring, PhonePair
from convostate.sealing.names import Names
from convostate.sealing.token import conversation_context
from tests.served import ACCOUNT, ADA, KEY, US

NAMES = Names(Keyring.parse(KEY).keys[0])
CONTEXT = conversation_context(PhonePair(ACCOUNT, US, ADA))


def test_the_names_are_those_of_the_first_release() -> None:
    assert NAMES.conversation(CONTEXT) == "sDVo55y09iGyudRRw7XTMQ"
    assert NAMES.log_id(CONTEXT) == "2L9vpY5oE_9L4yk6tdS1Yg"
    assert NAMES.fingerprint("POST", "https://example.com/sms") == "3klO30Snsz0P6qbGc3qXDQ"
