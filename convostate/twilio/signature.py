"""Twilio's request signature: making it, checking it.

    signed string = URL ‖ for each name, sorted: for each distinct value, sorted: name ‖ value
    X-Twilio-Signature = base64(HMAC-SHA1(auth token, signed string))
                      or base64(HMAC-SHA256(shared key, signed string))

Source: https://www.twilio.com/docs/usage/security; shared keys:
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys. A GET or JSON webhook signs its URL
alone; the URL of a JSON webhook carries the hash of its body as ``bodySHA256``.

Rules of this file: the URL is cut, never parsed and rebuilt; comparison takes constant time and goes
through every candidate secret; a header only ever selects among configured secrets.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from convostate.errors import RequestError
from convostate.twilio.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

HMAC_SHA1 = "HMAC_SHA1"
HMAC_SHA256 = "HMAC_SHA256"
_DIGESTS = {HMAC_SHA1: hashlib.sha1, HMAC_SHA256: hashlib.sha256}
_BLOCK_BYTES = 64  # of SHA-1 and SHA-256
_SIGNATURE_CHARS = {28, 44}  # base64 of 20 bytes of SHA-1, of 32 bytes of SHA-256
# For one spelling of the URL, under all candidates: 5 ms of SHA-1, or 15 ms of short texts. More is possible only for a
# request without an account if many are configured; those of Twilio sign their URL alone.
_MOST_HASHED_CHARS = 4 * 1024 * 1024
_MOST_TRIES = 10_000

# Decoding takes 3 ms for so many. The longest known, a GET webhook of a WhatsApp flow, has 16 KiB.
MAX_URL_CHARS = 32_768

_ORIGIN = re.compile(
    r"(?P<scheme>https?|wss?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
)
_hashes = re.compile("(?:^|&)(bodySHA256(?:=[^&]*|(?![^&])))", re.IGNORECASE).findall
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}


@dataclass(slots=True, repr=False)
class Request:
    """A request as it arrived: nothing in it is proven.

    Attributes:
        method: ``POST``, ``GET`` or another.
        url: Scheme, authority, raw path and raw query; no fragment.
        query: The raw query, without its ``?``.
        content_type: The Content-Type header, or "".
        body: The whole body.
        signature: The X-Twilio-Signature header, or "".
        scheme: The X-Twilio-Webhooks-Signature-Settings header, or "".
    """

    method: str
    url: str
    query: str
    content_type: str
    body: bytes
    signature: str
    scheme: str

    def __repr__(self) -> str:
        return f"<Request {self.method}, {len(self.body)} bytes>"


def primed_hmac(key: bytes, digest: Callable[[bytes], hashlib._Hash]) -> Sequence[hashlib._Hash]:
    """The inner and the outer hash of an HMAC under a key, each to be copied, updated and digested.

    This is HMAC as in RFC 2104 §2. The standard library's object takes four times as long to copy: 64 ms
    instead of 16 ms for the tokens of 10,000 accounts.
    """
    key = digest(key).digest() if len(key) > _BLOCK_BYTES else key
    key = key.ljust(_BLOCK_BYTES, b"\0")
    return digest(bytes(byte ^ 0x36 for byte in key)), digest(bytes(byte ^ 0x5C for byte in key))


class Signer:
    """One secret and its algorithm, primed so that a signature costs no key schedule."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: str, algorithm: str = HMAC_SHA1) -> None:
        self._inner, self._outer = primed_hmac(secret.encode("utf-8"), _DIGESTS[algorithm])

    def __repr__(self) -> str:
        return "<Signer>"

    def sign(self, signed: bytes) -> bytes:
        """The base64 text of the signature of `signed`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return binascii.b2a_base64(outer.digest(), newline=False)


class Secrets:
    """Every secret that may sign a webhook, and which one each request has to match.

    Args:
        tokens: Auth tokens for webhooks of any account.
        account_tokens: The auth tokens of each account. If given, `tokens` are not tried for a request
            that names an account, and an account that is not listed is refused.
        shared_keys: The secret of each shared key id.
        own_params: Patterns of the names of parameters that the account itself adds to its webhooks.

    Attributes:
        every: Every auth token there is, whatever its account.
    """

    def __init__(
        self,
        tokens: Sequence[str] = (),
        account_tokens: Mapping[str, Sequence[str]] | None = None,
        shared_keys: Mapping[str, str] | None = None,
        own_params: Sequence[str] = (),
    ) -> None:
        self.own_params = tuple(own_params)
        self._tokens = tuple(Signer(token) for token in tokens)
        self._accounts = {
            account: tuple(Signer(token) for token in listed)
            for account, listed in (account_tokens or {}).items()
        }
        self._shared = {
            key_id: (Signer(key, HMAC_SHA256),) for key_id, key in (shared_keys or {}).items()
        }
        self.every = (
            *self._tokens,
            *(signer for signers in self._accounts.values() for signer in signers),
        )

    def __repr__(self) -> str:
        return f"Secrets({len(self._tokens)} tokens, {len(self._accounts)} accounts, {len(self._shared)} shared keys)"

    def candidates(self, scheme: str, account_sid: str) -> Sequence[Signer]:
        """The secrets one of which must have signed a request.

        Args:
            scheme: The unsigned header that names a shared key: it only selects.
            account_sid: The account that the request names, or "".
        """
        algorithm, key_id = _read_scheme(scheme) if scheme else (HMAC_SHA1, "")
        if algorithm == HMAC_SHA256:
            return self._shared.get(key_id, ())
        if algorithm != HMAC_SHA1 or key_id:
            return ()
        if not self._accounts:
            return self._tokens
        return self._accounts.get(account_sid, ()) if account_sid else self.every


def _read_scheme(header: str) -> tuple[str, str]:
    """Read ``key=<id>,algorithm=<name>`` into (algorithm, key id)."""
    fields: dict[str, str] = {}
    for part in header.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name in fields:
            return "", ""
        fields[name] = value
    return fields.get("algorithm", HMAC_SHA1).upper(), fields.get("key", "")


def signed_string(url: str, form: Form) -> str:
    """What Twilio signs: the URL, then each name and its distinct values, all sorted, with nothing between."""
    if form.shape is not None:
        parts = form.shape.signed.copy()
        parts[1::2] = form.shape.values(form.first)
        return url + "".join(parts)
    return url + "".join([name + value for name, value in sorted(set(form.items()))])


def sign(
    url: str, params: Iterable[tuple[str, str]], secret: str, algorithm: str = HMAC_SHA1
) -> str:
    """Sign a webhook as Twilio does.

    Args:
        url: The URL as configured at Twilio, without fragment; for a GET or JSON webhook with the
            whole query.
        params: The form parameters in any order, with repeated names; empty for GET and JSON.
        secret: The account's auth token, or the shared key's secret.
        algorithm: ``HMAC_SHA1`` for an auth token, ``HMAC_SHA256`` for a shared key.

    Returns:
        The value of the X-Twilio-Signature header: 28 or 44 characters of base64.
    """
    signed = signed_string(url, Form({}, list(params)))
    return Signer(secret, algorithm).sign(signed.encode("utf-8")).decode("ascii")


def url_variants(url: str) -> Sequence[str]:
    """The spellings of one URL that Twilio may have signed: as it is, then with its port toggled.

    Twilio's own libraries try both, "since sig generation on back end is inconsistent". A URL without
    a port gets the scheme's default one, and a port is removed.

    Returns:
        Two URLs. No URL if the text is not printable ASCII, or its authority is not a host with an
        optional port (Twilio drops the user name and password before it signs).
    """
    start = url.find("/", 8)  # behind https:// or http://x
    origin = url[:start] if start > 0 else url.partition("?")[0].partition("#")[0]
    other = _toggle_port(origin)
    if not other or not (url.isascii() and url.isprintable()) or " " in url:
        return ()
    return url, other + url[len(origin) :]


@lru_cache(maxsize=64)  # origins; an installation has one or a few
def _toggle_port(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin)
    if match is None or not 0 < int(match["port"] or 80) <= 65535:
        return ""
    if match["port"] is None:
        return f"{origin}:{_DEFAULT_PORTS[match['scheme']]}"
    return origin[: match.end("host")]


def url_at(
    target: str, public_url: str | None, scheme: str, host: str | None, server: str, port: object
) -> str:
    """The URL of a request.

    Args:
        target: Its path with its query.
        public_url: The origin and prefix that Twilio was given; None to trust the request's own, as follows.
        scheme: Such as ``https``.
        host: The Host header, or None.
        server: The server's name, if there is no Host header.
        port: The server's port, likewise.

    Raises:
        RequestError: 400, the host extends into the path, or the path into the host: a signature for another
            path would be valid for this one.
    """
    origin = public_url
    if origin is None:
        if not host:
            default = _DEFAULT_PORTS.get(scheme, "80")
            host = server if str(port or "") in ("", default) else f"{server}:{port}"
        if "/" in host or "?" in host:
            raise RequestError(400, "host", "the Host header is not a host")
        origin = f"{scheme}://{host}"
    if target[:1] == "/":
        return origin + target
    if target[:1] not in ("", "?"):
        raise RequestError(400, "target", "the path does not begin with a slash")
    return with_path(origin + target)


def with_path(url: str) -> str:
    """The URL as Twilio requests and signs it: without a path, with a slash."""
    origin = _ORIGIN.match(url)
    if origin is None or url[origin.end() : origin.end() + 1] not in ("", "?"):
        return url
    return f"{origin[0]}/{url[origin.end() :]}"


def without_port(url: str) -> str:
    """The URL in the one spelling that a request's fingerprint has."""
    match = _ORIGIN.match(url)
    return url[: match.end("host")] + url[match.end() :] if match else url


