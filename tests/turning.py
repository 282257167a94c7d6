"""Turns without a server: the core's own functions, and a clock and nonces that a test counts up."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from convostate import PhonePair
from convostate.stores import CookieStore, MemoryStore
from convostate.stores.base import Keep
from convostate.turns import Terms, Turn, finish, open_turn, terms_of
from tests.served import ACCOUNT, ADA, NOW, US, settings

if TYPE_CHECKING:
    from convostate.stores.base import Outcome

PAIR = PhonePair(ACCOUNT, US, ADA)
HOUR = 3600.0
_nonces = count()


def nonce() -> bytes:
    """24 bytes that no other call gives."""
    return next(_nonces).to_bytes(24, "big")


def cookie_terms(**changes: Any) -> Terms:
    return terms_of(settings(**changes), server_side=False, most_bytes=CookieStore().most_bytes)


def server_terms(**changes: Any) -> Terms:
    return terms_of(settings(**{"store": "memory", **changes}), server_side=True, most_bytes=None)


COOKIE, SERVER = cookie_terms(), server_terms()


def opened(
    token: bytes | None = None, now: float = NOW, terms: Terms = COOKIE, **more: Any
) -> Turn:
    return open_turn(more.pop("pair", PAIR), token, now, terms, **more)


def finished(
    turn: Turn, now: float = NOW, terms: Terms = COOKIE, status: int = 200
) -> Outcome | None:
    return finish(turn, status, now, nonce(), terms)


def kept(content: dict[Any, Any], now: float = NOW, terms: Terms = COOKIE, **more: Any) -> bytes:
    """The token of a conversation that holds `content`."""
    turn = opened(None, now, terms, **more)
    turn.state.update(content)
    outcome = finished(turn, now, terms)
    assert isinstance(outcome, Keep)
    return outcome.token


class SlowStore(MemoryStore):
    """A store that takes two seconds to begin and three to commit, by a clock that it moves."""

    def __init__(self, now: list[float]) -> None:
        super().__init__()
        self.now = now

    def begin(self, *args: Any) -> Any:
        self.now[0] += 2
        return super().begin(*args)

    def commit(self, *args: Any) -> Any:
        self.now[0] += 3
        return super().commit(*args)
