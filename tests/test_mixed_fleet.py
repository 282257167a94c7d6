"""0.1.0 and this release side by side, as in a rolling deploy and in a rollback of one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.packaged import ROOT, build
from tests.redis_servers import let_time_pass, redis_server, wait_until
from tests.served import ACCOUNT, ADA, KEY, OTHER_KEY, TOKEN, US, signed, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

pytestmark = pytest.mark.slow

RELEASED = "2986e90a3bb007df9a99867106fc7dd1884fa387"  # the commit of 0.1.0
PAIR = {"ours": US, "theirs": ADA}
LEASE_S = 16


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of 0.1.0, out of the wheel that its commit builds."""
    folder = tmp_path_factory.mktemp("released")
    archive = subprocess.run(
        ["git", "archive", RELEASED], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the commit of 0.1.0 is not in this clone: {archive.stderr.decode()}")
    (folder / "source").mkdir()
    subprocess.run(["tar", "-x"], input=archive.stdout, cwd=folder / "source", check=True)
    # A pure wheel is its package, packed.
    shutil.unpack_archive(
        build(folder / "source", folder / "dist").wheel, folder / "package", "zip"
    )
    return folder / "package"


NOT_IMPORTED = {"convostate.session", "convostate.turn.duration"}  # a key of Paste's, and a metric


def is_importable(name: str) -> bool:
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def test_every_name_in_the_readme_of_0_1_0_imports_or_has_a_new_name_in_the_changelog(
    released: Path,
) -> None:
    readme = (released.parent / "source" / "README.md").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    names = set(re.findall(r"\bconvostate(?:\.\w+)+(?::\w+)?", readme)) - NOT_IMPORTED
    for module, imported in re.findall(r"from (convostate[\w.]*) import ([\w, ]+)", readme):
        names |= {f"{module}:{name.strip()}" for name in imported.split(",")}

    assert {"convostate.testing:TwilioSimulator", "convostate.turn_events"} <= names
    assert [name for name in sorted(names) if not is_importable(name)] == ["convostate.turn_events"]
    assert "`convostate.events` instead of `convostate.turn_events`" in changelog


class Server:
    """One process of a release. What it is asked for is in apps/fleet.py."""

    def __init__(self, package: Path, **environ: str) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVERAGE", "CONVOSTATE", "TWILIO"))
        }
        settings = {
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "CONVOSTATE_KEYS": KEY,
            **environ,
        }
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "apps" / "fleet.py"],
            env={**inherited, **settings, "PYTHONPATH": str(package)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, line: object) -> None:
        assert self.process.stdin is not None
        print(json.dumps(line), file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server ended; its error is above"
        return json.loads(line)

    def do(self, action: str, *arguments: object) -> Any:
        self.send([action, arguments])
        return self.answer()

    def send_text(self, body: str = "hello", cookie: str = "", **changes: str) -> None:
        sid = f"SM{os.urandom(16).hex()}"
        sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), sid)
        self.send_webhook(text(body, **{**sids, **changes}), cookie)

    def send_webhook(self, params: dict[str, str], cookie: str = "") -> None:
        environ = signed(params, HTTP_COOKIE=cookie or None)
        content = environ["wsgi.input"].read().decode()
        plain = {name: value for name, value in environ.items() if _is_json(value)}
        self.send(["serve", [plain, content]])

    def text(self, body: str = "hello", cookie: str = "", **changes: str) -> list[Any]:
        """Send a text; the status, the cookie and the body that come back."""
        self.send_text(body, cookie, **changes)
        answer: list[Any] = self.answer()
        return answer

    def call(self, call_sid: str) -> str:
        """Send the webhook of a call from Ada; the body that comes back."""
        self.send_webhook(
            {"AccountSid": ACCOUNT, "CallSid": call_sid, "CallStatus": "in-progress",
             "Direction": "inbound", "From": ADA, "To": US}
        )  # fmt: skip
        return str(self.answer()[2])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def _is_json(value: object) -> bool:
    return isinstance(value, (str, bool, tuple))


