"""The guard's short way, which nearly every webhook takes, lets nothing through that the long way refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convostate.errors import RequestError
from convostate.twilio import ambiguity
from convostate.twilio.ambiguity import check_split
from convostate.twilio.form import EMPTY, Form, parse_form
from convostate.twilio.signature import signed_string
from tests.proving import posted
from tests.served import URL, text

pytestmark = pytest.mark.unmeasured

SID = "0123456789abcdef" * 2
NAMES = [
    "AccountSid", "MessageSid", "SmsSid", "SmsMessageSid", "CallSid", "ParentCallSid", "OriginalRepliedMessageSid", "From", "To", "ForwardedFrom",
    "FromCity", "FromZip", "ToCity", "ToZip", "Body", "Digits", "Label", "NumMedia", "ProfileName", "ErrorUrl",
]  # fmt: skip
VALUES = [
    "", "1", "+1", "+15550100001", "+15550100001x", "15550100001", "55555", "a", "From", "To", "Sid", "From+15550100001", "To+15550100001",
    f"SM{SID}", f"SM{SID}x", f"CallSidCA{SID}", f"sm{SID}", "x" * 34, "Mallory", "anonymous", "+٣٤٥٦٧", "client:alice",
    "why? my reply", "whatsapp:+15550100001", "whatsapp:+15550100001x", "whatsapp:15550100001", "whatsapp:", "whatsapp:From+15550100001",
]  # fmt: skip
LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
FORMS = st.dictionaries(
    st.sampled_from(NAMES),
    st.sampled_from(VALUES) | st.text(LETTERS, max_size=8),
    min_size=1,
    max_size=8,
)


def judged(form: Form, url: str = URL) -> bool:
    try:
        check_split(signed_string(url, form), form, url.partition("?")[2])
    except RequestError:
        return False
    return True


@example({"From": "+15550100001x"})
@example({"To": "+15550100001x"})
@example({"From": "+15550100001Label"})
@example({"To": "+15550100001WaId1"})
@example(
    {"From": "whatsapp:+15550100001x", "To": "whatsapp:+15550100099", "MessageSid": f"SM{SID}"}
)
@example({"From": "whatsapp:+15550100001", "To": "whatsapp:+15550100099", "MessageSid": f"SM{SID}"})
@example({"OriginalRepliedMessageSid": f"SM{SID}x"})
@given(FORMS)
@settings(max_examples=600)
def test_what_the_short_way_lets_through_the_long_way_lets_through_as_well(
    params: dict[str, str],
) -> None:
    form = parse_form(posted(params, signature="none").body)
    assert judged(form) == judged(replace(form, shape=None))


@pytest.mark.parametrize(
    ("url", "body", "is_long"),
    [(URL, "hello", False), (URL, "Is it open? Please reply", False), (f"{URL}?a=1text", "hello", True)],
    ids=["a text", "a question", "a query that could be a flow's"],
)  # fmt: skip
def test_only_a_query_that_could_be_a_flow_s_takes_the_long_way(
    monkeypatch: pytest.MonkeyPatch, url: str, body: str, is_long: bool
) -> None:
    read: list[Any] = []

    class Reading(ambiguity.Reading):
        def __init__(self, *args: Any) -> None:
            read.append(args)
            super().__init__(*args)

    monkeypatch.setattr(ambiguity, "Reading", Reading)
    form = parse_form(posted(text(body), signature="none").body)
    check_split(signed_string(url, form), form, url.partition("?")[2])
    assert bool(read) is is_long


@given(
    st.lists(
        st.sampled_from([*NAMES, *VALUES, "=", "&", "?", "%2B1555", "From%2B15550100001"]),
        max_size=8,
    )
)
@settings(max_examples=600)
def test_it_is_so_for_what_signs_its_url_alone(pieces: list[str]) -> None:
    url = URL + "?" + quote("".join(pieces), safe="=&?%+")
    assert judged(EMPTY, url) == judged(replace(EMPTY, shape=None), url)
