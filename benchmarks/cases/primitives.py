"""The work that no implementation can leave out, done with nothing around it, beside the whole.

One way to do each with what the standard library and our dependencies offer, everything that does not
change from request to request made beforehand. The whole less all of them is what the rest costs: the
strict rules of the form, the re-split guard, the app's dict, WSGI itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import cbor2
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from werkzeug.sansio.http import parse_cookie

from benchmarks.measure import Contender, compare
from benchmarks.result import Result, less, over, spread
from benchmarks.webhooks import KEY, ORIGIN, PATH, TOKEN, sms
from benchmarks.worker import Work

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale import Scale

TITLE = "the primitives of one SMS webhook, beside the whole overhead (cookie mode)"

HOOK = sms()
SIGNED = (ORIGIN + PATH + "".join(k + v for k, v in sorted(HOOK.params.items()))).encode()
PRIMED = hmac.new(TOKEN.encode(), digestmod=hashlib.sha1)
AES = Cipher(algorithms.AES(base64.urlsafe_b64decode(KEY + "=")), modes.ECB()).encryptor()  # noqa: S305  # XAES derives its keys block by block
PLAIN, ASSOCIATED = bytes(64), bytes(120)
SEALED = AESGCM(AES.update(bytes(32))).encrypt(bytes(12), PLAIN, ASSOCIATED)
STATE = cbor2.dumps({"texts": 1})
TEXT = base64.urlsafe_b64encode(bytes(33 + 64 + 16)).decode()
COOKIE = f"convostate={TEXT}"
GUARD = re.compile(
    r"(?:From|To)(?=(?:[A-Za-z]{2,24}:)?(?:\+[0-9]{2}|[0-9]{5}))|Sid(?=[A-Z]{2}[0-9a-f]{32})"
)


def _form() -> object:
    return dict(parse_qsl(HOOK.body.decode(), keep_blank_values=True, strict_parsing=True))


def _join() -> object:
    params = HOOK.params
    return (ORIGIN + PATH + "".join([name + params[name] for name in sorted(params)])).encode()


def _hmac() -> object:
    mac = PRIMED.copy()
    mac.update(SIGNED)
    made = base64.b64encode(mac.digest())
    return hmac.compare_digest(made, made)


def _guard() -> object:
    return GUARD.findall(SIGNED.decode())


def _gcm(work: Callable[[AESGCM], object]) -> object:
    return work(AESGCM(AES.update(bytes(32))))


def _cookie() -> object:
    found = parse_cookie(COOKIE)["convostate"]
    token = base64.urlsafe_b64decode(found)
    return f"convostate={base64.urlsafe_b64encode(token).decode()}; Max-Age=14400; HttpOnly"


PRIMITIVES: dict[str, Callable[[], Any]] = {
    "form: urllib's parse_qsl": _form,
    "signed string: sort and join": _join,
    "HMAC-SHA1 and base64": _hmac,
    "re-split guard: one pattern": _guard,
    "cookie: parse and base64, both ways": _cookie,
    "AES and AES-GCM: open": lambda: _gcm(lambda aes: aes.decrypt(bytes(12), SEALED, ASSOCIATED)),
    "AES and AES-GCM: seal": lambda: _gcm(lambda aes: aes.encrypt(bytes(12), PLAIN, ASSOCIATED)),
    "nonce: os.urandom": lambda: os.urandom(24),
    "CBOR: both ways": lambda: cbor2.dumps(cbor2.loads(STATE)),
}


ALL = "all of them, one after the other"


def contender(name: str) -> Work:
    """One call is one primitive, or all of them."""
    works = list(PRIMITIVES.values()) if name == ALL else [PRIMITIVES[name]]
    if urlencode(HOOK.params).encode() != HOOK.body:
        raise RuntimeError("the form is not the one that was signed")

    def call(_: None) -> None:
        for work in works:
            work()

    return Work(lambda calls: [None] * calls, call)


def run(scale: Scale) -> Result:
    """Measure each primitive and the whole."""
    app = "benchmarks.apps:contender"
    me = "benchmarks.cases.primitives:contender"
    us, _ = compare(
        [
            Contender("bare", app, {"app": "bare"}),
            Contender("wrapped", app, {"app": "wrapped"}),
            Contender("validator", "benchmarks.rivals.validator:contender"),
            *(Contender(name, me, {"name": name}) for name in (*PRIMITIVES, ALL)),
        ],
        scale.effort,
    )
    whole = less(us["wrapped"], us["bare"])
    return Result(
        TITLE,
        [
            *(spread(name, us[name], "µs") for name in PRIMITIVES),
            spread(ALL, us[ALL], "µs"),
            spread("whole overhead", whole, "µs"),
            spread("the rest", less(whole, us[ALL]), "µs"),
            spread("all primitives ÷ RequestValidator", over(us[ALL], us["validator"]), "×"),
            spread("whole overhead ÷ RequestValidator", over(whole, us["validator"]), "×"),
        ],
        ("one primitive again and again is faster than all of them in turn: caches",),
    )
