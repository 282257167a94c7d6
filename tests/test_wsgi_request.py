"""The request's body and bytes: read once, never past their end, and given to the app as verified."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from convostate import ConversationMiddleware
from tests.answering import Answering
from tests.served import FORM, bare, serve, settings, signed, text, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment

BODY = urlencode(text("two\r\nlines")).encode()


class Blocking:
    """A connection: reading past what was sent waits for ever, which is an error here."""

    def __init__(self, sent: bytes, most: int = 1 << 30) -> None:
        self.sent, self.most, self.asked = BytesIO(sent), most, 0

    def read(self, size: int) -> bytes:
        assert size >= 0
        left = len(self.sent.getvalue()) - self.sent.tell()
        assert size <= left, "this would block"
        self.asked += size
        return self.sent.read(min(size, self.most))


class Terminated(Blocking):
    """A body whose end the server knows (``wsgi.input_terminated``)."""

    def read(self, size: int) -> bytes:
        self.asked += size
        return self.sent.read(min(size, self.most))


class Answers:
    """An app that does something with its input, and notes what came of it."""

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self.do = do
        self.got: list[Any] = []

    def __call__(self, environ: WSGIEnvironment, start_response: Any) -> list[bytes]:
        assert environ["CONTENT_LENGTH"] == str(len(BODY))
        self.got.append(self.do(environ["wsgi.input"]))
        start_response("200 OK", [("Content-Type", "text/xml")])
        return [b"<Response/>"]


def two_lines() -> WSGIEnvironment:
    """A webhook whose form is BODY."""
    return signed(text("two\r\nlines"))


@pytest.mark.parametrize(("do", "got"), [
    pytest.param(lambda input_: input_.read(len(BODY)), BODY, id="read"),
    pytest.param(lambda input_: input_.read(), BODY, id="read without a size"),
    pytest.param(lambda input_: input_.read(-1), BODY, id="read(-1)"),
    pytest.param(lambda input_: input_.read(10 * len(BODY)), BODY, id="read more"),
    pytest.param(lambda input_: (input_.read(0), input_.read(3)), (b"", BODY[:3]), id="read(0)"),
    pytest.param(lambda input_: (input_.read(), input_.read(), input_.read(5)), (BODY, b"", b""), id="after the end"),
    pytest.param(lambda input_: input_.readline(), BODY, id="readline"),
    pytest.param(lambda input_: input_.readline(7), BODY[:7], id="readline(7)"),
    pytest.param(lambda input_: input_.readlines(), [BODY], id="readlines"),
    pytest.param(lambda input_: input_.readlines(1), [BODY], id="readlines(1)"),
    pytest.param(list, [BODY], id="iteration"),
    pytest.param(lambda input_: b"".join(iter(lambda: input_.read(7), b"")), BODY, id="in pieces"),
    pytest.param(lambda input_: input_.close(), None, id="close"),
])  # fmt: skip
def test_w09_the_app_reads_the_verified_body_in_any_way(
    do: Callable[[Any], Any], got: object
) -> None:
    app = Answers(do)

    assert serve(wrapped(app, inside=False), two_lines()).status == 200
    assert app.got == [got]


def test_w09_the_linters_of_the_apps_side_see_a_whole_input() -> None:
    app = Answers(lambda input_: input_.read(len(BODY)))

    assert serve(wrapped(app), two_lines()).status == 200
    assert app.got == [BODY]


@pytest.mark.parametrize("most", [1 << 30, 1, 100], ids=["at once", "byte by byte", "in pieces"])
def test_w09_the_servers_input_is_never_read_past_the_length(most: int) -> None:
    connection = Blocking(BODY + b"GET / HTTP/1.1\r\n", most)
    connection.sent = BytesIO(BODY)  # what follows on the wire is the next request
    app = Answering()
    environ = two_lines() | {"wsgi.input": connection}

    assert serve(wrapped(app), environ, outside=False).status == 200
    assert connection.sent.tell() == len(BODY)


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("length", [None, "", "0"])
def test_w10_without_a_length_nothing_is_read(method: str, length: str | None) -> None:
    connection = Blocking(b"")
    environ = signed({}, method=method, CONTENT_LENGTH=length) | {"wsgi.input": connection}

    assert serve(wrapped(Answering()), environ, outside=False).status == 200
    assert connection.asked == 0


def test_w10_a_terminated_input_needs_no_length() -> None:
    environ = two_lines() | {"wsgi.input": Terminated(BODY, 50), "wsgi.input_terminated": True}
    del environ["CONTENT_LENGTH"]
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    app = Answering()

    assert serve(wrapped(app), environ, outside=False).status == 200
    assert dict(app.asked[0].form)["Body"] == "two\r\nlines"
    assert app.asked[0].environ["CONTENT_LENGTH"] == str(len(BODY))
    assert "HTTP_TRANSFER_ENCODING" not in app.asked[0].environ


@pytest.mark.parametrize("environ", [
    {"HTTP_X_TWILIO_SIGNATURE": "\u20ac"}, {"HTTP_X_TWILIO_SIGNATURE": "\xff" * 28},
    {"PATH_INFO": "/caf\u20ac"}, {"PATH_INFO": "/\udcff"}, {"QUERY_STRING": "\u20ac=1"},
    {"CONTENT_TYPE": "\u20ac"}, {"HTTP_HOST": "ex\xe4mple.com"}, {"HTTP_HOST": "\u20ac"},
    {"SCRIPT_NAME": "/\udcff"},
], ids=ascii)  # fmt: skip
def test_w12_text_outside_latin_1_is_refused_and_never_a_500(environ: dict[str, str]) -> None:
    app = Answering()
    served = serve(wrapped(app), signed() | environ, outside=False)

    assert served.status in (403, 415)
    assert app.asked == []


@pytest.mark.parametrize(
    "cookie", ["convostate=\xff\xfe", "convostate=\u20ac", "\udcff; convostate=A", "convostate"]
)
def test_w12_a_cookie_outside_latin_1_is_a_fresh_state(cookie: str) -> None:
    assert serve(wrapped(Answering()), signed(HTTP_COOKIE=cookie), outside=False).status == 200


@pytest.mark.parametrize(("url", "mount", "path"), [
    ("https://example.com/bots/sms", "/bots", "/sms"),
    ("https://example.com/bots", "/bots", ""),
    ("https://example.com/bots/", "/bots", "/"),
    ("https://example.com/caf%C3%A9/sms", "/caf\xc3\xa9", "/sms"),
    ("https://example.com/a%20b", "", "/a b"),
    ("https://example.com/", "", "/"),
])  # fmt: skip
@pytest.mark.parametrize("raw", [True, False], ids=["raw target known", "rebuilt"])
def test_w12_a_mounted_app_and_an_empty_path_verify(
    url: str, mount: str, path: str, raw: bool
) -> None:
    app = Answering()
    environ = signed(url=url, SCRIPT_NAME=mount, PATH_INFO=path)
    if not raw:
        del environ["REQUEST_URI"]

    assert serve(wrapped(app), environ).status == 200
    assert (app.asked[0].environ["SCRIPT_NAME"], app.asked[0].path) == (mount, path)
    assert serve(wrapped(app), environ | {"PATH_INFO": f"{path or '/'}x"}).status == 403


LENGTH = str(len(BODY))


@pytest.mark.parametrize(("length", "status"), [
    ("+3", 400), ("-1", 400), ("1e2", 400), (" 7", 400), ("0x10", 400), ("\u0663", 400), ("7, 7", 400),
    ("9" * 30, 413), ("262145", 413), (f"0{LENGTH}", 200),
    (str(len(BODY) + 1), 400),  # longer than what comes
    (str(len(BODY) - 1), 403),  # shorter: another body
    ("", 403), (None, 403), ("0", 403),
])  # fmt: skip
def test_a24_content_length_is_a_number_and_the_bodys(length: str | None, status: int) -> None:
    app = Answering()
    environ = two_lines() | {"CONTENT_LENGTH": length}
    if length is None:
        del environ["CONTENT_LENGTH"]

    assert serve(wrapped(app), environ, outside=False).status == status
    assert len(app.asked) == (status == 200)


def test_a24_the_length_decides_even_if_the_input_is_terminated() -> None:
    """A front that saw Transfer-Encoding and a server that saw Content-Length do not fool it."""
    connection = Terminated(BODY + b"&From=%2B15550100666")
    environ = two_lines() | {"wsgi.input": connection, "wsgi.input_terminated": True}
    app = Answering()

    assert serve(wrapped(app), environ, outside=False).status == 200
    assert dict(app.asked[0].form) == text("two\r\nlines")


class Failing:
    def read(self, _size: int) -> bytes:
        raise OSError("the client has gone")


def test_e18_what_a_body_stream_raises_goes_on_to_the_server() -> None:
    """Such as for a malformed chunk: only the server can close the connection that it came by."""
    app, failing = Answering(), Failing()

    with pytest.raises(OSError, match="the client has gone") as raised:
        serve(wrapped(app), two_lines() | {"wsgi.input": failing}, outside=False)

    assert raised.traceback[-1].name == "read"
    assert app.asked == []


def sized(size: int) -> dict[str, str]:
    """Parameters whose form has so many bytes."""
    params = text(Filler="")
    return params | {"Filler": "x" * (size - len(urlencode(params)))}


@pytest.mark.parametrize("terminated", [False, True], ids=["with a length", "terminated"])
@pytest.mark.parametrize(("size", "status"), [(2047, 200), (2048, 200), (2049, 413)])
def test_a25_a_body_up_to_the_bound_and_not_a_byte_over(
    size: int, status: int, terminated: bool
) -> None:
    params = sized(size)
    connection = Terminated(urlencode(params).encode())
    environ = signed(params) | {"wsgi.input": connection}
    if terminated:
        del environ["CONTENT_LENGTH"]
        environ["wsgi.input_terminated"] = True

    served = serve(wrapped(Answering(), max_body_bytes=2048), environ, outside=False)

    assert served.status == status
    assert connection.asked <= 2 * 2049


def test_a25_a_body_that_says_it_is_too_long_is_not_even_read() -> None:
    connection = Blocking(b"")
    environ = bare(CONTENT_LENGTH="262145") | {"wsgi.input": connection}

    assert serve(wrapped(Answering()), environ, outside=False).status == 413
    assert connection.asked == 0


@pytest.mark.parametrize("body", [
    b"&".join(b"%d=" % number for number in range(30_000)), b"x" * 200_000 + b"=",
    b"&" * 100_000, b"=" * 100_000, b"%41=" * 50_000, b"From" * 60_000 + b"=", b"a=" + b"+1" * 100_000,
], ids=["30,000 fields", "a long name", "&", "=", "escapes", "Froms", "pluses"])  # fmt: skip
@pytest.mark.parametrize("sign", [False, True], ids=["unsigned", "badly signed"])
def test_a25_a_hostile_body_is_refused(body: bytes, sign: bool) -> None:
    app = Answering()
    proof = {"HTTP_X_TWILIO_SIGNATURE": "A" * 27 + "="} if sign else {}
    served = serve(wrapped(app), bare(body=body, CONTENT_TYPE=FORM, **proof))

    assert served.status in (400, 403)
    assert app.asked == []


def test_a25_the_bound_is_the_settings() -> None:
    assert settings(max_body_bytes="2048").max_body_bytes == 2048
    middleware = ConversationMiddleware(Answering(), settings(max_body_bytes=2048))
    assert serve(middleware, signed(sized(2049))).status == 413


class Unlimited:
    """A connection that blocks behind the body: nothing shows where it ends."""

    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("this would block")


class OfAnAdapter:
    """A body that an adapter from ASGI hands over, such as a2wsgi's: it ends with the last message."""

    def __init__(self) -> None:
        self.read = BytesIO(BODY).read


