"""What the core and a store say to each other about one turn: the claim, and what came of it."""

from __future__ import annotations

from typing import NamedTuple


class Claim(NamedTuple):
    """What a turn asks a store for.

    Attributes:
        name: The conversation's keyed name, 22 characters of base64url.
        fingerprint: The request's keyed name, alike; None where a repetition is to run again (calls,
            turns that no webhook started).
        idempotency: 8 bytes that differ between two requests of which Twilio says they are not a
            retry. Twilio does not sign it, so it only lets a `<Redirect>` to the same URL run.
        secure: The webhook's URL was https.
    """

    name: str
    fingerprint: str | None = None
    idempotency: bytes = bytes(8)
    secure: bool = True


class Keep(NamedTuple):
    """The outcome of a turn whose state goes on.

    Attributes:
        token: The sealed state.
        lifetime_s: Seconds, more than 0, after which it must be gone.
        opted_out: The person's STOP stands (True) or is lifted (False) from now on; None leaves it.
    """

    token: bytes
    lifetime_s: float
    opted_out: bool | None = None


class End(NamedTuple):
    """The outcome of a turn after which there is no state.

    Attributes:
        token: A sealed ending, for stores that cannot delete.
        lifetime_s: How long the sealed ending is good for, in seconds.
        opted_out: As in `Keep`.
    """

    token: bytes
    lifetime_s: float
    opted_out: bool | None = None


class Leave(NamedTuple):
    """The outcome of a turn that changes nothing of the state.

    Attributes:
        opted_out: As in `Keep`.
    """

    opted_out: bool | None = None


Outcome = Keep | End | Leave


class Reply(NamedTuple):
    """What a repeated delivery of the same request is to be answered with.

    Attributes:
        sealed: The reply; opaque to the store.
        redirects: It sends Twilio on, maybe to the very same URL: a request with another
            `idempotency` is then a new one.
    """

    sealed: bytes
    redirects: bool
