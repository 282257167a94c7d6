"""Apps that raise, write without end, or lose their client: closed once, and nothing half done."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from convostate.turns import MAX_RESPONSE_BYTES
from tests.served import XML, Closing, answering, counting, serve, signed, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_w03_close_is_called_once_when_all_is_well() -> None:
    chunks = Closing(b"<Response/>")
    serve(wrapped(answering(chunks)), signed())
    assert chunks.closed == 1


def test_w03_close_is_called_once_when_the_iteration_raises() -> None:
    chunks = Closing(b"<Resp", LookupError("half way"))
    with pytest.raises(LookupError, match="half way"):
        serve(wrapped(answering(chunks), inside=False), signed())
    assert chunks.closed == 1


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, SystemExit])
def test_w03_close_is_called_once_when_the_worker_is_stopped(error: Any) -> None:
    chunks = Closing(b"<Resp", error())
    with pytest.raises(error):
        serve(wrapped(answering(chunks), inside=False), signed())
    assert chunks.closed == 1


def test_w03_close_is_called_once_when_start_response_was_never() -> None:
    chunks = Closing()
    with pytest.raises(AssertionError):
        serve(wrapped(lambda *_: chunks, inside=False), signed())
    assert chunks.closed == 1


def test_w03_close_that_raises_undoes_the_turn() -> None:
    class Refusing(Closing):
        def close(self) -> None:
            super().close()
            raise LookupError("while closing")

    chunks = Refusing(b"<Response/>")
    with pytest.raises(LookupError, match="while closing"):
        serve(wrapped(answering(chunks), inside=False), signed())
    assert chunks.closed == 1


@pytest.mark.parametrize("environ", [signed(HTTP_X_TWILIO_SIGNATURE="no"), signed(REQUEST_METHOD="HEAD")],
                         ids=["403", "HEAD"])  # fmt: skip
def test_w03_close_has_nothing_to_do_when_the_app_is_not_called(environ: Any) -> None:
    chunks = Closing(b"<Response/>")
    assert serve(wrapped(answering(chunks)), environ).body == b""
    assert chunks.closed == 0


def test_w17_an_exception_passes_through_with_its_traceback() -> None:
    error = LookupError("of the app")

    def app(_environ: Any, _start_response: Any) -> Any:
        raise error

    with pytest.raises(LookupError) as raised:
        serve(wrapped(app, inside=False), signed())

    assert raised.value is error
    assert raised.traceback[-1].name == "app"
    assert error.__cause__ is None
    assert error.__context__ is None


def fail(why: str) -> None:
    raise LookupError(why)


def test_w17_nothing_of_a_failed_turn_is_kept_in_memory() -> None:
    class Held(dict[str, Any]):
        pass

    def app(environ: Any, start_response: Any) -> Any:
        environ["held"] = held = Held()
        left.append(weakref.ref(held))
        try:
            fail("of the app")
        except LookupError:
            start_response("500 Oops", list(XML), sys.exc_info())
        return [b"sorry"]

    left: list[weakref.ref[Held]] = []
    middleware = wrapped(app, inside=False)
    gc.collect()
    gc.disable()  # what is freed now was in no cycle
    try:
        for _ in range(3):
            serve(middleware, signed(), outside=False)
        assert [held() for held in left] == [None] * 3
    finally:
        gc.enable()


# W18, W21: sizes and clients that leave


@pytest.mark.parametrize("pieces", [1, 16])
def test_w18_a_response_of_65536_bytes_arrives(pieces: int) -> None:
    chunk = b"x" * (MAX_RESPONSE_BYTES // pieces)
    served = serve(wrapped(answering([chunk] * pieces)), signed())
    assert (served.status, len(served.body)) == (200, 65_536)
    assert served.cookie


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 1000


@pytest.mark.parametrize("chunks", [(b"x" * 65_537,), (b"x" * 65_536, b"y"), endless()],
                         ids=["one chunk", "one byte more", "endless"])  # fmt: skip
def test_w18_a_longer_response_is_500_and_closed_and_the_log_names_11750(
    chunks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    closing = Closing()
    closing.chunks = iter(chunks)

    served = serve(wrapped(answering(closing), inside=False), signed())

    assert (served.status, served.body, served.cookie) == (500, b"", "")
    assert closing.closed == 1
    assert (
        "the app's response with status 200 is over 65536 bytes (Twilio's error 11750)"
        in caplog.text
    )


def test_w18_an_app_that_swallows_the_error_of_write_does_not_send_half_a_response() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["convostate.state"]["n"] = 1
        write = start_response("200 OK", list(XML))
        for _ in range(10):
            try:
                write(b"x" * 10_000)
            except Exception:  # noqa: BLE001, PERF203  # such apps exist
                return []
        return []

    served = serve(wrapped(app, inside=False), signed())

    assert (served.status, served.body, served.cookie) == (500, b"", "")


def test_w21_a_client_that_leaves_after_the_commit_changes_nothing() -> None:
    middleware = wrapped(counting)
    environ = signed()
    headers: list[Any] = []

    def start_response(_status: str, given: list[tuple[str, str]], *_: Any) -> Any:
        headers.extend(given)

    chunks = middleware(environ, start_response)
    close = getattr(chunks, "close", None)
    if close is not None:  # the server closes without having read
        close()

    cookie = dict(headers)["Set-Cookie"].partition(";")[0]
    assert serve(middleware, signed(HTTP_COOKIE=cookie)).body == b"2"
