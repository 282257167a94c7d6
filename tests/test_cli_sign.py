"""`convostate sign` signs as Twilio does."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner
from twilio.request_validator import RequestValidator

from convostate.cli import main
from convostate.demo.counter import app as counter
from tests.documentation import page
from tests.listening import listening

if TYPE_CHECKING:
    from click.testing import Result

URL = "https://example.com/sms?a=1"
PARAMS = {"From": "+15550100001", "Body": "1 + 1 = ä&b", "Empty": ""}
WORDS = [f"{name}={value}" for name, value in PARAMS.items()]
ACCOUNT = "AC" + "0" * 32
UNSET = {
    "TWILIO_AUTH_TOKEN": None,
    "TWILIO_ACCOUNT_SID": None,
    "CONVOSTATE_AUTH_TOKENS": None,
    "CONVOSTATE_ACCOUNT_TOKENS": None,
    "CONVOSTATE_SHARED_KEYS": None,
    "CONVOSTATE_KEYS": None,
}


def sign(*words: str, **environ: str) -> Result:
    return CliRunner(env={**UNSET, **environ}).invoke(main, ["sign", *words])


def test_the_first_line_is_the_signature_that_twilios_library_computes() -> None:
    result = sign(URL, *WORDS, TWILIO_AUTH_TOKEN="the-token")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == RequestValidator("the-token").compute_signature(URL, PARAMS) + "\n"


def test_it_signs_the_url_as_twilio_does_without_password_and_fragment() -> None:
    given = "https://user:pass@example.com/sms?a=1#rc=2"

    assert sign(given, TWILIO_AUTH_TOKEN="t").stdout == sign(URL, TWILIO_AUTH_TOKEN="t").stdout


def test_a_repeated_parameter_is_signed_with_all_its_values() -> None:
    both = sign(URL, "Tag=x", "Tag=y", TWILIO_AUTH_TOKEN="t").stdout

    assert both == RequestValidator("t").compute_signature(URL + "TagxTagy", {}) + "\n"


@pytest.mark.parametrize("words", [WORDS, []], ids=["POST", "GET"])
def test_the_curl_line_sends_what_was_signed(words: list[str]) -> None:
    result = sign(URL, *words, "--curl", TWILIO_AUTH_TOKEN="t")
    signature, line = result.stdout.splitlines()
    command = shlex.split(line)

    assert command[:3] == ["curl", "-H", f"X-Twilio-Signature: {signature}"]
    assert command[-1] == URL
    assert ("--data-raw" in command) is bool(words)
    if words:
        body = command[command.index("--data-raw") + 1]
        assert body == "From=%2B15550100001&Body=1+%2B+1+%3D+%C3%A4%26b&Empty="


def answer_to(line: str) -> str:
    """Run a curl line, or where there is no curl do what it would, and give what is answered."""
    words = shlex.split(line)
    if shutil.which("curl") is not None:
        environ = {**os.environ, "NO_PROXY": "*"}
        return subprocess.run(words, env=environ, capture_output=True, text=True, check=True).stdout
    options = dict(zip(words[1:-1:2], words[2:-1:2], strict=True))
    name, _, value = options["-H"].partition(": ")
    sent = Request(words[-1], options["--data-raw"].encode(), {name: value})  # noqa: S310  # as above
    try:
        with urlopen(sent) as answered:  # noqa: S310  # as above
            return str(answered.read(), "utf-8")
    except HTTPError as error:
        with error:
            return str(error.read(), "utf-8")


def test_the_documented_curl_line_is_taken_by_a_running_app_for_a_message() -> None:
    found = re.search(
        r"^\$ convostate (sign --curl .+)$", page("when-it-answers-403"), re.MULTILINE
    )
    assert found is not None
    words = shlex.split(found[1])

    with listening(counter) as url:
        words[2] = url
        token = os.environ["TWILIO_AUTH_TOKEN"]
        line = (
            CliRunner(env={"TWILIO_AUTH_TOKEN": token}).invoke(main, words).stdout.splitlines()[1]
        )
        assert "You've sent 1 message" in answer_to(line)
        refused = CliRunner(env={"TWILIO_AUTH_TOKEN": "another"}).invoke(main, words)
        assert refused.exit_code == 0
        assert "You've sent" not in answer_to(refused.stdout.splitlines()[1])


def test_the_curl_line_leaves_the_url_as_it_was_signed() -> None:
    for path in ("/sms", "/a/../sms", "/sms?a[]={b}", "/./sms?a=[1-3]"):
        url = f"https://example.com{path}"
        command = shlex.split(sign("--curl", url, TWILIO_AUTH_TOKEN="t").stdout.splitlines()[1])

        assert command[-1] == url
        assert ("--globoff" in command) == ("?" in path)
        assert ("--path-as-is" in command) == ("/." in path)


def test_a_shared_key_signs_with_sha256_and_the_curl_line_names_it() -> None:
    result = sign(URL, "--shared-key", "k1", "--curl", CONVOSTATE_SHARED_KEYS="k1=secret")
    signature, line = result.stdout.splitlines()

    assert RequestValidator("secret").validate(URL, {}, signature, "HMAC_SHA256")
    assert "X-Twilio-Webhooks-Signature-Settings: key=k1,algorithm=HMAC_SHA256" in line


def test_the_account_in_the_parameters_picks_its_token() -> None:
    tokens = {"CONVOSTATE_ACCOUNT_TOKENS": f"{ACCOUNT}=theirs", "TWILIO_AUTH_TOKEN": "ours"}
    named = sign(URL, f"AccountSid={ACCOUNT}", **tokens).stdout.strip()
    other = sign(URL, "AccountSid=AC1", **tokens).stdout.strip()

    assert RequestValidator("theirs").validate(URL, {"AccountSid": ACCOUNT}, named)
    assert RequestValidator("ours").validate(URL, {"AccountSid": "AC1"}, other)


def test_of_a_get_the_account_in_the_query_picks_its_token() -> None:
    tokens = {"CONVOSTATE_ACCOUNT_TOKENS": f"{ACCOUNT}=theirs", "TWILIO_AUTH_TOKEN": "ours"}
    named, other = f"{URL}&AccountSid={ACCOUNT}", f"{URL}&AccountSid=AC1&b=%"

    assert RequestValidator("theirs").validate(named, {}, sign(named, **tokens).stdout.strip())
    assert RequestValidator("ours").validate(other, {}, sign(other, **tokens).stdout.strip())


def test_it_prints_json() -> None:
    shown: dict[str, Any] = json.loads(
        sign(URL, "From=x", "--json", "--curl", TWILIO_AUTH_TOKEN="t").stdout
    )

    assert shown["signature"] == shown["headers"]["X-Twilio-Signature"]
    assert shown["params"] == [["From", "x"]]
    assert shown["url"] == URL
    assert shown["curl"].startswith("curl ")
    assert "curl" not in json.loads(sign(URL, "--json", TWILIO_AUTH_TOKEN="t").stdout)


@pytest.mark.parametrize(
    ("words", "environ", "says"),
    [
        ([URL], {}, "Set TWILIO_AUTH_TOKEN="),
        ([URL], {"TWILIO_AUTH_TOKEN": "a,b"}, "TWILIO_AUTH_TOKEN holds a comma"),
        ([URL], {"CONVOSTATE_SHARED_KEYS": "k=s"}, "Set TWILIO_AUTH_TOKEN="),
        ([URL, "--shared-key", "k2"], {"CONVOSTATE_SHARED_KEYS": "k=s"}, "no such shared key"),
        (["example.com"], {"TWILIO_AUTH_TOKEN": "t"}, "Write https://example.com/sms"),
        ([URL, "From"], {"TWILIO_AUTH_TOKEN": "t"}, "name=value"),
        ([URL, "=x"], {"TWILIO_AUTH_TOKEN": "t"}, "name=value"),
        ([], {"TWILIO_AUTH_TOKEN": "t"}, "Missing argument 'URL'"),
    ],
)
def test_what_cannot_be_signed_is_one_line_and_status_2(
    words: list[str], environ: dict[str, str], says: str
) -> None:
    result = sign(*words, **environ)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("convostate: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
