"""Attacks over raw sockets, on every server: refused, or the very result that was proven; never fooled."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from convostate.twilio.signature import sign
from tests.served import ADA, BOB, FORM, text
from tests.serving import (
    ASGI_SERVERS,
    SERVERS,
    Reply,
    Server,
    everything,
    exchange,
    request,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = os.environ["TWILIO_AUTH_TOKEN"]
TARGET, URL = "/public/sms", "https://example.com/public/sms"
PARAMS = text("hello & goodbye")
BODY = urlencode(PARAMS).encode()
EVIL = urlencode(PARAMS | {"From": BOB}).encode()
SIGNATURE = sign(URL, PARAMS.items(), TOKEN)
GOOD = {"Host": "example.com", "Content-Type": FORM, "X-Twilio-Signature": SIGNATURE,
        "Content-Length": str(len(BODY))}  # fmt: skip


pytestmark = pytest.mark.unmeasured


@pytest.fixture(scope="module", params=[*SERVERS, *ASGI_SERVERS])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    app = "witness_asgi" if request.param in ASGI_SERVERS else "witness"
    with serving(request.param, f"tests.apps.{app}:app") as running:
        yield running
        log = "".join(running.log)
    assert [
        secret for secret in (TOKEN, SIGNATURE, ADA[1:], BOB[1:], "goodbye") if secret in log
    ] == []


def told(reply: Reply) -> Any:
    """What the app testifies, or None where it was not called."""
    return json.loads(reply.body) if b'"called"' in reply.body else None


def never_fooled(reply: Reply, url: str = URL) -> bool:
    """Refused without a call, or called with just what was proven; True where it was called."""
    testimony = told(reply)
    if testimony is None:
        # 2xx and 3xx are never a refusal; 500 would be ours, other 5xx are the servers' own words.
        assert reply.status >= 400 or reply.status == 0
        # granian's word for a client that closes its half of the connection before the body's end
        assert reply.status != 500 or reply.body == b"Internal server error"
        assert "set-cookie" not in reply.headers
        return False
    assert reply.status == 200
    assert testimony["params"] == testimony["form"] == PARAMS
    assert testimony["url"] == url
    return True


def chunked(body: bytes, size: int = 20) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def posting(body: bytes = BODY, target: str = TARGET, **changes: str | None) -> bytes:
    """The good request with headers changed, added (``X_A`` is ``X-A``) or, for None, left out."""
    headers = GOOD | {name.replace("_", "-"): value for name, value in changes.items()}
    return request(
        target, [(name, value) for name, value in headers.items() if value is not None], body
    )


def adding(*more: tuple[str, str], body: bytes = BODY, without: str = "") -> bytes:
    headers = [(name, value) for name, value in GOOD.items() if name != without]
    return request(TARGET, [*headers, *more], body)


ATTACKS: dict[str, bytes] = {
    "a01 no signature": posting(X_Twilio_Signature=None),
    "a01 two signatures": adding(("X-Twilio-Signature", SIGNATURE)),
    "a01 two signatures, the first wrong": adding(("X-Twilio-Signature", SIGNATURE), without="x") .replace(
        b"X-Twilio-Signature: " + SIGNATURE.encode(), b"X-Twilio-Signature: AAAA", 1),
    "a01 a huge signature": posting(X_Twilio_Signature="A" * 60_000),
    "a01 a signature that is no latin-1": posting(X_Twilio_Signature="\xff\xfe"),
    "a04 another body": posting(EVIL),
    "a15 two content types": adding(("Content-Type", "text/plain")),
    "a15 two content types, the form second": adding(("Content-Type", FORM), without="Content-Type").replace(
        b"Content-Type:", b"Content-Type: text/plain\r\nContent-Type:", 1),
    "a18 two hosts": adding(("Host", "evil.example")),
    "a18 no host": posting(Host=None),
    "a18 another host": posting(Host="evil.example"),
    "a18 forwarded": adding(("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http"), ("Forwarded", "host=evil.example")),
    "a18 forwarded to https": adding(("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "8443"), ("X-Forwarded-Prefix", "/evil")),
    "a18 another path in a header": adding(("X-Original-URL", "/evil"), ("X-Rewrite-URL", "/evil"), ("Script-Name", "/evil")),
    "a19 an absolute target": posting(target="http://evil.example" + TARGET),
    "a19 an absolute target of ours": posting(target=URL),
    "a19 an absolute target with a user": posting(target="http://a:b@evil.example" + TARGET),
    "a19 a host in the path": posting(target="//evil.example" + TARGET),
    "a19 two slashes": posting(target="/" + TARGET),
    "a19 an escaped slash": posting(target="/public%2Fsms"),
    "a19 an escaped letter": posting(target="/public/%73ms"),
    "a19 dots": posting(target="/public/./sms"), "a19 escaped dots": posting(target="/x/%2e%2e/public/sms"),
    "a19 a bare ?": posting(target=TARGET + "?"), "a19 a fragment": posting(target=TARGET + "#x"),
    "a19 a query": posting(target=TARGET + "?From=x"), "a19 no slash": posting(target="public/sms"),
    "a19 a star": posting(target="*"), "a19 a byte that is no ASCII": posting(target=TARGET + "\xe9"),
    "a19 NUL in the target": posting(target=TARGET + "%00"),
    "a22 another method overridden": adding(("X-HTTP-Method-Override", "PUT")),
    "a22 a method in lower case": posting().replace(b"POST", b"post", 1),
    "a23 an underscore header alone": adding(("X_Twilio_Signature", SIGNATURE), without="X-Twilio-Signature"),
    "a23 an underscore header beside": adding(("X_Twilio_Signature", "AAAA")),
    "a23 an underscore header that is right": adding(("X_Twilio_Signature", SIGNATURE), without="-").replace(
        b"X-Twilio-Signature: " + SIGNATURE.encode(), b"X-Twilio-Signature: AAAA", 1),
    "a23 an underscore length": adding(("Content_Length", "5"), ("Content_Type", "text/plain")),
    "a24 chunked": posting(chunked(BODY), Content_Length=None, Transfer_Encoding="chunked"),
    "a24 chunked, one byte each": posting(chunked(BODY, 1), Content_Length=None, Transfer_Encoding="chunked"),
    "a24 chunked, another body": posting(chunked(EVIL), Content_Length=None, Transfer_Encoding="chunked"),
    "a24 chunked, a broken size": posting(b"zz\r\n" + BODY, Content_Length=None, Transfer_Encoding="chunked"),
    "a24 chunked, cut short": posting(chunked(BODY)[:-9], Content_Length=None, Transfer_Encoding="chunked"),
    "a24 chunked and a length": posting(chunked(BODY), Transfer_Encoding="chunked"),
    "a24 chunked and a length, two bodies": posting(chunked(EVIL), Transfer_Encoding="chunked", Content_Length="5"),
    "a24 a length, and chunks that are none": posting(BODY, Transfer_Encoding="chunked"),
    "a24 an unknown encoding": posting(BODY, Transfer_Encoding="xchunked"),
    "a24 no length": posting(Content_Length=None), "a24 an empty length": posting(Content_Length=""),
    "a24 length 0": posting(Content_Length="0"), "a24 length -1": posting(Content_Length="-1"),
    "a24 length +n": posting(Content_Length=f"+{len(BODY)}"), "a24 length with a blank": posting(Content_Length="1 2"),
    "a24 a length too long": posting(Content_Length=str(len(BODY) + 1)),
    "a24 a length too short": posting(Content_Length=str(len(BODY) - 1)),
    "a24 two lengths": adding(("Content-Length", str(len(BODY)))),
    "a24 two lengths that differ": adding(("Content-Length", "5")),
    "a24 a second request in the tail": posting(BODY + posting(EVIL)),
    "a25 over the bound": posting(b"x" * 262_145, Content_Length="262145"),
    "a25 far over the bound": posting(b"", Content_Length="9" * 18),
    "a25 a name without an end": posting(b"x" * 200_000, Content_Length="200000"),
    "a25 10,000 headers": adding(*[("X-A", "b")] * 10_000),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted({name.partition(" ")[0] for name in ATTACKS}))
def test_a_server_is_not_fooled(server: Server, kind: str, subtests: pytest.Subtests) -> None:
    for name, raw in ATTACKS.items():
        if name.startswith(kind):
            with subtests.test(name):
                never_fooled(exchange(server, raw, end=True))


def test_what_twilio_sends_is_accepted(server: Server) -> None:
    assert never_fooled(exchange(server, posting()))
    assert never_fooled(exchange(server, posting(Content_Type=f"{FORM}; charset=UTF-8")))
    assert exchange(server, posting(X_Twilio_Signature=None)).status == 403


@pytest.mark.parametrize("name", ["a18 forwarded", "a18 forwarded to https", "a18 another path in a header",
                                  "a18 another host", "a22 another method overridden"])  # fmt: skip
def test_a_spoofed_header_changes_nothing_if_the_url_is_configured(
    server: Server, name: str
) -> None:
    assert never_fooled(exchange(server, ATTACKS[name]))


def knows_the_raw_target(server: Server) -> bool:
    return "tests.serving" not in str(server.process.args)


def is_asgi(server: Server) -> bool:
    return "witness_asgi" in str(server.process.args)


@pytest.mark.parametrize(("name", "accepted"), [
    ("a19 an absolute target", True), ("a24 chunked", True), ("a24 chunked, one byte each", True),
])  # fmt: skip
def test_what_full_servers_understand_is_accepted(
    server: Server, name: str, accepted: bool
) -> None:
    """And wsgiref, which understands neither, refuses it. ASGI servers do not take a target apart."""
    if is_asgi(server) and name == "a19 an absolute target":
        accepted = any(name in str(server.process.args) for name in ("httptools", "granian"))
    assert never_fooled(exchange(server, ATTACKS[name])) is (
        accepted and knows_the_raw_target(server)
    )


@pytest.mark.parametrize(
    "target",
    ["/public/a%2Fb", "/public/%7Ec?a=it's&b=c@d:e/f?g", "/public/sms?", "/public/a+b,c;d"],
)
def test_a19_a_target_that_was_signed_so_is_accepted(server: Server, target: str) -> None:
    url = f"https://example.com{target}"
    reply = exchange(
        server, posting(target=target, X_Twilio_Signature=sign(url, PARAMS.items(), TOKEN))
    )

    bare = target.endswith("?")  # ASGI has no place for it
    respelled = any(escape in target for escape in ("%2F", "%7E")) or bare
    known = knows_the_raw_target(server) and not (bare and is_asgi(server))
    assert never_fooled(reply, url) is (known or not respelled)


@pytest.mark.parametrize("target", ["//sms", "///sms//x?y=1", "/sms//x"])
def test_o20_doubled_slashes_verify_as_they_were_sent_and_not_otherwise(
    server: Server, target: str
) -> None:
    """Waitress makes one slash of several at the beginning of PATH_INFO."""
    url = f"http://example.com{target}"
    signature = sign(url, PARAMS.items(), TOKEN)
    reply = exchange(server, posting(target=target, X_Twilio_Signature=signature))
    assert never_fooled(reply, url) is (knows_the_raw_target(server) or target[:2] != "//")

    collapsed = re.sub("/+", "/", target)
    reply = exchange(server, posting(target=collapsed, X_Twilio_Signature=signature))
    assert not never_fooled(reply, url)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1:1", "example.com/public", "example.com?x="]
)
def test_a18_a_believed_host_must_be_the_signed_one(server: Server, host: str) -> None:
    url = f"http://{server.host}/sms"
    signature = sign(url, PARAMS.items(), TOKEN)

    def asked(host: str) -> Reply:
        return exchange(server, posting(target="/sms", Host=host, X_Twilio_Signature=signature))

    assert never_fooled(asked(server.host), url)
    assert not never_fooled(asked(host), url)


@pytest.mark.parametrize(
    "spoof", ["X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "Forwarded"]
)
def test_a18_a_spoofed_scheme_gains_nothing(server: Server, spoof: str) -> None:
    """gunicorn believes it from this machine: then what was signed for http is refused, and nothing more."""
    url = f"http://{server.host}/sms"
    value = {"Forwarded": "proto=https", "X-Forwarded-Ssl": "on"}.get(spoof, "https")
    signature = sign(url, PARAMS.items(), TOKEN)
    headers = [
        *(GOOD | {"Host": server.host, "X-Twilio-Signature": signature}).items(),
        (spoof, value),
    ]

    never_fooled(exchange(server, request("/sms", headers, BODY)), url)


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize("order", [0, 1], ids=["ours first", "ours second"])
def test_a35_two_cookie_headers_do_not_hide_ours(server: Server, order: int) -> None:
    ours = cookie_of(exchange(server, posting()))
    cookies = [("Cookie", ours), ("Cookie", "other=1; x")]

    reply = exchange(server, adding(*(cookies[::-1] if order else cookies)))

    assert told(reply)["called"] == 2


@pytest.mark.parametrize(
    "cookie", ["convostate=" + "A" * 5000, "convostate=\xff", "=;=;convostate", "convostate="]
)
def test_a33_a_broken_cookie_is_a_fresh_state(server: Server, cookie: str) -> None:
    reply = exchange(server, adding(("Cookie", cookie)))

    assert told(reply)["called"] == 1
    assert cookie_of(reply) != cookie


def test_a33_a_megabyte_of_cookie_does_no_harm(server: Server) -> None:
    reply = exchange(server, adding(("Cookie", "convostate=" + "A" * 1_000_000)))

    assert reply.status in (0, 200, 400, 431)
    assert (told(reply) or {"called": 1})["called"] == 1


@pytest.mark.parametrize("send", [
    pytest.param(lambda raw: [raw[at : at + 1] for at in range(len(raw))], id="a25 byte by byte"),
    pytest.param(lambda raw: [raw[: -len(BODY)], raw[-len(BODY) : -1], raw[-1:]], id="a25 the last byte late"),
])  # fmt: skip
def test_a_slow_body_arrives_whole(server: Server, send: Callable[[bytes], list[bytes]]) -> None:
    assert never_fooled(exchange(server, *send(posting())))


KEPT_ALIVE = posting().replace(b"Connection: close\r\n", b"")


@pytest.mark.parametrize("refused", [
    pytest.param({"Content_Length": str(300_000)}, id="a25 too long, and never read"),
    pytest.param({"Content_Length": str(300_000), "Content_Type": "text/plain"}, id="a25 of another type"),
    pytest.param({"Content_Length": "300000", "X_Twilio_Signature": None}, id="a25 unsigned"),
])  # fmt: skip
def test_a_refused_body_is_not_taken_for_the_next_request(
    server: Server, refused: dict[str, str | None]
) -> None:
    """What the middleware leaves unread may look like a request of its own, on the same connection."""
    smuggled = KEPT_ALIVE * (300_000 // len(KEPT_ALIVE))
    body = smuggled + b" " * (300_000 - len(smuggled))
    target: dict[str, Any] = refused
    sent = posting(body, **target).replace(b"Connection: close\r\n", b"")

    assert b'"called"' not in everything(server, sent)


def test_two_requests_on_one_connection_are_two_requests(server: Server) -> None:
    # Some ASGI servers drop what they have to say to a client that has closed its half of the connection.
    fewest = 0 if is_asgi(server) else 1
    assert fewest <= everything(server, KEPT_ALIVE + posting()).count(b'"called"') <= 2


def test_a25_a_body_that_never_ends_is_refused_and_the_next_one_is_served(server: Server) -> None:
    for cut in (1, len(BODY) // 2, len(BODY)):
        assert not never_fooled(exchange(server, posting()[:-cut], end=True))

    assert never_fooled(exchange(server, posting()))
