"""`SignedTestApp`: WebTest's TestApp, which signs its requests."""

from __future__ import annotations

from typing import Any

from webtest import TestApp

from convostate.testing.signing import Signing, SigningClient


class SignedTestApp(TestApp, SigningClient):  # type: ignore[misc]
    """A TestApp that signs its requests to guarded paths as Twilio does: ``SignedTestApp(application)``.

    `convostate.testing.signing.Signing` describes which requests are signed and what is added.

    Args:
        app: The wrapped app.
        auth_token: The auth token to sign with; one of the app's settings if absent.
    """

    def __init__(self, app: Any, *args: Any, auth_token: str | None = None, **kwargs: Any) -> None:
        super().__init__(app, *args, **kwargs)
        self._signing = Signing(lambda: self.app, auth_token)

    def do_request(self, req: Any, *args: Any, **kwargs: Any) -> Any:
        """Sign a request and run the app."""
        signed_url = self._signing.sign(req.environ)
        if signed_url.startswith("https:"):  # else the cookie jar does not send Secure cookies
            req.environ["wsgi.url_scheme"] = "https"
        return super().do_request(req, *args, **kwargs)

    def _get_cookie(self, name: str) -> str | None:
        value: str | None = self.cookies.get(name)
        return value

    def _put_cookie(self, name: str, value: str) -> None:
        for cookie in [each for each in self.cookiejar if each.name == name]:
            self.cookiejar.clear(cookie.domain, cookie.path, name)
        self.set_cookie(name, value)
