"""Guarded paths: what the patterns catch is proven, and everything else is passed on byte for byte."""

from __future__ import annotations

import sys
from io import BytesIO
from types import ModuleType
from typing import Any

import pytest

from convostate import UsageError
from convostate.paths import guard
from tests.answering import Answering
from tests.served import bare, serve, settings, signed, wrapped


@pytest.mark.parametrize(("patterns", "path"), [
    (("/sms",), "/sms"),
    (("/sms",), "/sms/"),
    (("/sms",), "/sms//"),
    (("/sms",), "//sms"),
    (("/sms",), "///sms"),
    (("/sms",), "/SMS"),
    (("/SMS",), "/sms"),
    (("/sms/",), "/sms"),
    (("//sms",), "/sms"),
    (("/a/sms",), "/a//sms"),
    (("/sms*",), "/sms-status"),
    (("/voice/*",), "/voice/menu/1"),
    (("/voice/*",), "/voice//menu"),
    (("/sms", "/voice/*"), "/voice/x"),
    (("/v?ice",), "/voice"),
    (("/[sv]ms",), "/vms"),
    (("/stra\u00dfe",), "/STRASSE"),
    (("/caf\u00e9",), "/caf\u00c3\u00a9"),
    (("/caf\u00e9",), "/CAF\u00c3\u0089"),
    (("/sms",), "/./sms"),
    (("/sms",), "/x/../sms"),
    (("/sms",), "/x/%2e%2e/../../sms/."),
    (("/sms",), "/../sms"),
    (("/sms/*",), "/sms/../page"),
    (("/",), ""),
    (("/",), "/"),
    (("/",), "//"),
    (("*",), ""),
    (("*",), "/any/thing"),
    (("*sms",), "/any/sms"),
    (("/a*",), "/a\nb"),
    (("/voice/*",), "/voice/"),
    (("/voice/*",), "/voice//"),
    (("/voice/*",), "/x/../voice/"),
    (("/sms",), "sms"),
    (("/sms",), "./sms"),
    (("/sms",), "/sms\n"),
    (("/sms",), "/sms \x00\x7f"),
    (("/sms",), "/s\xffms"),
    (("/sms",), "/sms\xc3"),
    (("/sms",), "/\xf0\x9fsms/"),
    (("/sms",), "/@@sms"),
    (("/my sms",), "/my sms"),
    (("/sms",), "/sms/" + "./" * 500),
    (("/sms",), "/sms.json"),
    (("/sms",), "/sms.json/"),
    (("/sms",), "/sms."),
    (("/sms",), "/sms./"),
    (("/incoming_sms",), "/incoming-sms"),
    (("/incoming-sms",), "/incoming_sms"),
    (("/incoming-sms",), "/incoming.sms"),
    (("/voice",), "/voice/index"),
    (("/voice",), "/voice/default/"),
    (("/voice",), "/voice/index.json"),
    (("/",), "/index"),
    (("/a-[0-9]",), "/a_7.html"),
    (("!/health",), "/sms"),
    (("/survey/*", "!/survey/*/results"), "/survey/1"),
    (("/survey/*", "!/survey/*/results", "/survey/7/*"), "/survey/7/results"),
    (("/survey/*", "!/survey/*.css"), "/survey/a.css"),
    (("/survey/*", "!/survey/*/results"), "/survey/1/results/../1"),
    (("/sms",), "/" + "x" * 16_384),
])  # fmt: skip
def test_a_path_is_guarded(patterns: tuple[str, ...], path: str) -> None:
    assert guard(patterns)(path)


