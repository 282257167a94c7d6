"""Which secret may sign for which account: several accounts, and the weeks of a rotation."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from convostate import Settings
from convostate.errors import RequestError
from convostate.twilio.signature import Request, Secrets
from tests.proving import got, oracle_sign, posted, prove, status_of
from tests.served import ACCOUNT, KEY, TOKEN, URL, text

SUB, STRANGE = "AC" + "b" * 32, "AC" + "c" * 32
SUB_TOKEN, NEW_TOKEN, STRANGE_TOKEN = "b" * 32, "d" * 32, "e" * 32


def secrets(**changes: Any) -> Secrets:
    return Settings(**{"keys": KEY, **changes}).secrets()


def signed(token: str, account: str = ACCOUNT) -> Request:
    return posted(text(AccountSid=account), token=token)


def test_a02_one_token_answers_for_whatever_account_it_signed() -> None:
    one = secrets(auth_token=TOKEN)
    assert status_of(signed(TOKEN), one) == status_of(signed(TOKEN, SUB), one) == 200
    assert status_of(signed(SUB_TOKEN), one) == status_of(signed(SUB_TOKEN, SUB), one) == 403


def test_a02_during_a_rotation_both_tokens_are_accepted_and_afterwards_one() -> None:
    before, during, after = (
        secrets(auth_token=TOKEN),
        secrets(auth_token=TOKEN, auth_tokens=NEW_TOKEN),
        secrets(auth_token=NEW_TOKEN),
    )

    assert [status_of(signed(TOKEN), at) for at in (before, during, after)] == [200, 200, 403]
    assert [status_of(signed(NEW_TOKEN), at) for at in (before, during, after)] == [403, 200, 200]
    assert [status_of(signed(STRANGE_TOKEN), at) for at in (before, during, after)] == [
        403,
        403,
        403,
    ]


TWO = {ACCOUNT: TOKEN, SUB: SUB_TOKEN}


@pytest.mark.parametrize(("token", "account", "status"), [
    (TOKEN, ACCOUNT, 200), (SUB_TOKEN, SUB, 200), (SUB_TOKEN, ACCOUNT, 403), (TOKEN, SUB, 403), (TOKEN, STRANGE, 403),
    (SUB_TOKEN, STRANGE, 403), (STRANGE_TOKEN, ACCOUNT, 403), (TOKEN, ACCOUNT.lower(), 403), (TOKEN, f"{ACCOUNT} ", 403),
])  # fmt: skip
def test_a37_an_account_signs_for_itself_alone(token: str, account: str, status: int) -> None:
    assert status_of(signed(token, account), secrets(account_tokens=TWO)) == status


def test_a37_an_account_may_have_two_tokens_during_its_rotation() -> None:
    rotating = secrets(account_tokens=f"{ACCOUNT}={TOKEN},{ACCOUNT}={NEW_TOKEN},{SUB}={SUB_TOKEN}")
    assert status_of(signed(TOKEN), rotating) == status_of(signed(NEW_TOKEN), rotating) == 200
    assert status_of(signed(NEW_TOKEN, SUB), rotating) == 403


def test_a37_the_main_token_answers_for_the_main_account_beside_subaccounts() -> None:
    both = secrets(auth_token=TOKEN, account_sid=ACCOUNT, account_tokens={SUB: SUB_TOKEN})
    assert status_of(signed(TOKEN), both) == status_of(signed(SUB_TOKEN, SUB), both) == 200
    assert status_of(signed(TOKEN, SUB), both) == status_of(signed(SUB_TOKEN), both) == 403
    assert status_of(signed(TOKEN, STRANGE), both) == 403


def test_a37_a_main_token_without_its_account_verifies_nothing_if_subaccounts_are_set() -> None:
    unnamed = secrets(auth_token=TOKEN, account_tokens={SUB: SUB_TOKEN})
    assert status_of(signed(SUB_TOKEN, SUB), unnamed) == 200
    assert status_of(signed(TOKEN), unnamed) == 403


def test_a37_the_receivers_number_does_not_choose_the_token() -> None:
    """The pair holds the account, so another account's number opens no conversation of ours."""
    two = secrets(account_tokens=TWO)
    ours, theirs = prove(signed(TOKEN), two).pair, prove(signed(SUB_TOKEN, SUB), two).pair
    assert ours is not None
    assert theirs is not None
    assert (ours.ours, ours.theirs) == (theirs.ours, theirs.theirs)
    assert ours != theirs


JSON = b'{"a": 1}'
HASHED = f"{URL}?bodySHA256={hashlib.sha256(JSON).hexdigest()}"


