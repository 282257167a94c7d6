"""Attacks on the URL: hosts, forwarding headers, targets, ports, methods."""

from __future__ import annotations

from typing import Any

import pytest

from convostate.twilio.signature import sign
from tests.answering import Answering
from tests.served import TOKEN, URL, bare, serve, signed, text, wrapped

pytestmark = pytest.mark.unmeasured
DOORS = pytest.mark.usefixtures("both_doors")

SPOOFS = {
    "X-Forwarded-Host": {"HTTP_X_FORWARDED_HOST": "evil.example"},
    "X-Forwarded-Proto": {"HTTP_X_FORWARDED_PROTO": "http"},
    "X-Forwarded-Port": {"HTTP_X_FORWARDED_PORT": "8443"},
    "X-Forwarded-Prefix": {"HTTP_X_FORWARDED_PREFIX": "/evil"},
    "Forwarded": {"HTTP_FORWARDED": "host=evil.example;proto=http"},
    "X-Original-Host": {"HTTP_X_ORIGINAL_HOST": "evil.example"},
    "X-Original-URL": {"HTTP_X_ORIGINAL_URL": "/evil", "HTTP_X_REWRITE_URL": "/evil"},
    "X-Script-Name": {"HTTP_X_SCRIPT_NAME": "/evil", "HTTP_X_FORWARDED_SSL": "off"},
}


def answer(environ: Any, **changes: Any) -> tuple[int, str]:
    """The status, and the URL that the app was told was proven."""
    app = Answering()
    served = serve(wrapped(app, **changes), environ, outside=False)
    assert len(app.asked) == (served.status < 400)
    return served.status, app.asked[0].environ["convostate.webhook"].url if app.asked else ""


@DOORS
@pytest.mark.parametrize("spoof", SPOOFS.values(), ids=[f"a18 {name}" for name in SPOOFS])
@pytest.mark.parametrize("public_url", [None, "https://example.com"])
def test_a_forwarding_header_changes_nothing(spoof: dict[str, str], public_url: str | None) -> None:
    evil = {"HTTP_X_TWILIO_SIGNATURE": sign("http://evil.example/evil/sms", text().items(), TOKEN)}

    assert answer(signed() | spoof, public_url=public_url) == (200, URL)
    assert answer(signed() | spoof | evil, public_url=public_url) == (403, "")
    assert answer(bare() | spoof, public_url=public_url) == (403, "")


@DOORS
def test_a18_a_host_header_counts_only_without_a_public_url() -> None:
    evil = {"HTTP_HOST": "evil.example"}

    assert answer(signed() | evil) == (403, "")
    assert answer(signed() | evil, public_url="https://example.com") == (200, URL)
    assert (
        answer(signed(url="https://evil.example/sms"), public_url="https://example.com")[0] == 403
    )


@DOORS
@pytest.mark.parametrize("reach", [
    "example.com/sms?next=", "example.com/sms", "example.com?", "example.com/", "example.com/a/b",
])  # fmt: skip
def test_a18_a_host_that_reaches_into_the_path_is_refused(reach: str) -> None:
    """Else what Twilio signed for one path would prove a request for another one."""
    url = f"https://{reach}/admin"
    environ = bare(url, HTTP_HOST=reach, PATH_INFO="/admin", QUERY_STRING="", REQUEST_URI="/admin")
    environ |= {key: signed(url=url)[key] for key in ("wsgi.input", "CONTENT_LENGTH", "HTTP_X_TWILIO_SIGNATURE")}  # fmt: skip

    assert answer(environ)[0] == 400


@DOORS
@pytest.mark.parametrize("public_url", [None, "https://example.com"])
@pytest.mark.parametrize("query", ["", "a=1"])
def test_a19_a_target_without_a_path_counts_as_its_slash(
    query: str, public_url: str | None
) -> None:
    url = f"https://example.com/?{query}" if query else "https://example.com/"
    environ = signed(url=url, PATH_INFO="", REQUEST_URI=f"?{query}" if query else "")

    assert answer(environ, public_url=public_url) == (200, url)
    assert (
        answer(environ | {"PATH_INFO": "/x", "REQUEST_URI": "/x"}, public_url=public_url)[0] == 403
    )


