"""How much a refusal may cost, whatever arrives and whatever is configured."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from convostate.errors import RequestError
from convostate.paths import guard
from convostate.twilio import diagnosis
from convostate.twilio.signature import MAX_URL_CHARS, Signer
from convostate.wsgi.request import read_request
from tests.answering import Answering
from tests.proving import posted, status_of
from tests.served import ACCOUNT, TOKEN, URL, US, bare, serve, signed, text, wrapped
from tests.test_refusal_log import line

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.unmeasured
MANY = {f"AC{number:032x}": f"token{number}" for number in range(10_000)}
FEW = {account: MANY[account] for account in list(MANY)[:100]}
TWO_HUNDRED = "&".join(f"n{number}=%21" for number in range(200))


@pytest.mark.parametrize(("query", "params", "account_tokens"), [
    ("", {"Body": "x" * 70_000}, None), (f"a={'x' * 30_000}", {"Body": "x" * 6000}, None), (TWO_HUNDRED, {"Body": "x"}, None),
    ("", {"Body": "x" * 30_000}, FEW),
], ids=["a long text", "a long query", "a query of many fields", "a text under many secrets"])  # fmt: skip
def test_o12_what_costs_too_much_to_explain_is_logged_as_that(
    query: str,
    params: dict[str, str],
    account_tokens: dict[str, str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"{URL}?{query}" if query else URL
    changes: dict[str, Any] = (
        {"account_tokens": account_tokens, "auth_token": None} if account_tokens else {}
    )
    said = line(signed(params, url, token="x"), caplog, **changes)
    assert "the request is too large to try every usual change: compare https://" in said

    few: dict[str, Any] = {"account_tokens": FEW, "auth_token": None} if account_tokens else {}
    assert "no usual change" in line(signed({"Body": "x"}, URL, token="x"), caplog, **few)
    right = signed(params, url, token="token7" if account_tokens else TOKEN)
    assert serve(wrapped(Answering(), **changes), right).status == 200


def test_a_long_text_is_not_tried_under_the_secrets_of_all_other_accounts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings: dict[str, Any] = {"auth_token": None, "account_tokens": FEW}
    account = "AC" + "f" * 32
    short, long = ({"Body": "x" * size, "AccountSid": account} for size in (10, 30_000))

    said = line(signed(short, token="token50"), caplog, **settings)
    assert "signed with the token of another configured account" in said
    said = line(signed(long, token="token50"), caplog, **settings)
    assert "no configured secret belongs to the account" in said


@pytest.mark.parametrize(("url", "params", "changes"), [
    (URL, {f"%{n:03}": "%+ü" for n in range(999)}, {}),
    (URL, {"AccountSid": ACCOUNT, **{f"n{n}": "%+ü" for n in range(999)}}, {"auth_tokens": [f"token{n}" for n in range(16)]}),
    (f"https://example.com/{'a/' * 16_000}", {"Body": "x"}, {}), (f"https://example.com/{'%20' * 10_000}", {"Body": "x"}, {}),
    (f"https://example.com/{'a%2F' * 62_500}", {"Body": "x"}, {}), (f"https://example.com/{'a/' * 125_000}", {"Body": "x"}, {}), (f"https://example.com/?{TWO_HUNDRED}", {"Body": "x"}, {}),
    (f"https://example.com/?{'&'.join(f'n{n}=%21+' for n in range(90))}", {"Body": "x"}, {}), (URL, {"Body": "%" * 20_000}, {}),
    (URL, {"Body": "x", "AccountSid": ACCOUNT}, {"account_tokens": MANY, "auth_token": None}),
    (URL, {"Body": "x", "AccountSid": "AC" + "f" * 32}, {"account_tokens": MANY, "auth_token": None}),
], ids=["fields", "tokens", "slashes", "escapes", "path", "slashes of 250 kB", "query", "respelled", "body", "accounts", "account"])  # fmt: skip
def test_o12_the_log_line_of_a_refusal_takes_a_bounded_amount_of_work(
    url: str, params: dict[str, str], changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a guard that reads paths as well, the whole of it."""
    work = work_of(refusal(url, params, changes))

    assert len(caplog.records) == 1
    assert work.calls <= MOST_WORK.calls, work
    assert work.chars <= MOST_WORK.chars, work
    assert work.hashed_bytes <= MOST_WORK.hashed_bytes, work


CALL = {
    "AccountSid": ACCOUNT,
    "CallSid": f"CA{'0' * 32}",
    "Direction": "inbound",
    "From": "mallory",
    "To": US,
}


