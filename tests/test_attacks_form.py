"""Attacks on the form: other readings of what was signed. Each beside what is accepted."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import pytest
from twilio.request_validator import RequestValidator

from convostate import PhonePair
from convostate.twilio.signature import sign
from tests.answering import Answering
from tests.served import (
    ACCOUNT,
    ADA,
    BOB,
    FORM,
    SID,
    TOKEN,
    URL,
    US,
    bare,
    serve,
    signed,
    text,
    wrapped,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    Pairs = list[tuple[str, str]]

pytestmark = [pytest.mark.usefixtures("both_doors"), pytest.mark.unmeasured]


def answer(environ: WSGIEnvironment) -> int:
    """The status; a refused request never reaches the app."""
    app = Answering()
    served = serve(wrapped(app), environ, outside=False)
    assert len(app.asked) == (served.status < 400)
    assert served.status < 400 or (served.body, served.cookie) == (b"", "")
    return served.status


def posted(
    body: str | bytes, pairs: Pairs, url: str = URL, content_type: str | None = FORM
) -> WSGIEnvironment:
    """A body, and the signature of these parameters."""
    raw = body.encode("latin-1") if isinstance(body, str) else body
    return bare(
        url, body=raw, CONTENT_TYPE=content_type, HTTP_X_TWILIO_SIGNATURE=sign(url, pairs, TOKEN)
    )


def sent(pairs: Pairs, url: str = URL) -> WSGIEnvironment:
    return posted(urlencode(pairs), pairs, url)


def shifted(name: str, by: int, taken: int = 0) -> dict[str, str]:
    """Ada's text with the boundary of one parameter moved; Twilio's string stays the same."""
    params = text()
    value = params.pop(name)
    params |= {name[:-by]: name[-by:] + value} if by else {name + value[:taken]: value[taken:]}
    assert sign(URL, params.items(), TOKEN) == sign(URL, text().items(), TOKEN)
    return params


@pytest.mark.parametrize("name", ["From", "To", "AccountSid", "SmsMessageSid"])
def test_a05_a_name_that_decides_cannot_lend_its_end_to_its_value(name: str) -> None:
    assert answer(posted(urlencode(shifted(name, 1)), list(text().items()))) == 403


@pytest.mark.parametrize("name", ["From", "To", "AccountSid", "SmsMessageSid"])
def test_a05_a_value_that_decides_cannot_lend_its_start_to_its_name(name: str) -> None:
    assert answer(posted(urlencode(shifted(name, 0, 1)), list(text().items()))) in (400, 403)


def test_a05_the_boundary_to_the_url_does_not_move() -> None:
    """A signature of /sms is none of /smsAccountSid…: the path would be another one."""
    params = text()
    account = params.pop("AccountSid")
    url = f"{URL}AccountSid{account}"
    assert sign(url, params.items(), TOKEN) == sign(URL, text().items(), TOKEN)

    assert answer(sent(list(params.items()), url)) == 403


def own(body: str) -> dict[str, str]:
    """What an attacker may have signed by Twilio: a text of their own."""
    return {"AccountSid": ACCOUNT, "Body": body, "From": BOB, "MessageSid": SID, "To": US}


OTHER_SID = "SM" + "c" * 32
RESPLITS: dict[str, tuple[str, dict[str, str]]] = {
    "a06 another sender": (
        f"hiFrom{ADA}FromCity", {"Body": "hi", "From": ADA, "FromCity": f"From{BOB}"}),
    "a06b an invented name": (
        f"hiFrom{ADA}FromA", {"Body": "hi", "From": ADA, "FromAFrom": BOB}),
    "a06c an invented name that ends early": (
        f"hiFrom{ADA}FromAFro", {"Body": "hi", "From": ADA, "FromAFro": f"From{BOB}"}),
    "a07 another sender and message": (
        f"hiFrom{ADA}MessageSid{OTHER_SID}To{US}Zz",
        {"Body": "hi", "From": ADA, "MessageSid": OTHER_SID, "To": US,
         "Zz": f"From{BOB}MessageSid{SID}To{US}"}),
    "a07 the same, the tail cut at To": (
        f"hiFrom{ADA}MessageSid{OTHER_SID}SmsX",
        {"Body": "hi", "From": ADA, "MessageSid": OTHER_SID, "SmsX": f"From{BOB}MessageSid{SID}"}),
    "a07 another sender on a channel": (
        f"hiFromwhatsapp:{ADA}FromCity",
        {"Body": "hi", "From": f"whatsapp:{ADA}", "FromCity": f"From{BOB}"}),
    "a07 another sender of digits": (
        "hiFrom38000FromCity", {"Body": "hi", "From": "38000", "FromCity": f"From{BOB}"}),
}  # fmt: skip


@pytest.mark.parametrize("split", RESPLITS.values(), ids=RESPLITS)
def test_a_signed_text_is_not_split_into_another_one(split: tuple[str, dict[str, str]]) -> None:
    body, forged = split
    signature = sign(URL, own(body).items(), TOKEN)
    whole = {"AccountSid": ACCOUNT, "MessageSid": SID, "To": US, **forged}
    # The very same characters: Twilio's own library takes it.
    assert sign(URL, whole.items(), TOKEN) == signature
    assert RequestValidator(TOKEN).validate(URL, whole, signature)

    assert answer(posted(urlencode(whole), list(own(body).items()))) == 403
    assert answer(posted(urlencode(own(body)), list(own(body).items()))) in (200, 403)


@pytest.mark.parametrize("body", [
    "From +1 555 to you", "call +15550100666", "From: me To: you", "MessageSid", "AccountSidAC", "FromFrom",
], ids=lambda body: f"a06 natural: {body}")  # fmt: skip
def test_a_natural_text_passes(body: str) -> None:
    assert answer(signed(text(body))) == 200


@pytest.mark.parametrize("query", [
    "", f"?{urlencode({'AccountSid': ACCOUNT, 'Body': 'evil', 'From': ADA, 'To': US})}&z=",
], ids=["a08 path alone", "a08 with a query"])  # fmt: skip
def test_the_signature_of_a_form_does_not_verify_a_glued_url(query: str) -> None:
    params = own(f"x{query}")
    glued = URL + "".join(name + params[name] for name in sorted(params))
    signature = sign(URL, params.items(), TOKEN)
    assert sign(glued, (), TOKEN) == signature

    path, _, asked = glued.removeprefix("https://example.com").partition("?")
    environ = bare(
        method="GET", PATH_INFO=path, QUERY_STRING=asked, HTTP_X_TWILIO_SIGNATURE=signature
    )
    environ["REQUEST_URI"] = path + ("?" + asked if asked else "")
    assert answer(environ) in (400, 403)


MULTIPART = "multipart/form-data; boundary=x"


def part(head: str) -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="From"{head}\r\n\r\n{ADA}\r\n--x--\r\n'.encode()


@pytest.mark.parametrize(("content_type", "body", "statuses"), [
    pytest.param("application/json", json.dumps(text()).encode(), {415}, id="a09 JSON"),
    pytest.param("text/plain", urlencode(text()).encode(), {415}, id="a09 text/plain"),
    pytest.param(None, urlencode(text()).encode(), {415}, id="a09 no type"),
    pytest.param("", urlencode(text()).encode(), {415}, id="a09 an empty type"),
    pytest.param(MULTIPART, part(""), {415}, id="a09 multipart field"),
    pytest.param(MULTIPART, part('; filename="x"'), {415}, id="a09 multipart file"),
    pytest.param(FORM, b"", {403}, id="a09 an empty form"),
    pytest.param(FORM, urlencode(text()).encode(), {403}, id="a09 a form"),
])  # fmt: skip
def test_the_signature_of_a_get_does_not_verify_a_post(
    content_type: str | None, body: bytes, statuses: set[int]
) -> None:
    proven = signed(method="GET")
    assert answer(proven) == 200

    url = f"https://example.com{proven['REQUEST_URI']}"
    signature = proven["HTTP_X_TWILIO_SIGNATURE"]
    environ = bare(url, body=body, CONTENT_TYPE=content_type, HTTP_X_TWILIO_SIGNATURE=signature)
    assert answer(environ) in statuses


def test_a09_a_get_has_no_body() -> None:
    proven = signed(method="GET")
    body = bare(body=b"From=%2B1")

    assert (
        answer(
            proven | {key: body[key] for key in ("wsgi.input", "CONTENT_LENGTH", "CONTENT_TYPE")}
        )
        == 415
    )


@pytest.mark.parametrize("name", ["From", "To", "Body", "MessageSid", "AccountSid", "SmsSid"])
@pytest.mark.parametrize("other", ["same", "+15550100666"])
def test_a10_a_field_that_decides_stands_once(name: str, other: str) -> None:
    pairs = list(text().items())
    second = (name, text()[name] if other == "same" else other)

    assert [answer(sent(order)) for order in ([*pairs, second], [second, *pairs])] == [403, 403]


def test_a10_other_fields_may_stand_twice() -> None:
    for order in permutations(["1", "2", "2"]):
        assert answer(sent([*text().items(), *(("Tag", value) for value in order)])) == 200


@pytest.mark.parametrize("query", [
    f"From={quote(BOB)}", f"From={quote(ADA)}", "From", "From=", "%46rom=x", "a=1&To=x", "a=1;From=x", "Body=x",
    "AccountSid=x", "MessageSid=x", "CallSid=x&From=x", "a=1&%54%6f", "To=%2B15557654321",
], ids=lambda query: f"g1 g2 {query}")  # fmt: skip
def test_the_accounts_own_query_decides_nothing(query: str) -> None:
    """The URL is the account's own, and signed; who talks to whom is in the body."""
    app = Answering()
    served = serve(wrapped(app), signed(url=f"{URL}?{query}"), outside=False)

    assert served.status == 200
    webhook = app.asked[0].environ["convostate.webhook"]
    assert (dict(webhook.params), webhook.pair) == (text(), PhonePair(ACCOUNT, US, ADA))


