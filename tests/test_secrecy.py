"""No error, no repr and no log line of the core holds a secret, a number, a text or a value."""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from convostate import (
    ConversationMiddleware,
    ConvostateError,
    Keyring,
    PhonePair,
    RequestError,
    StateError,
    StoreError,
    state_from,
)
from convostate.refusals import RefusalLog
from convostate.sealing import codec
from convostate.sealing.token import Opened, conversation_context
from convostate.stores import MemoryStore
from convostate.stores.base import Begun, End, Keep, Replay, Reply
from convostate.turns import Response
from convostate.twilio.authenticate import authenticate
from convostate.twilio.diagnosis import Arrival, diagnose
from convostate.twilio.form import parse_form, parse_query
from convostate.twilio.signature import Request, Secrets
from tests.proving import got, posted
from tests.served import NOW, serve, settings, signed
from tests.turning import COOKIE, finished, opened

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN, SHARED, ACCOUNT, SID = (
    "a11ce0canary0token" * 2,
    "canary-shared-secret",
    "AC" + "ca" * 16,
    "SM" + "ab" * 16,
)
OURS, THEIRS, BODY = "+15557654321", "+15551234567", "canary of a text"
KEY = "Y2FuYXJ5LWNhbmFyeS0wMTIzNDU2Nzg5YWJjZGVmZ2g"
URL = "https://example.com/sms"
FORWARDED = {"X-Forwarded-Host": "shop.example", "X-Forwarded-Prefix": "/shop"}
ARRIVAL = Arrival("/sms", header=lambda name: FORWARDED.get(name, ""))
SECRET_PARTS = [
    TOKEN,
    TOKEN[:18],
    SHARED,
    ACCOUNT,
    SID,
    OURS,
    OURS[1:-2],
    THEIRS,
    THEIRS[1:-2],
    BODY,
    "canary",
    KEY,
    KEY[:20],
]
SECRETS = Secrets((TOKEN,), {ACCOUNT: (TOKEN,)}, {"k": SHARED})
PAIR = PhonePair(ACCOUNT, OURS, THEIRS)
PARAMS = {
    "AccountSid": ACCOUNT,
    "MessageSid": SID,
    "SmsSid": SID,
    "From": THEIRS,
    "To": OURS,
    "Body": BODY,
}


def leaks(shown: str) -> list[str]:
    return [part for part in SECRET_PARTS if part.lower() in shown.lower()]


def whole(error: BaseException) -> str:
    """All that a traceback prints of an error and of what led to it, its frames aside."""
    texts = []
    current: BaseException | None = error
    while current is not None:
        texts += [str(current), repr(current), repr(getattr(current, "__dict__", {}))]
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return "\n".join(texts)


def request(**changes: Any) -> Request:
    return replace(posted(PARAMS, url=URL, token=TOKEN), **changes)


QUERY = f"{URL}?From=%2B15551234567&Body=canary"
REFUSED: dict[str, Request] = {
    "wrong signature": request(signature="A" * 28), "no signature": request(signature=""), "malformed": request(body=b"Body=canary&canary"),
    "no utf-8": request(body=b"Body=canary%FF"), "an escaped letter": request(body=b"Body=canary%41"), "a nul": request(body=b"canary%00=canary"),
    "another name": request(body=b"FROM=%2B15551234567"), "too many": request(body=b"canary=1&" * 2000), "another method": request(method="CANARY"),
    "another type": request(content_type="canary/canary"), "a hash": request(query="bodySHA256=canary", url=f"{URL}?bodySHA256=canary"),
    "twice": posted([*PARAMS.items(), ("From", OURS)], url=URL, token=TOKEN), "in the query": posted({"Body": "canary"}, url=f"{URL}?AccountSid=canary", token=TOKEN),
    "two sids": posted({**PARAMS, "SmsSid": "SM" + "cd" * 16}, url=URL, token=TOKEN), "another account": posted({**PARAMS, "AccountSid": "canary"}, url=URL),
    "a re-split": posted({**PARAMS, "FromAFrom": THEIRS}, url=URL, token=TOKEN), "a get": got(QUERY, signature="B" * 28),
    "a bad get": got(f"{QUERY};x", token=TOKEN), "an unknown key": request(scheme="key=canary,algorithm=HMAC_SHA256"),
}  # fmt: skip


def in_state(value: Any) -> Callable[[], object]:
    def write() -> None:
        turn = opened(pair=PAIR)
        turn.state["place"] = value
        finished(turn)

    return write


def authenticating(each: Request) -> Callable[[], object]:
    return lambda: authenticate(each, SECRETS)


def after_the_turn() -> None:
    turn = opened(pair=PAIR)
    turn.state["place"] = BODY
    finished(turn)
    turn.state["place"] = BODY


def read_only() -> None:
    opened(pair=PAIR, kind="message-status").state["place"] = BODY


def too_long_a_lifetime() -> None:
    opened(pair=PAIR).state.lifetime = timedelta(days=1)


