"""What is authenticated at all, and where the fields that decide who talks to whom may stand."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from convostate.twilio.form import parse_form
from convostate.twilio.signature import Request, Secrets, Signer
from tests.proving import SECRETS, got, oracle_sign, posted, prove, status_of
from tests.served import ACCOUNT, ADA, BOB, FORM, SID, TOKEN, URL, US, text


@pytest.mark.parametrize(("request_", "status"), [
    (posted(text()), 200), (got(f"{URL}?x=1"), 200), (got(URL), 200), (posted(text(), content_type=FORM.upper()), 200),
    (posted(text(), content_type=f"{FORM}; charset=UTF-8"), 200), (posted(text(), content_type=f'{FORM};charset="utf-8"'), 200),
    (posted(text(), content_type=f"{FORM};"), 200), (posted({}), 200),
    *[(posted(text(), content_type=content_type), 415)
      for content_type in ("", "text/plain", "application/json", f"{FORM}x", f"{FORM}; charset=utf-16", f"{FORM}; charset=utf-7",
                           f"{FORM}; charset=latin-1", f"{FORM}, {FORM}", f"{FORM}; boundary=x", "multipart/form-data; boundary=x")],
    *[(replace(posted(text()), method=method), 405) for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "")],
    (replace(got(URL), body=b"x"), 415), (replace(posted(text()), method="GET"), 415), (replace(posted(text()), method="GET", body=b""), 403),
    (posted(text(), body=b"a"), 400), (posted(text(), body=b""), 403), (posted(text(), signature=""), 403),
])  # fmt: skip
def test_a15_only_what_twilio_sends_is_authenticated(request_: Request, status: int) -> None:
    try:
        authenticate(request_, SECRETS)
    except RequestError as error:
        found = error.status
    else:
        found = 200
    assert found == status


IDENTITY = [
    "AccountSid",
    "From",
    "To",
    "Body",
    "MessageSid",
    "CallSid",
    "Direction",
    "MessageStatus",
    "SmsStatus",
    "CallStatus",
]


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize("second", ["same", "other"])
def test_a10_a_field_that_decides_who_talks_stands_once(name: str, second: str) -> None:
    params = {**text(), name: "x"}
    pairs = [*params.items(), (name, "x" if second == "same" else "y")]
    for order in (pairs, pairs[::-1]):
        with pytest.raises(RequestError, match="repeated"):
            authenticate(posted(order), SECRETS)
        query = "&".join(f"{key}={value.replace('+', '%2B')}" for key, value in order)
        if second == "other":
            with pytest.raises(RequestError, match="repeated"):
                authenticate(got(f"{URL}?{query}"), SECRETS)


@pytest.mark.parametrize("name", ["AccountSid", "From", "To", "Body", "MessageSid"])
def test_g1_the_url_of_a_get_may_name_a_field_that_twilio_appends(name: str) -> None:
    query = urlencode([(name, text()[name]), *text().items()])
    assert dict(prove(got(f"{URL}?{query}")).params) == text()


@pytest.mark.parametrize("name", IDENTITY)
def test_g7_nul_is_in_no_field_that_decides_who_talks_but_the_text(name: str) -> None:
    for request in (posted({**text(), name: "a\0b"}), got(f"{URL}?{name}=a%00b")):
        assert status_of(request) == (200 if name == "Body" else 400)
    assert (
        prove(posted(text("email xx.yy\0live.com", ProfileName="\0"))).body
        == "email xx.yy\0live.com"
    )


@pytest.mark.parametrize(("method", "hashes", "status"), [
    ("GET", "{0}&{0}", 200), ("GET", "{0}", 200), ("GET", "{0}&{1}", 415), ("GET", "{0}&BODYSHA256=x", 415),
    ("POST", "{0}&{0}", 200), ("POST", "{0}", 200), ("POST", "{0}&{1}", 415), ("POST", "{1}", 415), ("POST", "", 415),
])  # fmt: skip
def test_g8_a_hash_of_the_body_may_stand_twice_and_two_hashes_may_not(
    method: str, hashes: str, status: int
) -> None:
    body = b"" if method == "GET" else b'{"From": "+15550100009"}'
    digest = hashlib.sha256(body).hexdigest()
    query = "AccountSid=AC1&From=%2B1&To=%2B2&MessageSid=SM1&" + hashes.format(
        f"bodySHA256={digest}", f"bodySHA256={'0' * 64}"
    )
    url = f"{URL}?{query}"
    content_type = "application/json" if body else ""
    request = Request(method, url, query, content_type, body, oracle_sign(url), "")

    assert status_of(request) == status
    if status == 200:
        webhook = prove(request)
        assert (webhook.kind, webhook.pair) == ("other", None)


@pytest.mark.parametrize("quoted", ["bodySHA256", "bodySHA256=0", "x&bodySHA256=0", "bodySHA256 bodysha256"])  # fmt: skip
def test_g8_a_text_may_speak_of_the_hash(quoted: str) -> None:
    params = text(f"what is {quoted}?")
    webhook = prove(got(f"{URL}?{urlencode(params)}"))

    assert (webhook.kind, webhook.body) == ("message", params["Body"])
    assert prove(posted(params, url=f"{URL}?{urlencode({'topic': quoted})}")).kind == "message"
    assert status_of(posted(params, url=f"{URL}?topic=x&bodySHA256=0")) == 415


def test_g8_the_url_of_an_event_may_speak_of_its_hash() -> None:
    body = b'{"text": "hi"}'
    query = f"topic=bodySHA256&bodySHA256={hashlib.sha256(body).hexdigest()}"
    url = f"{URL}?{query}"
    event = Request("POST", url, query, "application/json", body, oracle_sign(url), "")

    assert prove(event).kind == "other"
    assert status_of(replace(event, body=b"[]")) == 415


@pytest.mark.parametrize("content_type", [f"{FORM};charset=latin-1", f"{FORM}; a=b", f"{FORM}, x", "multipart/form-data; boundary=x", FORM,
    "application/x-url-encoded", "application/x-url-encoded, application/json", "application/json, application/x-url-encoded", "text/plain", "", "json"])  # fmt: skip
def test_o14_a_signed_event_is_not_read_as_a_form(content_type: str) -> None:
    body = b'{"text": "&From=%2B15550100001&To=%2B15550100099&MessageSid=SM1&x="}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    url = f"{URL}?{query}"
    event = Request("POST", url, query, "application/json", body, oracle_sign(url), "")

    for json in (
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/cloudevents+json",
    ):
        assert status_of(replace(event, content_type=json)) == 200
    assert status_of(replace(event, content_type=content_type)) == 415


@pytest.mark.parametrize("params", [
    {"from": BOB, "to": US, "body": "hi", "callSid": "CA1", "direction": "inbound"}, {"accountSid": "AC1", "messageSid": "SM1", "from": BOB},
    {"FROM": BOB, "AccountSid": ACCOUNT}, {"Body": "hi", "from": BOB},
])  # fmt: skip
def test_g6_names_that_an_account_has_chosen_are_its_own(params: dict[str, str]) -> None:
    webhook = prove(posted(params))

    assert (webhook.kind, webhook.pair, dict(webhook.params)) == ("other", None, params)
    assert status_of(
        posted({**text(), **{name: "x" for name in params if name not in text()}})
    ) in (200, 403)
    for name in params.keys() - text().keys():
        assert status_of(posted({**text(), name: "x"})) == 403


@pytest.mark.parametrize("name", ["Direction", "MessageStatus", "SmsStatus", "CallStatus"])
def test_a_status_is_a_word(name: str) -> None:
    params = {"AccountSid": ACCOUNT, "From": BOB, "To": US}
    for value in ("in-progress", "no-answer", "read", "partially_delivered", ""):
        assert status_of(posted({**params, name: value})) == 200
    for value in ("inboundFrommallory", "sent Label", "sent1", "sent-", "Sent"):
        assert status_of(posted({**params, name: value})) == 403


def test_what_signs_its_body_s_hash_is_an_event_and_a_get_without_one_a_message() -> None:
    query = urlencode(text())
    assert prove(got(f"{URL}?{query}")).kind == "message"
    body_hash = hashlib.sha256(b"").hexdigest()
    assert prove(got(f"{URL}?{query}&bodySHA256={body_hash}")).kind == "other"


def test_a_version_is_a_date_or_a_number() -> None:
    for value in ("2010-04-01", "2008-08-01", "v1", ""):
        assert status_of(posted({**text(), "ApiVersion": value})) == 200
    for value in ("2010-04-01Bodyhi", "v1Body", "2010-04-01-01", "2010-04-1"):
        assert status_of(posted({**text(), "ApiVersion": value})) == 403


@pytest.mark.parametrize("name", ["CallSid", "CallStatus", "Direction"])
def test_a_message_has_no_field_of_a_call(name: str) -> None:
    assert status_of(posted({**text(), name: "x"})) == 403
    assert status_of(posted({"AccountSid": ACCOUNT, "MessageStatus": "sent", name: "x"})) == 403
    assert status_of(posted({"AccountSid": ACCOUNT, "From": BOB, name: "x"})) == 200


def test_o16_what_holds_a_webhook_shows_nothing_of_it() -> None:
    request = posted(text("canary"))
    for shown in (request, parse_form(request.body), prove(request), Signer("canary")):
        assert not any(part in repr(shown) for part in ("canary", ADA, BOB, US, ACCOUNT, SID))


def test_o12_a_request_without_an_account_is_tried_under_a_bounded_number_of_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convostate.twilio.signature._MOST_TRIES", 100)
    url, number = f"{URL}?bodySHA256={hashlib.sha256(b'{}').hexdigest()}", 101
    tokens = {f"AC{n + 2:032x}": ["0" * 32] for n in range(number - 1)} | {ACCOUNT: [TOKEN]}
    event = Request(
        "POST", url, url.partition("?")[2], "application/json", b"{}", oracle_sign(url), ""
    )

    with pytest.raises(RequestError, match=r"Put \?AccountSid=AC") as caught:
        authenticate(event, Secrets(account_tokens=tokens))
    assert (caught.value.status, caught.value.category) == (403, "account")
    fewer = dict(list(tokens.items())[1:])
    assert authenticate(event, Secrets(account_tokens=fewer))[0].kind == "other"
    named = f"{URL}?AccountSid={ACCOUNT}&{event.query}"
    event = replace(event, url=named, query=named.partition("?")[2], signature=oracle_sign(named))
    assert authenticate(event, Secrets(account_tokens=tokens))[0].kind == "other"
    # Twilio rarely signs another port, so that one is not tried under many.
    ported = replace(event, url=url, query=url.partition("?")[2], signature=oracle_sign(url.replace(".com", ".com:443")))  # fmt: skip
    assert status_of(ported, Secrets(account_tokens=fewer)) == 403
    half = dict(list(tokens.items())[-50:])
    assert status_of(ported, Secrets(account_tokens=half)) == 200
