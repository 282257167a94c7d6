"""Every framework reads the very parameters that were verified."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test.utils import override_settings
from django.urls import path
from hypothesis import given
from hypothesis import strategies as st

from convostate import ConversationMiddleware, Settings
from convostate.testing import TwilioSimulator
from convostate.twilio.signature import sign
from tests.apps import django_project
from tests.apps.mirror import MIRRORS, django_view
from tests.served import TOKEN, URL, bare, serve, settings

django_project.configure()

TEXTS = {
    "plus and percent": "1+1 = 100%25 %zz &amp; a=b&c=d;e",
    "unicode": "🎉 café — ½ \u200b\u202e",
    "lines": "one\r\ntwo\n\tthree\r",
    "blanks": "  two  ",
    "empty": "",
    "looks like a form": "&From=+15550100666&To=x",
    "a byte order mark": "\ufeffhi",
    "latin-1 in the eyes of some": "Ã©",
    "long": "x" * 1600,
}


class MirrorUrls:
    urlpatterns = (path("sms", django_view),)


def read(name: str, method: Any, body: str, **extra: Any) -> tuple[Any, ...]:
    """What was sent; the query, the form, the verified parameters and the body that the app saw."""
    with override_settings(ROOT_URLCONF=MirrorUrls):
        app = ConversationMiddleware(MIRRORS[name](), Settings.from_environ(store="memory"))
        phone = TwilioSimulator(app, method=method).phone("+15550100001")
        reply = phone.text(body, **extra)
    assert reply.status == 200
    (exchange,) = reply.exchanges
    sent = (
        urlsplit(exchange.request.url).query if method == "GET" else exchange.request.body.decode()
    )
    query, form, params, seen_body = json.loads(reply.body)
    pairs = sorted(parse_qsl(sent, keep_blank_values=True))
    return pairs, [tuple(pair) for pair in query], [tuple(pair) for pair in form], params, seen_body


@pytest.mark.parametrize("body", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", MIRRORS)
def test_a_framework_reads_what_was_verified(name: str, method: str, body: str) -> None:
    sent, query, form, params, seen_body = read(name, method, body, FromCity="", Größe="ö")

    assert (query, form) == ((sent, []) if method == "GET" else ([], sent))
    assert params == dict(sent)
    assert seen_body == body


@pytest.mark.parametrize("name", MIRRORS)
def test_of_a_repeated_name_every_value_is_there(name: str) -> None:
    sent, _, form, params, _ = read(name, "POST", "hi", Tag=["one", "two"])

    assert form == sent
    assert [value for field, value in form if field == "Tag"] == ["one", "two"]
    assert params["Tag"] == "one"


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", MIRRORS)
def test_what_frameworks_read_differently_never_reaches_them(name: str, method: str) -> None:
    form = "AccountSid=AC1&From=%2B15550100001&To=%2B15550100099&MessageSid=SM1&Body=hi;Body=ho"
    app = ConversationMiddleware(MIRRORS[name](), settings(store="memory"))
    url, body = (URL, form.encode()) if method == "POST" else (f"{URL}?{form}", b"")
    signed_as = parse_qsl(form) if method == "POST" else []
    signature = sign(url, signed_as, TOKEN)

    environ = bare(url, method, body, HTTP_X_TWILIO_SIGNATURE=signature)

    assert serve(app, environ).status == 400


@pytest.mark.unmeasured
@given(body=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
@pytest.mark.parametrize("name", MIRRORS)
def test_a_framework_reads_any_text_as_it_was_verified(name: str, body: str) -> None:
    sent, _, form, params, seen_body = read(name, "POST", body)

    assert form == sent
    assert params == dict(sent)
    assert seen_body == body