@pytest.mark.parametrize("form", ["", "Body=hi", "x=1"])
def test_a11_a_form_without_an_account_is_not_the_end_of_a_get(form: str) -> None:
    url = f"{URL}?{urlencode(text())}"
    pairs = parse_qsl(form)

    assert answer(posted(form, pairs, url)) == 403
    assert answer(posted(form, pairs)) == 200


@pytest.mark.parametrize("query", ["tenant=7", "from=web", "FromCity=x", "a=From", "a=From%3Dx"])
def test_a11_other_fields_may_stand_in_the_query(query: str) -> None:
    assert answer(signed(url=f"{URL}?{query}")) == 200


@pytest.mark.parametrize("name", [
    "From[]", "From\x00", " From", "From ", "from", "FROM", "fRoM", "From\t", "\ufeffFrom", "From\u200b",
    "To[]", "body", "messagesid",
], ids=lambda name: f"a12 {name!a}")  # fmt: skip
def test_another_spelling_of_a_field_that_decides_is_refused(name: str) -> None:
    assert answer(sent([*text().items(), (name, BOB)])) in (400, 403)


@pytest.mark.parametrize(
    "raw", ["%46rom=", "Fro%6D=", "+From=", "From+=", "From%00=", "From%5B%5D="]
)
def test_a12_another_escaping_of_a_field_that_decides_is_refused(raw: str) -> None:
    good = {name: value for name, value in text().items() if name != "From"}
    body = f"{urlencode(good)}&{raw}{quote(ADA, safe='')}"

    assert answer(posted(body, [*good.items(), ("From", ADA)])) in (400, 403)
    assert answer(posted(f"{urlencode(text())}&{raw}x", list(text().items()))) in (400, 403)


