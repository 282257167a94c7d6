"""`convostate doctor` takes the turns that texts will take: a right that is missing, it misses."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from convostate import Keyring
from convostate.cli import main
from convostate.cli.store_check import examine_store
from convostate.errors import StoreError
from convostate.settings import Settings
from convostate.stores import MemoryStore, RedisStore
from convostate.stores.aio import InThreads, as_async_store
from convostate.stores.base import Begun
from tests.redis_servers import clients_of, wait_until
from tests.redis_stage import each_server
from tests.test_redis_tls_acl import documented_rights, rights_of_work

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer

RIGHTS = documented_rights()
COMMANDS = [right for right in RIGHTS if right.startswith("+")]
KEYS = Keyring.generate()


server = each_server()


def faults(server: RedisServer, rights: list[str], **environ: str) -> list[dict[str, str]]:
    """What doctor finds at fault with a user of these rights."""
    server.admin.execute_command("ACL", "SETUSER", "app", "reset", "on", ">secret", *rights)
    settings = {
        "TWILIO_AUTH_TOKEN": "the-token",
        "CONVOSTATE_KEYS": KEYS,
        "CONVOSTATE_STORE": f"redis://app:secret@127.0.0.1:{server.port}/2",
    }
    result = CliRunner(env=settings | environ).invoke(main, ["doctor", "--json"])
    found = [json.loads(line) for line in result.stdout.splitlines()]
    wrong = [one for one in found if one["level"] == "fault"]
    assert result.exit_code == bool(wrong)
    return wrong


@pytest.mark.parametrize("most", ["0", "1", "8"])
def test_the_documented_rights_are_enough_for_doctor_and_nothing_is_left(
    server: RedisServer, most: str
) -> None:
    server.admin.flushall()

    assert faults(server, RIGHTS, CONVOSTATE_MAX_WAITING=most) == []
    assert server.admin.info("keyspace") == {}


@pytest.mark.parametrize("missing", COMMANDS)
def test_each_right_that_is_missing_is_a_fault(server: RedisServer, missing: str) -> None:
    assert faults(server, RIGHTS) == []  # from now on the server knows the scripts

    (found,) = faults(server, [right for right in RIGHTS if right != missing])

    assert "does not let its user run a command that is needed" in found["what"]
    assert (
        found["advice"]
        == "Grant the rights that the documentation lists on its page Redis (NOPERM)"
    )


def test_o19_the_product_and_its_eviction_policy_are_known_without_config(
    server: RedisServer,
) -> None:
    server.admin.config_set("maxmemory-policy", "volatile-ttl")
    rights = [*RIGHTS, "+info", "+time", "-config"]

    (evicts,) = faults(server, rights)
    server.admin.config_set("maxmemory-policy", "noeviction")

    assert evicts["what"] == "the server may evict conversations: maxmemory-policy is volatile-ttl"
    assert faults(server, rights) == []
    product = "Valkey" if server.binary.name.startswith("valkey") else "Redis"
    checked = (what for _, what, _ in RedisStore.from_url(server.url).check())
    assert next(checked).startswith(f"the server is {product} ")


@pytest.fixture
def settings() -> Settings:
    return Settings(auth_token="the-token", keys=KEYS, store="memory")


LATER = {"CONVOSTATE_DEFER_PATHS": "/sms"}


def test_the_rights_for_texts_that_are_answered_later_are_enough_and_nothing_is_left(
    server: RedisServer,
) -> None:
    server.admin.flushall()
    assert faults(server, [*RIGHTS, *rights_of_work()], **LATER) == []
    server.admin.select(2)
    assert server.admin.keys("*}[amutxz]") == []
    server.admin.select(0)
    assert "CONVOSTATE_DEFER_PATHS" not in str(faults(server, RIGHTS))


@pytest.mark.parametrize("missing", rights_of_work())
def test_each_right_that_is_missing_for_texts_that_are_answered_later_is_a_fault(
    server: RedisServer, missing: str
) -> None:
    rights = [right for right in rights_of_work() if right != missing]

    (fault,) = faults(server, [*RIGHTS, *rights], **LATER)

    assert fault["what"].startswith("texts cannot be answered later: the Redis in CONVOSTATE_STORE")
    assert fault["advice"].startswith("Grant the rights")


def test_a_server_without_a_log_is_noted_if_texts_are_answered_later(server: RedisServer) -> None:
    settings = Settings(auth_token="the-token", keys=KEYS, store=server.url, defer_paths="/sms")
    plain = RedisStore.from_url(server.url)
    for store in (plain, as_async_store(plain)):
        found = [one.what for one in examine_store(store, settings)]
        assert any("can be answered later" in what for what in found), found
        assert any("texts that wait for an answer are lost" in what for what in found)
    quiet = Settings(auth_token="the-token", keys=KEYS, store=server.url)
    assert not any(
        "later" in one.what or "answer" in one.what for one in examine_store(plain, quiet)
    )


def test_a_turn_waits_for_another_one(settings: Settings) -> None:
    waited = []

    class Watched(MemoryStore):
        def begin(self, *args: Any) -> Any:
            begun = super().begin(*args)
            if threading.current_thread() is not threading.main_thread():
                waited.append(begun)
            return begun

    (found,) = examine_store(Watched(), settings)

    assert found.level == "ok"
    assert [type(begun) for begun in waited] == [Begun]


def test_a_turn_that_is_never_let_in_is_a_fault(settings: Settings) -> None:
    class Stuck(MemoryStore):
        def commit(self, *args: Any) -> Any:
            holder = self._conversations[args[0].claim.name].holder
            headers = super().commit(*args)
            kept = self._conversations[args[0].claim.name]
            if kept.queue:
                kept.holder = holder
            return headers

    (found,) = examine_store(Stuck(wait_s=0.2), settings)

    assert found.level == "fault"
    assert found.what == "the earlier texts of this conversation took too long"


def test_a_reply_that_is_not_recorded_is_a_fault(settings: Settings) -> None:
    class Forgetful(MemoryStore):
        def commit(self, begun: Any, outcome: Any, reply: Any, now: float) -> Any:  # noqa: ARG002
            return super().commit(begun, outcome, None, now)

    (found,) = examine_store(Forgetful(), settings)

    assert (found.level, found.advice) == ("fault", "Check that nothing else deletes its keys")


@pytest.mark.parametrize("call", ["write", "commit", "peek", "queue", "erase"])
def test_each_call_that_fails_is_a_fault(settings: Settings, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("down", "it is down. Start it")

    store = MemoryStore()
    setattr(store, call, fail)
    (found,) = examine_store(store, settings)

    assert (found.level, found.what, found.advice) == ("fault", "it is down", "Start it")


def test_no_connection_stays_open_if_a_right_is_missing(server: RedisServer) -> None:
    before = clients_of(server)  # of other tests, which share the server

    faults(server, [right for right in RIGHTS if right != "+blpop"])

    wait_until(lambda: clients_of(server) <= before, "a server without doctor's connections")


def test_e7_a_store_for_asyncio_takes_the_same_turns(settings: Settings) -> None:
    (found,) = examine_store(as_async_store(MemoryStore()), settings)
    assert found.level == "ok"
    assert found.what.startswith("the store takes a turn")

    class Stuck(InThreads):
        async def peek(self, *_: object) -> bytes | None:
            raise StoreError("down", "it is down. Start it")

    (found,) = examine_store(Stuck(MemoryStore()), settings)
    assert (found.level, found.what, found.advice) == ("fault", "it is down", "Start it")
