"""WebSocket handshakes on guarded paths: verified before the app can accept them (Media Streams, ConversationRelay)."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from convostate import UsageError, state_from, webhook_from
from convostate.asgi import ConversationMiddleware
from convostate.twilio.diagnosis import diagnose
from convostate.twilio.signature import Secrets, sign
from tests.proving import posted
from tests.served import TOKEN, settings, text
from tests.serving import ASGI_SERVERS, serving

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    Message = MutableMapping[str, Any]

URL = "wss://example.com/stream"


def handshake(signature: str | None, **changes: Any) -> dict[str, Any]:
    headers = [(b"host", b"example.com"), (b"upgrade", b"websocket")]
    if signature is not None:
        headers.append((b"x-twilio-signature", signature.encode()))
    return {"type": "websocket", "scheme": "wss", "path": "/stream", "raw_path": b"/stream", "query_string": b"", "headers": headers, **changes}  # fmt: skip


def opened(scope: dict[str, Any], **changes: Any) -> tuple[list[str], list[str]]:
    """What the app was called with and what the server got."""
    called: list[str] = []
    sent: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        webhook = webhook_from(scope)
        assert webhook.pair is None
        with pytest.raises(UsageError):
            state_from(scope)
        called.append(webhook.url)
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(ConversationMiddleware(app, settings(**changes))(scope, receive, send))
    return called, sent


SIGNED = {
    "as it is": (URL, {}, {}),
    "with a slash behind the path": (f"{URL}/", {}, {}),
    "with the port": ("wss://example.com:443/stream", {}, {}),
    "with a query": (f"{URL}?a=1", {"query_string": b"a=1"}, {}),
    "a slash before the query": (f"{URL}/?a=1", {"query_string": b"a=1"}, {}),
    "behind a proxy that ends TLS": (URL, {"scheme": "ws"}, {"public_url": "https://example.com"}),
}


@pytest.mark.parametrize(("url", "changes", "given"), SIGNED.values(), ids=SIGNED)
def test_a_signed_handshake_reaches_the_app(
    url: str, changes: dict[str, Any], given: dict[str, Any]
) -> None:
    called, sent = opened(handshake(sign(url, (), TOKEN), **changes), **given)
    assert len(called) == 1
    assert sent == ["websocket.accept"]


UNSIGNED = {
    "no signature": None,
    "another path": sign("wss://example.com/other", (), TOKEN),
    "another token": sign(URL, (), "f" * 32),
    "https": sign("https://example.com/stream", (), TOKEN),
    "two slashes": sign(f"{URL}//", (), TOKEN),
}


@pytest.mark.parametrize("signature", UNSIGNED.values(), ids=UNSIGNED)
def test_any_other_handshake_is_refused_before_the_app(
    signature: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    called, sent = opened(handshake(signature))
    assert (called, sent) == ([], ["websocket.close"])
    assert "refused a request with 403" in caplog.text


@pytest.mark.parametrize("slash", ["", "/"])
def test_o6_the_advice_for_a_handshake_behind_a_proxy_that_ends_tls_verifies(
    slash: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    request = handshake(sign(URL + slash, (), TOKEN), scheme="ws")

    assert opened(request)[1] == ["websocket.close"]
    assert caplog.text.rstrip().endswith("set CONVOSTATE_PUBLIC_URL=https://example.com")
    assert opened(request, public_url="https://example.com")[1] == ["websocket.accept"]


def test_o6_a_setting_for_the_url_of_a_handshake_has_https(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    opened(handshake(sign("wss://example.com/other", (), TOKEN)))
    assert "without the /stream at its end, and with https instead of wss" in caplog.text
    other = sign("https://example.com/other", (), TOKEN)
    of_a_text = str(diagnose(posted(text(), signature=other), Secrets((TOKEN,))))
    assert "CONVOSTATE_PUBLIC_URL" in of_a_text
    assert "wss" not in of_a_text


def test_a_surprise_in_the_verification_of_a_handshake_refuses_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprising(*_: Any) -> Any:
        raise ValueError("+15550100001")

    monkeypatch.setattr("convostate.asgi.middleware.authenticate", surprising)
    called, sent = opened(handshake(sign(URL, (), TOKEN)))
    assert (called, sent) == ([], ["websocket.close"])
    assert "ValueError while verifying it" in caplog.text
    assert "+15550100001" not in caplog.text


def test_a_path_that_is_not_guarded_stays_the_app_s_own() -> None:
    sent: list[str] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        with pytest.raises(UsageError, match="not guarded"):
            webhook_from(scope)
        await send({"type": "websocket.accept"})

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    middleware = ConversationMiddleware(app, settings(paths="/sms"))
    asyncio.run(middleware(handshake(None), receive, send))
    assert sent == ["websocket.accept"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ASGI_SERVERS)
def test_servers_answer_403_to_a_handshake_that_is_not_signed(name: str) -> None:
    async def talk(address: str, signature: str) -> str:
        headers = {"X-Twilio-Signature": signature}
        async with connect(f"ws://{address}/stream", additional_headers=headers, proxy=None) as socket:  # fmt: skip
            return str(await socket.recv())

    with serving(name, "tests.apps.streaming:app", TWILIO_AUTH_TOKEN=TOKEN) as server:
        url = f"ws://{server.host}/stream"
        assert asyncio.run(talk(server.host, sign(url, (), TOKEN))) == url
        with pytest.raises(InvalidStatus) as refused:
            asyncio.run(talk(server.host, sign(url, (), "f" * 32)))
        assert refused.value.response.status_code == 403