@pytest.mark.parametrize(("patterns", "path"), [
    (("/sms",), "/"),
    (("/sms",), ""),
    (("/sms",), "/sm"),
    (("/sms",), "/sms2"),
    (("/sms",), "/sms/x"),
    (("/sms",), "/x/sms"),
    (("/sms",), "/sms%20"),
    (("/sms",), "/sms@@"),
    (("/sms",), "/smsx\n"),
    (("/sms",), "/s\xc3\xa9ms"),
    (("/sms",), "/page" + "x" * 500),
    (("/voice/*",), "/voice"),
    (("/v?ice",), "/vice"),
    (("/[!s]ms",), "/sms"),
    (("/a.c",), "/abc"),
    (("/",), "/x"),
    (("/sms",), "/sms/../page"),
    (("/sms",), "/.../sms"),
    (("/sms",), "/sms.json/x"),
    (("/sms",), "/sms/index/x"),
    (("/sms",), "/smsindex"),
    (("/a-[0-9]",), "/a-x"),
    (("!/health",), "/health"),
    (("!/health", "!/static/*"), "/static/a.css"),
    (("/survey/*", "!/survey/*/results"), "/survey/1/results"),
    (("/survey/*", "!/survey/*/results"), "/survey/1/results/"),
    (("/survey/*", "!*"), "/survey/1"),
    (("/sms",), "/" + "x" * 16_383),
])  # fmt: skip
def test_a_path_is_not_guarded(
    patterns: tuple[str, ...], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for router in ("cherrypy", "tg"):  # their index is guarded, and other tests load them
        monkeypatch.delitem(sys.modules, router, raising=False)
    assert not guard(patterns)(path)


@pytest.mark.parametrize("module", ["cherrypy", "tg"])
def test_o11_an_index_is_guarded_by_a_pattern_for_everything_below_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("cherrypy", "tg"):
        monkeypatch.delitem(sys.modules, other, raising=False)
    assert not guard(("/voice/*",))("/voice")
    monkeypatch.setitem(sys.modules, module, ModuleType(module))

    assert all(guard(("/voice/*",))(path) for path in ("/voice", "//Voice", "/x/../voice"))
    assert guard(("/a/*/c/*",))("/a/b/c")
    assert not guard(("/voice/*", "!/voice"))("/voice")
    assert guard(("/voice/*", "!/voice"))("/voice/x")
    assert not any(guard(("/voice/*",))(path) for path in ("/voices", "/"))


@pytest.mark.parametrize("paths", ["sms", "/sms,voice", "?sms", "", " ", "/sms,,/x", ()])
def test_patterns_that_would_guard_nothing_do_not_start(paths: Any) -> None:
    with pytest.raises(UsageError, match=r"CONVOSTATE_PATHS.*Set CONVOSTATE_PATHS="):
        settings(paths=paths)


@pytest.mark.parametrize("path", ["/sms", "/sms/", "//sms", "/SMS", "/x//SMS/", "/@@sms"])
def test_a_guarded_path_in_any_spelling_reaches_the_app_only_when_proven(path: str) -> None:
    app = Answering()
    middleware = wrapped(app, paths="/sms,/x/sms")

    assert serve(middleware, bare(PATH_INFO=path, REQUEST_URI=path)).status == 403
    assert app.asked == []
    assert serve(middleware, signed(url=f"https://example.com{path}")).status == 200
    assert len(app.asked) == 1


class Everything:
    """An app that a server would pass on as it is: its own iterable, its own list, its own errors."""

    def __init__(self) -> None:
        self.headers = [("Content-Type", "text/html"), ("Set-Cookie", "own=1")]
        self.chunks = iter([b"\x00\xff", b"<html>"])
        self.environ: Any = None

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.environ = environ
        start_response("299 Own", self.headers)
        return self.chunks


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "BREW"])
def test_w20_a_path_that_is_not_guarded_passes_through_byte_for_byte(method: str) -> None:
    app, started = Everything(), []  # type: Everything, list[Any]
    body = BytesIO(b"From=%2B1&\xff\x00 any bytes")
    environ = bare("https://example.com/page?a=%ff", method, HTTP_COOKIE="convostate=x; own=2")
    environ |= {"wsgi.input": body, "CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "-7"}
    before = dict(environ)

    def start_response(*args: Any) -> Any:
        started.append(args)

    chunks = wrapped(app, inside=False, paths="/sms")(environ, start_response)

    assert chunks is app.chunks
    assert started == [("299 Own", app.headers)]
    assert started[0][1] is app.headers
    assert app.environ is environ
    assert {name: environ[name] for name in before} == before
    assert body.tell() == 0


def test_w20_what_is_not_guarded_keeps_its_exceptions() -> None:
    def app(_environ: Any, _start_response: Any) -> Any:
        raise LookupError("of the app")

    with pytest.raises(LookupError):
        serve(wrapped(app, inside=False, paths="/sms"), bare("https://example.com/x"))


def test_w20_by_default_every_path_is_guarded() -> None:
    app = Answering()

    assert serve(wrapped(app), bare("https://example.com/any", "GET")).status == 403
    assert app.asked == []


@pytest.mark.parametrize(("signature", "lines"), [({"HTTP_X_TWILIO_SIGNATURE": "x"}, 1), ({}, 0)])
def test_a_signed_request_to_an_unguarded_path_is_logged_once_a_minute(
    signature: dict[str, str], lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    app = wrapped(Answering(), inside=False, paths="/sms")
    for _ in range(3):
        environ = bare("https://example.com/twilio", "GET") | signature
        assert serve(app, environ).status == 200

    assert [
        r.getMessage().endswith("add the path to CONVOSTATE_PATHS") for r in caplog.records
    ] == [True] * lines
