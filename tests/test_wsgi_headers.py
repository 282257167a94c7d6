"""The headers of a turn's reply: the app's own, untouched, and ours, once."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.http import parse_set_header

from convostate import Conversations, state_from
from convostate.stores import MemoryStore
from tests.served import (
    ACCOUNT,
    ADA,
    NOW,
    US,
    XML,
    answering,
    bare,
    counting,
    serve,
    signed,
    wrapped,
)

COOKIE = "convostate="


def given(headers: list[tuple[str, str]], status: str = "200 OK") -> Any:
    """What the server is given for an app's headers."""
    return serve(wrapped(answering([b"<Response/>"], headers, status)), signed()).headers


def test_w05_a_header_list_that_the_app_uses_again_stays_as_it_was() -> None:
    shared = [*XML, ("Vary", "Accept"), ("Cache-Control", "max-age=1")]
    before = list(shared)
    middleware = wrapped(answering([b"<Response/>"], shared))

    replies = [serve(middleware, signed()) for _ in range(3)]

    assert shared == before
    assert [len(reply.headers.getlist("Set-Cookie")) for reply in replies] == [1, 1, 1]


class List(list[tuple[str, str]]):
    pass


class Pair(tuple[str, str]):
    __slots__ = ()


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("headers", [
    tuple(XML), List(XML), [list(XML[0])], [Pair(XML[0])], [("Content-Type", b"text/xml")],
    [(Text("Content-Type"), "text/xml")], [("Content-Type",)], [("Content-Type", "a", "b")], None,
], ids=["a tuple", "a list's subclass", "a list for a header", "a tuple's subclass", "bytes",
        "a str's subclass", "one part", "three parts", "None"])  # fmt: skip
def test_w05_headers_other_than_a_list_of_pairs_of_str_are_an_error(headers: Any) -> None:
    with pytest.raises(AssertionError, match="header"):
        serve(wrapped(answering([b""], headers), inside=False), signed())


@pytest.mark.parametrize("status", ["200", "200OK", b"200 OK", "OK", "2x0 OK", None, "", 200])
def test_w05_an_invalid_status_is_an_error(status: Any) -> None:
    with pytest.raises(AssertionError, match="status"):
        serve(wrapped(answering([b""], list(XML), status), inside=False), signed())


def test_w06_a_head_request_is_405_with_no_body_and_says_what_is_allowed() -> None:
    served = serve(wrapped(counting), bare(method="HEAD"))

    assert (served.status, served.body) == (405, b"")
    assert parse_set_header(served.headers["Allow"]).as_set() == {"get", "post"}


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_w06_a_status_without_a_body_has_no_body_and_carries_the_cookie(status: str) -> None:
    served = serve(wrapped(answering([], [], status), inside=False), signed(), outside=False)

    assert (served.status, served.body) == (int(status[:3]), b"")
    assert "Content-Type" not in served.headers
    assert served.cookie


def test_w06_a_content_length_stays_the_apps() -> None:
    assert given([*XML, ("Content-Length", "11")]).getlist("Content-Length") == ["11"]
    assert given(XML).getlist("Content-Length") == []


def test_w07_the_apps_own_cookies_keep_their_order_and_ours_comes_once() -> None:
    own = ["b=2; Path=/", "a=1", "b=3; HttpOnly"]
    cookies = given([*XML, *(("Set-Cookie", cookie) for cookie in own)]).getlist("Set-Cookie")

    assert cookies[:3] == own
    assert [cookie.startswith(COOKIE) for cookie in cookies] == [False, False, False, True]


