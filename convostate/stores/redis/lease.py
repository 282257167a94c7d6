"""Lease: what a turn at a Redis is recognised by, between its BEGIN and its COMMIT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostate.sealing.token import HEAD_BYTES
from convostate.stores.base import Begun, lost

if TYPE_CHECKING:
    from convostate.stores.redis.line import Line


class Lease:
    """A turn's hold of its conversation.

    Attributes:
        line: Its connection; None once the turn is over.
        turn_id: What the lease holds.
        head: First bytes of the state that the turn began with or wrote last, b"" for none.
        tried: Those of the state that it last tried to write: a WRITE whose answer was lost may have
            been carried out. b"" for none.
    """

    __slots__ = ("head", "line", "tried", "turn_id")

    def __init__(self, line: Line, turn_id: bytes, state: bytes | None) -> None:
        self.line: Line | None = line
        self.turn_id = turn_id
        self.head = (state or b"")[:HEAD_BYTES]
        self.tried = b""


def held(begun: Begun) -> tuple[Lease, Line]:
    """The lease of a turn, and its connection.

    Raises:
        StoreError: ``lost``, the turn is over or another store's.
    """
    lease = begun.lease
    if type(lease) is not Lease or lease.line is None:
        raise lost()
    return lease, lease.line
