"""A canary for the command line and for conversations that the app starts: no secret in what they say."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from convostate import (
    ConversationExistsError,
    Conversations,
    ConvostateError,
    OptedOutError,
    Settings,
)
from convostate.cli import main
from convostate.settings import SETTINGS
from convostate.stores import MemoryStore
from convostate.testing import TwilioSimulator
from convostate.twilio.signature import sign
from tests.served import ACCOUNT, ADA, KEY, OTHER_KEY, URL, US, settings
from tests.test_canary import (
    BODY,
    OTHER_TOKEN,
    SECRETS,
    SHARED,
    STATE_KEY_VALUE,
    TOKEN,
    Broken,
    said_by,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result
    from redis import Redis

pytestmark = pytest.mark.unmeasured
PASSWORD = "zaffrepassword"
SOUND = {
    "TWILIO_AUTH_TOKEN": TOKEN,
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "CONVOSTATE_AUTH_TOKENS": OTHER_TOKEN,
    "CONVOSTATE_SHARED_KEYS": f"k1={SHARED}",
    "CONVOSTATE_KEYS": KEY,
    "CONVOSTATE_STORE": f"redis://:{PASSWORD}@127.0.0.1:1/0",
}
VARIABLES = [each.variable for each in SETTINGS]
WRONG = {
    "a word": "zaffre", "a token": TOKEN, "two": f"{TOKEN},{TOKEN}", "named": f"zaffre={TOKEN},zaffre", "nothing named": f"={TOKEN},AC={TOKEN}",
    "a key": KEY, "a key twice": f"{KEY},{KEY}", "half a key": KEY[:20], "a URL": f"https://zaffre:{PASSWORD}@example.com/?zaffre",
    "a store": f"redis://zaffre:{PASSWORD}@example.com:zaffre/zaffre", "another store": f"zaffre://:{PASSWORD}@example.com",
    "options": f"redis://:{PASSWORD}@127.0.0.1:1/0?zaffre={PASSWORD}", "Sentinels": f"redis+sentinel://:{PASSWORD}@127.0.0.1:1?sentinel_password={PASSWORD}",
    "a Cluster": f"redis+cluster://:{PASSWORD}@127.0.0.1:1/zaffre", "a socket": f"unix://:{PASSWORD}@/zaffre/none?db=zaffre", "blanks": f" {TOKEN} x",
}  # fmt: skip
SIGNATURE = sign(URL, [("Body", BODY)], OTHER_TOKEN[:-1])
COMMANDS = [
    ["doctor"], ["doctor", "--json"], ["doctor", "convostate.demo.counter:app"], ["show", US, ADA], ["show", "--json", US, ADA],
    ["end", US, ADA], ["forget", US, ADA], ["show", f"{US} {BODY}", ADA], ["show", f"{US} {BODY} ", ADA], ["open", f"convostate={BODY}", "--ours", US, "--theirs", ADA],
    ["open", KEY, "--ours", US, "--theirs", ADA, "--json"], ["sign", f"{URL}?{BODY}", "--shared-key", TOKEN],
    ["explain", f"{URL}?Body=zaffre", SIGNATURE, f"Body={BODY}", f"From={ADA}"], ["explain", "--json", URL, SHARED, f"From={ADA}"],
    ["chat", "nowhere:app", "hi"],
]  # fmt: skip


def said(result: Result) -> str:
    """All that a command has written, and what a traceback of it would show."""
    error = result.exception
    trace = "" if error is None or isinstance(error, SystemExit) else repr(error)
    return result.stdout + result.stderr + trace


def found(text: str, *typed: str) -> list[str]:
    """The secrets in a text, but for what the user has typed right there."""
    for word in typed:
        text = text.replace(word, "")
    return [secret for secret in [*SECRETS, PASSWORD] if secret in text]


def run(words: list[str], **environ: str | None) -> Result:
    return CliRunner(env={**SOUND, **environ}).invoke(main, words)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_p1_no_command_shows_a_secret_when_redis_is_away(words: list[str]) -> None:
    assert found(said(run(words)), BODY) == []


@pytest.mark.parametrize("variable", VARIABLES)
def test_p1_no_command_shows_what_stands_in_a_wrong_variable(variable: str) -> None:
    """Each value goes to one of the commands: they read the variables by the same function."""
    commands = cycle([["doctor"], ["doctor", "--json"], ["show", US, ADA]])
    for wrong, words in zip(WRONG.values(), commands, strict=False):
        assert found(said(run(words, **{variable: wrong}))) == [], (wrong, words)


@pytest.fixture
def alive(redis: Redis) -> dict[str, str]:
    """The variables of an installation in whose Redis one conversation goes on."""
    redis.flushall()
    port = redis.connection_pool.connection_kwargs["port"]
    environ = {**SOUND, "CONVOSTATE_STORE": f"redis://127.0.0.1:{port}/0"}
    with Conversations(Settings.from_environ(environ)).turn(ours=US, theirs=ADA) as state:
        state.update(STATE_KEY_VALUE)
    return environ


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("fault", ["garbage", "another key", "another type", "password", "none"])
def test_p1_no_command_shows_a_secret_whatever_redis_holds(
    words: list[str], fault: str, alive: dict[str, str], redis: Redis
) -> None:
    [name] = redis.keys("cs1:*}")
    if fault == "garbage":
        redis.set(name, BODY, ex=60)
    elif fault == "another type":
        redis.delete(name)
        redis.rpush(name, BODY)
    elif fault == "another key":
        alive |= {"CONVOSTATE_KEYS": OTHER_KEY, "CONVOSTATE_INDEX_KEY": KEY}
    elif fault == "password":
        alive["CONVOSTATE_STORE"] = alive["CONVOSTATE_STORE"].replace("//", f"//:{PASSWORD}@")
    shown = said(CliRunner(env=alive).invoke(main, words))

    typed = [BODY]
    if fault == "none" and words[0] == "show":  # which is there to show it
        typed += ["zaffre value"]
    assert found(shown, *typed) == []


def test_the_command_that_shows_a_state_does_show_it(alive: dict[str, str]) -> None:
    assert "zaffre value" in CliRunner(env=alive).invoke(main, ["show", US, ADA]).stdout


def installation(store: Any) -> tuple[Conversations, Any]:
    conversations = Conversations(
        settings(auth_token=TOKEN, account_sid=ACCOUNT, store="memory"), store=store
    )
    return conversations, TwilioSimulator(lambda *_: [], TOKEN).rest_client()


def start(conversations: Conversations, client: Any, **changes: Any) -> None:
    message = {
        "to": ADA,
        "from_": US,
        "body": BODY,
        "state": STATE_KEY_VALUE,
        "account_sid": ACCOUNT,
    }
    conversations.start(client, **{**message, **changes})  # fmt: skip


def turn(conversations: Conversations, value: object = BODY) -> None:
    with conversations.turn(ours=US, theirs=ADA) as state:
        state["step"] = value


def turn_in_a_turn(conversations: Conversations, _client: Any) -> None:
    with conversations.turn(ours=US, theirs=ADA):
        turn(conversations)


def start_again(conversations: Conversations, client: Any) -> None:
    turn(conversations)
    start(conversations, client, if_exists="refuse")


FAILING: dict[str, Callable[[Conversations, Any], object]] = {
    "a value that cannot be kept": lambda mine, _: turn(mine, {BODY, object()}),
    "a turn in a turn": turn_in_a_turn,
    "an address with a blank at its end": lambda mine, _: mine.peek(ours=f"{US} {BODY} ", theirs=ADA),
    "an address of two lines": lambda mine, _: mine.peek(ours=f"{US}\n{BODY}", theirs=ADA),
    "an empty address": lambda mine, _: mine.end(ours=US, theirs=""),
    "a sender in a service": lambda mine, client: start(mine, client, from_=None, messaging_service_sid=f"MG{BODY}"),
    "another choice": lambda mine, client: start(mine, client, if_exists=BODY),
    "one that goes on": start_again,
    "a lifetime": lambda mine, client: start(mine, client, lifetime=BODY),
    "a state that cannot be kept": lambda mine, client: start(mine, client, state={"step": [BODY, object()]}),
}  # fmt: skip


@pytest.mark.parametrize("fails", FAILING.values(), ids=FAILING)
def test_p1_no_error_of_a_conversation_shows_a_secret(
    fails: Callable[[Conversations, Any], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "convostate")
    conversations, client = installation(MemoryStore())
    with pytest.raises((ConvostateError, TypeError)) as caught:
        fails(conversations, client)

    shown = "\n".join([*said_by(caught.value), repr(conversations), caplog.text])
    assert found(without_source(shown)) == []


@pytest.mark.parametrize("step", ["begin", "commit"])
@pytest.mark.parametrize("reason", ["down", "busy", "lost"])
def test_p1_no_error_of_a_store_shows_a_secret(
    step: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "convostate")
    shown: list[str] = []
    for does in (lambda mine, _: turn(mine), start):
        conversations, client = installation(Broken(step, reason))
        try:
            does(conversations, client)
        except ConvostateError as error:
            shown += said_by(error)
    assert shown
    assert found(without_source("\n".join(shown)) + caplog.text) == []


def without_source(trace: str) -> str:
    """A traceback without the lines of this file, which spell the canary."""
    return "\n".join(line for line in trace.splitlines() if not line.startswith("    "))


class Stopped(MemoryStore):
    """A store that knows of a STOP of everybody."""

    def begin(self, *args: Any) -> Any:
        begun: Any = super().begin(*args)
        return begun._replace(opted_out=True)


@pytest.mark.parametrize("error", [OptedOutError, ConversationExistsError])
def test_p1_an_error_of_start_shows_no_number(
    error: type[ConvostateError], caplog: pytest.LogCaptureFixture
) -> None:
    conversations, client = installation(Stopped() if error is OptedOutError else MemoryStore())
    turn(conversations)
    with pytest.raises(error) as caught:
        start(conversations, client, if_exists="refuse")

    assert found(without_source("\n".join(said_by(caught.value))) + caplog.text) == []