@DOORS
@pytest.mark.parametrize(
    "path", [".evil.example/sms", ":8443/sms", "@evil.example/sms", "sms", "*"]
)
@pytest.mark.parametrize("public_url", [None, "https://example.com"])
def test_a19_a_path_that_reaches_into_the_host_is_refused(
    path: str, public_url: str | None
) -> None:
    """Else what Twilio signed for one host would prove a request to another one."""
    signature = sign(f"https://example.com{path}", text().items(), TOKEN)
    environ = signed(PATH_INFO=path, REQUEST_URI=path, HTTP_X_TWILIO_SIGNATURE=signature)

    assert answer(environ, public_url=public_url)[0] == 400
    assert answer(signed(), public_url=public_url) == (200, URL)


@pytest.mark.parametrize("url", [
    "https://example.com/sms?", "https://example.com/sms?a=it's", "https://example.com/sms?a=b@c:d/e?f",
    "https://example.com/sms?a=%2F%2f", "https://example.com/a%2Fb", "https://example.com/%73ms",
    "https://example.com//evil.example/sms", "https://example.com/./sms", "https://example.com/%2e%2e/sms",
    "https://example.com/sms;v=1", "https://example.com/sms?a=1&a=2&&b", "https://example.com/~a/b+c,d=e",
], ids=lambda url: f"a19 {url[19:]}")  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("form", ["origin", "absolute"])
def test_a_target_counts_as_it_was_spelled(url: str, method: str, form: str) -> None:
    params = {"Digits": "1"}
    environ = signed(params, url, method)
    if form == "absolute":  # as a proxy sends it; its origin counts for nothing
        environ["REQUEST_URI"] = "http://evil.example" + environ["REQUEST_URI"]

    assert answer(environ)[0] == 200
    moved = environ | {"PATH_INFO": "/sms/other", "REQUEST_URI": "/sms/other"}
    assert answer(moved)[0] == 403


@pytest.mark.parametrize(("signed_url", "target"), [
    ("https://example.com/sms", "/sms?"), ("https://example.com/sms?", "/sms"),
    ("https://example.com/sms", "/sms/"), ("https://example.com/sms/", "/sms"),
    ("https://example.com/sms", "//sms"), ("https://example.com/sms", "/./sms"),
    ("https://example.com/sms", "/%73ms"), ("https://example.com/a/b", "/a%2Fb"),
    ("https://example.com/sms", "//example.com/sms"), ("https://example.com/sms?a=%27", "/sms?a='"),
    ("https://example.com/sms?a=1&b=2", "/sms?b=2&a=1"), ("https://example.com/sms?a=b", "/sms?a=b#c"),
    ("https://example.com/sms", "/SMS"), ("https://example.com/%7Ea", "/~a"),
], ids=lambda part: f"a19 {part}")  # fmt: skip
def test_another_spelling_of_a_signed_target_is_refused(signed_url: str, target: str) -> None:
    signature = sign(signed_url, text().items(), TOKEN)
    environ = signed(url=f"https://example.com{target}", HTTP_X_TWILIO_SIGNATURE=signature)

    assert answer(environ)[0] == 403


@DOORS
def test_a19_a_fragment_is_not_part_of_the_url() -> None:
    assert answer(signed(REQUEST_URI="/sms#there")) == (200, URL)
    assert answer(signed(REQUEST_URI="/sms#?a=b")) == (200, URL)


@pytest.mark.parametrize("raw", [
    "/other", "/other?a=b", "/sms?a=b", "/sms?", "?", "#", "http://evil.example", "*", "evil.example:443",
    "/sms/../other", "%2Fsms", "\u20ac", "/sms?\u20ac",
], ids=lambda raw: f"a20 {raw!a}")  # fmt: skip
@pytest.mark.parametrize("name", ["RAW_URI", "REQUEST_URI"])
def test_a_raw_target_that_contradicts_the_path_is_not_believed(name: str, raw: str) -> None:
    """What the app routes by is what was proven, whatever a front or a rewriting middleware left there."""
    fooling = {name: raw}
    signature = {
        "HTTP_X_TWILIO_SIGNATURE": sign(f"https://example.com{raw}", text().items(), TOKEN)
    }
    good = signed(REQUEST_URI=None)

    status, url = answer(good | fooling)
    assert (status, url) in ((200, URL), (403, ""))
    assert url == URL or raw == "/sms?"  # an empty query may have been signed so
    assert raw == "/sms?" or answer(good | signature | fooling) == (403, "")


