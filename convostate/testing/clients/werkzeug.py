"""`SignedClient`: the test client of Flask and Werkzeug, which signs its requests."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from convostate.testing.signing import Signing, SigningClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask.testing import FlaskClient as Client  # so that an app's test_client_class takes it
    from werkzeug.datastructures import Headers
    from werkzeug.test import TestResponse
else:
    from werkzeug.test import Client


class SignedClient(Client, SigningClient):
    """A test client that signs its requests to guarded paths as Twilio does.

        app.test_client_class = SignedClient  # Flask: then app.test_client() signs
        client = SignedClient(application)    # any WSGI app

    For a Flask app it is a ``flask.testing.FlaskClient`` as well.
    `convostate.testing.signing.Signing` describes which requests are signed and what is added.

    Args:
        application: The wrapped app.
        auth_token: The auth token to sign with; one of the app's settings if absent.
    """

    def __new__(cls, application: Any, *_: Any, **__: Any) -> SignedClient:
        """Make a client; for a Flask app, one that derives from Flask's own client."""
        if "flask" in sys.modules and isinstance(application, sys.modules["flask"].Flask):
            flask_client = importlib.import_module("flask.testing").FlaskClient
            if not issubclass(cls, flask_client):
                return super().__new__(type(cls.__name__, (cls, flask_client), {}))
        return super().__new__(cls)

    def __init__(
        self, application: Any, *args: Any, auth_token: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(application, *args, **kwargs)
        self._signing = Signing(lambda: self.application, auth_token)

    def run_wsgi_app(
        self, environ: dict[str, Any], buffered: bool = False
    ) -> tuple[Iterable[bytes], str, Headers]:
        """Sign a request and run the app."""
        self._signing.sign(environ)
        return super().run_wsgi_app(environ, buffered)

    def resolve_redirect(self, response: TestResponse, buffered: bool = False) -> TestResponse:
        """Follow a redirect with a signature of its own, and if it keeps the method, with the body."""
        environ = response.request.environ
        if environ.pop("HTTP_X_TWILIO_SIGNATURE", None):
            environ["wsgi.input"].seek(0)  # Werkzeug would send what is left of it
        return super().resolve_redirect(response, buffered=buffered)

    def _get_cookie(self, name: str) -> str | None:
        cookie = self.get_cookie(name)
        return None if cookie is None else cookie.value

    def _put_cookie(self, name: str, value: str) -> None:
        self.set_cookie(name, value)