class Fleet(NamedTuple):
    """Two servers of different releases, and their Redis if they have one."""

    first: Server
    second: Server
    redis: Redis


@contextmanager
def servers(released: Path, **environ: str) -> Iterator[list[Server]]:
    made = [Server(package, **environ) for package in (released, ROOT)]
    try:
        old, new = (Path(server.do("where")) for server in made)
        assert old == released / "convostate" / "__init__.py"
        assert new == ROOT / "convostate" / "__init__.py"
        yield made
    finally:
        for server in made:
            server.close()


BOTH_WAYS = pytest.mark.parametrize(
    "order", [slice(None), slice(None, None, -1)], ids=["0.1.0 first", "0.1.0 second"]
)


@pytest.fixture(scope="module")
def with_cookies(released: Path) -> Iterator[list[Server]]:
    with servers(released) as made:
        yield made


@pytest.fixture(scope="module")
def on_redis(released: Path, redis: Redis) -> Iterator[list[Server]]:
    url = f"redis://127.0.0.1:{redis.get_connection_kwargs()['port']}/0"
    with servers(released, CONVOSTATE_STORE=url) as made:
        yield made


@pytest.fixture
def fleet(on_redis: list[Server], redis: Redis, order: slice) -> Fleet:
    redis.flushall()
    first, second = on_redis[order]
    return Fleet(first, second, redis)


@BOTH_WAYS
def test_a_cookie_goes_to_and_fro_between_the_releases(
    with_cookies: list[Server], order: slice
) -> None:
    first, second = with_cookies[order]
    cookie = ""
    for number, server in enumerate([first, second, first, second, second, first], start=1):
        status, cookie, answer = server.text(cookie=cookie)
        assert (status, answer) == (200, str(number))

    assert second.text(cookie=f"{cookie[:-1]}{'B' if cookie[-1] == 'A' else 'A'}")[2] == "1"


@BOTH_WAYS
def test_every_type_of_value_is_the_same_in_both_releases(
    with_cookies: list[Server], order: slice
) -> None:
    first, second = with_cookies[order]
    _, cookie, _ = first.text("write")

    here, there = (server.text("read", cookie) for server in (first, second))

    assert there[2] == here[2]
    assert "Decimal('1.10')" in here[2]
    _, cookie, _ = there
    assert first.text("read", cookie)[2] == here[2]


@BOTH_WAYS
def test_keys_rotate_while_both_releases_run(released: Path, order: slice) -> None:
    packages = [released, ROOT][order]
    first = Server(packages[0], CONVOSTATE_KEYS=f"{OTHER_KEY},{KEY}")
    second = Server(packages[1], CONVOSTATE_KEYS=f"{KEY},{OTHER_KEY}")
    third = Server(packages[1], CONVOSTATE_KEYS=KEY)
    try:
        _, cookie, _ = first.text()
        assert second.text(cookie=cookie)[2] == "2"
        assert third.text(cookie=cookie)[2] == "1"  # a server that has not got the new key yet
    finally:
        for server in (first, second, third):
            server.close()


@BOTH_WAYS
def test_a_conversation_on_redis_goes_on_in_the_other_release(fleet: Fleet) -> None:
    answers = [server.text()[2] for server in (*fleet[:2], *fleet[:2], *fleet[1::-1])]

    assert answers == ["1", "2", "3", "4", "5", "6"]


@BOTH_WAYS
def test_a_text_that_twilio_repeats_gets_the_recorded_reply_of_the_other_release(
    fleet: Fleet,
) -> None:
    sid = f"SM{os.urandom(16).hex()}"
    sids = dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), sid)

    assert fleet.first.text(**sids)[2] == "1"
    assert fleet.second.text(**sids)[2] == "1"
    assert fleet.second.text()[2] == "2"  # another text is no repetition
    assert fleet.first.do("peek", PAIR) == "{'n': 2}"