@DOORS
def test_a20_a_query_that_contradicts_the_raw_target_is_what_counts() -> None:
    environ = signed(url="https://example.com/sms?a=1")

    assert answer(environ | {"QUERY_STRING": "a=2"})[0] == 403
    assert answer(environ | {"REQUEST_URI": "/sms?a=2"}) == (200, "https://example.com/sms?a=1")


PORTS = {"": 200, ":443": 200, ":8443": 200, ":1": 200}
NO_PORTS = [":99999", ":abc", ":-1", ":443:443", ":4 43", ":\u0664"]


@DOORS
@pytest.mark.parametrize("port", PORTS, ids=lambda port: f"a21 {port or 'none'}")
def test_a_port_may_be_signed_or_not(port: str) -> None:
    """Twilio's own libraries try both, because Twilio does both."""
    without, with_ = "https://example.com/sms", f"https://example.com{port}/sms"
    arrived = {"HTTP_HOST": f"example.com{port}"}

    assert answer(signed(url=without) | arrived)[0] == 200
    assert answer(signed(url=with_) | arrived)[0] == 200
    assert answer(signed(url="https://example.com:8444/sms") | arrived)[0] == 403


@pytest.mark.parametrize("port", NO_PORTS, ids=lambda port: f"a21 {port!a}")
def test_an_invalid_port_is_refused(port: str) -> None:
    arrived = {"HTTP_HOST": f"example.com{port}"}

    assert answer(signed() | arrived)[0] == 403
    assert answer(signed(HTTP_X_TWILIO_SIGNATURE=sign(f"https://example.com{port}/sms", text().items(), TOKEN)) | arrived)[0] == 403  # fmt: skip


@DOORS
@pytest.mark.parametrize("host", [
    "user:pass@example.com", "@example.com", "user@example.com:443", "[::1", "::1", "[::1]x", "", " ",
    "example.com ", "example.com,evil.example", "example.com#", "ex\xe4mple.com", "example.com\\",
], ids=lambda host: f"a21 {host!a}")  # fmt: skip
def test_an_invalid_host_is_refused(host: str) -> None:
    """Even where that very URL was signed: Twilio signs no user name, and no such host."""
    url = f"https://{host}/sms"
    environ = signed(HTTP_HOST=host, HTTP_X_TWILIO_SIGNATURE=sign(url, text().items(), TOKEN))

    assert answer(environ)[0] in (400, 403)


@DOORS
@pytest.mark.parametrize(
    "host", ["[::1]", "[2001:db8::1]:8443", "192.0.2.1", "EXAMPLE.com", "a_b.example"]
)
def test_a21_an_address_is_a_host_too(host: str) -> None:
    assert answer(signed(url=f"https://{host}/sms"))[0] == 200
    assert answer(signed(HTTP_HOST=host))[0] == 403


@DOORS
@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "BREW", ""]
)
def test_a22_another_method_is_405_with_allow(method: str) -> None:
    app = Answering()
    served = serve(wrapped(app), signed(REQUEST_METHOD=method), outside=False)

    assert (served.status, served.headers["Allow"], served.body) == (405, "GET, POST", b"")
    assert app.asked == []


@DOORS
def test_a22_a_method_is_never_overridden() -> None:
    override = {"HTTP_X_HTTP_METHOD_OVERRIDE": "POST", "HTTP_X_METHOD_OVERRIDE": "POST"}

    assert answer(signed() | override | {"REQUEST_METHOD": "PUT"})[0] == 405
    assert answer(signed() | override | {"REQUEST_METHOD": "GET"})[0] == 415
    assert answer(signed(text(_method="PUT")) | {"HTTP_X_HTTP_METHOD_OVERRIDE": "PUT"})[0] == 200
    assert answer(signed(text(_method="POST"), REQUEST_METHOD="PATCH"))[0] == 405


def test_a23_a_header_with_underscores_does_not_replace_the_real_one() -> None:
    """Where a server folds ``X_Twilio_Signature`` into the real one, it is that: proof or no proof."""
    both = f"AAAA,{signed()['HTTP_X_TWILIO_SIGNATURE']}"

    assert answer(signed(HTTP_X_TWILIO_SIGNATURE=both))[0] == 403
    app = Answering()
    twins = signed(HTTP_CONTENT_TYPE="text/plain", HTTP_CONTENT_LENGTH="0")
    assert serve(wrapped(app, inside=False), twins, outside=False).status == 200
    assert dict(app.asked[0].form) == text()
