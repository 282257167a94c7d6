"""A guarded path has no spelling that a router takes for it and the guard does not, on any server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from convostate.twilio.signature import sign
from tests.apps.routers import RAN, ROUTERS
from tests.served import FORM, text
from tests.serving import SERVERS, Server, exchange, request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PARAMS = text("hello")
BODY = urlencode(PARAMS).encode()
TARGETS = [
    *("/sms", "sms", "./sms", "/./sms", "//sms", "/x/../sms", "/SMS", "/sms/", "/sms//", "http:sms", "http:/sms", "x://y/sms"),
    *("/s%FFms", "/%FFsms", "/sms%FF", "/s%C3ms", "/sms%F0%9F", "/sms%0A", "/sms%0D%0A", "/sms%00", "/sms%20", "/%20sms", "/%0Asms"),
    *("/@@sms", "/sms/x", "/sms/%2e%2e/sms", "/%2Fsms", "%2Fsms", "/sms;x=1", "/sms?x=1", "/sms#x", "/%73ms", "/sms%C2%A0", "/s%E2%80%8Bms"),
    *("/sms.json", "/sms.json/", "/sms.", "/sms./", "/sms/.json", "/sms.a.json", "/sms.%0A", "/sms/index", "/sms/default", "/sms.index", "/SMS.JSON", "/s%6Ds.json", "/sms.json?x=1", "/sms%2Ejson"),
    *("/incoming_sms", "/incoming-sms", "/incoming.sms", "/incoming+sms", "/incoming%21sms", "/incoming~sms.json", "/incoming%5Fsms", "/incoming-sms/", "/Incoming-SMS"),
    *("/voice/index", "/voice/index/", "/voice/index.json", "/voice/index/x", "/voice/default", "/voice/%69ndex", "/voice/index%00"),
    *("/voice", "//voice", "/VOICE", "/voice?x=1", "/voice%00", "/voice/", "voice/", "/voice//", "//voice/", "/x/../voice/", "/VOICE/", "/voice/%0A", "/voice%FF/", "/voice/x"),
]  # fmt: skip


# The other workers of gunicorn read requests with the same parser.
@pytest.fixture(
    scope="module", params=sorted(SERVERS.keys() - {"gunicorn gthread", "gunicorn gevent"})
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param, "tests.apps.routers:app") as running:
        yield running


def asking(target: str, router: str, *headers: tuple[str, str], body: bytes = BODY) -> bytes:
    about = [("Host", "example.com"), ("X-Router", router), ("Content-Type", FORM), ("Content-Length", str(len(body)))]  # fmt: skip
    return request(target, [*about, *headers], body)


@pytest.mark.parametrize("router", ROUTERS)
def test_no_spelling_of_a_guarded_path_runs_its_handler_unproven(
    server: Server, router: str
) -> None:
    ran = [
        target
        for target in TARGETS
        if RAN in exchange(server, asking(target, router), end=True).body
    ]
    assert ran == []


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("header", [("Script-Name", "/"), ("SCRIPT_NAME", "/"), ("Path-Info", "/page"), ("PATH_INFO", "/page")])  # fmt: skip
def test_no_header_moves_a_guarded_path(
    server: Server, router: str, header: tuple[str, str]
) -> None:
    assert RAN not in exchange(server, asking("/sms", router, header), end=True).body


@pytest.mark.parametrize("router", ROUTERS)
def test_the_handler_runs_for_what_is_proven_and_for_what_is_not_guarded(
    server: Server, router: str
) -> None:
    signature = sign("http://example.com/sms", PARAMS.items(), os.environ["TWILIO_AUTH_TOKEN"])
    proven = asking("/sms", router, ("X-Twilio-Signature", signature))
    assert exchange(server, proven, end=True).body == RAN
    assert exchange(server, asking("/page", router), end=True).body == RAN
