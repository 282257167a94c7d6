"""`convostate explain` judges a signature, and says why it does not verify."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from twilio.request_validator import RequestValidator

from convostate.cli import main
from convostate.testing.params import encode

if TYPE_CHECKING:
    from click.testing import Result

TOKEN = "the-token"
URL = "https://example.com/sms"
PARAMS = {"From": "+15550100001", "Body": "hi", "FromCity": ""}
WORDS = [f"{name}={value}" for name, value in PARAMS.items()]


def explain(url: str, *words: str, **environ: str | None) -> Result:
    known = {"TWILIO_AUTH_TOKEN": TOKEN, "CONVOSTATE_SHARED_KEYS": None}
    runner = CliRunner(env={**known, **environ})
    return runner.invoke(main, ["explain", url, *words])


def signed(secret: str = TOKEN) -> str:
    return str(RequestValidator(secret).compute_signature(URL, PARAMS))


@pytest.mark.parametrize("checked", [URL, "https://example.com:443/sms", f"{URL}#rc=2"])
def test_a_valid_signature_verifies_in_any_port_variant(checked: str) -> None:
    result = explain(checked, signed(), *WORDS)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("verifies as https://example.com")


def test_of_a_get_the_account_in_the_query_picks_its_token() -> None:
    account = "AC" + "1" * 32
    named = f"{URL}?AccountSid={account}"
    tokens = {"CONVOSTATE_ACCOUNT_TOKENS": f"{account}=theirs", "TWILIO_AUTH_TOKEN": None}
    theirs, ours = (
        str(RequestValidator(secret).compute_signature(named, {})) for secret in ("theirs", TOKEN)
    )

    assert explain(named, theirs, **tokens).exit_code == 0
    assert explain(named, ours, **tokens).exit_code == 1


@pytest.mark.parametrize(
    ("url", "signature", "words", "why"),
    [
        ("http://example.com/sms", signed(), WORDS, "would verify as https://example.com/sms"),
        (f"{URL}/", signed(), WORDS, "would verify as https://example.com/sms"),
        (URL, signed(), [*WORDS, "New=1"], "no usual change"),
        (URL, signed("other"), WORDS, "compare TWILIO_AUTH_TOKEN"),
        (URL, "", WORDS, "carries no X-Twilio-Signature"),
        (URL, "nonsense", WORDS, "does not hold a signature"),
        (
            URL,
            f"X-Twilio-Signature: {signed()}",
            WORDS,
            "without quotes, blanks or the header's name",
        ),
        (URL, signed()[:-1], WORDS, "does not hold a signature, which has 28 characters"),
        (URL, signed(), [encode(PARAMS.items())], "give them to convostate explain unescaped"),
    ],
)
def test_an_invalid_one_is_status_1_and_says_why(
    url: str, signature: str, words: list[str], why: str
) -> None:
    result = explain(url, signature, *words)

    assert result.exit_code == 1
    assert result.stdout.startswith("checked as ")
    assert why in result.stdout


def test_a_shared_key_is_named_by_its_header() -> None:
    scheme = "key=k1,algorithm=HMAC_SHA256"
    signature = RequestValidator("secret").compute_signature(URL, PARAMS, "HMAC_SHA256")
    keys = {"CONVOSTATE_SHARED_KEYS": "k1=secret"}

    assert explain(URL, signature, *WORDS, "--settings", scheme, **keys).exit_code == 0
    assert explain(URL, signature, *WORDS, **keys).exit_code == 1


def test_it_prints_json() -> None:
    shown = json.loads(explain(URL, signed(), *WORDS, "--json").stdout)

    assert shown == {"valid": True, "checked": URL, "reason": "", "advice": ""}


def test_repeated_parameters_count_with_all_their_values() -> None:
    signature = RequestValidator(TOKEN).compute_signature(URL + "TagxTagy", {})

    assert explain(URL, signature, "Tag=y", "Tag=x").exit_code == 0
    assert explain(URL, signature, "Tag=x").exit_code == 1


def test_without_a_token_nothing_can_be_judged() -> None:
    result = explain(URL, signed(), *WORDS, TWILIO_AUTH_TOKEN=None)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Set TWILIO_AUTH_TOKEN" in result.stderr