@BOTH_WAYS
def test_a_text_waits_for_the_lease_of_the_other_release(fleet: Fleet) -> None:
    fleet.first.send_text("hold")
    assert fleet.first.answer() == "holding"
    fleet.second.send_text()
    wait_until(
        lambda: [fleet.redis.llen(key) for key in fleet.redis.scan_iter("cs1:*}q")] == [1],
        "a text that waits",
    )
    fleet.first.send("go on")

    assert fleet.first.answer()[2] == "1"
    assert fleet.second.answer()[2] == "2"


@BOTH_WAYS
def test_no_text_is_lost_while_both_releases_answer_at_once(fleet: Fleet) -> None:
    answers = []
    for _ in range(20):
        for server in fleet[:2]:
            server.send_text()
        answers += [server.answer() for server in fleet[:2]]

    assert sorted(int(answer) for status, _, answer in answers if status == 200) == [*range(1, 41)]


@BOTH_WAYS
def test_the_lease_of_a_server_that_was_killed_ends_in_the_other_release(
    released: Path, order: slice
) -> None:
    with redis_server() as redis, servers(released, CONVOSTATE_STORE=redis.url) as made:
        first, second = made[order]
        assert first.text()[2] == "1"
        first.send_text("hold")
        assert first.answer() == "holding"
        first.close()
        let_time_pass(redis.admin, LEASE_S)

        assert second.text()[2] == "2"


@BOTH_WAYS
def test_what_one_release_starts_the_other_goes_on_with(fleet: Fleet) -> None:
    assert fleet.first.do("start", PAIR, 7) == ""
    assert fleet.second.text()[2] == "8"
    assert fleet.second.do("write", PAIR, 20) == "{'n': 20}"
    assert fleet.first.text()[2] == "21"


@BOTH_WAYS
def test_calls_that_share_the_pairs_state_go_on_in_the_other_release(
    released: Path, redis: Redis, order: slice
) -> None:
    url = f"redis://127.0.0.1:{redis.get_connection_kwargs()['port']}/0"
    redis.flushall()
    with servers(released, CONVOSTATE_STORE=url, CONVOSTATE_CALLS="shared") as made:
        first, second = made[order]
        assert first.text()[2] == "1"
        assert second.call(f"CA{1:032x}") == "2"
        assert first.call(f"CA{1:032x}") == "3"
        assert second.call(f"CA{2:032x}") == "4"
        assert first.text()[2] == "5"


@BOTH_WAYS
def test_a_call_of_its_own_and_a_call_of_0_1_0_do_not_disturb_each_other(
    fleet: Fleet, order: slice
) -> None:
    old, new = fleet[:2] if order == slice(None) else fleet[1::-1]
    assert old.text()[2] == "1"
    assert [new.call(f"CA{1:032x}") for _ in range(2)] == ["1", "2"]
    assert old.call(f"CA{1:032x}") == "2"
    assert new.call(f"CA{1:032x}") == "3"
    assert new.text()[2] == "3"


@BOTH_WAYS
def test_a_stop_at_one_release_counts_at_the_other(fleet: Fleet) -> None:
    assert fleet.first.text()[2] == "1"
    assert fleet.first.text("STOP")[0] == 200
    assert fleet.second.do("start", PAIR, 7) == "OptedOutError"
    assert fleet.second.text("START")[0] == 200
    assert fleet.first.do("start", PAIR, 7) == ""


@BOTH_WAYS
def test_what_one_release_ends_or_forgets_is_gone_for_the_other(fleet: Fleet) -> None:
    for action in ("end", "forget"):
        assert fleet.first.text()[2] == "1"
        assert fleet.second.do("peek", PAIR) == "{'n': 1}"
        fleet.second.do(action, PAIR)
        assert fleet.first.do("peek", PAIR) == "None"
    assert fleet.redis.keys("*") == []
