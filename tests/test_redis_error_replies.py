"""What a Redis refuses, as StoreErrors that say what to do: F10 to F14."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
from redis import Redis, exceptions

from convostate.stores import RedisStore
from convostate.stores.base import Keep
from convostate.stores.redis import aio
from convostate.stores.redis.errors import code_of
from tests.conversing import ADA, US, World
from tests.drivers import each_driver
from tests.redis_servers import redis_server, wait_until
from tests.redis_stage import BASE, add_one, begin, claim, each_server, name_of, refused, token
from tests.toxics import proxied

if TYPE_CHECKING:
    from tests.redis_servers import RedisServer


_driver = each_driver()


server = each_server("function")


@pytest.fixture
def store(server: RedisServer) -> RedisStore:
    store = RedisStore.from_url(server.url)
    assert add_one(store) == 1
    return store


def assert_says(store: RedisStore, words: str) -> None:
    """Check that a turn is refused in these words, naming the setting and no value."""
    with refused() as caught:
        add_one(store)
    message = str(caught[0])
    assert words in message
    assert "CONVOSTATE_STORE" in message
    assert BASE not in message
    assert "secret" not in message


def test_f10_a_replica_is_distinguished_from_a_master(
    server: RedisServer, store: RedisStore
) -> None:
    with redis_server() as other:
        server.admin.replicaof("127.0.0.1", other.port)
        assert_says(store, "is a replica")
        server.admin.replicaof("NO", "ONE")
        wait_until(lambda: add_one(store), "a master that takes writes again")


def test_f10_an_empty_replica_does_not_say_that_a_lease_is_lost(
    server: RedisServer, store: RedisStore
) -> None:
    held = begin(store)
    with redis_server("--repl-diskless-sync-delay", "0") as other:
        server.admin.replicaof("127.0.0.1", other.port)
        wait_until(lambda: server.admin.dbsize() == 0, "a replica that has heard of nothing")
        with refused("down"):
            store.write(held, token(2), 60, 0)
        with refused("down"):
            store.commit(held, Keep(token(2), 60), None, 0)


def test_f10_a_replica_without_its_master_is_named(server: RedisServer, store: RedisStore) -> None:
    server.admin.config_set("replica-serve-stale-data", "no")
    with redis_server() as other:
        server.admin.replicaof("127.0.0.1", other.port + 1)
    wait_until(lambda: server.admin.info("replication")["role"] == "slave")
    assert_says(store, "is a replica")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("LOADING Redis is loading the dataset in memory", "loading its data"),
        ("CLUSTERDOWN The cluster is down", "does not cover all slots"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "slot"),
        ("MISCONF Errors writing to the AOF file", "save to disk"),
        ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        ("MASTERDOWN Link with MASTER is down", "without its master"),
        ("NOAUTH Authentication required.", "asks for a password"),
        ("WRONGPASS invalid username-password pair", "user name or the password"),
        ("NOPERM this user has no permissions to run secret", "its user run a command"),
        ("ERR unknown command `EVALSHA`, with args beginning with: `secret`", "redis+sentinel"),
        ("ERR unknown command 'evalsha', with args beginning with: 'secret'", "Redis 6.2"),
        (
            "ERR unknown command 'eval', with args beginning with: 'secret'",
            "without rename-command",
        ),
        (
            "ERR unknown command 'blpop', with args beginning with: 'secret'",
            "without rename-command",
        ),
        ("ERR something secret", "answered with an error"),
        ("WHATEVER something secret", "answered with an error"),
    ],
)
def test_f10_an_error_reply_is_down_and_says_what_to_do(
    reply: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "TIMEOUT_S", 10.0)  # not the subject, and a busy machine may need it
    with redis_server() as server, proxied(server.port) as proxy:
        proxy.answer = f"-{reply}\r\n".encode()
        assert_says(RedisStore.from_url(proxy.url), words)


def test_f12_a_server_busy_with_a_script_is_down(server: RedisServer, store: RedisStore) -> None:
    server.admin.config_set("lua-time-limit", "1")
    endless = threading.Thread(target=run_endless_script, args=(server,))
    endless.start()
    wait_until(lambda: is_busy(store), "a server that says BUSY")
    assert_says(store, "a script that does not end")
    server.admin.script_kill()
    endless.join(10)
    assert add_one(store) == 2


def run_endless_script(server: RedisServer) -> None:
    client = Redis(port=server.port, protocol=2, socket_timeout=30)
    with client, contextlib.suppress(Exception):
        client.eval("while true do end", 0)


def is_busy(store: RedisStore) -> bool:
    try:
        store.peek(claim(), 0)
    except Exception as error:  # noqa: BLE001  # any, until it is the one
        return "script" in str(error)
    return False


@pytest.mark.parametrize("key", ["", "q"])
def test_f13_a_key_of_another_type_is_down_and_left_alone(
    server: RedisServer, store: RedisStore, key: str
) -> None:
    server.admin.delete(BASE)
    server.admin.hset(f"{BASE}{key}", "field", "value")
    assert_says(store, "another type")
    with refused():
        begin(store)  # before the app runs
    assert server.admin.hgetall(f"{BASE}{key}") == {b"field": b"value"}


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b'{"log": ["forged"]}', bytes(33), b"\x01" * 113, b"\x80\x04K\x01." * 40],
    ids=["empty", "short", "json", "zeros", "unknown key", "pickle"],
)
def test_f13_garbage_under_our_key_is_never_served(server: RedisServer, value: bytes) -> None:
    world = World(RedisStore.from_url(server.url))
    world.phone.text("before")
    server.admin.set(f"cs1:{{{name_of(world)}}}", value, px=60_000)

    reply = world.phone.text("after")
    assert reply.status == 200
    assert reply.state is not None
    assert reply.state.lost is not None  # type: ignore[attr-defined]  # a State
    assert reply.state == {"log": ["after"]}


def test_f13_the_state_of_another_conversation_does_not_open(server: RedisServer) -> None:
    world = World(RedisStore.from_url(server.url))
    world.phone.text("mine")
    other = world.simulator.phone("+15550100002", texting=US)
    other.text("theirs")
    mine = f"cs1:{{{name_of(world)}}}"
    (theirs,) = (key for key in server.admin.keys("cs1:*}") if key != mine.encode())
    moved = server.admin.get(theirs)
    assert moved is not None
    server.admin.set(mine, moved, px=60_000)

    reply = world.phone.text("again")
    assert reply.state == {"log": ["again"]}
    assert reply.state.lost.reason == "forged"  # type: ignore[attr-defined]  # a State


def test_f13_a_recorded_reply_of_another_request_is_not_served(server: RedisServer) -> None:
    world = World(RedisStore.from_url(server.url))
    world.phone.text("first")
    newest = f"cs1:{{{name_of(world)}}}r"
    record = server.admin.get(newest)
    assert isinstance(record, bytes)
    server.admin.set(newest, record[:-1] + bytes([record[-1] ^ 1]), px=60_000)

    assert world.phone.resend().status == 503
    assert world.conversations.peek(ours=US, theirs=ADA) == {"log": ["first"]}


def test_f14_wrong_missing_and_unwanted_passwords_are_distinguished() -> None:
    with redis_server("--requirepass", "ri%41ght") as server:
        address = f"127.0.0.1:{server.port}"
        assert_says(RedisStore.from_url(f"redis://:secret@{address}/0"), "refuses the user name")
        assert_says(RedisStore.from_url(f"redis://who:ri%2541ght@{address}/0"), "refuses the user")
        for database in (0, 1):
            missing = RedisStore.from_url(f"redis://{address}/{database}")
            assert_says(missing, "asks for a password. Write it into the URL: redis://:password@")
        assert_says(RedisStore.from_url(f"redis+cluster://{address}"), "asks for a password")
        assert add_one(RedisStore.from_url(f"redis://:ri%2541ght@{address}/0")) == 1


def test_f14_the_error_of_a_password_that_is_not_percent_encoded_says_how() -> None:
    with redis_server("--requirepass", "ri%41ght") as server:
        store = RedisStore.from_url(f"redis://:ri%41ght@127.0.0.1:{server.port}/0")
        assert_says(store, "percent-encode everything but letters and digits (% is %25)")


def test_f14_a_password_for_a_server_without_one_is_named(server: RedisServer) -> None:
    store = RedisStore.from_url(f"redis://:secret@127.0.0.1:{server.port}/0")
    assert_says(store, "has no password. Leave it out of the URL")


def test_f14_a_database_that_is_not_there_is_named(server: RedisServer) -> None:
    address = f"redis://127.0.0.1:{server.port}"
    assert_says(RedisStore.from_url(f"{address}/16"), "has no database of that number")
    assert add_one(RedisStore.from_url(f"{address}/15")) == 1


def test_f14_a_single_server_is_neither_a_cluster_nor_a_sentinel(server: RedisServer) -> None:
    address = f"127.0.0.1:{server.port}"
    assert_says(RedisStore.from_url(f"redis+cluster://{address}"), "does not answer as a cluster")
    assert_says(RedisStore.from_url(f"redis+sentinel://{address}/service"), "is not a Sentinel")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:1/0", "cannot be reached. Check that it runs, and its address"),
        ("redis+cluster://127.0.0.1:1", "cannot be reached. Check that it runs, and its address"),
        ("redis://nowhere.invalid/0", "cannot be reached. Check that it runs, and its address"),
        ("unix:///nowhere/redis.sock", "a file does not exist or cannot be used. Check the socket"),
    ],
)
def test_f14_a_server_that_is_not_there_is_distinguished_from_one_that_hangs_up(
    url: str, words: str
) -> None:
    assert_says(RedisStore.from_url(url), words)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(exceptions.AuthenticationError, "WRONGPASS"), (exceptions.ConnectionError, "file")],
)
def test_f14_what_a_caller_was_dealing_with_is_not_taken_for_what_a_connection_wrapped(
    kind: type[exceptions.ConnectionError], code: str
) -> None:
    error = kind()
    error.__context__ = FileNotFoundError()
    assert code_of(error) == code


@pytest.mark.parametrize("command", ["set", "getrange", "evalsha"])
def test_f14_a_command_that_is_not_allowed_is_named(server: RedisServer, command: str) -> None:
    server.admin.acl_setuser(
        "app", enabled=True, passwords=["+secret"], categories=["+@all"], keys=["*"],
        commands=[f"-{command}"],
    )  # fmt: skip
    assert_says(
        RedisStore.from_url(f"redis://app:secret@127.0.0.1:{server.port}/0"),
        "the documentation lists",
    )


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)  # a loop's turn holds none
def test_f14_too_many_clients_is_named(server: RedisServer, store: RedisStore) -> None:
    server.admin.config_set("maxclients", "1")
    # Its idle connection is older than the limit; a new one is refused.
    held = begin(store)
    assert_says(store, "maxclients")
    store.abort(held)
    assert add_one(store) == 2


@pytest.mark.parametrize("_driver", ["threads"], indirect=True)  # a loop's turn holds none
def test_f14_more_turns_than_the_client_may_have_connections_is_named(server: RedisServer) -> None:
    store = RedisStore(Redis(port=server.port, max_connections=1))
    held = begin(store)
    assert_says(store, "max_connections")
    store.abort(held)
    assert add_one(store) == 1