@pytest.mark.parametrize("body", [
    pytest.param(urlencode(text()).replace("&", ";"), id="a13 all"),
    pytest.param(urlencode(text()) + ";From=%2B1", id="a13 one"),
    pytest.param(urlencode(text()).replace("Body=hello", "Body=hello;x"), id="a13 in a value"),
])  # fmt: skip
def test_a_semicolon_separates_nothing(body: str) -> None:
    assert answer(posted(body, list(text().items()))) == 400
    assert answer(sent(list(text("one; two").items()))) == 200


@pytest.mark.parametrize("value", [
    pytest.param("%FF", id="a14 no UTF-8"), pytest.param("%C0%AF", id="a14 overlong"),
    pytest.param("%ED%A0%80", id="a14 a lone surrogate"), pytest.param("%F5%80%80%80", id="a14 out of Unicode"),
    pytest.param("%C3", id="a14 cut short"), pytest.param("\xff", id="a14 bare"),
    pytest.param("%", id="a14 a bare %"), pytest.param("%4", id="a14 half an escape"), pytest.param("%GG", id="a14 no escape"),
    pytest.param("%u0041", id="a14 another kind"), pytest.param("\t", id="a14 a bare tab"), pytest.param("a b", id="a14 a blank"),
])  # fmt: skip
def test_a_value_with_two_readings_is_refused(value: str) -> None:
    for read in ("", "\ufffd", "A", value):
        body = urlencode(text(""))
        assert (
            answer(posted(body.replace("Body=", f"Body={value}"), list(text(read).items()))) == 400
        )


@pytest.mark.parametrize(
    "body", ["\ufeffhi", "\U0001f44b\U0001f3fd", "\u202ehi", "\x7f\x01", "e\u0301"]
)
def test_a14_every_text_that_is_one_passes(body: str) -> None:
    assert answer(signed(text(body))) == 200


@pytest.mark.parametrize("content_type", [
    f"{FORM}; charset=utf-16", f"{FORM}; charset=utf-7", f"{FORM}; charset=latin-1", f"{FORM};charset=",
    f"{FORM}, {FORM}", f"{FORM}, text/plain", f"{FORM}; charset=utf-8; charset=utf-7", f"x{FORM}", f"{FORM}x",
    "application/x-www-form-urlencode\xe4", "multipart/form-data", "*/*", "text/xml; a=" + FORM,
], ids=lambda content_type: f"a15 {content_type}")  # fmt: skip
def test_a_type_that_is_not_a_form_in_utf_8_is_415(content_type: str) -> None:
    assert answer(signed(CONTENT_TYPE=content_type)) == 415


@pytest.mark.parametrize("content_type", [
    FORM, FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8", f'{FORM}; charset="utf-8"',
    f" {FORM} ; ", "Application/X-WWW-Form-URLEncoded",
], ids=lambda content_type: f"a15 {content_type}")  # fmt: skip
def test_the_type_of_a_form_in_any_spelling_is_accepted(content_type: str) -> None:
    assert answer(signed(CONTENT_TYPE=content_type)) == 200


def test_a16_blank_values_count() -> None:
    params = text("", FromCity="", FromZip="")
    without = {name: value for name, value in params.items() if value}

    assert answer(signed(params)) == 200
    assert answer(posted(urlencode(without), list(params.items()))) == 403
    assert (
        answer(posted(quote_plus("FromCity") + "&" + urlencode(without), list(without.items())))
        == 400
    )