@pytest.mark.usefixtures("both_doors")
@pytest.mark.parametrize(("store", "headers", "warnings"), [
    ("cookie", [("Set-Cookie", "a=1"), ("X-Name", "b")], 1), ("cookie", [("X-Name", "Set-Cookie")], 0), ("memory", [("Set-Cookie", "a=1")], 0),
])  # fmt: skip
def test_w07_that_twilio_may_drop_the_apps_own_cookie_is_logged_once(
    store: str, headers: Any, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    middleware = wrapped(answering([b"<Response/>"], [*XML, *headers]), store=store)
    for _ in range(2):
        assert serve(middleware, signed()).status == 200

    assert ["one cookie only" in line for line in caplog.messages] == [True] * warnings


def test_w08_other_headers_keep_their_order_their_case_and_their_doubles() -> None:
    own = [("content-type", "text/xml; charset=utf-8"), ("X-B", "1"), ("x-a", "\xe9"), ("X-B", "2")]

    assert [item for item in given(own) if item[0].lower() not in ("cache-control", "vary", "set-cookie")] == own  # fmt: skip


@pytest.mark.parametrize(("own", "control", "vary"), [
    ([], ["no-store"], ["Cookie"]),
    ([("Cache-Control", "private"), ("Vary", "Accept")], ["private, no-store"], ["Accept, Cookie"]),
    ([("cache-control", "No-Store"), ("VARY", "cookie")], ["No-Store"], ["cookie"]),
    ([("Cache-Control", "a, no-store ,b"), ("Vary", "x,Cookie")], ["a, no-store ,b"], ["x,Cookie"]),
    ([("Cache-Control", ""), ("Vary", "")], ["no-store"], ["Cookie"]),
    ([("Vary", "Set-Cookie, Cookie2")], ["no-store"], ["Set-Cookie, Cookie2, Cookie"]),
], ids=["none", "merged", "there in another case", "there among others", "empty", "alike"])  # fmt: skip
def test_w08_cache_control_and_vary_are_merged_and_never_overwritten(
    own: Any, control: list[str], vary: list[str]
) -> None:
    headers = given([*XML, *own])

    assert headers["Content-Type"] == "text/xml"
    assert headers.getlist("Cache-Control") == control
    assert headers.getlist("Vary") == vary


def test_w08_a_repeated_header_is_not_lost() -> None:
    twice = [
        ("Vary", "A"),
        ("Vary", "B"),
        ("Cache-Control", "private"),
        ("Cache-Control", "max-age=0"),
    ]
    headers = given([*XML, *twice])

    named = {name: parse_set_header(", ".join(headers.getlist(name))).as_set()
             for name in ("Vary", "Cache-Control")}  # fmt: skip
    assert named == {
        "Vary": {"a", "b", "cookie"},
        "Cache-Control": {"private", "max-age=0", "no-store"},
    }


def test_w08_a_store_at_the_server_does_not_vary_by_cookie() -> None:
    served = serve(wrapped(answering([b"<Response/>"]), store="memory"), signed())

    assert served.headers["Cache-Control"] == "no-store"
    assert "Vary" not in served.headers
    assert "Set-Cookie" not in served.headers


def test_w08_an_error_of_the_apps_is_not_cached_either_and_sets_nothing() -> None:
    headers = given(XML, "404 Not Found")

    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers


UNSENDABLE: dict[str, tuple[list[tuple[str, str]], str]] = {
    "outside latin-1": ([*XML, ("X-Name", "zaffre \u20ac")], "200 OK"),
    "a line break": ([*XML, ("X-Name", "zaffre\r\nSet-Cookie: x=1")], "200 OK"),
    "a line feed": ([*XML, ("X-Name", "zaffre\n")], "200 OK"),
    "a NUL": ([*XML, ("X-Name", "zaffre\0")], "200 OK"),
    "a line break in a name": ([*XML, ("X-zaffre\r\nY", "1")], "200 OK"),
    "a colon in a name": ([*XML, ("X-zaffre:", "1")], "200 OK"),
    "an empty name": ([*XML, ("", "zaffre")], "200 OK"),
    "a name outside latin-1": ([*XML, ("X-\u20ac", "zaffre")], "200 OK"),
    "a line break in the status": (list(XML), "200 zaffre\r\nX: y"),
    "a status outside latin-1": (list(XML), "200 zaffre \u20ac"),
    "a longer Content-Length": ([*XML, ("Content-Length", "12")], "200 OK"),
    "a shorter Content-Length": ([*XML, ("content-length", "10")], "200 OK"),
    "a Content-Length that is not a number": ([*XML, ("Content-Length", "zaffre")], "200 OK"),
    "a Content-Length of nothing": ([*XML, ("Content-Length", "0")], "200 OK"),
    "a shorter Content-Length without a body": ([("Content-Length", "1")], "204 No Content"),
    "an interim status": (list(XML), "100 Continue"),
    "a status that HTTP does not have": (list(XML), "000 OK"),
    "two lengths": ([*XML, ("Content-Length", "11"), ("Content-Length", "12")], "200 OK"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNSENDABLE)
def test_e17_a_reply_that_the_server_cannot_send_keeps_nothing(case: str) -> None:
    headers, status = UNSENDABLE[case]
    store = MemoryStore()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        state_from(environ)["kept"] = True
        start_response(status, headers)
        return [b"<Response/>"]

    middleware = wrapped(app, store=store, inside=False)
    with pytest.raises(AssertionError, match=r"^(the app's|a header of the app's)") as raised:
        serve(middleware, signed(), outside=False)

    assert "zaffre" not in str(raised.value)
    conversations = Conversations(middleware.settings, store=store, clock=lambda: NOW)
    assert conversations.peek(ours=US, theirs=ADA, account_sid=ACCOUNT) is None


@pytest.mark.parametrize("headers", [
    [("X-Name", "caf\xe9 \t\x80")], [("X-Empty", "")], [("x!#$%&'*+-.^_`|~9", "1")], [("Content-Length", "11")],
])  # fmt: skip
def test_e17_what_http_has_is_sent(headers: list[tuple[str, str]]) -> None:
    app = wrapped(answering([b"<Response/>"], [*XML, *headers]), inside=False)
    served = serve(app, signed(), outside=False)

    assert (served.status, served.cookie != "") == (200, True)
    assert served.headers.getlist(headers[0][0]) == [headers[0][1]]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("length", ["0", "11"])
def test_e17_a_status_without_a_body_may_say_that_there_is_none(status: str, length: str) -> None:
    app = wrapped(answering([b"<Response/>"], [("Content-Length", length)], status), inside=False)
    served = serve(app, signed(), outside=False)

    assert (served.status, served.cookie != "") == (int(status[:3]), True)


def test_e17_the_words_of_a_status_may_hold_what_http_has() -> None:
    app = wrapped(answering([b"<Response/>"], [*XML], "200 caf\xe9\t\x80"), inside=False)

    assert serve(app, signed(), outside=False).cookie


def test_e17_blanks_around_a_value_are_not_sent() -> None:
    blank = [("X-Name", " a b\t"), ("Vary", " a ")]
    app = wrapped(answering([b"<Response/>"], [*XML, *blank]), inside=False)

    headers = serve(app, signed()).headers
    assert (headers["X-Name"], headers["Vary"]) == ("a b", "a, Cookie")


@pytest.mark.parametrize("name", ["Connection", "keep-alive", "Transfer-Encoding", "Upgrade"])
def test_e17_a_header_of_the_connection_is_left_to_the_server(name: str) -> None:
    """Gunicorn drops it, so that the app works there; wsgiref and waitress fail after the state was kept."""
    app = wrapped(answering([b"<Response/>"], [*XML, (name, "zaffre"), ("X-Name", "a")]))

    served = serve(app, signed())
    assert (served.status, served.cookie != "", served.headers["X-Name"]) == (200, True, "a")
    assert name not in served.headers
