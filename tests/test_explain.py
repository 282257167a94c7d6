"""The explanation of a refused signature: what they configured, what Twilio signed, what the line says, and that doing it works."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convostate.errors import RequestError
from convostate.phone.views import LogLines
from convostate.twilio.diagnosis import Arrival, Diagnosis, diagnose, diagnose_refusal, shown
from convostate.twilio.signature import Secrets
from convostate.wsgi.request import arrival_of, read_request
from tests.answering import Answering
from tests.proving import got, oracle_sign, posted
from tests.served import ACCOUNT, ADA, TOKEN, URL, bare, serve, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

OTHER_TOKEN, SUB = "b" * 32, "AC" + "b" * 32
PARAMS = text("hello")
SECRETS = Secrets((TOKEN,))


def ask(
    url: str,
    signed_url: str,
    *,
    received: dict[str, str] = PARAMS,
    token: str = TOKEN,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Diagnosis:
    """Diagnose a request for one URL that was signed for another."""
    signature = oracle_sign(signed_url, received if params is None else params, token)
    target = "/" + url.partition("://")[2].partition("/")[2]
    arrival = Arrival(target, header=lambda name: (headers or {}).get(name, ""))
    return diagnose(posted(received, url=url, signature=signature), SECRETS, lambda: arrival)


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
    "a doubled slash": ("https://example.com//sms", "https://example.com/sms", "configure https://example.com//sms as the webhook's URL at Twilio"),
    "o20 a slash that the proxy merged": ("https://example.com/sms", "https://example.com//sms",
        "configure https://example.com/sms as the webhook's URL at Twilio, or route //sms to the app"),
    "o20 one further in": ("https://example.com/bots/sms", "https://example.com/bots//sms", "configure https://example.com/bots/sms as the webhook's URL at Twilio"),
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
    "a path that something put before": ("https://example.com/a/b/sms", "https://example.com/sms", "have the proxy pass on the path as Twilio sent it, without /a/b before it"),
    "three parts too many": ("https://example.com/a/b/c/sms", "https://example.com/sms", "have the proxy pass on the path as Twilio sent it, without /a/b/c before it"),
    "o7 a parameter added to the query": ("https://example.com/sms?a=1&stage=prod&b=2", "https://example.com/sms?a=1&b=2", "without one parameter of its query"),
    "a query added on the way": ("https://example.com/sms?stage=prod", "https://example.com/sms", "would verify without its query"),
}  # fmt: skip


def test_a_url_that_somebody_typed_has_too_much_of_the_path_in_the_setting() -> None:
    received, configured = "https://example.com/a/b/sms", "https://example.com/sms"
    request = posted(PARAMS, url=received, signature=oracle_sign(configured, PARAMS))
    assert diagnose(request, SECRETS).advice == "set CONVOSTATE_PUBLIC_URL=https://example.com"
    assert ask(received, configured).advice.startswith("have the proxy pass on the path")


@pytest.mark.parametrize(("received", "configured", "says"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_fault_that_no_setting_mends_is_named_too(
    received: str, configured: str, says: str
) -> None:
    found = ask(received, configured)
    assert not found.valid
    assert says in str(found)
    assert "?" not in str(found)
    if "query" in says:
        assert found.advice == "have the proxy pass on the query as Twilio sent it"
    assert ask(configured, configured).valid


@pytest.mark.parametrize(("origin", "inside"), [
    ("http://10.0.0.7:8000", True), ("http://127.0.0.1", True), ("http://localhost:5000", True), ("http://web:8000", True),
    ("http://[::1]:8000", True), ("https://app.internal", True), ("https://example.com", False), ("https://example.com:8443", False),
])  # fmt: skip
def test_a_host_that_twilio_cannot_reach_is_pointed_out(origin: str, inside: bool) -> None:
    found = ask(f"{origin}/sms", "https://bots.example.org/sms")
    assert found.advice.startswith("Twilio was probably not configured with this host") is inside
    assert f"compare {origin}/sms with the webhook's URL at Twilio" in found.advice
    assert "compare TWILIO_AUTH_TOKEN with" in found.advice
    assert not found.fixable


@pytest.mark.parametrize("query", ["", "?x=1"])
@pytest.mark.parametrize("public_url", [None, "https://example.com"])
def test_a_url_without_a_path_is_signed_and_checked_with_a_slash(
    query: str, public_url: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the server gives the app a path or not."""
    environ = signed(PARAMS, url=f"https://example.com/{query}", REQUEST_URI=None)
    for path in ("", "/"):
        middleware = wrapped(Answering(), public_url=public_url)
        assert serve(middleware, environ | {"PATH_INFO": path}, outside=False).status == 200

    environ["HTTP_X_TWILIO_SIGNATURE"] = oracle_sign("https://example.com/", PARAMS, OTHER_TOKEN)
    assert serve(middleware, environ | {"PATH_INFO": ""}, outside=False).status == 403
    assert "compare https://example.com/ with the webhook's URL at Twilio" in caplog.text
    assert "set CONVOSTATE_PUBLIC_URL to Twilio's URL. If they are the same" in caplog.text


