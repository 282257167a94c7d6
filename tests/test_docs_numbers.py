"""The bounds and times that the docs name are those of the code."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from convostate import ConversationMiddleware, replies, state_from, turns
from convostate.sealing import token
from convostate.settings import LONGEST_AT_SERVER, LONGEST_IN_COOKIE, Settings
from convostate.stores import base, work
from convostate.stores.redis import aio, client, url
from convostate.twilio import signature
from tests.documentation import page
from tests.served import KEY, TOKEN, serve, signed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WORDS = {5: "five", 10: "ten"}
DAYS = LONGEST_AT_SERVER.days
HOURS = LONGEST_IN_COOKIE // timedelta(hours=1)
DEFAULTS = Settings(auth_token=TOKEN, keys=KEY)

SHOWN = {
    "where-the-state-lives": [
        f"| {HOURS} hours, then Twilio drops the cookie | {DAYS} days |",
        f"in steps of {token.PADDING_BYTES} bytes",
        f"holds {DEFAULTS.max_state_bytes >> 20} MiB, or",
    ],
    "redis": [
        f"It waits {base.WAIT_S} s at most",
        f"takes longer than {base.LEASE_S} s writes nothing",
        f"delivers twice within {WORDS[base.REPLY_S // 60]} minutes",
        f"a text fails after {client.TIMEOUT_S} s. After {WORDS[client.FAILURES]} failures",
        f"idle for {client.IDLE_S:g} s and does not answer within {client.STALE_S:g} s",
        f"stands still for more than {client.HANDOVER_MS / 1000} s",
        f"differ by more than {turns.CLOCKS_DIFFER_MS // 1000} s",
        f"?max_connections={url.MAX_CONNECTIONS}`",
        f"a process uses {aio.EXCHANGES} at most",
        f"The default is {base.MAX_WAITING}, which",
        f"many threads {base.MAX_WAITING_IN_LOOP} is fine",
        f"texts of the conversation that wait, {base.MOST_TEXTS} at most",
        f"{work.ANSWER_LEASE_S} s, renewed every {replies.RENEW_S:g} s",
        f"lends it the hint for {work.LENT_S} s",
        f"looks within {work.LENT_S} s",
        f"may end within {replies.GRACE_S:g} s",
        f"after {', '.join(map(str, replies.SEND_AGAIN_S[:-1]))} and {replies.SEND_AGAIN_S[-1]} s",
    ],
    "guides/long-answers": [f"at most {replies.MOST_CHARS:,} characters"],
    "own-store": [f"ends by itself after {base.LEASE_S} s", f"up to {DAYS} days"],
    "settings": [f"to {HOURS} h with the cookie store, to {DAYS} days"],
    "security": [f"At most {DEFAULTS.max_body_bytes >> 10} KiB are read"],
    "when-it-answers-403": [f"up to {signature._MOST_TRIES:,}"],
    "deploy/index": [
        f"for {base.WAIT_S} seconds at most",
        f"({base.MAX_WAITING} by default)",
        f"clock is more than {token.SKEW_MS // 1000} s ahead",
    ],
    "frameworks/fastapi": [f"so {base.MAX_WAITING_IN_LOOP} texts of a conversation may wait"],
    "guides/calls": [
        f"lives for {base.CALL_S // 3600} hours at most",
        f"stays for {turns.AFTER_CALL_MS // 60_000} more minutes",
    ],
    "guides/write-first": [
        f"A text waits {base.WAIT_S} seconds at most",
        f"It may take {base.LEASE_S} seconds",
        f"`OptedOutError` for {base.OPT_OUT_S // 86_400} days",
    ],
    "guides/erase": [f"for {base.OPT_OUT_S // 86_400} days at most"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_names_the_numbers_of_the_code(name: str) -> None:
    text = page(name)

    assert [sentence for sentence in SHOWN[name] if sentence not in text] == []


def test_the_room_of_a_cookie_is_the_shown_one() -> None:
    room: list[int | None] = []

    def app(environ: WSGIEnvironment, respond: StartResponse) -> list[bytes]:
        room.append(state_from(environ).room_bytes)
        respond("200 OK", [("Content-Type", "text/xml")])
        return []

    serve(ConversationMiddleware(app, DEFAULTS), signed())

    (bytes_left,) = room
    assert bytes_left is not None
    assert bytes_left // 100 * 100 == 2800
    for name in ("where-the-state-lives", "settings", "guides/llm-bot"):
        assert "about 2,800 bytes" in page(name)
