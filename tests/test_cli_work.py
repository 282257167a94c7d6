"""`convostate work` and `convostate dead`, as processes and in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from twilio.rest import Client

from convostate import Conversations, Keyring, Settings
from convostate.cli import main
from convostate.replies import ThreadWorkers
from convostate.stores import MemoryStore, RedisStore
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, BOB, KEY, TOKEN, US, settings
from tests.deferring import Deferring, client_for_asyncio
from tests.redis_servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result
    from redis import Redis

ROOT = Path(__file__).parents[1]


@pytest.fixture
def world(redis: Redis) -> Iterator[Deferring]:
    redis.flushall()
    made = Deferring("threads", RedisStore(redis))
    yield made
    made.close()


@pytest.fixture
def environ(redis: Redis) -> dict[str, str]:
    port = redis.connection_pool.connection_kwargs["port"]
    return {
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "CONVOSTATE_KEYS": KEY,
        "CONVOSTATE_STORE": f"redis://127.0.0.1:{port}/0",
        "CONVOSTATE_DEFER_PATHS": "/sms",
    }


@contextmanager
def working(environ: dict[str, str], *options: str) -> Iterator[subprocess.Popen[str]]:
    """A worker, which is killed in the end if it still runs."""
    command = [sys.executable, "-m", "convostate", "work", "tests.apps.later:conversations"]
    with subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "at once" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def sent(redis: Redis) -> list[str]:
    found: list[Any] = redis.lrange("sent", 0, -1)
    return [each.decode() for each in found]


@pytest.mark.parametrize("loop", ["", "1"], ids=["threads", "loop"])
def test_a_worker_answers_and_ends_when_asked(
    world: Deferring, environ: dict[str, str], redis: Redis, loop: str
) -> None:
    with working({**environ, "LATER_LOOP": loop}, "--threads", "2") as worker:
        world.phone().text("hello")
        world.phone(BOB).text("good morning")
        wait_until(lambda: len(sent(redis)) == 2, "two replies")
        world.phone().text("again")
        wait_until(lambda: len(sent(redis)) == 3, "a third one")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0

    assert sorted(sent(redis)) == [f"{ADA} hello", f"{ADA} hello again", f"{BOB} good morning"]
    assert world.phone().state == {"log": ["hello", "again"]}


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["", "1"], ids=["threads", "loop"])
def test_a_second_signal_puts_the_answer_back_and_another_worker_gives_it_at_once(
    world: Deferring, environ: dict[str, str], redis: Redis, loop: str
) -> None:
    environ["LATER_LOOP"] = loop
    redis.set("hang", 1)
    with working(environ) as worker:
        world.phone().text("hang")
        wait_until(lambda: redis.llen("began"), "an answer that runs")
        worker.send_signal(signal.SIGTERM)
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("waits up to 20 s for 1 answer; a second signal")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert world.backlog() == (1, False, 0, 0)
    redis.delete("hang")
    with working(environ):
        wait_until(lambda: sent(redis), "a reply")

    assert sent(redis) == [f"{ADA} hang"]


@pytest.mark.slow
def test_a_worker_that_is_killed_is_succeeded_when_its_lease_has_ended(
    world: Deferring, environ: dict[str, str], redis: Redis
) -> None:
    redis.set("hang", 1)
    with working(environ) as worker:
        world.phone().text("hang")
        wait_until(lambda: redis.llen("began"), "an answer that runs")
        worker.kill()
    redis.delete("hang")
    assert world.backlog() == (1, True, 0, 0)
    (lease,) = redis.keys("*}a")
    assert 0 < redis.pttl(lease) <= 30_000
    redis.delete(lease)  # as time does it
    (hints,) = redis.keys("*}z")
    redis.zadd(hints, dict.fromkeys(redis.zrange(hints, 0, -1), 0))  # type: ignore[type-var]
    with working(environ):
        wait_until(lambda: sent(redis), "a reply")

    assert sent(redis) == [f"{ADA} hang"]
    assert redis.llen("began") == 2


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("tests.apps.later", "is not an object"),
        ("tests.apps.nothing:conversations", "Cannot import"),
        ("tests.deferring:nothing", "There is no nothing"),
        ("tests.deferring:EMPTY", "is not a Conversations object"),
        ("tests.test_cli_work:unanswered", "There is no answer function"),
        ("tests.test_cli_work:in_memory", "Only the app's own process"),
        ("tests.test_cli_work:blocked", "cannot send with an asynchronous client"),
    ],
)
def test_wrong_words_say_what_to_write(
    name: str, match: str, world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.settings
    here = sys.modules[__name__]
    unanswered = Conversations(settings, store=world.conversations.store)
    monkeypatch.setattr(here, "unanswered", unanswered, raising=False)
    in_memory = Conversations(settings, store=MemoryStore())
    monkeypatch.setattr(here, "in_memory", in_memory, raising=False)
    blocked = Conversations(settings, store=world.conversations.store, client=client_for_asyncio())
    blocked.answers(world.answer)
    monkeypatch.setattr(here, "blocked", blocked, raising=False)

    result = CliRunner().invoke(main, ["work", name])

    assert result.exit_code == 2
    assert match in result.stderr


@pytest.mark.parametrize("paths", ["", "/sms"])
def test_a_worker_says_if_no_path_is_deferred(
    paths: str, world: Deferring, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Conversations(
        settings(defer_paths=paths), store=world.conversations.store, client=Client("AC", TOKEN)
    )
    target.answers(world.answer)
    monkeypatch.setattr(sys.modules[__name__], "target", target, raising=False)
    monkeypatch.setattr(ThreadWorkers, "run", lambda _: None)

    result = CliRunner().invoke(main, ["work", "tests.test_cli_work:target"])

    assert "at once" in result.stdout
    said = result.stderr
    assert said.startswith("CONVOSTATE_DEFER_PATHS is not set") if not paths else said == ""


def dead(environ: dict[str, str], *words: str) -> Result:
    return CliRunner(env={**environ}).invoke(main, ["dead", *words])


def test_dead_shows_what_was_given_up_and_puts_it_back(
    world: Deferring, environ: dict[str, str]
) -> None:
    assert dead(environ).output == "nothing is given up\n"
    world.twilio.refuse_sends(63016, times=1)
    world.phone().text("hello")
    world.work()

    shown = dead(environ)
    assert shown.exit_code == 1
    assert f"reply  63016  {US}  {ADA}\n1 given up\n" in shown.output
    assert "hello" not in shown.output
    (letter,) = [json.loads(line) for line in dead(environ, "--json").output.splitlines()]
    assert (letter["what"], letter["reason"], letter["theirs"]) == ("reply", "63016", ADA)

    retried = dead(environ, "--retry")
    assert retried.exit_code == 0
    assert retried.output.endswith("1 put back\n")
    assert dead(environ).exit_code == 0
    world.twilio.clock.advance(minutes=1)  # the command goes by the real time
    assert world.work() == ["hello"]


def test_what_another_key_sealed_is_a_dead_letter_without_a_number_and_blocks_nothing(
    world: Deferring, environ: dict[str, str]
) -> None:
    new = Keyring.generate()
    settings = Settings(
        auth_token=TOKEN, keys=new, index_key=KEY, store="memory", account_sid=ACCOUNT_SID,
        defer_paths="/sms",
    )  # fmt: skip
    stranger = Conversations(settings, store=world.conversations.store, client=lambda _: None)
    stranger.answers(world.answer)
    world.phone().text("hello")
    world.twilio.work(stranger)

    assert f"text  unknown-key  {US}  {ADA}" in dead(environ).output
    assert (
        "text  unknown-key  ?  ?"
        in dead({**environ, "CONVOSTATE_KEYS": new, "CONVOSTATE_INDEX_KEY": KEY}).output
    )
    world.phone().text("again")
    assert world.work() == ["again"]
    dead(environ, "--retry")
    world.twilio.clock.advance(minutes=1)  # the command goes by the real time
    assert world.work() == ["again hello"]


def test_dead_is_refused_without_a_server_side_store(environ: dict[str, str]) -> None:
    for store in ("cookie", "memory"):
        result = dead({**environ, "CONVOSTATE_STORE": store})
        assert result.exit_code == 2
        assert "CONVOSTATE_STORE=redis" in result.stderr