def test_four_parts_too_many_are_not_looked_for() -> None:
    found = ask("https://example.com/a/b/c/d/sms", "https://example.com/sms")
    assert found.reason == "no usual change of the URL or the parameters makes it valid"


@pytest.mark.parametrize(("headers", "signed_url"), [
    ({"X-Forwarded-Prefix": "/prod"}, "https://example.com/prod/sms"),
    ({"X-Forwarded-Prefix": "/v1/, /prod"}, "https://example.com/v1/prod/sms"), ({"X-Script-Name": "/prod"}, "https://example.com/prod/sms"),
    ({"X-Original-URI": "/prod/sms?x=1"}, "https://example.com/prod/sms"), ({"X-Original-URL": "http://app/prod/sms"}, "https://example.com/prod/sms"),
    ({"X-Forwarded-Port": "8443"}, "https://example.com:8443/sms"), ({"X-Forwarded-Host": "a.example:81, b.example"}, "https://b.example:81/sms"),
    ({"Forwarded": 'for=1;HOST="a.example";proto=https, host=b.example'}, "https://b.example/sms"),
    ({"X-Forwarded-Host": "[2001:db8::1]:81"}, "https://[2001:db8::1]:81/sms"), ({"Host": "a.example:81"}, "http://a.example:81/sms"),
])  # fmt: skip
def test_a_forwarding_header_says_what_to_try(headers: dict[str, str], signed_url: str) -> None:
    found = ask("https://example.com/sms", signed_url, headers=headers)
    assert found.advice == f"set CONVOSTATE_PUBLIC_URL={signed_url.removesuffix('/sms')}"
    assert found.fixable
    assert not ask("https://example.com/sms", signed_url).fixable


@pytest.mark.parametrize("headers", [
    {"X-Forwarded-Prefix": "prod"}, {"X-Forwarded-Prefix": "/" + "p" * 255}, {"X-Forwarded-Host": "u@prod"}, {"X-Forwarded-Host": "pr\r\nod"},
    {"X-Forwarded-Host": "a,b,c,d,prod"}, {"Forwarded": "by=prod"}, {"X-Original-URI": "prod/sms"},
])  # fmt: skip
def test_a_forwarding_header_without_a_valid_host_is_not_tried(headers: dict[str, str]) -> None:
    hosts = ("prod", "u@prod", "pr\r\nod", "example.comprod")
    places = [f"https://{host}/sms" for host in hosts]
    for place in [*places, "https://example.com/prod/sms", f"https://example.com/{'p' * 255}/sms"]:
        assert not ask("https://example.com/sms", place, headers=headers).fixable


def test_a_path_that_the_proxy_changes_is_for_the_proxy_to_mend() -> None:
    found = ask(
        "https://example.com/sms",
        "https://example.com/in/text",
        headers={"X-Original-URI": "/in/text"},
    )
    assert found.advice == "have the proxy pass on the path as Twilio sent it"


