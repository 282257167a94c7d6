"""What is authenticated at all, and where the fields that decide who talks to whom may stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convostate.errors import RequestError
from convostate.twilio.authenticate import authenticate
from tests.proving import SECRETS, got, oracle_sign, posted
from tests.served import BOB, FORM, URL, text

if TYPE_CHECKING:
    from convostate.twilio.signature import Request


@pytest.mark.parametrize(("request_", "status"), [
    (posted(text()), 200), (got(f"{URL}?x=1"), 200), (got(URL), 200), (posted(text(), content_type=FORM.upper()), 200),
    (posted(text(), content_type=f"{FORM}; charset=UTF-8"), 200), (posted(text(), content_type=f'{FORM};charset="utf-8"'), 200),
    (posted(text(), content_type=f"{FORM};"), 200), (posted({}), 200),
    *[(posted(text(), content_type=content_type), 415)
      for content_type in ("", "text/plain", "application/json", f"{FORM}x", f"{FORM}; charset=utf-16", f"{FORM}; charset=utf-7",
                           f"{FORM}; charset=latin-1", f"{FORM}, {FORM}", f"{FORM}; boundary=x", "multipart/form-data; boundary=x")],
    *[(posted(text())._replace(method=method), 405) for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "post", "")],
    (got(URL)._replace(body=b"x"), 415), (posted(text())._replace(method="GET"), 415), (posted(text())._replace(method="GET", body=b""), 403),
    (posted(text(), body=b"a"), 400), (posted(text(), body=b""), 403), (posted(text(), signature=""), 403),
])  # fmt: skip
def test_a15_only_what_twilio_sends_is_authenticated(request_: Request, status: int) -> None:
    try:
        authenticate(request_, SECRETS)
    except RequestError as error:
        found = error.status
    else:
        found = 200
    assert found == status


IDENTITY = [
    "AccountSid",
    "From",
    "To",
    "Body",
    "MessageSid",
    "CallSid",
    "Direction",
    "MessageStatus",
    "SmsStatus",
    "CallStatus",
]


@pytest.mark.parametrize("name", IDENTITY)
@pytest.mark.parametrize("second", ["same", "other"])
def test_a10_a_field_that_decides_who_talks_stands_once(name: str, second: str) -> None:
    params = {**text(), name: "x"}
    pairs = [*params.items(), (name, "x" if second == "same" else "y")]
    for order in (pairs, pairs[::-1]):
        with pytest.raises(RequestError, match="repeated"):
            authenticate(posted(order), SECRETS)
        query = "&".join(f"{key}={value.replace('+', '%2B')}" for key, value in order)
        with pytest.raises(RequestError, match="repeated"):
            authenticate(got(f"{URL}?{query}"), SECRETS)


@pytest.mark.parametrize(
    "query",
    [f"From={BOB}", "%46rom=1", "x=1&From=", "x;From=1", "Body=hi", "AccountSid=AC1", "From"],
)
def test_a11_a_field_that_decides_who_talks_does_not_stand_in_the_query_too(query: str) -> None:
    url = f"{URL}?{query}"
    with pytest.raises(RequestError, match="in the query"):
        authenticate(posted(text(), url=url, signature=oracle_sign(url, text())), SECRETS)
    assert authenticate(
        posted(
            text(),
            url=f"{URL}?{query.replace('From', 'from').replace('%46rom', 'f').replace('Body', 'b').replace('AccountSid', 'a')}",
        ),
        SECRETS,
    )
