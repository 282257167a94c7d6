"""`SignedTestApp`: WebTest's TestApp, which signs."""

from __future__ import annotations

from typing import Any

from webtest import TestApp

from convostate.testing.signing import Signing, SigningClient


class SignedTestApp(TestApp, SigningClient):  # type: ignore[misc]
    """A TestApp that signs its requests to guarded paths as Twilio does: ``SignedTestApp(application)``.

    What is signed and what is added: `convostate.testing.signing.Signing`.

    Args:
        app: The wrapped app.
        auth_token: What signs; one that the app's settings name if absent.
    """

    def __init__(self, app: Any, *args: Any, auth_token: str | None = None, **named: Any) -> None:
        super().__init__(app, *args, **named)
        self._signing = Signing(lambda: self.app, auth_token)

    def do_request(self, req: Any, *args: Any, **named: Any) -> Any:
        """Sign a request and run the app."""
        signed_url = self._signing.sign(req.environ)
        if signed_url.startswith("https:"):  # else its cookie jar keeps back what is Secure
            req.environ["wsgi.url_scheme"] = "https"
        return super().do_request(req, *args, **named)

    def _get_cookie(self, name: str) -> str | None:
        value: str | None = self.cookies.get(name)
        return value

    def _put_cookie(self, name: str, value: str) -> None:
        for cookie in [each for each in self.cookiejar if each.name == name]:
            self.cookiejar.clear(cookie.domain, cookie.path, name)
        self.set_cookie(name, value)
