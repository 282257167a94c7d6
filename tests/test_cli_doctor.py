"""`convostate doctor` finds each fault, says what to do, and finds it gone when that is done."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from convostate import Keyring
from convostate.cli import main
from convostate.settings import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result
    from redis import Redis

FIRST, SECOND = Keyring.generate(), Keyring.generate()
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SOUND = {
    "TWILIO_AUTH_TOKEN": TOKEN,
    "CONVOSTATE_KEYS": FIRST,
    "CONVOSTATE_PUBLIC_URL": "https://example.com",
}


def doctor(*words: str, **environ: str | None) -> Result:
    return CliRunner(env={**SOUND, **environ}).invoke(main, ["doctor", *words])


def test_sound_settings_have_no_fault() -> None:
    result = doctor()

    assert (result.exit_code, result.stderr) == (0, "")
    assert "fault" not in result.stdout
    assert "Host" not in result.stdout
    assert "look like Twilio's" not in result.stdout


@pytest.mark.parametrize(
    ("wrong", "said", "right"),
    [
        ({"TWILIO_AUTH_TOKEN": ""}, "Set TWILIO_AUTH_TOKEN=", {"TWILIO_AUTH_TOKEN": "another"}),
        ({"CONVOSTATE_KEYS": ""}, "convostate keygen", {"CONVOSTATE_KEYS": SECOND}),
        ({"CONVOSTATE_LIFETIME": "5h"}, "CONVOSTATE_LIFETIME=4h", {"CONVOSTATE_LIFETIME": "4h"}),
        (
            {"CONVOSTATE_LIFETIM": "2h"},
            "Rename it to CONVOSTATE_LIFETIME",
            {"CONVOSTATE_LIFETIM": None, "CONVOSTATE_LIFETIME": "2h"},
        ),
        ({"CONVOSTATE_QQQQQQQQ": "2h"}, "Remove it", {"CONVOSTATE_QQQQQQQQ": None}),
        (
            {"CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=another"},
            "Set TWILIO_ACCOUNT_SID=AC",
            {"TWILIO_ACCOUNT_SID": f"AC{'2' * 32}"},
        ),
        (
            {
                "TWILIO_AUTH_TOKEN": "",
                "CONVOSTATE_AUTH_TOKENS": "another",
                "CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=yet-another",
            },
            "CONVOSTATE_AUTH_TOKENS belongs to no account",
            {"TWILIO_ACCOUNT_SID": f"AC{'2' * 32}"},
        ),
        (
            {
                "CONVOSTATE_AUTH_TOKENS": "another",
                "CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}=yet-another",
            },
            "TWILIO_AUTH_TOKEN and CONVOSTATE_AUTH_TOKENS belong to no account",
            {"TWILIO_ACCOUNT_SID": f"AC{'2' * 32}"},
        ),
        (
            {"CONVOSTATE_STORE": "memory", "CONVOSTATE_KEYS": f"{SECOND},{FIRST}"},
            "Set CONVOSTATE_INDEX_KEY to the key you had before",
            {"CONVOSTATE_INDEX_KEY": FIRST},
        ),
    ],
)
def test_a_wrong_setting_is_a_fault_until_the_advice_is_followed(
    wrong: dict[str, str | None], said: str, right: dict[str, str | None]
) -> None:
    ill = doctor(**wrong)
    assert ill.exit_code == 1
    assert said in ill.stdout
    assert FIRST not in ill.stdout

    well = doctor(**{**wrong, **right})
    assert well.exit_code == 0
    assert said not in well.stdout


def test_all_wrong_settings_are_named_at_once() -> None:
    wrong = {"CONVOSTATE_KEYS": "x", "CONVOSTATE_PATHS": "sms", "CONVOSTATE_ON_OUTAGE": "no"}
    said = doctor(**wrong).stdout
    assert said.count("fault ") == len(wrong)
    assert all(variable in said for variable in wrong)
    assert doctor(CONVOSTATE_PATHS="sms").stdout.count("fault ") == 1


@pytest.mark.parametrize(
    ("worth_knowing", "said"),
    [
        ({"CONVOSTATE_PUBLIC_URL": None}, "the Host header is trusted"),
        ({"CONVOSTATE_PUBLIC_URL": "http://example.com"}, "plain http"),
        (
            {"TWILIO_AUTH_TOKEN": "vault:twilio#token"},
            "TWILIO_AUTH_TOKEN holds a token that does not look like",
        ),
        (
            {"CONVOSTATE_AUTH_TOKENS": f"{TOKEN},{TOKEN[1:]}"},
            "AUTH_TOKENS holds a token that does not look like",
        ),
        (
            {"CONVOSTATE_ACCOUNT_TOKENS": f"AC{'1' * 32}={TOKEN}#prod"},
            "CONVOSTATE_ACCOUNT_TOKENS holds a token that does not look like",
        ),
        ({"CONVOSTATE_STORE": "memory"}, "another worker does not see them"),
        ({"CONVOSTATE_STORE": "memory"}, "Append #rc=3&rp=5xx to the webhook's URL"),
        (
            {"CONVOSTATE_STORE": "memory", "WEB_CONCURRENCY": "4"},
            "can keep 3 workers or threads busy of your 4; 1 is left for everyone else: 1 runs, 2 wait",
        ),
        (
            {
                "CONVOSTATE_STORE": "memory",
                "CONVOSTATE_MAX_WAITING": "8",
                "GUNICORN_CMD_ARGS": "--workers=2 --threads 4",
            },
            "can keep 9 workers or threads busy of your 8; 0 are left for everyone else",
        ),
        (
            {"CONVOSTATE_STORE": "memory", "GUNICORN_CMD_ARGS": "-w 2 -k gevent"},
            "can keep 3 workers or threads busy: 1 runs, 2 wait",
        ),
        (
            {"CONVOSTATE_STORE": "memory", "CONVOSTATE_MAX_WAITING": "0"},
            "can keep 1 worker or thread busy: 1 runs, 0 wait",
        ),
    ],
)
def test_o9_what_is_worth_knowing_is_a_note_and_no_fault(
    worth_knowing: dict[str, str | None], said: str
) -> None:
    result = doctor(**{"TWILIO_ACCOUNT_SID": f"AC{'2' * 32}"} | worth_knowing)

    assert result.exit_code == 0
    assert said in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("url", "paths", "doubled"),
    [
        ("https://example.com/sms", "/sms", "/sms is checked as https://example.com/sms/sms"),
        ("https://example.com/sms/", "/sms", "/sms is checked as https://example.com/sms/sms"),
        ("https://example.com/bots", "/bots/*", "/bots/* is checked as https://example.com/bots/b"),
        ("https://example.com/bots", "/sms,/botsy", None),
        ("https://example.com", "/sms", None),
    ],
)
def test_a_guarded_path_that_is_in_the_public_url_too_is_worth_a_note(
    url: str, paths: str, doubled: str | None
) -> None:
    result = doctor(CONVOSTATE_PUBLIC_URL=url, CONVOSTATE_PATHS=paths)

    assert result.exit_code == 0
    assert result.stdout.count("note") == (doubled is not None)
    if doubled is not None:
        assert doubled in result.stdout
        assert "→ Set CONVOSTATE_PUBLIC_URL=https://example.com, without /" in result.stdout


def test_a_redis_is_taken_through_a_turn_and_its_eviction_policy_read(redis: Redis) -> None:
    url = f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"
    redis.config_set("maxmemory-policy", "allkeys-lru")
    ill = doctor(CONVOSTATE_STORE=url)
    assert ill.exit_code == 1
    assert "maxmemory-policy is allkeys-lru" in ill.stdout

    redis.config_set("maxmemory-policy", "noeviction")
    before = set(redis.scan_iter("*"))
    well = doctor(CONVOSTATE_STORE=url)
    assert well.exit_code == 0
    assert "the store takes a turn" in well.stdout
    assert set(redis.scan_iter("*")) == before


def test_a_redis_that_is_down_is_a_fault_that_does_not_show_its_url() -> None:
    result = doctor(CONVOSTATE_STORE="redis://:hunter2@127.0.0.1:1/0")

    assert result.exit_code == 1
    assert "cannot be reached\n      → Check that it runs, and its address\n" in result.stdout
    assert "hunter2" not in result.stdout


def test_json_has_an_object_a_finding() -> None:
    result = doctor("--json", CONVOSTATE_LIFETIM="2h")

    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [item["level"] for item in found] == ["fault", "ok", "ok"]
    assert found[0]["advice"] == "Rename it to CONVOSTATE_LIFETIME"


def test_every_setting_has_a_variable_that_doctor_knows() -> None:
    environ = {each.variable for each in SETTINGS}

    assert {"CONVOSTATE_INDEX_KEY", "CONVOSTATE_MAX_BODY_BYTES"} <= environ


@pytest.mark.parametrize("beside", [True, False], ids=["here", "elsewhere"])
def test_e13_a_store_of_your_own_is_found_in_the_working_directory(
    beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "beside"
    folder.mkdir()
    name = f"own_store_{beside}"
    (folder / f"{name}.py").write_text(
        "from convostate.stores import MemoryStore as make\n", encoding="utf-8"
    )
    monkeypatch.chdir(folder if beside else tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])

    result = doctor(CONVOSTATE_STORE=f"{name}:make")

    assert ("the store takes a turn" in result.stdout) is beside
    assert ("names a module that cannot be imported" in result.stdout) is not beside
