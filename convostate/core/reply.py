"""Recorded replies: what a repeated delivery of the same request is answered with.

A reply is sealed like a state, for the purpose ``reply``, and bound to the fingerprint of its request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cbor2

from convostate.core.encoding import prefixed
from convostate.core.outcome import Reply
from convostate.core.seal import Opened
from convostate.errors import SealError, StoreError

if TYPE_CHECKING:
    from convostate.core.turn import Terms

REPLY_MS = 600_000  # how long a recorded reply opens: the 10 minutes for which a store keeps it


class Answer(NamedTuple):
    """A response as it was given to the server.

    Attributes:
        status: Such as ``200 OK``.
        headers: Names and values in order.
        body: At most 65,536 bytes.
    """

    status: str
    headers: list[tuple[str, str]]
    body: bytes


def seal_reply(
    answer: Answer, context: bytes, fingerprint: str, now: float, nonce: bytes, terms: Terms
) -> Reply | None:
    """Seal a response for the deliveries of the same request that may follow, bound to that request."""
    if terms.reply_sealer is None:
        return None
    now_ms = int(now * 1000)
    content = Opened(now_ms, now_ms + REPLY_MS, now_ms, cbor2.dumps(list(answer)))
    bound = context + prefixed(fingerprint.encode("ascii"))
    redirects = answer.status.startswith("3") or b"<Redirect" in answer.body
    return Reply(terms.reply_sealer.seal(content, bound, nonce), redirects)


def open_reply(sealed: bytes, context: bytes, fingerprint: str, now: float, terms: Terms) -> Answer:
    """Open a recorded response.

    Raises:
        StoreError: ``lost``, it does not open: the app must not run again, and nothing else is served.
    """
    assert terms.reply_sealer is not None  # only a store that remembers gives a Replay
    bound = context + prefixed(fingerprint.encode("ascii"))
    try:
        opened = terms.reply_sealer.open(sealed, bound, int(now * 1000))
        status, headers, body = cbor2.loads(opened.data)
        return Answer(status, [(name, value) for name, value in headers], body)
    except (SealError, cbor2.CBORError, ValueError, TypeError) as error:
        raise StoreError("lost", "the recorded reply of this message does not open") from error
