"""`convostate show`, `end`, `forget` and `open`: one conversation, from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from convostate import Conversations, Keyring, Settings
from convostate.cli import main
from convostate.demo.counter import app as counter
from convostate.testing import TwilioSimulator

if TYPE_CHECKING:
    from click.testing import Result
    from redis import Redis

OURS, THEIRS = "+15550100099", "+15550100001"
ACCOUNT = "AC" + "0" * 32


@pytest.fixture
def environ(redis: Redis) -> dict[str, str | None]:
    redis.flushall()
    return {
        "TWILIO_AUTH_TOKEN": "the-token",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "CONVOSTATE_KEYS": Keyring.generate(),
        "CONVOSTATE_STORE": f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0",
    }


def run(environ: dict[str, str | None], *words: str) -> Result:
    return CliRunner(env=environ).invoke(main, list(words))


def begin(environ: dict[str, str | None]) -> None:
    settings = Settings.from_environ({name: value or "" for name, value in environ.items()})
    with Conversations(settings).turn(ours=OURS, theirs=THEIRS) as state:
        state["step"] = "confirm"


def test_show_prints_the_state_that_goes_on(environ: dict[str, str | None]) -> None:
    begin(environ)

    result = run(environ, "show", OURS, THEIRS)
    assert result.exit_code == 0
    assert "step: 'confirm'" in result.stdout
    as_json = run(environ, "show", OURS, THEIRS, "--json")
    assert json.loads(as_json.stdout)["state"] == {"step": "confirm"}


def test_show_is_status_1_where_no_conversation_goes_on(environ: dict[str, str | None]) -> None:
    begin(environ)

    other_way_round = run(environ, "show", THEIRS, OURS)
    assert (other_way_round.exit_code, other_way_round.stdout) == (
        1,
        "no conversation goes on between these two, on this account\n",
    )


@pytest.mark.parametrize("command", ["end", "forget"])
def test_end_and_forget_leave_nothing_to_show(
    command: str, environ: dict[str, str | None], redis: Redis
) -> None:
    begin(environ)

    assert run(environ, command, THEIRS, OURS).stdout.startswith("no conversation goes on")
    assert run(environ, "show", OURS, THEIRS).exit_code == 0
    assert run(environ, command, "15550100099", THEIRS).exit_code == 2
    assert run(environ, command, OURS, THEIRS).exit_code == 0
    assert run(environ, "show", OURS, THEIRS).exit_code == 1
    assert redis.dbsize() == 0


@pytest.mark.parametrize("command", ["show", "end", "forget"])
def test_a_cookie_cannot_be_reached_from_the_shell(
    command: str, environ: dict[str, str | None]
) -> None:
    result = run({**environ, "CONVOSTATE_STORE": None}, command, OURS, THEIRS)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "CONVOSTATE_STORE=redis://" in result.stderr


def cookie_of_a_turn() -> str:
    phone = TwilioSimulator(counter, account_sid=ACCOUNT).phone(THEIRS, texting=OURS)
    header: str = phone.text("hi").headers["Set-Cookie"]
    return header


def test_open_prints_what_a_cookie_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT)
    cookie = cookie_of_a_turn()
    ends = ["--ours", OURS, "--theirs", THEIRS]

    for spelling in (cookie, cookie.partition(";")[0].partition("=")[2]):
        result = CliRunner().invoke(main, ["open", spelling, *ends, "--json"])
        assert result.exit_code == 0
        assert list(json.loads(result.stdout)["state"].values()) == [1]


@pytest.mark.parametrize(
    ("ours", "theirs", "keys", "reason"),
    [
        (OURS, THEIRS, Keyring.generate(), "unknown-key"),
        (THEIRS, OURS, None, "forged"),
        (OURS, "+15550100002", None, "forged"),
    ],
)
def test_open_says_why_a_cookie_does_not_open(
    ours: str, theirs: str, keys: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", ACCOUNT)
    cookie = cookie_of_a_turn()
    if keys is not None:
        monkeypatch.setenv("CONVOSTATE_KEYS", keys)

    result = CliRunner().invoke(main, ["open", cookie, "--ours", ours, "--theirs", theirs])
    assert result.exit_code == 1
    assert result.stdout.startswith(f"does not open: {reason}")


def test_open_says_that_nonsense_is_no_token() -> None:
    ends = ["--ours", OURS, "--theirs", THEIRS, "--account", ACCOUNT]
    result = CliRunner().invoke(main, ["open", "not a token", *ends])

    assert (result.exit_code, result.stdout[:24]) == (1, "does not open: malformed")
