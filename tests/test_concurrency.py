"""Many at once: threads, greenlets, forks; and keys that come and go between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from convostate import ConversationMiddleware
from convostate.testing import TwilioSimulator
from tests.served import KEY, OTHER_KEY, TOKEN, US, counting, serve, settings, signed, text, wrapped
from tests.serving import SERVERS, serving

if TYPE_CHECKING:
    from convostate.testing.reply import Reply

THREADS, TURNS = 32, 25


@pytest.mark.parametrize("store", ["cookie", "memory"])
def test_w16_32_threads_on_one_middleware_do_not_see_each_other(store: str) -> None:
    middleware = ConversationMiddleware(counting, settings(store=store))
    together = Barrier(THREADS)

    def talk(person: int) -> list[bytes]:
        bodies, cookie = [], ""
        together.wait()
        for n in range(TURNS):
            params = text(f"text {n}", From=f"+1555020{person:04}")
            served = serve(
                middleware, signed(params, HTTP_COOKIE=f"convostate={cookie}"), outside=False
            )
            bodies.append(served.body)
            cookie = served.cookie
        return bodies

    with ThreadPoolExecutor(THREADS) as pool:
        counted = list(pool.map(talk, range(THREADS)))

    assert counted == [[str(n).encode() for n in range(1, TURNS + 1)]] * THREADS


def test_w16_32_threads_of_one_conversation_lose_nothing_at_a_store_in_memory() -> None:
    middleware = ConversationMiddleware(counting, settings(store="memory", max_waiting=THREADS))
    together = Barrier(THREADS)

    def talk(n: int) -> int:
        together.wait()
        return int(serve(middleware, signed(text(f"text {n}")), outside=False).body)

    with ThreadPoolExecutor(THREADS) as pool:
        assert sorted(pool.map(talk, range(THREADS))) == list(range(1, THREADS + 1))


PREFORKED = ("--preload", "--workers=3")


@pytest.mark.unmeasured
@pytest.mark.parametrize("name", ["gunicorn sync", "gunicorn gthread", "gunicorn gevent"])
def test_w16_an_app_made_before_the_fork_serves_in_every_worker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SERVERS, name, (*SERVERS[name], *PREFORKED))

    def talk(phone: int) -> list[Reply]:
        person = twilio.phone(f"+1555030{phone:04}", texting=US)
        return [person.text("hello") for _ in range(5)]

    with serving(name, "convostate.demo.counter:app") as server, ThreadPoolExecutor(6) as pool:
        twilio = TwilioSimulator(server.url)
        replies = list(pool.map(talk, range(6)))

    assert [[reply.messages[0].split()[2] for reply in each] for each in replies] == [
        ["1", "2", "3", "4", "5"]
    ] * 6


def cookie_by(keys: str, cookie: str = "") -> tuple[bytes, str]:
    served = serve(wrapped(counting, keys=keys), signed(HTTP_COOKIE=f"convostate={cookie}"))
    return served.body, served.cookie


def test_p6_without_its_key_a_kept_value_cannot_be_read_again() -> None:
    _, cookie = cookie_by(KEY)

    assert cookie_by(KEY, cookie)[0] == b"2"
    assert cookie_by(OTHER_KEY, cookie)[0] == b"1"


def test_p6_a_key_is_changed_while_conversations_go_on() -> None:
    """New workers and old ones serve side by side: first all can open the new key, then it seals."""
    old, both, new_first, new = KEY, f"{KEY},{OTHER_KEY}", f"{OTHER_KEY},{KEY}", OTHER_KEY
    cookie, counts = "", []
    for keys in (old, both, old, both, new_first, both, new_first, new):
        body, cookie = cookie_by(keys, cookie)
        counts.append(int(body))

    # Only the very last old value is out of reach of a worker that has dropped the old key.
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8]
    assert cookie_by(new, cookie_by(both)[1])[0] == b"1"


def test_w16_a_token_of_one_thread_is_not_anothers() -> None:
    """Nonces never repeat, or the key would be lost."""
    middleware = wrapped(counting, inside=False)
    with ThreadPoolExecutor(8) as pool:
        cookies = list(
            pool.map(
                lambda _: serve(middleware, signed(token=TOKEN), outside=False).cookie, range(400)
            )
        )

    assert len({cookie[:44] for cookie in cookies}) == 400
