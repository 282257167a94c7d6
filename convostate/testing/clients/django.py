"""`SignedDjangoClient`: Django's test client, which signs its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.servers.basehttp import get_internal_wsgi_application
from django.http import HttpResponse
from django.test.client import Client, ClientHandler

from convostate.errors import UsageError
from convostate.testing.inprocess import find_middleware, run
from convostate.testing.signing import Signing, SigningClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class SignedDjangoClient(Client, SigningClient):  # type: ignore[misc]
    """A test client that signs its requests to guarded paths as Twilio does.

    Django's own client bypasses the application that ``WSGI_APPLICATION`` names, and with it the
    ConversationMiddleware. This one sends its requests through both:

        class SmsTest(TestCase):
            client_class = SignedDjangoClient

    `convostate.testing.signing.Signing` describes which requests are signed and what is added. Forms
    are sent as Twilio sends them, not as multipart.

    Args:
        auth_token: The auth token to sign with; one of the app's settings if absent.
    """

    def __init__(
        self,
        enforce_csrf_checks: bool = False,
        *args: Any,
        auth_token: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._signing = Signing(get_internal_wsgi_application, auth_token)
        super().__init__(enforce_csrf_checks, *args, **kwargs)

    @property
    def handler(self) -> Any:
        """Runs the requests inside the middleware: Django's handler, or that of Django REST framework's APIClient."""
        return self._handler

    @handler.setter
    def handler(self, handler: Any) -> None:
        inside = type("SignedHandler", (_ThroughMiddleware, type(handler)), {})
        handler.__class__, handler.signing = inside, self._signing
        self._handler = handler

    def _get_cookie(self, name: str) -> str | None:
        return self.cookies[name].value if name in self.cookies else None

    def _put_cookie(self, name: str, value: str) -> None:
        self.cookies[name] = value


class _ThroughMiddleware(ClientHandler):  # type: ignore[misc]
    """A handler for tests, inside a copy of the WSGI application's middleware."""

    signing: Signing

    def __call__(self, environ: dict[str, Any]) -> Any:
        middleware = find_middleware(get_internal_wsgi_application())
        if middleware is None:
            raise UsageError(
                "SignedDjangoClient sends its requests through the application that WSGI_APPLICATION names, and "
                "there is no ConversationMiddleware around it. Wrap it in wsgi.py, also if asgi.py serves the project"
            )
        self.signing.sign(environ)
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

        wrapped: Any = type(middleware)(django, middleware.settings, store=middleware.store)
        status, headers, body = run(wrapped, environ)
        code = int(status[:3])
        # Django's response is missing or replaced if the request is refused, replayed or not committed.
        if not responses or responses[-1].status_code != code:
            responses.append(HttpResponse(body, status=code))
            responses[-1].wsgi_request = WSGIRequest(environ)
        for name, value in headers:
            if name.lower() == "set-cookie":
                responses[-1].cookies.load(value)
            else:
                responses[-1][name] = value
        return responses[-1]
