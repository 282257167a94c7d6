"""`SignedDjangoClient`: Django's test client, through the wrapped WSGI application, which signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.servers.basehttp import get_internal_wsgi_application
from django.http import HttpResponse
from django.test.client import Client, ClientHandler

from convostate.testing.inprocess import find_middleware, run
from convostate.testing.signing import Signing, SigningClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class SignedDjangoClient(Client, SigningClient):  # type: ignore[misc]
    """A test client that signs its requests to guarded paths as Twilio does.

    Django's own client calls Django without the WSGI application that ``WSGI_APPLICATION`` names, and so
    without the ConversationMiddleware around it. This one takes its requests through both::

        class SmsTest(TestCase):
            client_class = SignedDjangoClient

    What is signed and what is added: `convostate.testing.signing.Signing`. Forms are sent as Twilio
    sends them, not as multipart.

    Args:
        auth_token: What signs; one that the app's settings name if absent.
    """

    def __init__(
        self,
        enforce_csrf_checks: bool = False,
        *args: Any,
        auth_token: str | None = None,
        **named: Any,
    ) -> None:
        super().__init__(enforce_csrf_checks, *args, **named)
        self._signing = Signing(get_internal_wsgi_application, auth_token)
        self.handler = _ThroughMiddleware(self._signing, enforce_csrf_checks)

    def _get_cookie(self, name: str) -> str | None:
        return self.cookies[name].value if name in self.cookies else None

    def _put_cookie(self, name: str, value: str) -> None:
        self.cookies[name] = value


class _ThroughMiddleware(ClientHandler):  # type: ignore[misc]
    """Django's handler for tests, inside a middleware like that of the WSGI application."""

    def __init__(self, signing: Signing, enforce_csrf_checks: bool) -> None:
        super().__init__(enforce_csrf_checks)
        self._signing = signing

    def __call__(self, environ: dict[str, Any]) -> Any:
        middleware = find_middleware(get_internal_wsgi_application())
        if middleware is None:
            return super().__call__(environ)
        self._signing.sign(environ)
        call_django, responses = super().__call__, []

        def django(inner: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            response = call_django(inner)
            responses.append(response)
            body = b"".join(response) if response.streaming else response.content
            if response.streaming:
                response.streaming_content = [body]
            cookies = [("Set-Cookie", each.OutputString()) for each in response.cookies.values()]
            line = f"{response.status_code} {response.reason_phrase}"
            start_response(line, [*response.items(), *cookies])
            return [body]

        around = type(middleware)(django, middleware.settings, store=middleware.store)
        status, headers, body = run(around, environ)
        code = int(status[:3])
        if (
            not responses or responses[-1].status_code != code
        ):  # refused, replayed, or not committed
            responses.append(HttpResponse(body, status=code))
            responses[-1].wsgi_request = WSGIRequest(environ)
        for name, value in headers:
            if name.lower() == "set-cookie":
                responses[-1].cookies.load(value)
            else:
                responses[-1][name] = value
        return responses[-1]
