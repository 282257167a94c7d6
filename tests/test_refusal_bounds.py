"""How much a refusal may cost: what is too long to explain is told so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.answering import Answering
from tests.served import ACCOUNT, TOKEN, URL, serve, signed, wrapped
from tests.test_refusal_log import line


@pytest.mark.parametrize(("query", "params", "account_tokens"), [
    ("", {"Body": "x" * 17_000}, None),
    ("", {f"n{number}": "x" for number in range(202)}, None),
    (f"a={'x' * 17_000}", {"Body": "x"}, None),
    ("&".join(f"n{number}=x" for number in range(202)), {"Body": "x"}, None),
    ("", {"Body": "x" * 1700}, {f"AC{number:032x}": f"token{number}" for number in range(10)}),
], ids=["a long text", "many fields", "a long query", "a query of many fields", "many secrets"])  # fmt: skip
def test_what_costs_too_much_to_explain_is_told_so(
    query: str,
    params: dict[str, str],
    account_tokens: dict[str, str] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = f"{URL}?{query}" if query else URL
    tokens: dict[str, Any] = {"account_tokens": account_tokens} if account_tokens else {}
    changes = {**tokens, "auth_token": None} if tokens else {}
    environ = signed(params, url, token="x")

    assert "too long to try what is wrong" in line(environ, caplog, **changes)
    short = signed({"Body": "x"}, url.partition("?")[0], token="x")
    assert "no usual change" in line(short, caplog, **changes)
    right = signed(params, url, token="token7" if tokens else TOKEN)
    assert serve(wrapped(Answering(), **changes), right).status == 200


def test_a_long_text_of_an_account_that_nobody_knows_is_not_tried_under_all_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = {f"AC{number:032x}": f"token{number}" for number in range(100, 200)}
    settings: dict[str, Any] = {"auth_token": None, "account_tokens": others}
    short, long = ({"Body": "x" * size, "AccountSid": ACCOUNT} for size in (10, 200_000))

    assert "too long" in line(signed(long, token="token150"), caplog, **settings)
    said = line(signed(short, token="token150"), caplog, **settings)
    assert "signed with the token of another configured account" in said
