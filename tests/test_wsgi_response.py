"""The app's response: however PEP 3333 lets it come it arrives whole, and what is forbidden is an error."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest

from tests.served import XML, Closing, answering, serve, signed, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def fail(why: str) -> None:
    raise LookupError(why)


# W1: when start_response is called


def test_w01_start_response_in_the_call() -> None:
    assert serve(wrapped(answering([b"<Response/>"])), signed()).body == b"<Response/>"


def test_w01_start_response_at_the_first_next() -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        environ["convostate.state"]["n"] = 1
        start_response("201 Created", list(XML))
        yield b"late"

    served = serve(wrapped(app), signed())

    assert (served.status, served.body) == (201, b"late")
    assert served.cookie


def test_w01_start_response_at_the_second_next_after_an_empty_chunk() -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", list(XML))
        yield b"later"

    assert serve(wrapped(app, inside=False), signed()).body == b"later"


def never(_environ: Any, _start_response: Any) -> list[bytes]:
    return []


def body_first(_environ: Any, start_response: Any) -> Iterator[bytes]:
    yield b"too early"
    start_response("200 OK", list(XML))


def twice(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", list(XML))
    start_response("200 OK", list(XML))
    return []


def twice_with_nothing(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", list(XML))
    start_response("200 OK", list(XML), ())
    return []


@pytest.mark.parametrize(("app", "why"), [
    (never, "never called start_response"),
    (body_first, "a body before it called start_response"),
    (twice, "twice without exc_info"),
    (twice_with_nothing, "twice without exc_info"),
])  # fmt: skip
def test_w01_start_response_that_breaks_the_rules_is_an_error(app: Any, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        serve(wrapped(app, inside=False), signed())


def failing(*before: bytes) -> Any:
    """An app that fails after so much body, and says so in the way of PEP 3333."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        environ["convostate.state"]["n"] = 1
        start_response("200 OK", list(XML))
        try:
            yield from before
            fail("the app failed")
        except LookupError:
            start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"sorry"

    return app


@pytest.mark.parametrize("before", [(), (b"",)], ids=["no chunk", "an empty chunk"])
def test_w01_start_response_with_exc_info_before_the_body_replaces_the_headers(before: Any) -> None:
    served = serve(wrapped(failing(*before)), signed())

    assert (served.status, served.body) == (500, b"sorry")
    assert served.headers["Content-Type"] == "text/plain"
    assert not served.cookie


def test_w01_start_response_with_exc_info_after_the_body_raises() -> None:
    with pytest.raises(LookupError, match="the app failed"):
        serve(wrapped(failing(b"<Resp")), signed())


def test_w01_start_response_with_an_empty_exc_info_is_as_without_one() -> None:
    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(XML), ())
        return [b"fine"]

    assert serve(wrapped(app, inside=False), signed()).body == b"fine"


# W2, W4: how the body comes


def writing(*after: bytes) -> Any:
    def app(_environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", list(XML))
        write(b"one ")
        write(b"two ")
        return list(after)

    return app


def test_w02_write_only() -> None:
    assert serve(wrapped(writing()), signed()).body == b"one two "


def test_w02_write_and_then_an_iterable_keep_their_order() -> None:
    assert serve(wrapped(writing(b"three ", b"four")), signed()).body == b"one two three four"


class Sized(Closing):
    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize(("chunks", "body"), [
    pytest.param(lambda: [b"one", b"two"], b"onetwo", id="list"),
    pytest.param(lambda: (b"one", b"two"), b"onetwo", id="tuple"),
    pytest.param(lambda: (chunk for chunk in (b"one", b"two")), b"onetwo", id="generator"),
    pytest.param(lambda: Sized(b"one", b"two"), b"onetwo", id="iterator with a length"),
    pytest.param(lambda: FileWrapper(BytesIO(b"onetwo")), b"onetwo", id="file wrapper"),
    pytest.param(list, b"", id="empty list"),
    pytest.param(lambda: iter(()), b"", id="empty iterator"),
    pytest.param(lambda: [b"", b"one", b"", b"two", b""], b"onetwo", id="empty chunks"),
])  # fmt: skip
def test_w04_a_body_of_every_kind_arrives_whole(chunks: Callable[[], Any], body: bytes) -> None:
    assert serve(wrapped(answering(chunks())), signed()).body == body


@pytest.mark.parametrize("chunks", [["text"], "text", [b"one", None], [bytearray(b"one")]],
                         ids=["str chunk", "str body", "None", "bytearray"])  # fmt: skip
def test_w04_a_chunk_that_is_not_bytes_is_an_error(chunks: Any) -> None:
    with pytest.raises(AssertionError, match="not bytes"):
        serve(wrapped(answering(chunks), inside=False), signed())


def test_w04_write_takes_no_str() -> None:
    def app(_environ: Any, start_response: Any) -> Any:
        start_response("200 OK", list(XML))("text")

    with pytest.raises(AssertionError, match="not bytes"):
        serve(wrapped(app, inside=False), signed())
