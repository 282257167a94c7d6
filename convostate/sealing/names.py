"""Keyed names: they identify a conversation, a request and a log line without revealing who talks.

HMAC-SHA256 under keys derived from the index key, which does not rotate: another name would be another
conversation. Each name is the first 16 bytes, as 22 characters of base64url.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from convostate.sealing.codec import to_base64url
from convostate.twilio.signature import primed_hmac, without_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convostate.sealing.keys import Key

NAME_BYTES = 16  # about 2^64 conversations until two share a name by chance


class Names:
    """Makes the names of one installation.

    Args:
        index_key: The key that does not rotate.

    Attributes:
        conversation: Makes the name of a conversation in a server-side store, from its identity as bytes.
        log_id: Makes its name in the log; not the one in the store.
    """

    __slots__ = ("_fingerprint", "conversation", "log_id")

    def __init__(self, index_key: Key) -> None:
        primed = [
            primed_hmac(index_key.derive(purpose), hashlib.sha256)
            for purpose in ("index", "log", "fingerprint")
        ]
        self.conversation, self.log_id, self._fingerprint = (
            partial(_name, each) for each in primed
        )

    def fingerprint(self, method: str, signed: str) -> str:
        """The name of a request: the same for every repeated delivery, with or without a port in its URL.

        Args:
            method: GET and POST of one URL are two requests.
            signed: The signed string, URL first.
        """
        return self._fingerprint(f"{method} {without_port(signed)}".encode())


def _name(primed: Sequence[hashlib._Hash], message: bytes) -> str:
    inner, outer = primed
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    return to_base64url(outer.digest()[:NAME_BYTES])