def json(url: str, token: str) -> Request:
    return Request(
        "POST",
        url,
        url.partition("?")[2],
        "application/json",
        JSON,
        oracle_sign(url, (), token),
        "",
    )


@pytest.mark.parametrize(("url", "token", "status"), [
    (HASHED, TOKEN, 200), (HASHED, SUB_TOKEN, 200), (HASHED, STRANGE_TOKEN, 403),
    (f"{HASHED}&AccountSid={ACCOUNT}", TOKEN, 200), (f"{HASHED}&AccountSid={ACCOUNT}", SUB_TOKEN, 403),
    (f"{HASHED}&AccountSid={STRANGE}", TOKEN, 403),
])  # fmt: skip
def test_a_json_webhook_names_its_account_in_the_query_or_not_at_all(
    url: str, token: str, status: int
) -> None:
    assert status_of(json(url, token), secrets(account_tokens=TWO)) == status


MANY = {f"AC{number:032x}": f"{number:032x}" for number in range(1, 41)}


def test_a_form_without_an_account_is_tried_under_every_token_unless_that_takes_long() -> None:
    many = secrets(account_tokens=MANY)
    unnamed = {"Body": "a", "CallSid": "CA" + "0" * 32}
    long = unnamed | {"Body": "a" * 250_000}
    last = MANY[f"AC{40:032x}"]

    assert status_of(posted(unnamed, token=last), many) == 200
    assert status_of(posted(unnamed, token=STRANGE_TOKEN), many) == 403
    with pytest.raises(RequestError, match="names no account"):
        prove(posted(long, token=last), many)
    assert status_of(posted(long, token=last), secrets(account_tokens={ACCOUNT: last})) == 200


@pytest.mark.parametrize("account", MANY)
def test_a_long_form_that_names_its_account_is_tried_under_its_token(account: str) -> None:
    named = {"AccountSid": account, "Body": "a" * 250_000}
    assert status_of(posted(named, token=MANY[account]), secrets(account_tokens=MANY)) == 200
    assert status_of(posted(named, token=STRANGE_TOKEN), secrets(account_tokens=MANY)) == 403


@pytest.mark.parametrize("account", [ACCOUNT, SUB])
def test_a_get_webhook_names_its_account_in_the_query(account: str) -> None:
    url = f"{URL}?AccountSid={account}"
    assert status_of(got(url, token=TWO[account]), secrets(account_tokens=TWO)) == 200
    other = TWO[{ACCOUNT: SUB, SUB: ACCOUNT}[account]]
    assert status_of(got(url, token=other), secrets(account_tokens=TWO)) == 403


KEYS = {"webhooks_sharedkey_1": "one", "webhooks_sharedkey_2": "two"}


@pytest.mark.parametrize(("named", "secret", "algorithm", "status"), [
    ("webhooks_sharedkey_1", "one", "HMAC_SHA256", 200), ("webhooks_sharedkey_2", "two", "HMAC_SHA256", 200),
    ("webhooks_sharedkey_1", "two", "HMAC_SHA256", 403), ("webhooks_sharedkey_3", "one", "HMAC_SHA256", 403),
    ("webhooks_sharedkey_1", "one", "HMAC_SHA1", 403), ("webhooks_sharedkey_1", TOKEN, "HMAC_SHA256", 403),
])  # fmt: skip
def test_a26_a_shared_key_signs_what_names_it(
    named: str, secret: str, algorithm: str, status: int
) -> None:
    signature = oracle_sign(URL, text(), secret, algorithm)
    request = posted(text(), signature=signature, scheme=f"key={named},algorithm={algorithm}")
    assert status_of(request, secrets(auth_token=TOKEN, shared_keys=KEYS)) == status
    assert (
        status_of(replace(request, scheme=""), secrets(auth_token=TOKEN, shared_keys=KEYS)) == 403
    )


def test_a26_without_the_header_a_site_with_shared_keys_alone_accepts_nothing() -> None:
    alone = secrets(shared_keys=KEYS)
    for secret in ("one", "two", TOKEN):
        assert status_of(posted(text(), token=secret), alone) == 403


@pytest.mark.parametrize(
    "given",
    [
        {"auth_token": TOKEN},
        {"auth_tokens": [TOKEN]},
        {"account_tokens": TWO},
        {"shared_keys": {"k": TOKEN}},
    ],
)
def test_the_secrets_are_counted_in_their_repr_and_never_shown(given: dict[str, Any]) -> None:
    assert not any(secret in repr(secrets(**given)) for secret in (TOKEN, SUB_TOKEN, ACCOUNT))
