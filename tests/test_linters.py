"""Between three linters: each bites, and the counters pass between them on both sides."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware
from convostate.testing.inprocess import Checked, find_middleware
from tests.served import XML, counting, linted, serve, settings, signed, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN: dict[str, Any] = {
    "a header that is no str": lambda _, start: start("200 OK", [("Content-Type", b"x")]) or [b""],
    "no content type": lambda _, start: start("200 OK", []) or [b""],
    "a str body": lambda _, start: start("200 OK", list(XML)) or ["text"],
    "a short status": lambda _, start: start("200", list(XML)) or [b""],
    "a body longer than it says": lambda _, start: start("200 OK", [*XML, ("Content-Length", "1")]) or [b"two"],
    "no start_response": lambda _, __: [b""],
    "a closed input": lambda environ, _: environ["wsgi.input"].close(),
    "a read without a size": lambda environ, _: environ["wsgi.input"].read(),
}  # fmt: skip


# A linter that has raised leaves the others' iterators open, and they say so when they are freed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("app", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("side", ["the server's", "the app's"])
def test_w19_the_linters_bite(app: Any, side: str) -> None:
    stack = linted(app) if side == "the server's" else wrapped(app)
    environ = signed()

    with pytest.raises((AssertionError, TypeError, Warning)):
        serve(stack, environ, outside=False)


@pytest.mark.parametrize("name", ["counter", "counter_flask", "counter_bottle", "counter_pyramid"])
def test_w19_the_counters_pass_between_the_linters(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    middleware: Any = find_middleware(import_module(f"convostate.demo.{name}").app)
    inside = middleware.app.app if isinstance(middleware.app, Checked) else middleware.app
    monkeypatch.setattr(middleware, "app", linted(sized_reads(inside)))
    environ = signed(token="0f1e2d3c4b5a69788796a5b4c3d2e1f0")

    assert b"1 message" in serve(middleware, environ).body


def sized_reads(app: Any) -> Any:
    """Frameworks read without a size, which PEP 3333 allows and the linters do not."""

    def around(environ: Any, start_response: Any) -> Any:
        stream, length = environ["wsgi.input"], int(environ["CONTENT_LENGTH"])

        class Sized:
            def read(self, size: int = -1) -> bytes:
                return bytes(stream.read(length if size is None or size < 0 else size))

            def readline(self, size: int = -1) -> bytes:
                return bytes(stream.readline(length if size < 0 else size))

            def readlines(self, hint: int = -1) -> list[bytes]:
                return list(stream.readlines(hint))

            def __iter__(self) -> Iterator[bytes]:
                return iter(stream)

        return app({**environ, "wsgi.input": Sized()}, start_response)

    return around


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_w19_a_turn_passes_between_the_linters(method: str, store: str) -> None:
    middleware = ConversationMiddleware(linted(counting), settings(store=store))

    assert serve(middleware, signed(method=method)).body == b"1"
