"""The explanation of a refused signature: what they configured, what Twilio signed, what the line says, and that doing it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate.errors import RequestError
from convostate.twilio.diagnosis import Asked, Explanation, explain, hints, without_query
from convostate.twilio.form import Form, parse_form
from convostate.twilio.signature import Secrets
from tests.answering import Answering
from tests.proving import oracle_sign
from tests.served import ACCOUNT, TOKEN, bare, serve, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

OTHER_TOKEN, SUB = "b" * 32, "AC" + "b" * 32
PARAMS = text("hello")
FORM = parse_form(urlencode(PARAMS).encode())
SECRETS = Secrets((TOKEN,))


def ask(
    url: str,
    signed_url: str,
    *,
    form: Form = FORM,
    token: str = TOKEN,
    params: dict[str, str] | None = None,
    **more: Any,
) -> Explanation:
    """Explain a request for one URL that was signed for another."""
    pairs = form.items() if params is None else params.items()
    signature = oracle_sign(signed_url, list(pairs), token)
    return explain(Asked(url, form, signature, SECRETS.every(), **more))


class Setup(NamedTuple):
    """How an installation got it wrong."""

    received: str
    """The URL as the app sees it."""
    configured: str
    """The URL as Twilio was given it."""
    says: str
    public_url: str = ""
    """What the line says to set, and must make it work."""
    forwarded: dict[str, str] = {}  # noqa: RUF012  # read only


SETUPS = {
    "tls ends at a proxy": Setup("http://example.com/sms", "https://example.com/sms",
        "checked as http://example.com/sms: would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com",
        "https://example.com"),
    "tls ends at a proxy, and the app has a port": Setup("http://example.com:8000/sms", "https://example.com/sms",
        "would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com", "https://example.com"),
    "tls ends at the app, the proxy speaks plainly": Setup("https://example.com/sms", "http://example.com/sms",
        "set CONVOSTATE_PUBLIC_URL=http://example.com", "http://example.com"),
    "a tunnel": Setup("http://localhost:5000/sms", "https://abc.ngrok.example/sms",
        "would verify as https://abc.ngrok.example/sms: set CONVOSTATE_PUBLIC_URL=https://abc.ngrok.example", "https://abc.ngrok.example",
        {"HTTP_X_FORWARDED_HOST": "abc.ngrok.example"}),
    "a proxy that tells in the standard's header": Setup("http://10.0.0.5:8000/sms", "https://example.com/sms",
        "set CONVOSTATE_PUBLIC_URL=https://example.com", "https://example.com", {"HTTP_FORWARDED": 'for=1.2.3.4;host="example.com";proto=https'}),
    "a chain of proxies": Setup("http://app:8000/sms", "https://example.com/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com",
        "https://example.com", {"HTTP_X_FORWARDED_HOST": "edge.example, example.com"}),
    "another host with a port": Setup("http://app:8000/sms", "https://example.com:8443/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com:8443",
        "https://example.com:8443", {"HTTP_X_ORIGINAL_HOST": "example.com:8443"}),
    "a prefix that the proxy cut off": Setup("https://example.com/sms", "https://example.com/prod/sms",
        "would verify as https://example.com/prod/sms: set CONVOSTATE_PUBLIC_URL=https://example.com/prod", "https://example.com/prod",
        {"HTTP_X_FORWARDED_PREFIX": "/prod/"}),
    "a prefix and another host": Setup("http://app/sms", "https://example.com/prod/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com/prod",
        "https://example.com/prod", {"HTTP_X_FORWARDED_PREFIX": "/prod", "HTTP_X_FORWARDED_HOST": "example.com"}),
    "a query beside it all": Setup("http://example.com/sms?a=1&b=%2F", "https://example.com/sms?a=1&b=%2F",
        "would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com", "https://example.com"),
}  # fmt: skip


def environ_of(setup: Setup) -> WSGIEnvironment:
    """The request that reaches the app, signed for the URL that Twilio was given."""
    environ = signed(PARAMS, url=setup.received, **setup.forwarded)
    return environ | {"HTTP_X_TWILIO_SIGNATURE": oracle_sign(setup.configured, PARAMS)}


@pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)
def test_the_log_line_says_what_to_set_and_setting_it_works(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    assert serve(wrapped(Answering()), environ_of(setup), outside=False).status == 403
    (line,) = [record.getMessage() for record in caplog.records]
    assert setup.says in line
    assert line.endswith(f"CONVOSTATE_PUBLIC_URL={setup.public_url}")
    assert "?" not in line

    assert (
        serve(
            wrapped(Answering(), public_url=setup.public_url), environ_of(setup), outside=False
        ).status
        == 200
    )


ELSEWHERE = {
    "a trailing slash configured": ("https://example.com/sms", "https://example.com/sms/",
        "would verify as https://example.com/sms/: configure https://example.com/sms as the webhook's URL at Twilio, or route /sms/ to the app"),
    "a trailing slash received": ("https://example.com/sms/", "https://example.com/sms",
        "configure https://example.com/sms/ as the webhook's URL at Twilio, or route /sms to the app"),
    "no path configured": ("https://example.com/", "https://example.com",
        "would verify as https://example.com: configure https://example.com/ as the webhook's URL at Twilio"),
    "a doubled slash": ("https://example.com//sms", "https://example.com/sms", "configure https://example.com//sms as the webhook's URL at Twilio"),
    "a query in another order": ("https://example.com/sms?b=2&a=1", "https://example.com/sms?a=1&b=2", "would verify with its query sorted"),
    "an apostrophe escaped on the way": ("https://example.com/sms?a=it%27s", "https://example.com/sms?a=it's", "with its query escaped otherwise"),
    "a space spelled otherwise": ("https://example.com/sms?a=b+c", "https://example.com/sms?a=b%20c", "with its query escaped otherwise"),
    "an escape unescaped on the way": ("https://example.com/sms?a=b/c", "https://example.com/sms?a=b%2Fc", "with its query escaped otherwise"),
    "what one encoder escapes": ("https://example.com/sms?a=!*", "https://example.com/sms?a=%21%2A", "with its query escaped otherwise"),
    "what another leaves bare": ("https://example.com/sms?a=%21%27%28%29%2A%7E", "https://example.com/sms?a=!'()*~", "with its query escaped otherwise"),
    "what a third leaves bare": ("https://example.com/sms?a=%3A%40%24%2C%3B%2F%3F", "https://example.com/sms?a=:@$,;/?", "with its query escaped otherwise"),
    "a space and an apostrophe": ("https://example.com/sms?a=it%27s+b", "https://example.com/sms?a=it's%20b", "with its query escaped otherwise"),
    "a space and what another leaves bare": ("https://example.com/sms?a=%21+%2A", "https://example.com/sms?a=!%20*", "with its query escaped otherwise"),
    "a space and what a third leaves bare": ("https://example.com/sms?a=%2F%20b&c=+", "https://example.com/sms?a=/+b&c=+", "with its query escaped otherwise"),
    "a query unescaped before it was given": ("https://example.com/sms?a=%7B%22%7D", 'https://example.com/sms?a={"}', "would verify with its query unescaped"),
    "a path escaped otherwise": ("https://example.com/caf%c3%a9/%7Eada", "https://example.com/caf%C3%A9/~ada",
        "configure https://example.com/caf%c3%a9/%7Eada as the webhook's URL at Twilio, or route /caf%C3%A9/~ada to the app"),
    "a path that the setting doubles": ("https://example.com/sms/sms", "https://example.com/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com, without /sms"),
    "a path of two parts doubled": ("https://example.com/a/sms/a/sms", "https://example.com/a/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com, without /a/sms"),
    "three parts too many": ("https://example.com/a/b/c/sms", "https://example.com/sms", "set CONVOSTATE_PUBLIC_URL=https://example.com, without /a/b/c"),
    "a query added on the way": ("https://example.com/sms?stage=prod", "https://example.com/sms", "would verify without its query"),
    "a fragment given": ("https://example.com/sms#rc=3&rp=5xx", "https://example.com/sms",
        "would verify without its fragment: leave out what stands behind the #: Twilio does not sign it"),
}  # fmt: skip


@pytest.mark.parametrize(("received", "configured", "says"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_no_setting_mends_is_told_too(received: str, configured: str, says: str) -> None:
    found = ask(received, configured)
    assert not found.valid
    assert says in str(found)
    assert "?" not in str(found)
    if "query" in says:
        assert found.advice == "pass the request on to the app with the query as Twilio sent it"
    assert ask(configured, configured).valid


@pytest.mark.parametrize(("origin", "inside"), [
    ("http://10.0.0.7:8000", True), ("http://127.0.0.1", True), ("http://localhost:5000", True), ("http://web:8000", True),
    ("http://[::1]:8000", True), ("https://app.internal", True), ("https://example.com", False), ("https://example.com:8443", False),
])  # fmt: skip
def test_a_host_that_twilio_was_hardly_given_is_told_first(origin: str, inside: bool) -> None:
    found = ask(f"{origin}/sms", "https://bots.example.org/sms")
    assert found.advice.startswith("Twilio was hardly given this host: behind a proxy") is inside
    assert "compare TWILIO_AUTH_TOKEN with" in found.advice
    assert not found.mends


def test_four_parts_too_many_are_not_looked_for() -> None:
    found = ask("https://example.com/a/b/c/d/sms", "https://example.com/sms")
    assert found.reason == "no usual change of the URL or the parameters makes it valid"


def test_a_hint_that_is_no_path_is_no_prefix() -> None:
    here, there = "https://example.com/sms", "https://example.com/prod/sms"
    assert "example.com/prod" in str(ask(here, there, prefixes=["/prod"]))
    assert "no usual change" in str(ask(here, there, prefixes=["prod"]))
    assert "no usual change" in str(ask(here, "https://example.comprod/sms", prefixes=["prod"]))


@pytest.mark.parametrize(("params", "received", "says"), [
    pytest.param({**PARAMS, "Body": "hi"}, {**PARAMS, "Body": " hi "}, "with blanks trimmed", id="trimmed before signing"),
    pytest.param({k: v for k, v in PARAMS.items() if v}, PARAMS, "without its blank parameters", id="blanks left out"),
    pytest.param({}, PARAMS, "without its form parameters", id="json taken for a form"),
])  # fmt: skip
def test_parameters_that_changed_on_the_way_are_told(
    params: dict[str, str], received: dict[str, str], says: str
) -> None:
    url = "https://example.com/sms"
    found = ask(url, url, params=params, form=parse_form(urlencode(received).encode()))
    assert (found.valid, found.reason) == (False, f"would verify {says}")
    assert found.advice == (
        "sign the parameters as they are sent"
        if params
        else "the sender signed it as JSON or GET: send it as that, with bodySHA256 in the URL for JSON"
    )
    assert ask(url, url, params=received, form=parse_form(urlencode(received).encode())).valid


def test_the_token_of_another_account_is_told(caplog: pytest.LogCaptureFixture) -> None:
    two = {ACCOUNT: TOKEN, SUB: OTHER_TOKEN}
    environ = signed(token=OTHER_TOKEN)
    assert serve(wrapped(Answering(), account_tokens=two), environ, outside=False).status == 403
    assert "it was signed with the token of another configured account" in caplog.text
    assert (
        serve(
            wrapped(Answering(), account_tokens={**two, ACCOUNT: OTHER_TOKEN}),
            environ,
            outside=False,
        ).status
        == 200
    )


def test_an_account_without_a_token_is_told(caplog: pytest.LogCaptureFixture) -> None:
    environ = signed(text(AccountSid=SUB), token=OTHER_TOKEN)
    assert (
        serve(wrapped(Answering(), account_tokens={ACCOUNT: TOKEN}), environ, outside=False).status
        == 403
    )
    assert "no configured secret belongs to the account" in caplog.text
    assert "CONVOSTATE_ACCOUNT_TOKENS" in caplog.text
    assert (
        serve(
            wrapped(Answering(), account_tokens={ACCOUNT: TOKEN, SUB: OTHER_TOKEN}),
            environ,
            outside=False,
        ).status
        == 200
    )


def test_a_browser_is_told_of_the_paths(caplog: pytest.LogCaptureFixture) -> None:
    page = bare("https://example.com/page", "GET")
    assert serve(wrapped(Answering()), page, outside=False).status == 403
    assert caplog.text.rstrip().endswith(
        "the request carries no X-Twilio-Signature: if browsers use this path, set CONVOSTATE_PATHS=/sms (the paths that Twilio calls, with commas between)"
    )
    assert (
        serve(wrapped(Answering(), inside=False, paths="/sms"), page, outside=False).status == 200
    )


def test_a_token_that_nobody_knows_is_told_where_to_look() -> None:
    found = ask("https://example.com/sms", "https://example.com/sms", token=OTHER_TOKEN)
    assert str(found).startswith(
        "checked as https://example.com/sms: no usual change of the URL or the parameters makes it valid: compare TWILIO_AUTH_TOKEN"
    )
    assert "secondary" in found.advice


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_a_signature_that_verifies_says_so_in_any_variant_of_the_port(port: str) -> None:
    found = ask(f"https://example.com{port}/sms?x=1", "https://example.com/sms?x=1")
    assert (found.valid, str(found)) == (True, f"verifies as https://example.com{port}/sms")
    assert not ask(f"https://example.com{port}/sms?x=1", "https://example.com/sms?x=2").valid


@pytest.mark.parametrize(("values", "words"), [
    (["a.example, b.example:1"], ["a.example", "b.example:1"]), (["for=1;host=a.example;proto=https"], ["for=1", "a.example", "proto=https"]),
    (["", " , "], []), (["u@evil", "a\r\nb", "\u00e9"], []), ([",".join("abcdefghijkl")], list("abcdefgh")), (['host="a"'], ["a"]),
    (["h" * 255, "h" * 256], ["h" * 255]),
])  # fmt: skip
def test_only_words_that_can_be_a_host_or_a_path_are_hints(
    values: list[str], words: list[str]
) -> None:
    assert hints(values) == words


ODD = st.text(st.sampled_from("htps:/[]@?#&=%.a0 \n\u00e9"), max_size=20)


@given(
    ODD | ODD.map(lambda rest: f"https://{rest}"),
    st.text(max_size=30),
    st.lists(ODD, max_size=3),
    st.lists(ODD, max_size=3),
)
def test_no_url_and_no_header_breaks_the_explanation(
    url: str, signature: str, hosts: list[str], prefixes: list[str]
) -> None:
    found = explain(Asked(url, FORM, signature, SECRETS.every(), (), hints(hosts), hints(prefixes)))
    assert not found.valid
    assert found.checked == without_query(url)
    assert found.reason
    assert found.advice


def test_a_refusal_in_the_middle_of_a_form_is_explained_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RequestError):
        parse_form(b"canary")
    assert (
        serve(
            wrapped(Answering()),
            bare(body=b"canary", CONTENT_TYPE="application/x-www-form-urlencoded"),
            outside=False,
        ).status
        == 400
    )
    assert "malformed form" in caplog.text
    assert "canary" not in caplog.text
