"""Start a conversation: the message that goes first, and the state that its reply will find.

The state is written before the message is sent, under one lease: a reply that is faster than Twilio's
answer waits for the lease and finds the state. The other order would lose the state in a crash after
the send, and the reply would come to a conversation that nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from convostate.errors import ConversationExistsError, OptedOutError, StoreError, UsageError
from convostate.stores.base import Keep, Leave

if TYPE_CHECKING:
    from twilio.rest import Client  # type: ignore[import-untyped, unused-ignore]
    from twilio.rest.api.v2010.account.message import (  # type: ignore[import-untyped, unused-ignore]
        MessageInstance,
    )

    from convostate.own_turns import Held, OwnTurns
    from convostate.turns import Turn
    from convostate.twilio.pair import PhonePair

IfExists = Literal["replace", "keep", "refuse"]

# A number as people dial it. Short codes have at most 8 digits; E.164 begins with a plus sign.
_DIALLED = re.compile(r"[\d().-]{9,}", re.ASCII)


def check_arguments(
    to: str, from_: str | None, state: object, if_exists: str, message: Mapping[str, Any]
) -> str:
    """Check what Twilio would accept, and what would then go wrong.

    Returns:
        The sender, which is known to be there.

    Raises:
        UsageError: The reply could not be told to belong to this message; or `state` or `if_exists` is wrong.
    """
    if if_exists not in get_args(IfExists):
        raise UsageError('start(): if_exists is not known. Give "replace", "keep" or "refuse"')
    if state is not None and not isinstance(state, Mapping):
        raise UsageError('start(): state is no mapping. Give a dict, such as {"step": "confirm"}')
    if not from_:
        if message.get("messaging_service_sid"):
            raise UsageError(
                "start(): a Messaging Service chooses the sender after it took the message, so nobody "
                "would know which conversation the reply belongs to. Give from_ as well: one of the "
                "service's own senders, which Twilio then takes"
            )
        raise UsageError("start(): there is no sender. Give from_, one of your numbers")
    for name, address in (("from_", from_), ("to", to)):
        check_spelling(f"start(): {name}", address)
    return from_


def check_spelling(name: str, address: object) -> None:
    """Refuse a number that is spelled as people dial it: webhooks spell it otherwise.

    Raises:
        UsageError: It would name another conversation.
    """
    if isinstance(address, str) and _DIALLED.fullmatch(address):
        raise UsageError(
            f"{name} is not spelled as webhooks spell it, so it would be another conversation. "
            "Write it in E.164, with its country: +1555…"
        )


def account_of(client: Client) -> str | None:
    """The account that a client sends for, or None; with an API key it need not know one."""
    account_sid = getattr(client, "account_sid", None)
    # twilio-python takes the user name where it was given no account, and that may be a key's SID.
    if isinstance(account_sid, str) and account_sid and not account_sid.startswith("SK"):
        return account_sid
    return None


def start(
    turns: OwnTurns,
    client: Client,
    pair: PhonePair,
    state: Mapping[Any, Any],
    if_exists: IfExists,
    message: Mapping[str, Any],
) -> MessageInstance:
    """Write the state, send the message, let the next turn begin; see `Conversations.start`."""
    with turns.hold(pair, "start") as held:
        before = turns.open(held)
        turn = _begin(turns, held, before, state, if_exists)
        now = turns.now()
        kept = turns.finish(turn, now)
        assert isinstance(kept, Keep)  # it went on or was touched, and nobody ended it
        try:
            held.store.write(held.begun, kept.token, kept.lifetime_s, now)
            with held.watch.app():
                sent = client.messages.create(to=pair.theirs, from_=pair.ours, **message)
        except BaseException as error:
            if not _is_lost(error):  # then nothing was written
                _restore(turns, held, before)
            raise
        # The message is out, and the caller must hear of that, whatever becomes of the lease.
        try:
            held.store.commit(held.begun, Leave(), None, turns.now())
        except StoreError as error:
            turns.warn(held, "the message is sent, but its turn did not last as long", error)
    return sent


def _begin(
    turns: OwnTurns, held: Held, before: Turn, state: Mapping[Any, Any], if_exists: IfExists
) -> Turn:
    """The turn whose state the reply will find."""
    if held.begun.opted_out:
        raise OptedOutError(
            "this person has sent STOP to this number, and no START since: nothing was sent"
        )
    if not before.state.is_new:
        if if_exists == "refuse":
            raise ConversationExistsError("a conversation goes on: nothing was sent")
        if if_exists == "keep":
            return before
    turn = turns.open_new(held)
    turn.state.update(state)  # also where it is empty: what was touched is kept
    return turn


def _is_lost(error: BaseException) -> bool:
    return isinstance(error, StoreError) and error.reason == "lost"


def _restore(turns: OwnTurns, held: Held, before: Turn) -> None:
    """Write back what was there. What does not open hides its time: it stays for one more lifetime."""
    now = turns.now()
    lifetime_s = before.expires_ms / 1000 - now
    token = held.begun.token if lifetime_s > 0 else None
    try:
        held.store.write(held.begun, token, lifetime_s if token is not None else 0.0, now)
    except StoreError as error:
        turns.warn(held, "the message is not sent, and its state may be in place", error)