def verify(url: str, form: Form, signature: str, signers: Sequence[Signer]) -> str:
    """Check a signature against every candidate secret.

    Args:
        url: The URL that was asked for.
        form: The parameters that are part of the signed string.
        signature: The X-Twilio-Signature header.
        signers: What `Secrets.candidates` gives.

    Returns:
        The signed string that matched.

    Raises:
        RequestError: 403, no candidate made this signature, or there is too much to try.
    """
    if not signature:
        raise RequestError(403, "unsigned", "the request carries no X-Twilio-Signature")
    given = signature.encode("latin-1", "replace")
    if len(given) in _SIGNATURE_CHARS:
        params = signed_string("", form)
        variants = url_variants(url)
        if len(variants) * len(signers) > _MOST_TRIES:  # Twilio rarely signs another port
            variants = variants[:1]
        if (
            len(signers) > _MOST_TRIES
            or (len(url) + len(params)) * len(signers) > _MOST_HASHED_CHARS
        ):
            raise RequestError(
                403,
                "account",
                "the request names no account, and there are too many tokens to try them all. "
                "Put ?AccountSid=AC… into the URL that is configured at Twilio",
                parameter="AccountSid",
            )
        for variant in variants:
            signed = variant + params
            raw = signed.encode("utf-8")
            matched = False
            for signer in signers:
                matched |= hmac.compare_digest(signer.sign(raw), given)
            if matched:
                return signed
    raise RequestError(403, "signature", "the signature does not match")


def body_hash_of(query: str) -> str | None:
    """The value of the parameter ``bodySHA256`` in a URL's query.

    Returns:
        None if there is no such parameter; "" if two of them differ, or if its name is spelled otherwise.
    """
    given = set(_hashes(query))
    if not given:
        return None
    name, _, value = given.pop().partition("=")
    return value if name == "bodySHA256" and not given else ""


def body_hash_matches(query: str, body: bytes) -> bool:
    """Whether a URL's query holds the hash of `body`, once or several times."""
    digest = hashlib.sha256(body).hexdigest()
    given = (body_hash_of(query) or "").encode("utf-8", "replace")
    return hmac.compare_digest(digest.encode("ascii"), given)
