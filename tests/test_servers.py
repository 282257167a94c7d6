"""The counters on real servers."""

from __future__ import annotations

import os
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from convostate.testing import TwilioSimulator
from tests.serving import ASGI_SERVERS, SERVERS, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unmeasured

US = "+15550100099"
# How a framework works on a server is tested with the survey.
SERVED = [(server, "counter") for server in SERVERS]
SERVED += [(server, "counter_fastapi") for server in ASGI_SERVERS]
SERVED += [("uvicorn h11", "counter_starlette")]


@pytest.fixture(scope="module", params=SERVED, ids=" ".join)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server, counter = request.param
    with serving(server, f"convostate.demo.{counter}:app") as running:
        yield running.url


def test_two_numbers_count_up_over_http_and_do_not_see_each_other(url: str) -> None:
    twilio = TwilioSimulator(url)
    ada, bob = (twilio.phone(number, texting=US) for number in ("+15550100001", "+15550100002"))

    replies = [phone.text("hello") for phone in (ada, ada, bob, ada, bob)]

    assert [message.split()[2] for reply in replies for message in reply.messages] == [
        "1", "2", "1", "3", "2",
    ]  # fmt: skip


def post(url: str, body: bytes, signature: str) -> int:
    """Send one signed form, and return the status."""
    address = urlsplit(url)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    with closing(HTTPConnection(address.netloc, timeout=30)) as connection:  # seconds
        connection.request("POST", address.path, body, headers)
        return connection.getresponse().status


def changed(sent: bytes, every: int = 1) -> Iterator[bytes]:
    """All that differ from `sent` in the lowest bit of one byte, of every so many bytes."""
    for place in range(0, len(sent), every):
        yield sent[:place] + bytes([sent[place] ^ 1]) + sent[place + 1 :]


def test_what_twilios_own_library_signs_is_accepted_and_a_changed_byte_refused(url: str) -> None:
    sid = "0123456789abcdef" * 2
    fields = {"AccountSid": f"AC{sid}", "MessageSid": f"SM{sid}", "From": "+15550100003", "To": US,
              "Body": "hello & goodbye", "FromCity": ""}  # fmt: skip
    body = urlencode(fields).encode()
    validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
    signature = validator.compute_signature(url, fields)

    assert post(url, body, signature) == 200
    assert {post(url, body, wrong.decode()) for wrong in changed(signature.encode())} == {403}
    # A changed byte can also break the form itself.
    assert {post(url, wrong, signature) for wrong in changed(body, 7)} <= {400, 403}
    assert post(f"{url}/", body, signature) == 403
