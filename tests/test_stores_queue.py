"""Who is at a conversation, as the stores at the server tell people who look."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

from convostate.stores import MemoryStore, RedisStore
from convostate.stores.base import LEASE_S, Begun, Claim, Queue

if TYPE_CHECKING:
    from convostate.stores import Store

CLAIM, OTHER = Claim("A" * 22), Claim("B" * 22)


def queue(store: Store, claim: Claim = CLAIM) -> Queue:
    assert isinstance(store, MemoryStore | RedisStore)
    return store.queue(claim)


def test_a_turn_holds_its_conversation_and_no_other_until_it_ends(store: Store) -> None:
    assert queue(store) == Queue(None, 0)

    begun = store.begin(CLAIM, "", 0)
    assert isinstance(begun, Begun)
    lease_s = queue(store).lease_s
    assert lease_s is not None
    assert 0 < lease_s <= LEASE_S
    assert queue(store, OTHER) == Queue(None, 0)

    store.abort(begun)
    assert queue(store) == Queue(None, 0)


def test_who_waits_is_counted(store: Store) -> None:
    begun = store.begin(CLAIM, "", 0)
    assert isinstance(begun, Begun)
    second: list[Begun] = []

    def wait() -> None:
        held = store.begin(CLAIM, "", 0)
        assert isinstance(held, Begun)
        second.append(held)

    thread = Thread(target=wait)
    thread.start()
    while queue(store).waiting == 0:
        pass
    assert queue(store).waiting == 1
    store.abort(begun)
    thread.join()
    assert queue(store).waiting == 0
    store.abort(second[0])
