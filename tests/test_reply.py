"""A recorded reply: it answers a repetition of its own request, for ten minutes, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2
import pytest

from convostate import PhonePair, StoreError
from convostate.sealing.codec import prefixed
from convostate.sealing.token import Opened, conversation_context
from convostate.stores.base import REPLY_S, Begun, Replay
from convostate.turns import (
    Response,
    Turn,
    TurnConfig,
    finish_response,
    open_reply,
    open_turn,
    seal_reply,
)
from tests.served import ACCOUNT, ADA, BOB, NOW, OTHER_KEY, US
from tests.turning import PAIR, SERVER, kept, nonce, server_config

if TYPE_CHECKING:
    from convostate.stores.base import Reply

CONTEXT, FINGERPRINT = conversation_context(PAIR), "f" * 22
RESPONSE = Response(
    "200 OK",
    [("Content-Type", "text/xml"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
    b"<Response>\xe2\x98\x95\x00</Response>",
)


def turn_of(
    pair: PhonePair = PAIR, fingerprint: str | None = FINGERPRINT, config: TurnConfig = SERVER
) -> Turn:
    return Turn(config, pair, "message", fingerprint=fingerprint)


def recorded(response: Response = RESPONSE) -> Reply:
    return seal_reply(turn_of(), response, NOW, nonce())


def lost(
    sealed: bytes, pair: PhonePair = PAIR, fingerprint: str = FINGERPRINT, now: float = NOW
) -> bool:
    """Whether nothing opens: the app must not run again, and nothing else is served."""
    with pytest.raises(StoreError) as caught:
        open_reply(turn_of(pair, fingerprint), Replay(sealed), now)
    return caught.value.reason == "lost"


@pytest.mark.parametrize(
    "response",
    [
        RESPONSE,
        Response("204 No Content", [], b""),
        Response("200 OK", [("X", "\xff")], bytes(65_536)),
    ],
    ids=lambda a: a.status,
)
def test_a_recorded_reply_comes_back_as_it_was_given(response: Response) -> None:
    assert open_reply(turn_of(), Replay(recorded(response).sealed), NOW) == response


def test_a32_a_recorded_reply_opens_for_its_own_request_and_conversation_alone() -> None:
    sealed = recorded().sealed
    assert lost(sealed, fingerprint="g" * 22)
    assert lost(sealed, fingerprint="")
    for pair in (PhonePair(ACCOUNT, US, BOB), PhonePair(ACCOUNT, ADA, US)):
        assert lost(sealed, pair=pair)
    with pytest.raises(StoreError):
        open_reply(turn_of(config=server_config(keys=OTHER_KEY)), Replay(sealed), NOW)
    assert open_reply(turn_of(), Replay(sealed), NOW) == RESPONSE


def test_a32_a_state_does_not_open_as_a_reply_nor_a_reply_as_a_state() -> None:
    bound = CONTEXT + prefixed(FINGERPRINT.encode())
    state = SERVER.sealer.seal(
        Opened(int(NOW * 1000), int(NOW * 1000) + 1000, 0, cbor2.dumps(list(RESPONSE))),
        bound,
        nonce(),
    )
    assert lost(state)
    assert lost(kept({"a": 1}, config=SERVER))


def test_a30_a_recorded_reply_opens_for_ten_minutes() -> None:
    sealed = recorded().sealed
    assert REPLY_S == 600
    assert open_reply(turn_of(), Replay(sealed), NOW + 599.999) == RESPONSE
    assert lost(sealed, now=NOW + 600)
    assert lost(sealed, now=NOW - 61)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        cbor2.dumps(None),
        cbor2.dumps(1),
        cbor2.dumps(["200 OK"]),
        cbor2.dumps(["200 OK", [1], b""]),
    ],
)
def test_a_malformed_recorded_reply_is_lost(data: bytes) -> None:
    content = Opened(int(NOW * 1000), int(NOW * 1000) + REPLY_S * 1000, int(NOW * 1000), data)
    assert lost(
        SERVER.reply_sealer.seal(content, CONTEXT + prefixed(FINGERPRINT.encode()), nonce())
    )
    assert lost(b"")
    assert lost(data * 200)


@pytest.mark.parametrize(("response", "redirects"), [
    (RESPONSE, False), (RESPONSE._replace(body=b"<Response><Redirect>/sms</Redirect></Response>"), True),
    (RESPONSE._replace(status="302 Found"), True), (RESPONSE._replace(status="307 Temporary Redirect"), True),
    (RESPONSE._replace(body=b"<Response><Message>Redirect</Message></Response>"), False), (RESPONSE._replace(body=b'<Redirect method="GET">/x</Redirect>'), True),
])  # fmt: skip
def test_f22_a_reply_that_sends_twilio_on_is_marked(response: Response, redirects: bool) -> None:
    assert recorded(response).redirects is redirects


@pytest.mark.parametrize("fingerprint", [None, FINGERPRINT], ids=["a call", "a text"])
def test_a_reply_is_recorded_unless_a_repetition_is_to_run_again(fingerprint: str | None) -> None:
    turn = turn_of(fingerprint=fingerprint)
    turn.begun = Begun(turn.claim, None)
    open_turn(turn, NOW)
    response = RESPONSE._replace(headers=RESPONSE.headers.copy())
    finished = finish_response(turn, response, NOW, nonce() + nonce())
    assert finished is not None
    assert (finished[1] is None) is (fingerprint is None)
    turn.leave()  # or it would run on in the context of the next test


def test_p1_a_recorded_reply_holds_nothing_in_plain_text() -> None:
    sealed = recorded().sealed
    assert not any(
        part in sealed for part in (b"Response", b"text/xml", ADA.encode(), FINGERPRINT.encode())
    )
