"""Attacks on the proof itself: signatures, secrets, URLs, algorithms. Each beside what is accepted."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from convostate.twilio.signature import HMAC_SHA256, sign
from tests.answering import Answering
from tests.served import ACCOUNT, FORM, TOKEN, URL, bare, serve, signed, text, wrapped

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

pytestmark = [pytest.mark.usefixtures("both_doors"), pytest.mark.unmeasured]

OTHER_ACCOUNT, OTHER_TOKEN = "AC" + "b" * 32, "fedcba9876543210" * 2
SIGNATURE = sign(URL, text().items(), TOKEN)


def answer(environ: WSGIEnvironment, **changes: Any) -> int:
    """The status; a refused request never reaches the app, and is told nothing."""
    app = Answering()
    served = serve(wrapped(app, **changes), environ, outside=False)
    assert len(app.asked) == (served.status < 400)
    if served.status >= 400:
        assert (served.body, served.cookie) == (b"", "")
    return served.status


def spelled_with(sign_: str) -> tuple[dict[str, str], str]:
    """A text and its signature, where that holds `sign_`."""
    texts = (text(f"hello {n}") for n in range(1000))
    return next((t, s) for t in texts if sign_ in (s := sign(URL, t.items(), TOKEN)))


@pytest.mark.parametrize("signature", [
    pytest.param(None, id="a01 none"), pytest.param("", id="a01 empty"),
    pytest.param("%%%", id="a01 no base64"), pytest.param("\xff" * 28, id="a01 no ascii"),
    pytest.param(f"{SIGNATURE},{SIGNATURE}", id="a01 twice"),
    pytest.param(f"{SIGNATURE}, {SIGNATURE}", id="a01 twice, as waitress joins them"),
    pytest.param(f"AAAA,{SIGNATURE}", id="a01 A,B"), pytest.param(f"{SIGNATURE},AAAA", id="a01 B,A"),
    pytest.param("A" * 100_000, id="a01 huge"), pytest.param("A" * 28, id="a01 28 letters"),
    pytest.param(b64encode(b"\0" * 20).decode(), id="a01 zeros"),
    pytest.param(hmac.new(TOKEN.encode(), b"", hashlib.sha1).hexdigest(), id="a01 hexadecimal"),
    pytest.param(SIGNATURE[:-2] + "B=", id="a03 last character changed"),
    pytest.param(SIGNATURE.rstrip("="), id="a03 without padding"),
    pytest.param(SIGNATURE + "=", id="a03 more padding"), pytest.param(SIGNATURE + " ", id="a03 blank behind"),
    pytest.param(" " + SIGNATURE, id="a03 blank before"), pytest.param(SIGNATURE + "\n", id="a03 newline behind"),
    pytest.param(SIGNATURE.swapcase(), id="a03 other case"),
])  # fmt: skip
def test_a_wrong_signature_is_refused(signature: str | None) -> None:
    assert answer(signed(HTTP_X_TWILIO_SIGNATURE=signature)) == 403


def test_a01_the_right_signature_is_accepted() -> None:
    assert answer(signed(HTTP_X_TWILIO_SIGNATURE=SIGNATURE)) == 200


@pytest.mark.parametrize(("written", "instead"), [("+", "-"), ("/", "_")])
def test_a03_another_spelling_of_the_right_signature_is_refused(written: str, instead: str) -> None:
    params, signature = spelled_with(written)

    assert answer(signed(params, HTTP_X_TWILIO_SIGNATURE=signature)) == 200
    other = signature.replace(written, instead)
    assert answer(signed(params, HTTP_X_TWILIO_SIGNATURE=other)) == 403


def test_a02_a_wrong_token_is_refused() -> None:
    assert answer(signed(token=OTHER_TOKEN)) == 403
    assert answer(signed(token=TOKEN.upper())) == 403
    assert answer(signed(token="")) == 403


def test_a02_the_other_token_of_a_rotation_is_accepted_while_it_is_listed() -> None:
    assert answer(signed(token=OTHER_TOKEN), auth_tokens=OTHER_TOKEN) == 200
    assert answer(signed(), auth_tokens=OTHER_TOKEN) == 200
    assert answer(signed(token=OTHER_TOKEN), auth_tokens="a-third-one") == 403


def test_a37_an_account_signs_for_itself_only() -> None:
    accounts = {
        "auth_token": None,
        "account_tokens": f"{ACCOUNT}={TOKEN},{OTHER_ACCOUNT}={OTHER_TOKEN}",
    }
    theirs = text(AccountSid=OTHER_ACCOUNT)

    assert answer(signed(), **accounts) == 200
    assert answer(signed(theirs, token=OTHER_TOKEN), **accounts) == 200
    assert answer(signed(theirs), **accounts) == 403
    assert answer(signed(token=OTHER_TOKEN), **accounts) == 403
    assert answer(signed(text(AccountSid="AC" + "c" * 32)), **accounts) == 403
    assert answer(signed(text(AccountSid=ACCOUNT.lower())), **accounts) == 403


def test_a37_the_main_token_does_not_sign_for_subaccounts() -> None:
    accounts = {"account_sid": ACCOUNT, "account_tokens": f"{OTHER_ACCOUNT}={OTHER_TOKEN}"}
    theirs = text(AccountSid=OTHER_ACCOUNT)

    assert answer(signed(), **accounts) == 200
    assert answer(signed(theirs, token=OTHER_TOKEN), **accounts) == 200
    assert answer(signed(theirs), **accounts) == 403


def flipped(raw: str) -> list[str]:
    """All that differ in the lowest bit of one character."""
    return [raw[:n] + chr(ord(char) ^ 1) + raw[n + 1 :] for n, char in enumerate(raw)]


def test_a04_every_changed_byte_of_the_body_is_refused() -> None:
    body = urlencode(text("hello & goodbye \U0001f44b")).encode("ascii").decode()
    params = text("hello & goodbye \U0001f44b")
    assert answer(signed(params)) == 200

    for changed in flipped(body):
        environ = bare(
            body=changed.encode(), HTTP_X_TWILIO_SIGNATURE=sign(URL, params.items(), TOKEN)
        )
        assert answer(environ) in (400, 403), changed


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a04_every_changed_byte_of_the_url_is_refused(method: str) -> None:
    url = "https://example.com/sms/in?tenant=a%20b&x="
    params = text()
    environ = signed(params, url, method)
    assert answer(environ) == 200

    for changed in flipped(environ["REQUEST_URI"]):
        path, mark, query = changed.partition("?")
        moved = bare(f"https://example.com{path}{mark}{query}", method)
        moved |= {
            name: environ[name]
            for name in environ
            if name.startswith(("wsgi.", "CONTENT", "HTTP_X"))
        }
        assert answer(moved) in (400, 403, 415), changed


JSON = b'{"a": 1}'
HASH = hashlib.sha256(JSON).hexdigest()


def json(
    query: str, body: bytes = JSON, content_type: str | None = "application/json"
) -> WSGIEnvironment:
    url = f"{URL}?{query}"
    return bare(
        url, body=body, CONTENT_TYPE=content_type, HTTP_X_TWILIO_SIGNATURE=sign(url, (), TOKEN)
    )


def test_a17_a_json_body_with_its_hash_is_accepted() -> None:
    assert answer(json(f"bodySHA256={HASH}")) == 200
    assert answer(json(f"a=1&bodySHA256={HASH}&b=2")) == 200


@pytest.mark.parametrize("environ", [
    pytest.param(json("a=1"), id="a17 no hash"),
    pytest.param(json(f"bodySHA256={HASH}&bodySHA256={'0' * 64}"), id="a17 two, the first one right"),
    pytest.param(json(f"bodySHA256={'0' * 64}&bodySHA256={HASH}"), id="a17 two, the second one right"),
    pytest.param(json(f"bodySHA256={HASH}&bodysha256=x"), id="a17 another case beside it"),
    pytest.param(json(f"bodySHA256={HASH.upper()}"), id="a17 upper case"),
    pytest.param(json(f"bodySHA256={HASH}", b'{"a": 2}'), id="a17 another body"),
    pytest.param(json(f"bodySHA256={HASH}", b""), id="a17 no body"),
    pytest.param(json("bodySHA256="), id="a17 an empty hash"),
    pytest.param(json(f"bodySHA256={HASH}", content_type=FORM), id="a17 the type of a form"),
])  # fmt: skip
def test_a_json_body_that_its_url_does_not_vouch_for_is_refused(environ: WSGIEnvironment) -> None:
    assert answer(environ) == 415


SHARED = {
    "auth_token": None,
    "shared_keys": "webhooks_1=shared-secret-one,webhooks_2=shared-secret-two",
}
BY_ONE = sign(URL, text().items(), "shared-secret-one", HMAC_SHA256)


@pytest.mark.parametrize(("signature", "scheme", "status"), [
    pytest.param(BY_ONE, "key=webhooks_1,algorithm=HMAC_SHA256", 200, id="a26 right"),
    pytest.param(BY_ONE, "algorithm=hmac_sha256, key=webhooks_1", 200, id="a26 right in another order"),
    pytest.param(BY_ONE, None, 403, id="a26 absent"), pytest.param(BY_ONE, "", 403, id="a26 empty"),
    pytest.param(BY_ONE, "key=webhooks_2,algorithm=HMAC_SHA256", 403, id="a26 another key"),
    pytest.param(BY_ONE, "key=unknown,algorithm=HMAC_SHA256", 403, id="a26 an unknown key"),
    pytest.param(BY_ONE, "algorithm=HMAC_SHA256", 403, id="a26 no key"),
    pytest.param(BY_ONE, "key=webhooks_1", 403, id="a26 no algorithm"),
    pytest.param(BY_ONE, "key=webhooks_1,algorithm=none", 403, id="a26 none"),
    pytest.param(BY_ONE, "key=webhooks_1,algorithm=HMAC_SHA512", 403, id="a26 unknown"),
    pytest.param(BY_ONE, "key=webhooks_1,algorithm=HMAC_SHA256,algorithm=HMAC_SHA1", 403, id="a26 two"),
    pytest.param(BY_ONE, "key=webhooks_1,key=webhooks_2,algorithm=HMAC_SHA256", 403, id="a26 two keys"),
    pytest.param(BY_ONE, "garbage", 403, id="a26 garbage"),
    pytest.param(sign(URL, text().items(), "shared-secret-one"), "key=webhooks_1,algorithm=HMAC_SHA1", 403,
                 id="a26 SHA1 with a shared key"),
    pytest.param(sign(URL, text().items(), "shared-secret-one"), None, 403, id="a26 downgraded"),
    pytest.param(sign(URL, text().items(), TOKEN), None, 403, id="a26 an auth token that is not set"),
])  # fmt: skip
def test_the_algorithm_is_one_that_is_configured(
    signature: str, scheme: str | None, status: int
) -> None:
    environ = signed(
        HTTP_X_TWILIO_SIGNATURE=signature, HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS=scheme
    )

    assert answer(environ, **SHARED) == status


@pytest.mark.parametrize("algorithm", ["HMAC_SHA256", "HMAC_SHA1"])
def test_a26_an_auth_token_is_not_a_shared_key(algorithm: str) -> None:
    signature = sign(URL, text().items(), TOKEN, algorithm)
    scheme = f"key={ACCOUNT},algorithm={algorithm}"
    environ = signed(
        HTTP_X_TWILIO_SIGNATURE=signature, HTTP_X_TWILIO_WEBHOOKS_SIGNATURE_SETTINGS=scheme
    )

    assert answer(environ, shared_keys="webhooks_1=shared-secret-one") == 403
