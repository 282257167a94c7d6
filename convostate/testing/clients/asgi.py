"""`SignedASGIApp`: the requests of an ASGI app's own test client, signed.

client = TestClient(SignedASGIApp(app))  # of FastAPI, Starlette and Litestar
app.asgi_app = SignedASGIApp(app.asgi_app)  # then app.test_client() of Quart
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from convostate.testing.signing import Signing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class SignedASGIApp:
    """An app around a wrapped ASGI app: requests and WebSockets to guarded paths are signed before they reach it.

    `convostate.testing.signing.Signing` describes which requests are signed and what is added.

    Args:
        app: The wrapped app.
        auth_token: The auth token to sign with; one of the app's settings if absent.
    """

    app: Any
    _signing: Signing

    def __init__(self, app: Any, auth_token: str | None = None) -> None:
        vars(self).update(app=app, _signing=Signing(lambda: app, auth_token))

    def __getattr__(self, name: str) -> Any:
        """The app's own attributes, such as ``app.dependency_overrides``."""
        return getattr(self.app, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of the app's own: ``client.app.dependency_overrides = {}``."""
        setattr(self.app, name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sign a request or a WebSocket's handshake, and run the app."""
        if scope["type"] in ("http", "websocket"):
            # FastAPI(root_path=…) adds it to the scope before its middleware is called.
            root_path = getattr(self.app, "root_path", None)
            if root_path and hasattr(self.app, "middleware_stack"):
                scope = {**scope, "root_path": root_path}
            scope, receive = await self._signed(scope, receive)
        await self.app(scope, receive, send)

    async def _signed(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        body, more = b"", scope["type"] == "http"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        environ = _environ(scope, body)
        self._signing.sign(environ)
        query = environ["QUERY_STRING"].encode("latin-1")
        scope = {**scope, "query_string": query, "headers": _headers(environ)}
        if scope["type"] == "websocket":
            return scope, receive
        body = environ["wsgi.input"].read()
        replayed = False

        async def replay() -> MutableMapping[str, Any]:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        return scope, replay


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The request as a WSGI environ, which `Signing` reads and changes."""
    host, port = scope.get("server") or ("testserver", 80)
    root_path: str = scope.get("root_path", "").rstrip("/")
    raw_path: str = (scope.get("raw_path") or b"").decode("latin-1")
    if raw_path and not raw_path.startswith(f"{root_path}/"):  # some servers leave it out
        raw_path = root_path + raw_path
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.get("method", "GET"),  # a WebSocket's handshake is a GET
        "SCRIPT_NAME": root_path,
        "PATH_INFO": scope["path"].removeprefix(root_path).encode().decode("latin-1"),
        "REQUEST_URI": raw_path,
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "wsgi.url_scheme": scope.get("scheme", "http"),
    }
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        key = _PLAIN.get(name, f"HTTP_{name.upper().replace('-', '_')}")
        environ[key] = raw_value.decode("latin-1")
    return environ | {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _headers(environ: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    plain = {key: name for name, key in _PLAIN.items()}
    return [
        (
            plain.get(key, key.removeprefix("HTTP_").replace("_", "-").lower()).encode("latin-1"),
            value.encode("latin-1"),
        )
        for key, value in environ.items()
        if (key in plain and value) or key.startswith("HTTP_")
    ]
