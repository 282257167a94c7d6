"""`SignedTransport`: httpx's transport for ASGI apps, which signs."""

from __future__ import annotations

from typing import Any

import httpx

from convostate.testing.clients.asgi import SignedASGIApp


class SignedTransport(httpx.ASGITransport):
    """A transport that signs requests to guarded paths as Twilio does.

    ::

        client = httpx.AsyncClient(transport=SignedTransport(app), base_url="https://example.com")

    What is signed and what is added: `convostate.testing.signing.Signing`.

    Args:
        app: The wrapped ASGI app.
        auth_token: What signs; one that the app's settings name if absent.
        **options: Those of ``httpx.ASGITransport``.
    """

    def __init__(self, app: Any, auth_token: str | None = None, **options: Any) -> None:
        super().__init__(app=SignedASGIApp(app, auth_token), **options)