def chunked(stream: Any, **more: Any) -> WSGIEnvironment:
    """A webhook that came in chunks, without a length."""
    environ = two_lines() | {"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked", **more}
    del environ["CONTENT_LENGTH"]
    return environ


@pytest.mark.parametrize(
    "environ",
    [
        chunked(BytesIO(BODY)),
        chunked(OfAnAdapter(), **{"asgi.scope": {}}),
        {
            k: v
            for k, v in chunked(OfAnAdapter(), **{"asgi.scope": {}}).items()
            if k != "HTTP_TRANSFER_ENCODING"
        },
    ],
    ids=["in memory", "an adapter from ASGI", "over HTTP/2"],
)
def test_g11_a_body_without_a_length_is_read_if_its_end_can_be_found(
    environ: WSGIEnvironment,
) -> None:
    app = Answering()

    assert serve(wrapped(app), environ, outside=False).status == 200
    assert dict(app.asked[0].form)["Body"] == "two\r\nlines"


def test_g11_a_body_without_a_length_and_an_end_is_refused_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = Answering()

    assert serve(wrapped(app), chunked(Unlimited()), outside=False).status == 400
    assert app.asked == []
    assert "(length)" in caplog.text
    assert "without a Content-Length" in caplog.text
    assert "token" not in caplog.text


def test_g11_a_body_without_a_length_has_the_same_bound() -> None:
    app = wrapped(Answering(), max_body_bytes=1024)

    assert serve(app, chunked(BytesIO(b"a" * 1025)), outside=False).status == 413


@pytest.mark.parametrize(
    "changes",
    [
        {"HTTP_CONTENT_LENGTH": "3"},
        {"HTTP_CONTENT_TYPE": "application/json"},
        {
            "HTTP_CONTENT_LENGTH": "3",
            "HTTP_CONTENT_TYPE": "text/plain",
            "HTTP_TRANSFER_ENCODING": "x",
        },
    ],
)
def test_o13_no_other_spelling_of_a_header_shadows_what_was_verified(
    changes: dict[str, str],
) -> None:
    app = Answering()
    served = serve(
        wrapped(app), two_lines() | {"wsgi.input": BytesIO(BODY)} | changes, outside=False
    )

    assert served.status == 200
    environ = app.asked[0].environ
    assert not changes.keys() & environ.keys()
    assert (environ["CONTENT_LENGTH"], environ["CONTENT_TYPE"]) == (str(len(BODY)), FORM)
