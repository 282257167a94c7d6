"""What the page shows of what is stored: sizes, leases, and never a secret."""

from __future__ import annotations

import os
from typing import Any

import pytest

from convostate.demo import counter_fastapi
from tests.phone_board import HERE, answering, board


def test_the_size_is_that_of_the_cookie_as_it_is_sent() -> None:
    with board() as page:
        turn = page.text("hi")
        reply = page.session.phone(0).text("hi")
        (header,) = reply.headers.getlist("Set-Cookie")

        assert turn["stored"]["size_bytes"] == len(header)
        assert turn["stored"]["limit_bytes"] == 4096


def test_no_sealed_cookie_is_shown_whole_and_no_secret_at_all() -> None:
    secrets = [os.environ["TWILIO_AUTH_TOKEN"], os.environ["CONVOSTATE_KEYS"]]

    def leak(state: Any, _: str) -> str:
        state["leak"] = secrets[1]
        return secrets[0]

    with board(answering(leak)) as page:
        page.text("hi")
        seen = page.client.get("/look", base_url=HERE).text
        (cookie,) = page.session.phone(0).jar.cookies()

    assert "•••" in seen
    assert "Set-Cookie" in seen
    for secret in (*secrets, cookie.value):
        assert secret not in seen


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_the_lease_is_seen_while_a_turn_runs(store: str, request: pytest.FixtureRequest) -> None:
    if store == "redis":
        client = request.getfixturevalue("redis")
        client.flushall()
        store = f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"
    during: list[dict[str, Any]] = []

    def looking(state: Any, _: str) -> str:
        during.append(page.session.inspector.stored(page.session.phone(0)))
        state["looked"] = True
        return "ok"

    with board(answering(looking), store=store) as page:
        page.text("hi")
        after = page.stored()

    assert 0 < during[0]["lease_s"] <= 16
    assert (during[0]["in_progress"], during[0]["waiting"]) == (False, 0)
    assert (after["in_progress"], after["lease_s"], after["waiting"]) == (True, None, 0)
    assert (after["limit_bytes"], after["size_bytes"] > 0) == (None, True)


def test_an_app_on_asgi_whose_middleware_is_added_shows_its_state() -> None:
    app: Any = counter_fastapi.app
    with board(app, bare=True) as shown:
        shown.text("hello")
        stored = shown.stored()
        rows = shown.turn()["rows"]

    assert (stored["where"], stored["in_progress"]) == ("cookie", True)
    assert stored["size_bytes"] > 0
    assert [(row["key"], row["text"]) for row in rows] == [("messagecount", "1")]