@pytest.mark.parametrize("unit", ["Froma", "From+1555", "Toab:x", "Froma1:Zz", "From+1555FromCity", f"From{'a' * 20}:x", f"CallSidCA{'0' * 32}Direction", f"AccountSidAC{'0' * 32}", "FromToSid"])  # fmt: skip
@pytest.mark.parametrize("name", ["AddOns", "Body", "SpeechResult", "Zz"])
@pytest.mark.parametrize("params", [text(), CALL])
def test_o12_a_signed_form_of_256_kib_takes_a_bounded_amount_of_work(
    params: dict[str, str], name: str, unit: str
) -> None:
    request = posted({**params, name: unit * (200_000 // len(unit))})
    status_of(request)  # the guard's patterns are compiled once in a process

    work = work_of(lambda: status_of(request))

    assert work.calls <= MOST_WORK.calls, work
    assert work.hashed_bytes <= MOST_WORK.hashed_bytes, work


@pytest.mark.parametrize("bound", ["_MOST_NS", "_MOST_OTHERS_NS"])
def test_o12_without_a_bound_of_the_diagnosis_it_takes_more(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, bound, 10**12)
    params = {"AccountSid": next(iter(MANY)), "Body": "x" * 300}
    settings = {"account_tokens": MANY, "auth_token": None}
    work = work_of(refusal(URL, params, settings))

    assert work.calls > MOST_WORK.calls


def refusal(url: str, params: dict[str, str], changes: dict[str, Any]) -> Callable[[], object]:
    """A request behind several proxies, signed with another token."""
    hints = {
        "HTTP_X_FORWARDED_HOST": "a:1,b:2,c:3,d:4",
        "HTTP_X_FORWARDED_PREFIX": "/a,/b,/c,/d",
        "HTTP_X_ORIGINAL_URI": "/a/b/c,/d/e/f",
    }
    middleware = wrapped(Answering(), inside=False, **{"paths": "/sms", **changes})
    environ = signed(params, url, token="x") | hints
    return lambda: middleware(environ, lambda *_: lambda _: None)


class Work(NamedTuple):
    """What a processor has to do, whatever its speed and whoever watches.

    Attributes:
        calls: Calls of functions, those of C included.
        chars: Characters of the texts whose methods were called, once for each call.
        hashed_bytes: Bytes that were signed.
    """

    calls: int
    chars: int
    hashed_bytes: int


# In at most 20 ms: a call takes 0.2 µs, a method up to 1 ns a character, SHA-1 1 to 3 ns a byte. `benchmarks worst` has the times.
MOST_WORK = Work(calls=30_000, chars=10_000_000, hashed_bytes=4_000_000)


def work_of(call: Callable[[], object]) -> Work:
    calls = chars = hashed_bytes = 0

    def count(_frame: object, event: str, what: Any) -> None:
        nonlocal calls, chars
        calls += event in ("call", "c_call")
        owner = getattr(what, "__self__", None) if event == "c_call" else None
        chars += len(owner) if isinstance(owner, str | bytes) else 0

    def sign(signer: Signer, signed_bytes: bytes) -> bytes:
        nonlocal hashed_bytes
        hashed_bytes += len(signed_bytes)
        return real(signer, signed_bytes)

    real = Signer.sign
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Signer, "sign", sign)
        sys.setprofile(count)
        try:
            call()
        finally:
            sys.setprofile(None)
    return Work(calls, chars, hashed_bytes)


@pytest.mark.parametrize("part", ["path", "raw path", "query"])
def test_o12_a_url_that_is_too_long_is_refused_before_it_is_decoded(part: str) -> None:
    def reading(chars: int) -> Any:
        url = f"https://example.com/{'x' * (chars - 1)}"
        if part == "query":
            url = f"https://example.com/sms?{'x' * chars}"
        environ = bare(url)
        if part == "path":
            del environ["REQUEST_URI"]
        if part == "raw path":
            environ["PATH_INFO"] = "/sms"
        return read_request(environ, None, 1000)

    assert reading(MAX_URL_CHARS - 10).method == "POST"
    with pytest.raises(RequestError) as caught:
        reading(MAX_URL_CHARS + 1)
    assert (caught.value.status, caught.value.category) == (413, "length")


def test_o12_a_path_that_is_too_long_to_read_counts_as_guarded() -> None:
    is_guarded = guard(("/sms",))
    assert not is_guarded("/" + "x" * 16_383)
    assert is_guarded("/" + "x" * 16_384)
