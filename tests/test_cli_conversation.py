"""`convostate show`, `end`, `forget` and `open`: one conversation, from the shell."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from convostate import ConversationMiddleware, Conversations, Keyring, Settings
from convostate.cli import main
from convostate.cli.conversation import NONE
from convostate.demo.counter import app as counter
from convostate.demo.counter import count
from convostate.testing import TwilioSimulator
from tests.documentation import page

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
    conversations = Conversations(settings)
    with conversations.turn(ours=OURS, theirs=THEIRS) as state:
        state["step"] = "confirm"
    conversations.store.close()


def test_show_prints_the_state_that_goes_on(environ: dict[str, str | None]) -> None:
    begin(environ)

    result = run(environ, "show", OURS, THEIRS)
    assert result.exit_code == 0
    assert "step: 'confirm'" in result.stdout
    as_json = run(environ, "show", OURS, THEIRS, "--json")
    assert json.loads(as_json.stdout)["state"] == {"step": "confirm"}


def test_show_is_status_1_if_there_is_no_conversation(environ: dict[str, str | None]) -> None:
    begin(environ)

    other_way_round = run(environ, "show", THEIRS, OURS)
    assert (other_way_round.exit_code, other_way_round.stdout) == (
        1,
        f"{NONE}: there is one with OURS and THEIRS swapped: give the app's own address first\n",
    )


@pytest.mark.parametrize("command", ["end", "forget"])
def test_end_and_forget_leave_nothing_to_show(
    command: str, environ: dict[str, str | None], redis: Redis
) -> None:
    begin(environ)

    assert run(environ, command, THEIRS, OURS).stdout.startswith("no conversation is in progress")
    assert run(environ, "show", OURS, THEIRS).exit_code == 0
    assert run(environ, command, "15550100099", THEIRS).exit_code == 2
    assert run(environ, command, OURS, THEIRS).exit_code == 0
    assert run(environ, "show", OURS, THEIRS).exit_code == 1
    assert redis.dbsize() == 0


OTHER_ACCOUNT = ["--account", "AC" + "1" * 32]


@pytest.mark.parametrize("command", ["end", "forget"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [THEIRS, OURS],
            "there is one with OURS and THEIRS swapped: give the app's own address first",
        ),
        ([OURS, THEIRS, *OTHER_ACCOUNT], "check that OURS is the app's own address, THEIRS the"),
        ([OURS, "+15550100002"], "the account the owner of OURS"),
    ],
)
def test_p14_a_conversation_that_is_not_there_is_status_1_and_what_may_be_wrong(
    command: str, words: list[str], said: str, environ: dict[str, str | None]
) -> None:
    begin(environ)

    missing = run(environ, command, *words)
    assert (missing.exit_code, missing.stderr) == (1, "")
    assert said in missing.stdout
    assert run(environ, command, *words, "--missing-ok").exit_code == 0
    assert run(environ, "show", OURS, THEIRS).exit_code == 0
    assert run(environ, command, OURS, THEIRS).exit_code == 0


@pytest.mark.parametrize("command", ["end", "forget"])
def test_p14_a_text_that_waits_for_its_answer_is_a_conversation_that_is_there(
    command: str, environ: dict[str, str | None]
) -> None:
    settings = Settings.from_environ(
        {name: value or "" for name, value in environ.items()}, defer_paths="/sms"
    )
    conversations = Conversations(settings)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        conversations.answer_later(environ)
        start_response("204 No Content", [])
        return []

    middleware = ConversationMiddleware(app, settings, store=conversations.store)
    phone = TwilioSimulator(middleware, settings.auth_token, account_sid=ACCOUNT).phone(
        THEIRS, texting=OURS
    )
    phone.text("hello")
    assert conversations.backlog(ours=OURS, theirs=THEIRS).texts == 1

    swapped = run(environ, command, THEIRS, OURS)
    assert (swapped.exit_code, "swapped" in swapped.stdout) == (1, True)
    assert run(environ, command, OURS, THEIRS).exit_code == 0
    assert run(environ, command, OURS, THEIRS).exit_code == 1
    assert conversations.backlog(ours=OURS, theirs=THEIRS).texts == 0
    conversations.store.close()


def test_forget_says_whether_there_was_a_conversation(environ: dict[str, str | None]) -> None:
    begin(environ)
    told = [json.loads(run(environ, "forget", OURS, THEIRS, "--json").stdout) for _ in range(2)]

    assert told == [
        {"goes_on": True, "forgotten": True},
        {"goes_on": False, "forgotten": True},
    ]


@pytest.mark.parametrize("command", ["show", "end", "forget"])
def test_a_cookie_cannot_be_reached_from_the_shell(
    command: str, environ: dict[str, str | None]
) -> None:
    result = run({**environ, "CONVOSTATE_STORE": None}, command, OURS, THEIRS)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert "convostate open shows one" in result.stderr
    assert "set CONVOSTATE_STORE=redis://…, for the app too" in result.stderr


@pytest.mark.parametrize("command", ["show", "end", "forget"])
def test_what_another_process_has_in_memory_cannot_be_reached_either(
    command: str, environ: dict[str, str | None]
) -> None:
    result = run({**environ, "CONVOSTATE_STORE": "memory"}, command, OURS, THEIRS)

    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "Set CONVOSTATE_STORE=redis://…, for the app too" in result.stderr


NO_ACCOUNT = (
    "convostate: A conversation belongs to an account. "
    "Set TWILIO_ACCOUNT_SID=AC…, or give --account AC…\n"
)


@pytest.mark.parametrize("command", ["show", "end", "forget"])
@pytest.mark.parametrize("account", [[], ["--account", "A\tC"]])
def test_without_an_account_the_error_names_its_option(
    command: str, account: list[str], environ: dict[str, str | None]
) -> None:
    begin(environ)
    ours = {**environ, "TWILIO_ACCOUNT_SID": None}

    result = run(ours, command, OURS, THEIRS, *account)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", NO_ACCOUNT)
    assert run(ours, command, OURS, THEIRS, "--account", ACCOUNT).exit_code == 0


def test_open_without_an_account_names_the_option_for_it() -> None:
    words = ["open", "token", "--ours", OURS, "--theirs", THEIRS]

    assert CliRunner().invoke(main, words).stderr == NO_ACCOUNT


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["show", " not one", THEIRS], "'OURS'"),
        (["forget", OURS, ""], "'THEIRS'"),
        (["open", "token", "--ours", " not one", "--theirs", THEIRS], "'--ours'"),
        (["open", "token", "--ours", OURS, "--theirs", " not one"], "'--theirs'"),
    ],
)
def test_an_invalid_address_is_named_and_not_shown(words: list[str], named: str) -> None:
    result = CliRunner().invoke(main, words)

    assert (result.exit_code, result.stdout) == (2, "")
    expected = f"convostate: {named} is not an address. Write it in E.164: +1555…\n"
    assert result.stderr == expected


def test_a_conversation_with_the_simulator_is_found_by_its_account(
    environ: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ["TWILIO_ACCOUNT_SID"] = None
    for name, value in environ.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    told = re.search(r"`convostate show (\S+) (\S+) --account (AC\w+)`", page("command-line"))
    assert told is not None

    TwilioSimulator(ConversationMiddleware(count)).phone(told[2], texting=told[1]).text("hi")
    assert (
        "messagecount: 1" in run(environ, "show", *told.groups()[:2], "--account", told[3]).stdout
    )


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
        (OURS, THEIRS, "ei9Vv6UYjGJ5ALWRUsO_dHpRQ7CqBUZm5Qe1pYI4mAk", "unknown-key"),
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


def test_open_says_that_nonsense_is_not_a_token() -> None:
    ends = ["--ours", OURS, "--theirs", THEIRS, "--account", ACCOUNT]
    result = CliRunner().invoke(main, ["open", "not a token", *ends])

    assert (result.exit_code, result.stdout[:24]) == (1, "does not open: malformed")


def test_p9_a_call_is_named_by_its_sid_and_shown_under_its_pair(
    environ: dict[str, str | None],
) -> None:
    sid, other = "CA" + "1" * 32, "CA" + "2" * 32
    conversations = Conversations(Settings.from_environ({k: v for k, v in environ.items() if v}))
    with conversations.turn(ours=OURS, theirs=THEIRS, call_sid=sid) as state:
        state["menu"] = 1
    conversations.store.close()

    shown = run(environ, "show", "--call", sid)
    assert (shown.exit_code, "menu: 1" in shown.stdout) == (0, True)
    pair = run(environ, "show", OURS, THEIRS)
    assert (pair.exit_code, "a call\n" in pair.stdout, "menu: 1" in pair.stdout) == (0, True, True)
    assert run(environ, "show", "--call", other).exit_code == 1
    assert "no call with that SID" in run(environ, "show", "--call", other).stdout

    assert run(environ, "forget", OURS, THEIRS).exit_code == 0
    assert run(environ, "show", "--call", sid).exit_code == 1
    nothing = run(environ, "show")
    assert (nothing.exit_code, "--call" in nothing.stderr) == (2, True)
    assert run(environ, "show", OURS, "--call", sid).exit_code == 2
