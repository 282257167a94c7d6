"""Recorded replies: what a repeated delivery of the same request is answered with.

A reply is sealed like a state, for the purpose ``reply``, and bound to the fingerprint of its request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2

from convostate.errors import SealError, StoreError
from convostate.sealing.encoding import prefixed
from convostate.sealing.token import Opened
from convostate.stores.base import REPLY_S, Answer, Reply

if TYPE_CHECKING:
    from convostate.turns import Terms


def seal_reply(
    answer: Answer, context: bytes, fingerprint: str, now: float, nonce: bytes, terms: Terms
) -> Reply | None:
    """Seal a response for the deliveries of the same request that may follow, bound to that request."""
    if terms.reply_sealer is None:
        return None
    now_ms = int(now * 1000)
    content = Opened(now_ms, now_ms + REPLY_S * 1000, now_ms, cbor2.dumps(list(answer)))
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