@pytest.mark.parametrize("public_url", ["https://example.com", "https://other.example", None])
def test_o7_a_mount_that_is_not_in_twilios_url_is_for_the_server_to_clear(
    public_url: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a raw URL a Lambda adapter's stage is in the path, whatever is set."""
    environ = signed(PARAMS, url="https://example.com/sms", REQUEST_URI=None)
    middleware = wrapped(Answering(), public_url=public_url)
    assert serve(middleware, environ | {"SCRIPT_NAME": "/Prod"}, outside=False).status == 403
    assert "clear the app's SCRIPT_NAME (/Prod), which Twilio's URL does not have" in caplog.text

    right = wrapped(Answering(), public_url=public_url and "https://example.com")
    assert serve(right, environ, outside=False).status == 200


ADVICE = {
    "without its form parameters": "it was signed as JSON or GET: send it the same way, with bodySHA256",
    "with + before its numbers": "escape + as %2B where the numbers are sent",
    "with its parameters unescaped once more": "escape them once where they are sent",
}


@pytest.mark.parametrize(("params", "received", "says"), [
    pytest.param({**PARAMS, "Body": "hi"}, {**PARAMS, "Body": " hi "}, "with blanks trimmed", id="trimmed before signing"),
    pytest.param({k: v for k, v in PARAMS.items() if v}, PARAMS, "without its blank parameters", id="blanks left out"),
    pytest.param({}, PARAMS, "without its form parameters", id="json taken for a form"),
    pytest.param(PARAMS, {**PARAMS, "From": f" {ADA[1:]}"}, "with + before its numbers", id="a + that was not escaped"),
    pytest.param({**PARAMS, "Body": "a+b & c%"}, {**PARAMS, "From": ADA.replace("+", "%2B"), "To": quote_plus(PARAMS["To"]), "Body": "a%2Bb+%26+c%25"}, "with its parameters unescaped once more", id="escaped twice"),
])  # fmt: skip
def test_parameters_that_changed_on_the_way_are_named(
    params: dict[str, str], received: dict[str, str], says: str
) -> None:
    url = "https://example.com/sms"
    found = ask(url, url, params=params, received=received)
    assert (found.valid, found.reason) == (False, f"would verify {says}")
    assert found.advice.startswith(ADVICE.get(says, "sign the parameters as they are sent"))
    assert ask(url, url, received=received).valid


def test_the_advice_names_the_token_of_another_account(caplog: pytest.LogCaptureFixture) -> None:
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


def test_the_advice_for_an_account_without_a_token_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
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


def test_a_refused_browser_gets_advice_about_the_paths(caplog: pytest.LogCaptureFixture) -> None:
    page = bare("https://example.com/page", "GET")
    assert serve(wrapped(Answering()), page, outside=False).status == 403
    assert caplog.text.rstrip().endswith(
        "the request carries no X-Twilio-Signature: if browsers use this path, set CONVOSTATE_PATHS=/sms (the paths that Twilio calls, with commas between)"
    )
    assert (
        serve(wrapped(Answering(), inside=False, paths="/sms"), page, outside=False).status == 200
    )


def test_the_advice_for_an_unknown_token_says_where_to_look() -> None:
    found = ask("https://example.com/sms", "https://example.com/sms", token=OTHER_TOKEN)
    assert str(found).startswith(
        "checked as https://example.com/sms: no usual change of the URL or the parameters makes it valid: compare https://example.com/sms with"
    )
    assert "secondary" in found.advice


def test_o7_a_query_that_was_removed_is_not_blamed_on_the_token_alone() -> None:
    found = ask("https://example.com/sms", "https://example.com/sms?step=2")
    assert found.advice.endswith("something in front of the app changes the query or a parameter")
    assert ask("https://example.com/sms?step=2", "https://example.com/sms?step=2").valid


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_a_signature_that_verifies_says_so_in_any_variant_of_the_port(port: str) -> None:
    found = ask(f"https://example.com{port}/sms?x=1", "https://example.com/sms?x=1")
    assert (found.valid, str(found)) == (True, f"verifies as https://example.com{port}/sms")
    assert not ask(f"https://example.com{port}/sms?x=1", "https://example.com/sms?x=2").valid


ODD = st.text(st.sampled_from("htps:/[]@?#&=%.a0 \n\u00e9"), max_size=20)


@given(
    ODD | ODD.map(lambda rest: f"https://{rest}"),
    st.just("A" * 27 + "=") | st.text(max_size=30),
    st.lists(ODD, max_size=3),
    st.lists(ODD, max_size=3),
)
def test_no_url_and_no_header_breaks_the_explanation(
    url: str, signature: str, hosts: list[str], prefixes: list[str]
) -> None:
    headers = {"X-Forwarded-Host": ",".join(hosts), "X-Original-URI": ",".join(prefixes)}
    arrival = Arrival(url, url, url, lambda name: headers.get(name, ""))
    found = diagnose(posted(PARAMS, url=url, signature=signature), SECRETS, lambda: arrival)
    assert not found.valid
    assert found.checked == shown(url)
    assert found.reason
    assert str(found).isprintable()


@pytest.mark.parametrize(("url", "place"), [
    ("https://1234567890.example.com:44321/sms?x=1#y", "https://1234567890.example.com:44321/sms"), ("https://example.com/+15550100001/in", "https://example.com/***01/in"),
    ("/a\r\nb\x1b", "/a??b?"), ("https://example.com/" + "x" * 300, "https://example.com/" + "x" * 249 + "…"), ("", ""),
])  # fmt: skip
def test_a_url_is_shown_without_query_number_and_control_character(url: str, place: str) -> None:
    assert shown(url) == place


def test_a_host_of_many_digits_is_shown_whole_so_that_it_can_be_set(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origin = "https://sms-123456789012.us-central1.run.app"
    environ = signed(PARAMS, url=f"{origin}/sms") | {"wsgi.url_scheme": "http"}
    assert serve(wrapped(Answering()), environ, outside=False).status == 403
    assert caplog.messages[0].endswith(f"set CONVOSTATE_PUBLIC_URL={origin}")
    assert serve(wrapped(Answering(), public_url=origin), environ, outside=False).status == 200


def test_a_prefix_that_holds_a_number_is_not_shown_but_described() -> None:
    headers = {"X-Forwarded-Prefix": "/+15550100099"}
    found = ask("https://example.com/sms", "https://example.com/+15550100099/sms", headers=headers)
    assert "15550" not in str(found)
    assert found.advice == (
        "set CONVOSTATE_PUBLIC_URL to the webhook's URL at Twilio without its query and without the /sms at its end"
    )


FIELDS = st.dictionaries(
    st.sampled_from([*PARAMS, "FROM", "Zz", "FromAFrom", "a;b", "callTo"]),
    st.sampled_from(["", "hi", ADA, f"hiFrom{ADA}", "a\0b", "?CallSid=CA" + "1" * 32]),
    max_size=4,
)


@given(
    method=st.sampled_from(["POST", "GET", "PUT"]),
    changes=FIELDS,
    query=st.sampled_from(["", "x=1", "From=x", "a;b", "bodySHA256=0"]),
    content_type=st.sampled_from(
        ["application/x-www-form-urlencoded", "text/plain", "application/json"]
    ),
    break_=st.sampled_from(["", "scheme", "token", "signature", "account"]),
)
def test_g9_the_middleware_the_log_and_the_diagnosis_agree(
    method: str, changes: dict[str, str], query: str, content_type: str, break_: str
) -> None:
    url = f"https://example.com/sms?{query}".rstrip("?")
    params = {**PARAMS, **changes, **({"AccountSid": SUB} if break_ == "account" else {})}
    form_method = method if method != "PUT" else "POST"
    environ = signed(params, url, form_method, token=OTHER_TOKEN if break_ == "token" else TOKEN)
    environ["REQUEST_METHOD"] = method
    if method != "GET":
        environ["CONTENT_TYPE"] = content_type
    if break_ == "scheme":
        environ["wsgi.url_scheme"] = "http"
    if break_ == "signature":
        del environ["HTTP_X_TWILIO_SIGNATURE"]
    middleware = wrapped(Answering(), inside=False)
    request = read_request(environ, None, 262_144)
    environ["wsgi.input"].seek(0)
    diagnosis = diagnose(request, SECRETS, lambda: arrival_of(environ, None, None))
    handler = LogLines()
    logging.getLogger("convostate").addHandler(handler)
    with handler.listening() as lines:
        status = serve(middleware, environ, outside=False).status
    logging.getLogger("convostate").removeHandler(handler)

    assert diagnosis.valid is (status == 200)
    assert len(lines) == (status != 200)
    for line in lines:
        pattern = rf"refused a request with {status} \([a-z-]+\): {re.escape(str(diagnosis))}"
        assert re.fullmatch(pattern, line)


def test_a_refusal_in_the_middle_of_a_form_is_explained_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
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


AMBIGUOUS = (
    "a forged webhook would look the same. If the account writes this text (a button, a list, the name of a "
    "conference), put a blank after the words From and To in it"
)


@pytest.mark.parametrize(("parameter", "setting", "says"), [
    ("callTo", "CONVOSTATE_OWN_PARAMS", "a reason (parameter callTo): rename the parameter, or if you trust whoever writes its value, set CONVOSTATE_OWN_PARAMS=callTo"),
    ("call\n+15550100001", "CONVOSTATE_OWN_PARAMS", "a reason (parameter call?***01): rename the parameter, or if you trust whoever writes its value, add its name to CONVOSTATE_OWN_PARAMS"),
    ("Fro", "", "a reason (parameter Fro): rename the parameter"), ("", "", "a reason"),
    *((name, "", f"a reason (parameter {name}): {AMBIGUOUS}") for name in ("From", "SpeechResult", "MediaUrl0")),
])  # fmt: skip
def test_g9_a_refusal_names_its_parameter_and_what_to_rename_or_set(
    parameter: str, setting: str, says: str
) -> None:
    error = RequestError(403, "re-split", "a reason", parameter=parameter, setting=setting)
    found = diagnose_refusal(error, posted(PARAMS), SECRETS)
    assert str(found) == f"checked as https://example.com/sms: {says}"
    assert not found.fixable


def test_g9_a_name_of_twilios_in_the_url_of_a_get_is_to_be_renamed_there() -> None:
    own = f"{URL}?To=%2B15557654321&{urlencode(PARAMS)}"
    twice = posted([*PARAMS.items(), ("To", "+15557654321")])

    advice = "if the webhook's URL at Twilio has it too, rename it there (parameter To)"
    assert str(diagnose(got(own), SECRETS)).endswith(advice)
    assert str(diagnose(twice, SECRETS)).endswith("is repeated (parameter To)")


def test_g9_nobody_is_told_to_rename_what_twilio_names() -> None:
    error = RequestError(403, "identity", "a reason", parameter="SmsSid")
    assert str(diagnose_refusal(error, posted(PARAMS), SECRETS)).endswith("(parameter SmsSid)")
