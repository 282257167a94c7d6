"""What the phone's page says of a refused signature, and what it never shows."""

from __future__ import annotations

import pytest

from convostate import ConversationMiddleware, Keyring, Settings
from convostate.demo import counter
from convostate.phone.transcript import Transcript
from convostate.phone.views import reply_view
from convostate.testing import TwilioSimulator

ADA = "+15550100001"
ACCOUNTS = [f"AC{digit * 32}" for digit in "12"]
TOKENS = {account: f"token-of-{account}" for account in ACCOUNTS}


def explained(account_sid: str, *, broken: bool, status: int = 403) -> str:
    """What is said of a GET of one account that is signed with the token of the first."""
    settings = Settings.from_environ(
        {
            "CONVOSTATE_KEYS": Keyring.generate(),
            "CONVOSTATE_ACCOUNT_TOKENS": ",".join("=".join(item) for item in TOKENS.items()),
        }
    )
    twilio = TwilioSimulator(
        ConversationMiddleware(counter.count, settings),
        TOKENS[ACCOUNTS[0]],
        account_sid=account_sid,
        method="GET",
    )
    phone = twilio.phone(ADA)
    phone.break_signature(int(broken))
    reply = phone.text("hi")
    assert reply.status == status
    shown: str = reply_view(reply, settings.secrets(), [])["explanation"]
    return shown


@pytest.mark.parametrize(("account", "broken"), [(ACCOUNTS[1], False), (ACCOUNTS[0], True)])
def test_a_refused_get_is_explained_by_the_account_in_its_query(account: str, broken: bool) -> None:
    assert explained(account, broken=broken)


def test_a_get_that_was_not_refused_needs_no_explanation() -> None:
    assert explained(ACCOUNTS[0], broken=False, status=200) == ""


@pytest.mark.parametrize(("secret", "shown"), [("12345678", "•••"), ("1234567", "1234567")])
def test_a_secret_of_eight_characters_is_masked_and_a_shorter_one_is_not(
    secret: str, shown: str
) -> None:
    assert Transcript([secret]).mask(f"it is {secret}") == f"it is {shown}"
