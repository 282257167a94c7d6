"""Turns without a server: the core's own functions, and a clock and nonces that a test counts up."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from convostate import PhonePair
from convostate.stores import CookieStore, MemoryStore
from convostate.stores.base import Begun, Keep
from convostate.turns import Turn, TurnConfig, configure, finish, read_state
from tests.served import ACCOUNT, ADA, NOW, US, settings

if TYPE_CHECKING:
    from convostate.stores.base import Outcome

PAIR = PhonePair(ACCOUNT, US, ADA)
HOUR = 3600.0
_nonces = count()


def nonce() -> bytes:
    """24 bytes that no other call gives."""
    return next(_nonces).to_bytes(24, "big")


def cookie_config(**changes: Any) -> TurnConfig:
    return configure(settings(**changes), CookieStore())[2]


def server_config(**changes: Any) -> TurnConfig:
    return configure(settings(**{"store": "memory", **changes}), MemoryStore())[2]


COOKIE, SERVER = cookie_config(), server_config()


def opened(
    token: bytes | None = None, now: float = NOW, config: TurnConfig = COOKIE, **more: Any
) -> Turn:
    lost = more.pop("lost", None)
    opt_out = more.pop("opt_out", None)
    turn = Turn(config, more.pop("pair", PAIR), **more)
    turn.opt_out = opt_out
    turn.lost = lost
    turn.begun = None if lost else Begun(turn.claim, token)
    read_state(turn, token, now)
    return turn


def finished(turn: Turn, now: float = NOW, status: int = 200) -> Outcome | None:
    return finish(turn, status, now, nonce())


def kept(
    content: dict[Any, Any], now: float = NOW, config: TurnConfig = COOKIE, **more: Any
) -> bytes:
    """The token of a conversation that holds `content`."""
    turn = opened(None, now, config, **more)
    turn.state.update(content)
    outcome = finished(turn, now)
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