ERRORS: dict[str, Callable[[], object]] = {
    **{f"authenticate: {name}": authenticating(each) for name, each in REFUSED.items()},
    "form": lambda: parse_form(b"canary=canary%FF"), "query": lambda: parse_query("canary;canary"),
    "pair": lambda: PhonePair(ACCOUNT, OURS, f"{THEIRS} "), "key": lambda: Keyring.parse(KEY[:-1]), "keys": lambda: Keyring.parse(f"{KEY},{KEY}"),
    "settings": lambda: settings(auth_token=f"{TOKEN},{TOKEN}", keys=KEY), "store": lambda: settings(store="x://canary"),
    "account": lambda: settings(account_tokens=f"{THEIRS}={TOKEN}", keys=KEY), "lifetime": lambda: settings(lifetime="canary"),
    "too large": in_state([BODY] * 1000), "an object": in_state({"deep": [BODY, object()]}), "a surrogate": in_state([BODY, "canary\ud800"]),
    "not a number": in_state((BODY, float("nan"))), "a subclass": in_state(type("Text", (str,), {})(BODY)),
    "a datetime": in_state([BODY, datetime(2024, 1, 1)]),  # noqa: DTZ001  # what is refused
    "after the turn": after_the_turn, "read-only": read_only, "a lifetime": too_long_a_lifetime, "no cbor": lambda: codec.decode(BODY.encode()),
}  # fmt: skip


def test_a43_no_error_shows_what_it_is_about(subtests: pytest.Subtests) -> None:
    for name, fails in ERRORS.items():
        with subtests.test(name):
            with pytest.raises(ConvostateError) as caught:
                fails()
            assert leaks(whole(caught.value)) == []


def test_a43_no_lost_state_shows_what_it_was() -> None:
    turn = opened(pair=PAIR)
    turn.state["place"] = BODY
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    token, swapped = outcome.token, PhonePair(ACCOUNT, THEIRS, OURS)
    lost = [
        opened(b"", pair=PAIR), opened(b"\1" * 200, pair=PAIR), opened(b"\2" + token[1:], pair=PAIR), opened(b"\1\1" + token[2:], pair=PAIR),
        opened(token, pair=swapped), opened(token, NOW + 10**6, pair=PAIR),
    ]  # fmt: skip
    for each in lost:
        assert each.state.lost is not None
        assert leaks(whole(each.state.lost)) == []
        assert alone(each.state.lost)


class Down(MemoryStore):
    """A store whose driver has failed."""

    def begin(self, *_: Any) -> NoReturn:
        raise StoreError("down", "no answer") from OSError(BODY)


def test_a43_a_store_that_is_down_leaves_nothing_of_its_driver_in_the_state() -> None:
    seen: list[BaseException | None] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        seen.append(state_from(environ).lost)
        start_response("200 OK", [])
        return [b""]

    down = ConversationMiddleware(app, settings(on_outage="empty"), store=Down())
    assert serve(down, signed(), outside=False).status == 200
    (lost,) = seen
    assert isinstance(lost, StoreError)
    assert alone(lost)


def alone(error: BaseException) -> bool:
    """Whether neither frames nor other errors hang on an error, which tools would record with it."""
    return not (error.__traceback__ or error.__context__ or error.__cause__)


SHOWN: dict[str, object] = {
    "secrets": SECRETS, "settings": settings(auth_token=TOKEN, account_tokens={ACCOUNT: TOKEN}, keys=KEY, account_sid=ACCOUNT),
    "keyring": Keyring.parse(KEY), "key": Keyring.parse(KEY).keys[0], "pair": PAIR, "webhook": authenticate(posted(PARAMS, token=TOKEN), SECRETS)[0],
    "signers": SECRETS.every, "sealer": COOKIE.sealer, "names": COOKIE.names, "log id": COOKIE.names.log_id(conversation_context(PAIR)),
    "state": opened(pair=PAIR).state, "turn": opened(pair=PAIR),
}  # fmt: skip


def test_a43_nothing_shows_a_secret_when_it_is_printed() -> None:
    state = opened(pair=PAIR).state
    state["place"] = BODY
    for name, thing in {**SHOWN, "written state": state}.items():
        for shown in (repr(thing), str(thing), f"{thing}", f"{[thing]}"):
            assert leaks(shown) == [], name


def test_a43_no_log_line_of_a_refusal_shows_what_it_is_about(
    caplog: pytest.LogCaptureFixture, subtests: pytest.Subtests
) -> None:
    for name, each in REFUSED.items():
        caplog.clear()
        with subtests.test(name):
            with pytest.raises(RequestError) as caught, caplog.at_level(logging.DEBUG):
                authenticate(each, SECRETS)
            RefusalLog(SECRETS).log(caught.value, each, lambda: ARRIVAL)
            assert len(caplog.records) == 1
            assert leaks(caplog.text) == []


def test_a43_no_diagnosis_shows_a_query_a_parameter_or_a_secret() -> None:
    for url, signature, secrets in itertools.product(
        [URL, QUERY], ["", "A" * 28], [SECRETS, Secrets()]
    ):
        request = posted(PARAMS, url=url, signature=signature)
        diagnosis = diagnose(request, secrets, lambda: ARRIVAL)
        assert leaks(f"{diagnosis} {diagnosis!r}") == []


def test_a_canary_that_is_shown_is_found() -> None:
    assert leaks(f"could not read {BODY} of {THEIRS}")
    assert leaks(whole(StateError(THEIRS[1:])))


def test_o16_nothing_that_holds_a_state_or_a_reply_shows_it() -> None:
    turn = opened(pair=PAIR)
    turn.state["place"] = BODY
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    holders = [
        turn, outcome, End(outcome.token, 1.0), Reply(BODY.encode(), redirects=False), Replay(BODY.encode()),
        Begun(turn.claim, BODY.encode()), Opened(0, 1, 0, BODY.encode()),
        Response("200 OK", [("X-Text", BODY)], BODY.encode()),
    ]  # fmt: skip
    for holder in holders:
        shown = f"{holder!r}{holder}"
        assert leaks(shown) == [], type(holder)
        assert outcome.token[:8].hex() not in shown
        assert repr(outcome.token)[2:20] not in shown
