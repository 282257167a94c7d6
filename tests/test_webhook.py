"""Webhook: what a proven request is about, who talks to whom, and what the person asks for."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import FrozenInstanceError, asdict
from typing import Any
from urllib.parse import urlencode

import pytest

from convostate import PhonePair, RequestError, SealError, StoreError, Webhook
from convostate.twilio.signature import Request
from tests.proving import got, oracle_sign, posted, prove
from tests.served import ACCOUNT, ADA, SID, URL, US, text

CALL_SID = "CA" + "0" * 31 + "1"
PAIR = PhonePair(ACCOUNT, US, ADA)


def call(**changes: str) -> dict[str, str]:
    return {
        "AccountSid": ACCOUNT,
        "CallSid": CALL_SID,
        "Direction": "inbound",
        "From": ADA,
        "To": US,
        **changes,
    }


def status(**changes: str) -> dict[str, str]:
    return {"AccountSid": ACCOUNT, "MessageSid": SID, "SmsSid": SID, "MessageStatus": "delivered", "SmsStatus": "delivered",
            "From": US, "To": ADA, **changes}  # fmt: skip


def without(params: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}


@pytest.mark.parametrize(("params", "kind", "pair"), [
    pytest.param(text(), "message", PAIR, id="a message"),
    pytest.param(text(SmsStatus="received"), "message", PAIR, id="a message, as it is seen on the wire"),
    pytest.param(without(text(), "MessageSid", "SmsMessageSid"), "message", PAIR, id="a message of an older api"),
    pytest.param(without(text(), "SmsSid", "SmsMessageSid"), "message", PAIR, id="a message with one SID"),
    pytest.param(text(SmsStatus="receiving"), "message", PAIR, id="a message underway"),
    pytest.param(text(From="whatsapp:+1555", To="whatsapp:+1666"), "message", PhonePair(ACCOUNT, "whatsapp:+1666", "whatsapp:+1555"),
                 id="a36 a message on a channel"),
    pytest.param(text(From="55555"), "message", PhonePair(ACCOUNT, US, "55555"), id="a36 a short code"),
    pytest.param(text(From="PIZZA"), "message", PhonePair(ACCOUNT, US, "PIZZA"), id="a36 a sender with a name"),
    pytest.param(text(From=""), "message", None, id="a36 no sender"),
    pytest.param(text(From="HSBC UK"), "message", PhonePair(ACCOUNT, US, "HSBC UK"), id="g4 a sender with a blank"),
    pytest.param(text(From=" HSBC"), "message", None, id="a36 a sender with a blank before"),
    *[pytest.param(call(From=caller), "call", None, id=f"p8 nobody: {caller}")
      for caller in ("sip:anonymous@anonymous.invalid", "client:Anonymous", "sip:unavailable@unknown.invalid", "0", "+0000", "Private Number", "UNKNOWN NAME",
                     "sips:x@unknown.invalid:5061;transport=tls", "sip:anonymous@10.0.0.1", "sips:anonymous@10.0.0.1", "client:unknown", "Anonymous Caller", "No Caller ID", "client:anonymous_user", "266696687", "Not Available", "sip:No%20Caller%20ID@example.com", "sip:anonymous%40anonymous.invalid", "client:", "tel:anonymous", "whatsapp:unknown")],
    *[pytest.param(call(From=caller), "call", PhonePair(ACCOUNT, US, caller), id=f"p8 somebody: {caller}")
      for caller in ("sip:ada@example.com", "client:ada", "client:id", "client:not", "client", "client:private_banker", "Ada Unknown", "sip:unknown.artist@example.com", "100", "sip:ada@invalid.example.com", "sip:ada%40invalid@example.com", "whatsapp:+15550100009")],
    pytest.param(without(text(), "From"), "message", None, id="a36 the sender left out"),
    pytest.param(without(text(), "To"), "message", None, id="the receiver left out"),
    pytest.param(without(text(), "AccountSid"), "message", None, id="the account left out"),
    pytest.param(status(), "message-status", PAIR, id="a status: the two are swapped"),
    pytest.param(without(status(), "MessageStatus"), "message-status", PAIR, id="a status of an older api"),
    pytest.param(status(MessageStatus="failed"), "message-status", PAIR, id="a status of a failure"),
    pytest.param(status(MessageStatus="read", EventType="READ"), "message-status", PAIR, id="a status of a channel"),
    pytest.param(status(MessageStatus="received", From=ADA, To=US), "message-status", PAIR, id="a status of what came in"),
    pytest.param(without(status(), "To"), "message-status", None, id="a status without its receiver"),
    pytest.param(call(), "call", PAIR, id="a call"),
    pytest.param(call(Direction="outbound-api", From=US, To=ADA), "call", PAIR, id="a call that the app makes: swapped"),
    pytest.param(call(Direction="outbound-dial"), "call", None, id="a leg of a dial: neither end need be ours"),
    pytest.param(call(Direction="sideways"), "call", None, id="an unknown direction"),
    pytest.param(without(call(), "Direction"), "call", None, id="no direction"),
    pytest.param(call(From="client:ada"), "call", PhonePair(ACCOUNT, US, "client:ada"), id="a call from a browser"),
    *[pytest.param(call(From=caller), "call", None, id=f"a36 withheld: {caller}")
      for caller in ("anonymous", "Anonymous", "unknown", "Restricted", "BLOCKED", "unavailable", "private", "+266696687",
                     "+7378742833", "+2562533", "+8656696", "+86282452253", "")],
    pytest.param(call(Direction="outbound-api", From=US, To="anonymous"), "call", None, id="a36 withheld, the other way"),
    pytest.param(text(From="anonymous"), "message", PhonePair(ACCOUNT, US, "anonymous"), id="no text is withheld: a name"),
    pytest.param({"AccountSid": ACCOUNT, "CallSid": CALL_SID, "RecordingUrl": "https://x"}, "call", None, id="a recording"),
    pytest.param({"AccountSid": ACCOUNT, "EventType": "onMessageAdded", "Author": ADA}, "other", None, id="an event"),
    pytest.param({"AccountSid": ACCOUNT, "From": ADA, "To": US}, "other", None, id="addresses alone"),
    pytest.param({"x": ""}, "other", None, id="nothing"),
])  # fmt: skip
def test_a_form_gives_its_kind_and_its_pair(
    params: dict[str, str], kind: str, pair: PhonePair | None
) -> None:
    webhook = prove(posted(params))
    assert (webhook.kind, webhook.pair) == (kind, pair)

    query = prove(got(f"{URL}?{urlencode(params)}"))
    assert (query.kind, query.pair) == (kind, pair)


def test_a_json_webhook_is_of_another_kind_and_has_no_pair() -> None:
    body = b'{"From": "+15550100009"}'
    query = urlencode({**text(), "bodySHA256": hashlib.sha256(body).hexdigest()})
    url = f"{URL}?{query}"
    webhook = prove(Request("POST", url, query, "application/json", body, oracle_sign(url), ""))

    assert (webhook.kind, webhook.pair, webhook.account_sid) == ("other", None, ACCOUNT)
    assert prove(posted(text())).kind == "message"


def test_the_facts_are_those_of_the_parameters() -> None:
    webhook = prove(posted([*text("hi", Zip="").items(), ("Zip", "2")]))
    assert (webhook.account_sid, webhook.message_sid, webhook.body, webhook.url) == (
        ACCOUNT,
        SID,
        "hi",
        URL,
    )
    assert webhook.params["Zip"] == ""
    assert prove(posted(without(text(), "MessageSid"))).message_sid == SID
    assert prove(posted(without(without(text(), "SmsSid"), "SmsMessageSid"))).message_sid == SID

    status = without(text(MessageStatus="sent"), "SmsStatus")
    assert prove(posted(without(status, "Body"))).kind == "message-status"

    empty = prove(posted({"x": "1"}))
    assert (empty.account_sid, empty.message_sid, empty.body, empty.media) == ("", "", "", ())


@pytest.mark.parametrize("method", ["__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"])  # fmt: skip
def test_parameters_are_read_only(method: str) -> None:
    params = prove(posted(text("hi"))).params
    with pytest.raises(TypeError, match="read-only"):
        getattr(params, method)("From", "")

    assert params == text("hi")


def test_a_webhook_can_be_copied_as_for_another_process() -> None:
    webhook = prove(posted(text("hi")))
    copied = copy.deepcopy(webhook)

    assert copied == webhook
    assert asdict(webhook)["params"] == json.loads(json.dumps(webhook.params)) == text("hi")
    with pytest.raises(TypeError, match="read-only"):
        copied.params["Body"] = "bye"  # type: ignore[index]


@pytest.mark.parametrize("error", [StoreError("down", "away"), SealError("forged", "changed"), RequestError(403, "form", "odd", parameter="From")])  # fmt: skip
def test_an_error_can_be_copied_as_for_another_process(error: Exception) -> None:
    copied = copy.deepcopy(error)

    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_a_webhook_is_read_only_and_its_repr_shows_no_number() -> None:
    webhook: Any = prove(posted(text("a secret")))
    with pytest.raises(FrozenInstanceError):
        webhook.kind = "call"
    with pytest.raises(TypeError):
        webhook.params["From"] = ADA
    shown = repr(webhook)
    assert not any(part in shown for part in (ADA, US, ACCOUNT, SID, "a secret", URL))
    assert "message" in shown


@pytest.mark.parametrize(("params", "media"), [
    ({"NumMedia": "0"}, ()), ({}, ()), ({"NumMedia": "1", "MediaUrl0": "https://a"}, ("https://a",)),
    ({"NumMedia": "2", "MediaUrl0": "https://a", "MediaUrl1": "https://b"}, ("https://a", "https://b")),
    ({"NumMedia": "1", "MediaUrl0": "https://a", "MediaUrl1": "https://b"}, ("https://a",)),
    ({"NumMedia": "2", "MediaUrl1": "https://b"}, ("https://b",)), ({"NumMedia": "1", "MediaUrl0": ""}, ()),
    ({"NumMedia": "-1", "MediaUrl0": "https://a"}, ()), ({"NumMedia": "x", "MediaUrl0": "https://a"}, ()),
    ({"NumMedia": "\u0661", "MediaUrl0": "https://a"}, ()), ({"NumMedia": "9" * 9, "MediaUrl0": "https://a"}, ()),
    ({"NumMedia": "", "MediaUrl0": "https://a"}, ()), ({"NumMedia": "999", "MediaUrl0": "https://a"}, ("https://a",)), ({"NumMedia": "1000", "MediaUrl0": "https://a"}, ()),
])  # fmt: skip
def test_media_are_listed_as_far_as_they_are_counted(
    params: dict[str, str], media: tuple[str, ...]
) -> None:
    assert prove(posted(without(text(), "NumMedia") | params)).media == media


@pytest.mark.parametrize(("body", "opt_out"), [
    *[(word, "STOP") for word in ("STOP", "stop", "Stop", " stop ", "stop\n", "STOPALL", "unsubscribe", "CANCEL", "end", "Quit", "optout", "revoke")],
    *[(word, "START") for word in ("start", "UNSTOP", "\tStart ")],
    *[(word, "HELP") for word in ("help", "INFO")],
    *[(word, None) for word in ("yes", "YES", "stop please", "please stop", "stop.", "sto p", "stopp", "", "nonstop", "no", "arr\u00eat",
                                "stop" + "!" * 100, "STOP STOP", "opt out", "ended")],
])  # fmt: skip
def test_p4_a_whole_body_that_is_a_keyword_opts_out_in_or_asks(
    body: str, opt_out: str | None
) -> None:
    assert prove(posted(text(body))).opt_out_type == opt_out
    assert prove(posted(text(body, OptOutType=""))).opt_out_type == opt_out


@pytest.mark.parametrize(("declared", "body", "opt_out"), [
    ("STOP", "arr\u00eat", "STOP"), ("START", "hola", "START"), ("HELP", "ayuda", "HELP"), ("HELP", "stop", "HELP"),
    ("stop", "hi", None), ("MAYBE", "hi", None), ("MAYBE", "stop", "STOP"),
])  # fmt: skip
def test_p4_twilios_own_word_goes_first(declared: str, body: str, opt_out: str | None) -> None:
    assert prove(posted(text(body, OptOutType=declared))).opt_out_type == opt_out


@pytest.mark.parametrize(
    "params",
    [
        status(Body="STOP"),
        status(OptOutType="STOP"),
        call(Body="STOP"),
        call(OptOutType="STOP"),
        {"Body": "STOP"},
    ],
)
def test_p4_only_a_message_opts_out(params: dict[str, str]) -> None:
    assert prove(posted(params)).opt_out_type is None


def test_a_webhook_can_be_made_for_a_test() -> None:
    webhook = Webhook("message", PAIR, {"Body": "STOP"}, URL)
    assert (webhook.opt_out_type, webhook.pair) == ("STOP", PAIR)
