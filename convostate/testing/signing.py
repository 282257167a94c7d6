"""Signing: an app's own test client sends requests as Twilio would have sent them."""

from __future__ import annotations

import hashlib
import io
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

from werkzeug.formparser import parse_form_data

from convostate.errors import UsageError
from convostate.middleware import PATH_SAFE
from convostate.paths import guard
from convostate.testing.configured import (
    OUR_NUMBER,
    THEIR_NUMBER,
    configured_prefix,
    configured_url,
    signing,
)
from convostate.testing.fetch import Fetcher, Secret
from convostate.testing.inprocess import WsgiTransport, find_middleware_at
from convostate.testing.jar import Jar
from convostate.testing.params import Params, call_params, encode, merged, message_params, new_sid
from convostate.testing.stored_state import StoredState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FORM = "application/x-www-form-urlencoded"
# One of these parameters marks the request of a message, or of a call.
_MESSAGE_PARAMS = frozenset("Body MessageSid SmsSid SmsMessageSid NumMedia MessageStatus".split())
_CALL_PARAMS = frozenset(
    "CallSid CallStatus Caller Called Digits SpeechResult DialCallStatus RecordingUrl".split()
)
# A request with no more than these is one of a call: a message has a Body.
_ENDS = frozenset("AccountSid ApiVersion From To".split())


class Signing:
    """Signs the requests that a test client sends to the guarded paths of an app.

    The parameters that Twilio always sends are added to a message or a call if they are missing:
    AccountSid, From, To, and MessageSid or CallSid. The CallSid is the same for all requests of one
    client. A request that is already signed, or to a path that is not guarded, is sent unchanged.

    Args:
        find_app: Returns the app; called for each request, because tests wrap apps late.
        auth_token: The auth token to sign with; one of the app's settings if absent.
    """

    def __init__(self, find_app: Callable[[], Any], auth_token: str | None = None) -> None:
        self._find_app = find_app
        self._token = auth_token
        self._call_sid = new_sid("CA")

    def sign(self, environ: dict[str, Any]) -> str:
        """Sign one request in place, and return the signed URL, or "" if it stays unsigned."""
        path = environ.get("PATH_INFO", "") or "/"
        middleware, path = find_middleware_at(self._find_app(), path)
        if (
            middleware is None
            or not hasattr(middleware, "settings")  # it raises its own error when it is called
            or "HTTP_X_TWILIO_SIGNATURE" in environ
            or environ["REQUEST_METHOD"] not in ("GET", "POST")
            or not guard(middleware.settings.paths)(path)
        ):
            return ""
        settings = middleware.settings
        pairs: Params = []
        if environ["REQUEST_METHOD"] == "GET":
            query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
            if not environ["wsgi.url_scheme"].startswith("ws"):  # a handshake has no parameters
                _extend_query(environ, encode(self._missing(query, settings)))
            account = dict(query).get("AccountSid", "")
        elif _is_form(environ):
            body = _read_form(environ)
            pairs = parse_qsl(body.decode(), keep_blank_values=True)
            missing = self._missing(pairs, settings)
            body = b"&".join(part for part in (body, encode(missing).encode()) if part)
            _set_body(environ, body, _FORM)
            pairs += missing
            account = dict(pairs).get("AccountSid", "")
        else:
            body = _read(environ)
            _set_body(environ, body, environ.get("CONTENT_TYPE", ""))
            if "bodySHA256=" not in environ.get("QUERY_STRING", ""):
                _extend_query(environ, f"bodySHA256={hashlib.sha256(body).hexdigest()}")
            account = dict(parse_qsl(environ["QUERY_STRING"])).get("AccountSid", "")
        secret = self._secret(settings, account)
        url = _url_of(environ, settings.public_url)
        for name, value in secret.headers(url, pairs):
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return url

    def stored_state(
        self,
        get_cookie: Callable[[str], str | None],
        account_sid: str,
        ours: str,
        theirs: str,
        *,
        call: bool,
    ) -> tuple[StoredState, Jar]:
        """The state of a conversation or of the client's call, and the cookie jar that may hold it.

        An account of "" is the app's.
        """
        app = self._find_app()
        middleware, _ = find_middleware_at(app)
        if middleware is None:
            raise UsageError("This app has no state. Wrap it: ConversationMiddleware(app)")
        settings, jar = middleware.settings, Jar(time.time)
        for name in (settings.cookie_name, f"{settings.cookie_name}_call"):
            if cookie := get_cookie(name):
                jar.put(name, cookie)
        prefix = configured_prefix(settings)
        transport = WsgiTransport(app, time.time, raise_app_errors=True, stripped_prefix=prefix)
        account_sid = account_sid or signing(settings)[0]
        fetcher = Fetcher(transport, self._secret(settings, account_sid))
        params = message_params(account_sid, ours, theirs, "")
        if call:
            params = merged(call_params(account_sid, ours, theirs), {"CallSid": self._call_sid})
        return StoredState(fetcher, jar, configured_url(settings), params), jar

    def _secret(self, settings: Any, account_sid: str) -> Secret:
        if self._token is not None:
            return Secret(self._token)
        tokens = settings.account_tokens.get(account_sid)
        return Secret(tokens[0]) if tokens else signing(settings)[1]

    def _missing(self, params: Params, settings: Any) -> Params:
        """The parameters that Twilio would have added."""
        names = {name for name, _ in params}
        added: Params = []
        if names & _CALL_PARAMS or names <= _ENDS:
            added = [("CallSid", self._call_sid), ("Direction", "inbound")]
        elif names & _MESSAGE_PARAMS:
            added = [] if names & {"SmsSid", "MessageSid"} else [("MessageSid", new_sid("SM"))]
        else:
            return []
        added += [("From", THEIR_NUMBER), ("To", OUR_NUMBER), ("AccountSid", signing(settings)[0])]
        return [(name, value) for name, value in added if name not in names]


