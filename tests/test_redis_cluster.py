"""A Redis Cluster of three masters: F10, one slot a conversation, a slot that moves in mid-turn."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor, TimeoutError  # noqa: A004  # the same since 3.11
from functools import partial
from typing import TYPE_CHECKING

import pytest
from redis import RedisCluster

from convostate.errors import StoreError
from convostate.stores import RedisStore
from convostate.stores.base import Keep
from tests.conversing import World
from tests.drivers import each_driver
from tests.redis_servers import RedisServer, clients_of, redis_server, wait_until
from tests.redis_stage import BASE, add_one, begin, claim, count_in, log_of, refused, token

if TYPE_CHECKING:
    from collections.abc import Iterator


_driver = each_driver()


SLOTS = 16_384


@contextlib.contextmanager
def cluster() -> Iterator[list[RedisServer]]:
    """Three masters with a third of the slots each."""
    masters = [
        RedisServer("--cluster-enabled", "yes", "--cluster-node-timeout", "1000") for _ in range(3)
    ]
    try:
        for index, master in enumerate(masters):
            master.start()
            slots = range(index * SLOTS // 3, (index + 1) * SLOTS // 3)
            master.admin.execute_command("CLUSTER", "ADDSLOTS", *slots)
            master.admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for master in masters[1:]:
            master.admin.execute_command("CLUSTER", "MEET", "127.0.0.1", masters[0].port)
        for master in masters:
            wait_until(partial(is_whole, master), "a cluster of three")
        yield masters
    finally:
        for master in masters:
            master.close()


def is_whole(master: RedisServer) -> bool:
    info = master.admin.execute_command("CLUSTER", "INFO")
    return "cluster_state:ok" in str(info) and "cluster_known_nodes:3" in str(info)


@pytest.fixture(scope="module")
def masters() -> Iterator[list[RedisServer]]:
    with cluster() as masters:
        yield masters


@pytest.fixture
def url(masters: list[RedisServer]) -> str:
    for master in masters:
        master.admin.flushall()
    hosts = ",".join(f"127.0.0.1:{master.port}" for master in masters[:2])
    return f"redis+cluster://{hosts}"


def test_conversations_are_spread_and_each_is_whole_at_one_master(
    url: str, masters: list[RedisServer]
) -> None:
    store = RedisStore.from_url(url)
    names = [f"conversation{number}".ljust(22, "-") for number in range(30)]
    for name in names:
        assert [add_one(store, "a", name), add_one(store, "b", name), add_one(store, "a", name)] == [
            1, 2, None,
        ]  # fmt: skip
        store.erase(claim(name=name), replies=False)

    assert all(master.admin.dbsize() for master in masters)
    for name in names:
        store.erase(claim(name=name), replies=True)
    assert [master.admin.dbsize() for master in masters] == [0, 0, 0]


def test_close_frees_the_connections_to_every_master(masters: list[RedisServer], url: str) -> None:
    before = clients_of(*masters)
    store = RedisStore.from_url(url)
    for number in range(30):
        add_one(store, name=f"closed{number}".ljust(22, "-"))
    made = clients_of(*masters) - before
    assert {port for port, _ in made} == {master.port for master in masters}

    store.close()
    wait_until(lambda: not made & clients_of(*masters), "the end of its connections")


@pytest.mark.usefixtures("url")
def test_the_callers_own_cluster_client_is_taken(masters: list[RedisServer]) -> None:
    with contextlib.closing(RedisCluster("127.0.0.1", masters[0].port)) as client:
        store = RedisStore(client)
        name = "own".ljust(22, "-")
        assert [add_one(store, name=name), add_one(store, name=name)] == [1, 2]


@pytest.mark.usefixtures("url")
def test_o18_the_url_of_one_node_is_answered_with_the_right_one(
    masters: list[RedisServer],
) -> None:
    store = RedisStore.from_url(masters[0].url)

    def answered(number: int) -> object:
        try:
            return add_one(store, name=f"{number}".ljust(22, "-"))
        except StoreError as error:
            return str(error).rpartition(". ")[2]

    advice = "Set CONVOSTATE_STORE=redis+cluster://host:6379"
    assert {answered(number) for number in range(20)} == {1, advice}


def test_o18_doctor_faults_the_url_of_one_node_and_not_that_of_the_cluster(
    url: str, masters: list[RedisServer]
) -> None:
    def advices(store: RedisStore) -> list[str]:
        return [advice for level, _, advice in store.check() if level != "ok"]

    advice = "Set CONVOSTATE_STORE=redis+cluster://host:6379"
    for master in masters:
        assert advices(RedisStore.from_url(master.url)) == [advice]
    assert advices(RedisStore.from_url(url)) == []


def test_texts_are_answered_through_the_middleware(url: str) -> None:
    world = World(RedisStore.from_url(url))
    for body in "abc":
        assert world.phone.text(body, deliveries=2).status == 200
    assert log_of(world) == ["a", "b", "c"]


def owner_of(masters: list[RedisServer], slot: int) -> RedisServer:
    """The master of a slot."""
    return next(master for master in masters if str(slot_range(master, slot)) == str(master.port))


def slot_range(master: RedisServer, slot: int) -> int:
    slots = master.admin.execute_command("CLUSTER SLOTS")
    for first, last, node, *_ in slots:
        if first <= slot <= last:
            port: int = node[1]
            return port
    return 0


def node_id(master: RedisServer) -> str:
    found = master.admin.execute_command("CLUSTER", "MYID")
    return found.decode() if isinstance(found, bytes) else str(found)


def test_f10_a_slot_that_moves_in_mid_turn_takes_the_turn_along(
    url: str, masters: list[RedisServer]
) -> None:
    store = RedisStore.from_url(url)
    assert add_one(store) == 1
    held = begin(store)
    slot = masters[0].admin.execute_command("CLUSTER", "KEYSLOT", BASE)
    source = owner_of(masters, slot)
    target = next(master for master in masters if master is not source)

    target.admin.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
    source.admin.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
    keys = source.admin.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
    source.admin.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
    assert count_in(store.peek(claim(), 0)) == 1  # an ASK
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(store.commit, held, Keep(token(2), 3600), None, 0)  # a TRYAGAIN
        with pytest.raises(TimeoutError):
            committed.result(0.2)
        for master in (target, source):
            master.admin.execute_command("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))
        committed.result(60)  # a MOVED
    assert add_one(store) == 3


def test_f10_a_slot_that_does_not_arrive_is_down(url: str, masters: list[RedisServer]) -> None:
    store = RedisStore.from_url(url)
    name = "on its way".ljust(22, "-")
    slot = masters[0].admin.execute_command("CLUSTER", "KEYSLOT", f"cs1:{{{name}}}")
    source = owner_of(masters, slot)
    target = next(master for master in masters if master is not source)
    assert add_one(store, name=name) == 1
    source.admin.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
    with refused() as caught:
        add_one(store, name=name)
    assert "moving the conversation's slot" in str(caught[0])
    source.admin.execute_command("CLUSTER", "SETSLOT", slot, "STABLE")
    assert add_one(store, name=name) == 2


def test_f10_a_master_that_dies_takes_its_conversations_down_and_no_others() -> None:
    with cluster() as masters:
        for master in masters:
            master.admin.config_set("cluster-require-full-coverage", "no")
        hosts = ",".join(f"127.0.0.1:{master.port}" for master in masters)
        store = RedisStore.from_url(f"redis+cluster://{hosts}")
        slot = masters[0].admin.execute_command("CLUSTER", "KEYSLOT", BASE)
        assert add_one(store) == 1
        owner_of(masters, slot).kill()

        with refused() as caught:
            add_one(store)
        assert "CONVOSTATE_STORE" in str(caught[0])
        served = 0
        for number in range(30):
            with contextlib.suppress(Exception):
                add_one(store, name=f"{number}".ljust(22, "-"))
                served += 1
        assert served > 10


def test_o18_a_cluster_without_slots_is_down_as_one_without_a_master_is() -> None:
    with redis_server("--cluster-enabled", "yes") as node:
        store = RedisStore.from_url(f"redis+cluster://127.0.0.1:{node.port}")
        with refused() as caught:
            add_one(store)
        assert "does not cover all slots" in str(caught[0])
        node.admin.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))

        def answers() -> int | None:
            with contextlib.suppress(StoreError):
                return add_one(store)
            return None

        wait_until(answers, "a cluster of one")
