"""With anything missing or wrong the middleware does not start, and says what to set; no value is shown."""

from __future__ import annotations

from typing import Any

import pytest

from convostate import ConversationMiddleware, Keyring, Settings, UsageError
from tests.served import ACCOUNT, KEY, OTHER_KEY, TOKEN, counting, serve, settings, signed

GOOD = {"TWILIO_AUTH_TOKEN": TOKEN, "CONVOSTATE_KEYS": KEY}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a40 no token": ({"TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN=<"),
    "a40 a blank token": ({"TWILIO_AUTH_TOKEN": "  "}, "TWILIO_AUTH_TOKEN=<"),
    "a40 two tokens in one": ({"TWILIO_AUTH_TOKEN": "zaffre1,zaffre2"}, "CONVOSTATE_AUTH_TOKENS=<"),
    "a40 a token with a blank": ({"TWILIO_AUTH_TOKEN": "zaffre1 zaffre2"}, "TWILIO_AUTH_TOKEN=<"),
    "a40 no key": ({"CONVOSTATE_KEYS": ""}, "convostate keygen"),
    "a40 a short key": ({"CONVOSTATE_KEYS": KEY[:-1]}, "convostate keygen"),
    "a40 a long key": ({"CONVOSTATE_KEYS": KEY + "A"}, "convostate keygen"),
    "a40 a padded key": ({"CONVOSTATE_KEYS": KEY + "="}, "convostate keygen"),
    "a40 a hexadecimal key": ({"CONVOSTATE_KEYS": "0f" * 32}, "convostate keygen"),
    "a40 a weak key": ({"CONVOSTATE_KEYS": "A" * 43}, "convostate keygen"),
    "a40 a repeated key": ({"CONVOSTATE_KEYS": "QUJDRA" * 7 + "Q"}, "convostate keygen"),
    "a40 a phrase": ({"CONVOSTATE_KEYS": "correct horse battery staple"}, "convostate keygen"),
    "a40 a key twice": ({"CONVOSTATE_KEYS": f"{KEY},{KEY}"}, "List each key once"),
    "a40 an empty key among others": ({"CONVOSTATE_KEYS": f"{KEY},,{OTHER_KEY}"}, "convostate keygen"),
    "a lifetime of 5 h": ({"CONVOSTATE_LIFETIME": "5h"}, "CONVOSTATE_LIFETIME=4h"),
    "a lifetime of 4 h and a second": ({"CONVOSTATE_LIFETIME": "14401s"}, "CONVOSTATE_LIFETIME=4h"),
    "a lifetime of 59 s": ({"CONVOSTATE_LIFETIME": "59s"}, "CONVOSTATE_LIFETIME=4h"),
    "a lifetime that is none": ({"CONVOSTATE_LIFETIME": "zaffre"}, "CONVOSTATE_LIFETIME=4h"),
    "a lifetime of 31 days": (
        {"CONVOSTATE_LIFETIME": "31d", "CONVOSTATE_STORE": "memory"}, "CONVOSTATE_LIFETIME=30d"),
    "an unknown store": ({"CONVOSTATE_STORE": "zaffre://x"}, "CONVOSTATE_STORE=redis://"),
    "a URL that is none": ({"CONVOSTATE_PUBLIC_URL": "zaffre"}, "CONVOSTATE_PUBLIC_URL=https://example.com"),
    "a URL with a query": ({"CONVOSTATE_PUBLIC_URL": "https://a.b/?zaffre"}, "CONVOSTATE_PUBLIC_URL=https://"),
    "a URL with a user": ({"CONVOSTATE_PUBLIC_URL": "https://u:zaffre@a.b"}, "CONVOSTATE_PUBLIC_URL=https://"),
    "a cookie's name": ({"CONVOSTATE_COOKIE_NAME": "a zaffre"}, "CONVOSTATE_COOKIE_NAME=convostate"),
    "paths": ({"CONVOSTATE_PATHS": "zaffre"}, "CONVOSTATE_PATHS=/sms"),
    "an outage": ({"CONVOSTATE_ON_OUTAGE": "zaffre"}, "CONVOSTATE_ON_OUTAGE=refuse"),
    "an opt-out": ({"CONVOSTATE_ON_OPT_OUT": "zaffre"}, "CONVOSTATE_ON_OPT_OUT=end"),
    "waiting": ({"CONVOSTATE_MAX_WAITING": "zaffre"}, "CONVOSTATE_MAX_WAITING=2"),
    "a body": ({"CONVOSTATE_MAX_BODY_BYTES": "1"}, "CONVOSTATE_MAX_BODY_BYTES=262144"),
    "a state": ({"CONVOSTATE_MAX_STATE_BYTES": "zaffre"}, "CONVOSTATE_MAX_STATE_BYTES=1048576"),
    "lists to trim": ({"CONVOSTATE_TRIM": "zaffre:x"}, "CONVOSTATE_TRIM=history:2,chat_log"),
    "an account's token": ({"CONVOSTATE_ACCOUNT_TOKENS": "zaffre"}, "CONVOSTATE_ACCOUNT_TOKENS="),
    "an account that is none": ({"CONVOSTATE_ACCOUNT_TOKENS": "ACx=zaffre"}, "CONVOSTATE_ACCOUNT_TOKENS=AC<"),
    "a shared key": ({"CONVOSTATE_SHARED_KEYS": "zaffre"}, "CONVOSTATE_SHARED_KEYS=<"),
    "keys without an index key": (
        {"CONVOSTATE_KEYS": f"{KEY},{OTHER_KEY}", "CONVOSTATE_STORE": "memory"}, "CONVOSTATE_INDEX_KEY"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "advice"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_does_not_start_and_the_last_sentence_says_what_to_do(
    wrong: dict[str, str], advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (GOOD | wrong).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(UsageError) as raised:
        ConversationMiddleware(counting)

    message = str(raised.value)
    assert advice in message
    assert message.rstrip(".").rfind(". ") < message.rfind(advice)
    assert "zaffre" not in message
    assert not any(key[:20] in message for key in (KEY, OTHER_KEY, TOKEN))


def test_the_least_that_is_needed_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)

    assert serve(ConversationMiddleware(counting), signed()).body == b"1"


@pytest.mark.parametrize("wrong", [
    {"auth_token": None}, {"auth_token": ""}, {"auth_token": b"bytes"}, {"auth_token": ("a", "b")},
    {"keys": None}, {"keys": ""}, {"keys": b"x" * 32}, {"keys": ()}, {"keys": [KEY, KEY]}, {"keys": KEY[:-1]},
    {"keys": "A" * 43}, {"auth_token": None, "auth_tokens": ""}, {"account_tokens": {ACCOUNT: ""}},
], ids=lambda wrong: f"a40 {max(wrong)} {type(next(iter(wrong.values()))).__name__}")  # fmt: skip
def test_a_wrong_argument_does_not_start_either(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Settings(**({"auth_token": TOKEN, "keys": KEY} | wrong))


def test_a40_a_fresh_key_starts() -> None:
    keys: Any = Keyring.generate()

    assert (
        serve(
            ConversationMiddleware(counting, Settings(auth_token=TOKEN, keys=keys)), signed()
        ).body
        == b"1"
    )


def test_a_hook_that_cannot_be_called_stops_the_start() -> None:
    hook: Any = "observe"
    with pytest.raises(UsageError, match=r"on_turn .* Give it a function"):
        ConversationMiddleware(counting, settings(), on_turn=hook)

    ConversationMiddleware(counting, settings(), on_turn=print)