class SigningClient(Protocol):
    """The methods that all signing test clients share; each client gives access to its cookies."""

    _signing: Signing

    def _get_cookie(self, name: str) -> str | None: ...

    def _put_cookie(self, name: str, value: str) -> None: ...

    def get_state(
        self,
        *,
        ours: str = OUR_NUMBER,
        theirs: str = THEIR_NUMBER,
        account_sid: str = "",
        call: bool = False,
    ) -> dict[Any, Any] | None:
        """A copy of a conversation's stored state, or None if there is none.

        Args:
            ours: The app's address, To of a text.
            theirs: The person's address, From of a text.
            account_sid: AccountSid of a text; the app's own account if "".
            call: Read the state of this client's call instead of that of its texts.
        """
        stored, _ = self._signing.stored_state(
            self._get_cookie, account_sid, ours, theirs, call=call
        )
        return stored.read()

    def set_state(
        self,
        state: Mapping[Any, Any] | None,
        *,
        ours: str = OUR_NUMBER,
        theirs: str = THEIR_NUMBER,
        account_sid: str = "",
        call: bool = False,
    ) -> None:
        """Set the state of a conversation, or end it with None; the arguments name it as in `get_state`.

        Raises:
            StateError: The state cannot be stored.
        """
        stored, jar = self._signing.stored_state(
            self._get_cookie, account_sid, ours, theirs, call=call
        )
        stored.write(state)
        for name, value in jar.values().items():
            self._put_cookie(name, value)


def _is_form(environ: dict[str, Any]) -> bool:
    """Whether the body is a form, or empty. Test clients may send multipart forms; Twilio does not."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return kind in (_FORM, "multipart/form-data") or not int(environ.get("CONTENT_LENGTH") or 0)


def _read(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return body


def _read_form(environ: dict[str, Any]) -> bytes:
    """The body as Twilio encodes a form; it has no files."""
    if "multipart" not in environ.get("CONTENT_TYPE", "").lower():
        return _read(environ)
    _, form, files = parse_form_data(environ)
    for file in files.values():
        file.close()
    if files:
        raise UsageError("Twilio sends no files, only their URLs. Write MediaUrl0=…")
    return encode((name, value) for name, values in form.lists() for value in values).encode()


def _set_body(environ: dict[str, Any], body: bytes, content_type: str) -> None:
    environ["wsgi.input"] = io.BytesIO(body)
    environ |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type}


def _extend_query(environ: dict[str, Any], more: str) -> None:
    if not more:
        return
    query = environ.get("QUERY_STRING", "")
    environ["QUERY_STRING"] = f"{query}&{more}" if query else more
    for name in {"RAW_URI", "REQUEST_URI"} & environ.keys():
        joint = "&" if "?" in environ[name] else "?"
        environ[name] = f"{environ[name]}{joint}{more}"


def _url_of(environ: dict[str, Any], public_url: str | None) -> str:
    """The URL that the middleware checks: the request's own path at the public origin."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    target = quote(path, safe=PATH_SAFE, encoding="latin-1")
    raw = urlsplit(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").path
    if raw and quote(raw, safe=f"{PATH_SAFE}%") == raw:
        target = raw
    if environ.get("QUERY_STRING"):
        target += f"?{environ['QUERY_STRING']}"
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    scheme: str = environ["wsgi.url_scheme"]
    if public_url and scheme.startswith("ws"):
        public_url = f"ws{public_url.removeprefix('http')}"
    return (public_url or f"{scheme}://{host}") + target
