"""The log line of a refusal: what to set, once a minute, and nothing that is anybody's secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import convostate.refusals
from convostate.refusals import DIAGNOSED_A_MINUTE, QUIET_S, RefusalLog
from tests.answering import Answering
from tests.served import ACCOUNT, ADA, TOKEN, URL, US, bare, serve, settings, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from convostate import ConversationMiddleware


class Monotonic:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def logging_by(monotonic: Monotonic, **changes: Any) -> ConversationMiddleware:
    middleware = wrapped(Answering(), **changes)
    middleware._refusals = RefusalLog(settings(**changes).secrets(), monotonic)
    return middleware


def line(environ: WSGIEnvironment, caplog: pytest.LogCaptureFixture, **changes: Any) -> str:
    """The one line that a refused request leaves."""
    caplog.clear()
    assert serve(wrapped(Answering(), **changes), environ, outside=False).status >= 400
    [record] = caplog.records
    assert (record.name, record.levelname, record.exc_info) == ("convostate", "WARNING", None)
    return record.getMessage()


ARRIVED = {"HTTP_HOST": "10.0.0.7:8000", "wsgi.url_scheme": "http"}


def at(target: str, **headers: str) -> dict[str, str]:
    """The same request as it arrives behind a proxy."""
    return {**ARRIVED, "PATH_INFO": target, "REQUEST_URI": target, **headers}


@pytest.mark.parametrize(("url", "arrived", "said", "fix"), [
    pytest.param(
        "https://example.com/sms", {"wsgi.url_scheme": "http"},
        "would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com",
        {"public_url": "https://example.com"}, id="TLS ends before the app"),
    pytest.param(
        "https://example.com/sms", at("/sms", HTTP_X_FORWARDED_HOST="example.com"),
        "would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com",
        {"public_url": "https://example.com"}, id="another host"),
    pytest.param(
        "https://example.com/sms", at("/sms", HTTP_FORWARDED='for=1.2.3.4;host="example.com";proto=https'),
        "would verify as https://example.com/sms: set CONVOSTATE_PUBLIC_URL=https://example.com",
        {"public_url": "https://example.com"}, id="another host in Forwarded"),
    pytest.param(
        "https://example.com/bots/sms",
        at("/sms", HTTP_X_FORWARDED_HOST="example.com", HTTP_X_FORWARDED_PREFIX="/bots"),
        "would verify as https://example.com/bots/sms: set CONVOSTATE_PUBLIC_URL=https://example.com/bots",
        {"public_url": "https://example.com/bots"}, id="a prefix cut off"),
    pytest.param(
        "https://example.com/sms", {"PATH_INFO": "/sms/", "REQUEST_URI": "/sms/"},
        "would verify as https://example.com/sms: configure https://example.com/sms/ as the webhook's URL at Twilio",
        None, id="a slash at the end"),
])  # fmt: skip
def test_the_line_says_what_to_do_and_doing_it_works(
    url: str, arrived: dict[str, str], said: str, fix: Any, caplog: pytest.LogCaptureFixture
) -> None:
    environ = signed(url=url) | arrived

    assert said in line(environ, caplog)
    if fix:
        assert serve(wrapped(Answering(), **fix), environ).status == 200


def test_a_request_without_a_signature_is_maybe_a_browser(caplog: pytest.LogCaptureFixture) -> None:
    browser = bare("https://example.com/login?next=%2F", "GET")

    said = line(browser, caplog)

    assert said == (
        "refused a request with 403 (unsigned): checked as https://example.com/login: the request "
        "carries no X-Twilio-Signature: if browsers use this path, set CONVOSTATE_PATHS=/sms (the paths that Twilio calls, with commas between)"
    )
    assert serve(wrapped(Answering(), inside=False, paths="/sms"), browser).status == 200


def test_a_token_of_another_account_is_recognized(caplog: pytest.LogCaptureFixture) -> None:
    other = "AC" + "b" * 32
    accounts = {"auth_token": None, "account_tokens": f"{ACCOUNT}={TOKEN},{other}=another-token"}

    said = line(signed(token="another-token"), caplog, **accounts)

    assert "signed with the token of another configured account" in said
    assert "another-token" not in said


def test_an_unknown_token_is_named_as_such(caplog: pytest.LogCaptureFixture) -> None:
    assert "compare TWILIO_AUTH_TOKEN" in line(signed(token="rotated"), caplog)


@pytest.mark.parametrize(("environ", "category"), [
    (bare(), "unsigned"), (signed(token="x"), "signature"), (bare(body=b"a"), "form"),
    (signed(CONTENT_TYPE="a/b"), "content-type"), (signed(REQUEST_METHOD="PUT"), "method"),
    (bare(CONTENT_LENGTH="x"), "length"), (signed(text(SmsSid="SM1")), "identity"),
    (bare(HTTP_HOST="a/b"), "host"),
    (signed(text("hi") | {"FromAFrom": US}), "re-split"),
], ids=lambda part: part if isinstance(part, str) else "")  # fmt: skip
def test_each_category_is_logged_once_a_minute(
    environ: WSGIEnvironment, category: str, monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = logging_by(monotonic)

    def lines() -> int:
        caplog.clear()
        serve(middleware, environ, outside=False)
        assert all(f"({category})" in record.getMessage() for record in caplog.records)
        return len(caplog.records)

    counts = [lines(), lines()]
    monotonic.now += QUIET_S - 0.001
    counts.append(lines())
    monotonic.now += 0.001
    counts += [lines(), lines()]

    assert counts == [1, 0, 0, 1, 0]


def test_one_category_does_not_silence_another(
    monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = logging_by(monotonic)
    for _ in range(3):
        for environ in (bare(), signed(token="x"), bare(body=b"a"), signed(REQUEST_METHOD="PUT")):
            serve(middleware, environ)

    assert len(caplog.records) == 4


def test_what_cannot_be_explained_does_not_silence_what_can(
    monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = logging_by(monotonic)
    strange, mended = signed(token="x"), signed() | {"wsgi.url_scheme": "http"}
    for environ in (strange, mended, strange, mended):
        serve(middleware, environ)

    first, second = (record.getMessage() for record in caplog.records)
    assert "no usual change" in first
    assert second.endswith("set CONVOSTATE_PUBLIC_URL=https://example.com")


@pytest.mark.parametrize(("strangers", "lines"), [(DIAGNOSED_A_MINUTE - 1, 2), (DIAGNOSED_A_MINUTE, 1)])  # fmt: skip
def test_so_many_are_explained_in_a_minute_and_no_more(
    strangers: int, lines: int, monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = logging_by(monotonic)
    mended = signed() | {"wsgi.url_scheme": "http"}
    for _ in range(strangers):
        serve(middleware, signed(token="x"))
    serve(middleware, mended)
    assert len(caplog.records) == lines

    monotonic.now += QUIET_S
    serve(middleware, mended)
    assert len(caplog.records) == lines + 1


def test_the_first_refusal_after_a_start_is_logged(
    monotonic: Monotonic, caplog: pytest.LogCaptureFixture
) -> None:
    monotonic.now = -5.0  # a monotonic clock may begin anywhere
    serve(logging_by(monotonic), bare())

    assert len(caplog.records) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("break_", [
    {"HTTP_X_TWILIO_SIGNATURE": "A" * 27 + "="}, {"HTTP_X_TWILIO_SIGNATURE": ""}, {"wsgi.url_scheme": "http"},
    {"REQUEST_METHOD": "PUT"}, {"HTTP_HOST": "10.0.0.7"}, {"PATH_INFO": "/x", "REQUEST_URI": None},
    {"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "3"},
], ids=["wrong", "unsigned", "http", "method", "host", "path", "type"])  # fmt: skip
def test_no_query_no_number_and_no_secret_is_ever_logged(
    method: str, break_: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    params = text("my-secret-text", ProfileName="Ada-Lovelace")
    said = line(signed(params, f"{URL}?tenant=my-tenant", method) | break_, caplog)

    signature = signed(params)["HTTP_X_TWILIO_SIGNATURE"]
    for secret in (
        ADA,
        US,
        ADA[1:],
        US[1:],
        "my-secret",
        "Lovelace",
        "my-tenant",
        "?",
        TOKEN,
        signature,
    ):
        assert secret not in said


@pytest.mark.parametrize(
    "path",
    [
        f"/sms/{ADA}",
        f"/sms/%2B{ADA[1:]}/in",
        f"/smsFrom{ADA}To{US}",
        f"/{ADA[1:]}/{US}",
        "/sms/+1 555-010-0001/x",
        "/sms/%2B1%20(555)%20010-0001",
    ],
)
def test_a_number_in_the_path_is_masked(path: str, caplog: pytest.LogCaptureFixture) -> None:
    url = f"https://example.com{path}"
    for environ in (
        bare(url),
        signed(url=url, token="x"),
        signed(url=url) | {"wsgi.url_scheme": "http"},
    ):
        said = line(environ, caplog)
        assert not any(number[-7:] in said for number in (ADA, US))
        assert "010-00" not in said
        assert "***" in said


def test_a_port_an_address_and_a_short_number_in_the_path_are_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert "http://10.0.0.254:65535/v2/2010-04-01/sms" in line(
        bare("http://10.0.0.254:65535/v2/2010-04-01/sms"), caplog
    )


@pytest.mark.parametrize("raw", [True, False], ids=["raw target known", "rebuilt"])
def test_the_line_is_one_line_of_bounded_length(
    raw: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/\r\nCRITICAL forged\x1b[2J\x9b" + "x" * 9000

    said = line(bare(PATH_INFO=path, REQUEST_URI=path if raw else None), caplog)

    assert said.isprintable()
    assert len(said) < 1100


def test_a_spoofed_forwarding_header_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    said = line(signed(token="x") | {"HTTP_X_FORWARDED_HOST": "evil.example"}, caplog)

    assert "evil.example" not in said


@pytest.mark.parametrize("headers", [
    {"HTTP_X_FORWARDED_HOST": "\u20ac"}, {"HTTP_FORWARDED": "host=;;=,host"}, {"HTTP_X_FORWARDED_HOST": "a," * 5000},
    {"HTTP_X_FORWARDED_PREFIX": "/" + "%" * 5000}, {"HTTP_HOST": "[::1"}, {"HTTP_X_FORWARDED_HOST": "a:99999999999"},
])  # fmt: skip
def test_a_hostile_hint_is_only_a_403(headers: dict[str, str]) -> None:
    assert serve(wrapped(Answering()), signed(token="x") | headers, outside=False).status == 403


def test_a_surprise_while_explaining_is_still_a_403(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprising(*_: Any) -> Any:
        raise ValueError(ADA)

    monkeypatch.setattr(convostate.refusals, "diagnose_refusal", surprising)

    said = line(bare(), caplog)

    assert "ValueError while explaining it" in said
    assert ADA not in said
