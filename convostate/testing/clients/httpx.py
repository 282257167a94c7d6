"""`SignedTransport`: httpx's transport for ASGI apps, which signs its requests."""

from __future__ import annotations

from typing import Any

import httpx

from convostate.testing.clients.asgi import SignedASGIApp


class SignedTransport(httpx.ASGITransport):
    """A transport that signs requests to guarded paths as Twilio does.

        client = httpx.AsyncClient(transport=SignedTransport(app), base_url="https://example.com")

    `convostate.testing.signing.Signing` describes which requests are signed and what is added.

    Args:
        app: The wrapped ASGI app.
        auth_token: The auth token to sign with; one of the app's settings if absent.
        **options: The options of ``httpx.ASGITransport``.
    """

    def __init__(self, app: Any, auth_token: str | None = None, **options: Any) -> None:
        super().__init__(app=SignedASGIApp(app, auth_token), **options)
