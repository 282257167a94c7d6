"""A state that outgrows its place: how large it is, what is trimmed, and what stays an error."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from convostate import ConversationMiddleware, State, StateError, asgi
from convostate.sealing import codec
from convostate.sealing.token import most_data_bytes, sealed_bytes
from convostate.sealing.trimming import trim
from convostate.stores import MemoryStore
from convostate.stores.base import Keep
from convostate.turns import configure
from tests.asgi_served import serve_asgi
from tests.conversing import PAIR, World
from tests.served import ACCOUNT, XML, serve, settings, signed, text
from tests.turning import COOKIE, SERVER, cookie_config, finished, kept, opened, server_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from convostate.events import TurnEvent
    from convostate.turns import TurnConfig

QUESTION, ANSWER = 80, 700  # characters of an exchange
SMALL = 4096


def exchange(number: int) -> list[list[str]]:
    return [
        ["person", f"question {number} ".ljust(QUESTION, ".")],
        ["bot", f"answer {number} ".ljust(ANSWER, ".")],
    ]


def small_server(**changes: Any) -> TurnConfig:
    return server_config(max_state_bytes=SMALL, **changes)


def consume(step: Callable[[], object]) -> None:
    """Do it a thousand times, or until it raises."""
    for _ in range(1000):
        step()


def written(content: dict[Any, Any], config: TurnConfig) -> dict[Any, Any]:
    """What is kept of a state."""
    token = kept(content, config=config)
    assert config.most_bytes is not None
    assert len(token) <= config.most_bytes
    return opened(token, config=config).state


PLACES: dict[str, Callable[..., TurnConfig]] = {"cookie": cookie_config, "server": small_server}
each_place = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)


@pytest.mark.unmeasured
@each_place
def test_p12_a_thousand_exchanges_never_get_stuck_and_the_newest_is_always_there(
    place: Callable[..., TurnConfig],
) -> None:
    config, token = place(trim="history:2"), None
    for number in range(1000):
        turn = opened(token, config=config)
        turn.state.setdefault("history", []).extend(exchange(number))
        outcome = finished(turn)
        assert isinstance(outcome, Keep)
        token = outcome.token
        assert len(token) <= (config.most_bytes or 0)
        history = opened(token, config=config).state["history"]
        assert history[-2:] == exchange(number)
        assert [who for who, _ in history] == ["person", "bot"] * (len(history) // 2)


@each_place
def test_p12_without_the_setting_it_is_an_error_that_names_it_and_the_old_state_stays(
    place: Callable[..., TurnConfig],
) -> None:
    config, token, number = place(), None, 0

    def text_more() -> None:
        nonlocal token, number
        turn = opened(token, config=config)
        turn.state.setdefault("history", []).extend(exchange(number))
        outcome = finished(turn)
        assert isinstance(outcome, Keep)
        token, number = outcome.token, number + 1

    with pytest.raises(StateError, match=r"heaviest keys: history .*CONVOSTATE_TRIM") as raised:
        consume(text_more)
    assert number > 0
    assert "question" not in str(raised.value)
    assert opened(token, config=config).state["history"][-2:] == exchange(number - 1)


def chat(environ: Any, start_response: Any) -> list[bytes]:
    """Appends an exchange, and answers with the number of the newest that was there."""
    history = environ["convostate.state"].setdefault("history", [])
    newest = history[-1][1].split()[1] if history else "-1"
    history.extend(exchange(int(newest) + 1))
    start_response("200 OK", list(XML))
    return [newest.encode()]


async def chat_asgi(scope: Any, _receive: Any, send: Any) -> None:
    (body,) = chat(scope, lambda *_: None)
    headers = [(b"content-type", b"text/xml"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


DOORS = ["wsgi", "asgi"]


def chatting(door: str, **changes: Any) -> Callable[[], bytes]:
    """A person who texts, at a door: each call is the next text, and gives the answer."""
    events: list[TurnEvent] = changes.pop("events", [])
    in_cookie, cookie, number = "store" not in changes, "", 0
    given = settings(**changes)
    wsgi_app = ConversationMiddleware(chat, given, on_turn=events.append)
    asgi_app = asgi.ConversationMiddleware(chat_asgi, given, on_turn=events.append)

    def one() -> bytes:
        nonlocal cookie, number
        number += 1
        environ = signed(
            text(f"text {number}"),
            HTTP_COOKIE=f"convostate={cookie}" if cookie else None,
        )
        served = serve(wsgi_app, environ) if door == "wsgi" else serve_asgi(asgi_app, environ)
        status, headers, body = served
        assert status == 200
        if in_cookie:
            set_cookie = headers["Set-Cookie"]
            assert len(set_cookie) <= 4096
            cookie = set_cookie.partition(";")[0].partition("=")[2]
        return body

    return one


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("place", [{}, {"store": "memory", "max_state_bytes": SMALL}], ids=PLACES)
def test_p12_a_bot_behind_each_door_answers_on_and_on(door: str, place: dict[str, Any]) -> None:
    events: list[TurnEvent] = []
    bot = chatting(door, trim="history:2", events=events, **place)

    assert [bot() for _ in range(50)] == [str(number).encode() for number in range(-1, 49)]
    assert {(event.outcome, event.reason) for event in events} == {
        ("kept", ""),
        ("kept", "trimmed"),
    }


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("place", [{}, {"store": "memory", "max_state_bytes": SMALL}], ids=PLACES)
def test_p12_a_bot_without_the_setting_is_stuck_with_its_last_state(
    door: str, place: dict[str, Any]
) -> None:
    events: list[TurnEvent] = []
    bot = chatting(door, events=events, **place)
    with pytest.raises(StateError, match="CONVOSTATE_TRIM"):
        consume(bot)
    texts = len(events)
    assert 2 < texts < 10
    with pytest.raises(StateError, match="CONVOSTATE_TRIM"):
        bot()
    assert [(event.outcome, event.reason) for event in events[-2:]] == [
        ("aborted", "exception")
    ] * 2


def test_p12_turns_outside_webhooks_and_conversations_that_the_app_starts_are_trimmed_too() -> None:
    world = World(MemoryStore(), max_state_bytes=SMALL, trim="history:2")
    for number in range(20):
        with world.conversations.turn(**PAIR) as state:
            state.setdefault("history", []).extend(exchange(number))
        history = (world.peek() or {})["history"]
        assert history[-2:] == exchange(number)
    assert len(history) < 20

    long = [line for number in range(20) for line in exchange(number)]
    world.start({"history": long})
    assert (world.peek() or {})["history"] == long[-len((world.peek() or {})["history"]) :]
    assert 0 < len((world.peek() or {})["history"]) < len(long)


def test_p12_outside_webhooks_a_state_that_is_too_large_is_the_callers_error() -> None:
    world = World(MemoryStore(), max_state_bytes=SMALL)
    world.put({"step": 1})
    long = [line for number in range(20) for line in exchange(number)]

    with pytest.raises(StateError, match="CONVOSTATE_MAX_STATE_BYTES"):  # noqa: SIM117
        with world.conversations.turn(**PAIR) as state:
            state["history"] = long
    with pytest.raises(StateError, match="CONVOSTATE_TRIM"):
        world.start({"history": long})
    assert world.peek() == {"step": 1}
    assert world.phone.inbox == []


def items(count: int, size: int = 100) -> list[str]:
    return [f"{number}".ljust(size, "x") for number in range(count)]


@each_place
def test_what_is_left_takes_at_most_three_quarters_and_not_an_item_less_than_it_must(
    place: Callable[..., TurnConfig],
) -> None:
    config = place(trim="history")
    left = written({"history": items(60), "step": 3}, config)

    bound = (config.most_bytes or 0) * 3 // 4
    assert left["history"] == items(60)[-len(left["history"]) :]
    assert sealed_bytes(len(codec.encode(left))) <= bound
    one_more = {**left, "history": items(60)[-len(left["history"]) - 1 :]}
    assert sealed_bytes(len(codec.encode(one_more))) > bound


def test_a_state_that_fits_is_not_trimmed() -> None:
    config = cookie_config(trim="history")
    turn = opened(config=config)
    turn.state["history"] = []
    while (turn.state.room_bytes or 0) > 150:
        turn.state["history"].append("x" * 100)
    count = len(turn.state["history"])
    outcome = finished(turn)

    assert isinstance(outcome, Keep)
    assert len(outcome.token) > (config.most_bytes or 0) * 3 // 4
    assert len(opened(outcome.token, config=config).state["history"]) == count
    assert turn.reason == ""


def test_the_apps_own_list_is_never_trimmed() -> None:
    turn = opened(config=cookie_config(trim="history"))
    history = turn.state["history"] = items(60)

    assert isinstance(finished(turn), Keep)
    assert history == items(60)
    assert turn.state == {"history": items(60)}


@pytest.mark.parametrize("count", [59, 60])
def test_pairs_go_together_from_the_oldest_on(count: int) -> None:
    left = written({"history": items(count)}, cookie_config(trim="history:2"))["history"]

    assert left == items(count)[-len(left) :]
    assert (count - len(left)) % 2 == 0
    assert len(left) > 2


@pytest.mark.parametrize(
    ("count", "unit", "stay"), [(1, 1, 1), (9, 1, 1), (2, 2, 2), (8, 2, 2), (9, 2, 1), (9, 4, 1), (8, 4, 4), (3, 4, 3)]
)  # fmt: skip
def test_the_newest_items_always_stay(count: int, unit: int, stay: int) -> None:
    content = {"a": items(count)}

    assert trim(content, {"a": unit}, 0) is (count > stay)
    assert content == {"a": items(count)[-stay:]}


def test_of_several_lists_the_longest_goes_first() -> None:
    config = cookie_config(trim="log,history,unused")
    left = written({"log": items(5), "history": items(50)}, config)
    assert left["log"] == items(5)
    assert 5 < len(left["history"]) < 50

    left = written({"log": items(30), "history": items(30)}, config)
    assert abs(len(left["log"]) - len(left["history"])) <= 1
    assert left["log"][-1] == left["history"][-1] == items(30)[-1]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        pytest.param({"chat": {"history": items(60)}}, "history", id="a nested list"),
        pytest.param({"history": tuple(items(60))}, "history", id="a tuple"),
        pytest.param({"history": set(items(60))}, "history", id="a set"),
        pytest.param({"history": dict(enumerate(items(60)))}, "history", id="a dict"),
        pytest.param({"history": "x" * 6000}, "history", id="a str"),
        pytest.param({"history": None, "other": items(60)}, "history", id="another key's list"),
        pytest.param({"history": ["x" * 6000]}, "history", id="one huge item"),
        pytest.param({"history": ["x", "y", "x" * 6000]}, "history", id="a huge newest item"),
        pytest.param({"history": items(30), "note": "x" * 6000}, "history", id="a huge rest"),
        pytest.param({"history": [], "note": "x" * 6000}, "history", id="an empty list"),
        pytest.param({55: items(60)}, "7", id="another int"),
    ],
)
def test_what_cannot_be_trimmed_enough_is_an_error(content: dict[Any, Any], names: str) -> None:
    turn = opened(config=cookie_config(trim=names))
    turn.state.update(content)

    with pytest.raises(StateError, match="too large for a cookie"):
        finished(turn)
    assert turn.reason == ""


def test_the_error_after_trimming_names_what_is_still_heavy() -> None:
    turn = opened(config=cookie_config(trim="history"))
    turn.state.update({"history": items(100), "note": "x" * 6000})
    with pytest.raises(StateError, match=r"heaviest keys: note \(") as caught:
        finished(turn)
    assert "CONVOSTATE_TRIM" not in str(caught.value)


def test_the_error_of_a_list_that_is_trimmed_already_does_not_advise_to_trim_it() -> None:
    turn = opened(config=cookie_config(trim="7"))
    turn.state[7] = ["x", "y" * 6000]
    with pytest.raises(StateError, match=r"heaviest keys: \[7\] \(") as caught:
        finished(turn)
    assert "CONVOSTATE_TRIM" not in str(caught.value)


def test_what_goes_is_what_would_go_if_all_were_measured_anew_after_each_step() -> None:
    draw = random.Random(18)  # which states are tried
    for _ in range(200):
        units = {"a": draw.randint(1, 3), "b": draw.randint(1, 3)}
        content: dict[Any, Any] = {
            key: ["x" * draw.randint(0, 9) for _ in range(draw.choice([3, 24, 27, 258]))]
            for key in units
        }
        most = draw.randint(1, len(codec.encode(content)))
        expected = {key: list(value) for key, value in content.items()}
        while len(codec.encode(expected)) > most:
            more = [key for key in expected if len(expected[key]) > units[key]]
            if not more:
                break
            longest = max(more, key=lambda key: codec.encoded_bytes(expected[key]))
            del expected[longest][: units[longest]]
        trim(content, units, most)
        assert content == expected


@pytest.mark.parametrize("key", [7, -7, "7", 2**63])
def test_a_key_that_is_an_int_is_named_by_its_digits(key: int | str) -> None:
    left = written({key: items(60), 10**5000: 1, "8": []}, cookie_config(trim={str(key): 1}))

    assert left[key] == items(60)[-len(left[key]) :]
    assert len(left[key]) < 60


@pytest.mark.parametrize(("key", "is_trimmed"), [(2**64 - 1, True), (2**64, False)])
def test_a_key_of_more_than_64_bits_has_no_name(key: int, is_trimmed: bool) -> None:
    assert trim({key: [1, 2, 3]}, {str(key): 1}, 1) is is_trimmed


def test_a_state_that_fits_exactly_is_not_trimmed_and_one_byte_less_trims_it() -> None:
    content = {"history": [1, 2, 3]}
    fits = len(codec.encode(content))
    assert (trim(content, {"history": 1}, fits), content) == (False, {"history": [1, 2, 3]})
    assert (trim(content, {"history": 1}, fits - 1), content) == (True, {"history": [2, 3]})


def test_items_of_every_type_come_back_as_they_were() -> None:
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    one = [{"role": "user", "at": moment, "parts": (1, [2], {3})}, {"role": "bot", "at": moment}]
    left = written({"history": one * 60}, cookie_config(trim="history:2"))["history"]

    assert left == one * (len(left) // 2)
    assert type(left[0]["parts"]) is tuple


def test_trimming_is_logged_once_and_in_every_event(caplog: pytest.LogCaptureFixture) -> None:
    config, reasons = cookie_config(trim="history"), []
    for _ in range(3):
        turn = opened(config=config)
        turn.state["history"] = ["canary" * 20] * 60
        finished(turn)
        reasons.append(turn.reason)

    assert reasons == ["trimmed"] * 3
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "oldest items" in record.getMessage()
    assert "canary" not in record.getMessage()


@pytest.mark.unmeasured
def test_trimming_a_megabyte_measures_each_item_that_goes_once_and_none_that_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = {"history": [line for number in range(1300) for line in exchange(number)]}
    data = codec.encode(content)
    assert len(data) > 1_000_000
    measured: list[Any] = []

    def measuring(value: Any) -> int:
        if not isinstance(value, int):  # a length, whose own bytes are asked for
            measured.append(value)
        return codec.encoded_bytes(value)

    monkeypatch.setattr("convostate.sealing.trimming.encoded_bytes", measuring)
    copy = codec.decode(data) or {}
    before = list(copy["history"])

    assert trim(copy, {"history": 2}, len(data) * 3 // 4)

    dropped = len(before) - len(copy["history"])
    assert measured[0] is copy["history"]
    assert len(measured) - 1 == dropped > 0
    assert measured[1:] == before[:dropped]


def test_a_state_of_exactly_the_bound_is_kept_in_a_server_side_store_and_64_bytes_more_are_not() -> (
    None
):
    config = small_server()
    turn, over = opened(config=config), opened(config=config)
    for each in (turn, over):
        each.state["a"] = ""
        each.state["a"] = "x" * ((each.state.room_bytes or 0) - 2)  # a longer str has 2 bytes more
    assert turn.state.room_bytes == 0
    over.state["a"] += "x"

    assert over.state.room_bytes == -1
    outcome = finished(turn)
    assert isinstance(outcome, Keep)
    assert SMALL - 64 < len(outcome.token) <= SMALL
    with pytest.raises(StateError, match=r"at most 4096 fit.*raise CONVOSTATE_MAX_STATE_BYTES"):
        finished(over)


def test_the_bound_of_a_store_of_ones_own_holds_if_it_is_lower() -> None:
    store = MemoryStore()
    store.most_bytes = 1000  # type: ignore[assignment]
    assert configure(settings(store="memory"), store)[2].most_bytes == 1000
    assert configure(settings(store="memory", max_state_bytes=500), store)[2].most_bytes == 500
    assert SERVER.most_bytes == 1_048_576
    assert cookie_config(max_state_bytes=500).most_bytes == COOKIE.most_bytes


def test_a_stored_state_above_the_bound_opens_and_may_shrink_and_not_grow() -> None:
    token, config = kept({"a": "x" * 9000}, config=SERVER), small_server()

    def turned(content: dict[str, str], opened_token: bytes | None = token) -> bool:
        turn = opened(opened_token, config=config)
        turn.state.clear()
        turn.state.update(content)
        try:
            outcome = finished(turn)
        except StateError:
            return False
        return isinstance(outcome, Keep) and turn.reason != "trimmed"

    assert opened(token, config=config).state == {"a": "x" * 9000}
    assert turned({"a": "y" * 9000})
    assert turned({"a": "y" * 8000})
    assert not turned({"a": "y" * 9100})
    assert not turned({"a": "y" * 8000}, None)
    assert not turned({"a": "y" * 8000}, b"\x01" + token[1:-1] + b"?")  # it did not open


def test_a_cookie_above_the_bound_opens_and_only_a_smaller_one_is_written() -> None:
    token = kept({"a": "x" * 3500}, config=replace(COOKIE, most_bytes=None))
    turn = opened(token)
    assert turn.state == {"a": "x" * 3500}
    with pytest.raises(StateError, match="too large for a cookie"):
        finished(turn)

    smaller = opened(token)
    smaller.state["a"] = "x"
    assert isinstance(finished(smaller), Keep)


def test_a_stored_state_above_the_bound_is_trimmed_to_the_bound() -> None:
    token = kept({"history": items(200)}, config=SERVER)
    turn = opened(token, config=small_server(trim="history"))
    outcome = finished(turn)

    assert isinstance(outcome, Keep)
    assert len(outcome.token) <= SMALL * 3 // 4
    assert turn.reason == "trimmed"


def test_a_state_that_replaces_one_above_the_bound_is_within_the_bound() -> None:
    large = World(MemoryStore())
    large.put({"a": "x" * 9000})
    world = World(large.store, max_state_bytes=SMALL)

    with pytest.raises(StateError, match="at most 4096 fit"):
        world.start({"a": "y" * 8000})
    world.start(if_exists="keep")
    assert world.peek() == {"a": "x" * 9000}


@pytest.mark.parametrize("config", [COOKIE, SERVER], ids=["cookie", "server"])
def test_the_size_of_a_state_is_that_of_its_token(config: TurnConfig) -> None:
    for length in (0, 1, 100, 163, 164, 165, 2000):
        turn = opened(config=config)
        turn.state["a"] = "x" * length
        size = turn.state.size_bytes
        outcome = finished(turn)
        assert isinstance(outcome, Keep)
        assert size == len(outcome.token) == turn.token_bytes


@each_place
def test_the_state_of_a_call_is_measured_and_trimmed_with_all_that_its_token_holds(
    place: Callable[..., TurnConfig],
) -> None:
    config, call = place(trim="history"), (ACCOUNT, "CA" + "1" * 32)
    for length in range(65):  # through all steps of the padding
        turn = opened(config=config, call=call)
        turn.state["a"] = "x" * length
        size = turn.state.size_bytes
        outcome = finished(turn)
        assert isinstance(outcome, Keep)
        assert size == len(outcome.token)

    turn = opened(config=config, call=call)
    turn.state["a"] = ""
    turn.state["a"] = "x" * ((turn.state.room_bytes or 0) - 2)
    assert turn.state.room_bytes == 0
    full = finished(turn)
    assert isinstance(full, Keep)
    assert (config.most_bytes or 0) - 64 < len(full.token) <= (config.most_bytes or 0)
    for length in range(65):
        turn = opened(config=config, call=call)
        turn.state.update(a="x" * length, history=["x" * 20] * 300)
        trimmed = finished(turn)
        assert isinstance(trimmed, Keep)
        assert len(trimmed.token) <= (config.most_bytes or 0) * 3 // 4


@each_place
def test_a_text_that_the_room_holds_fits_and_one_byte_more_does_not(
    place: Callable[..., TurnConfig],
) -> None:
    fits, over = opened(config=place()), opened(config=place())
    for turn, more in ((fits, 0), (over, 1)):
        turn.state["history"] = []
        room = turn.state.room_bytes
        assert room is not None
        turn.state["history"].append("x" * (room - 3 + more))  # 3: CBOR's head of such a str
    assert isinstance(finished(fits), Keep)
    with pytest.raises(StateError, match="too large"):
        finished(over)


def test_a_store_without_a_bound_has_no_room_to_tell() -> None:
    config = replace(COOKIE, most_bytes=None)
    turn = opened(config=config)
    turn.state["a"] = "x" * 100_000

    assert turn.state.room_bytes is None
    assert turn.state.size_bytes > 100_000
    assert isinstance(finished(turn), Keep)


def test_a_read_only_state_an_ended_one_and_a_copy_have_a_size() -> None:
    token = kept({"a": "x" * 500}, config=SERVER)
    read_only = opened(None, config=SERVER, kind="message-status").state
    assert (read_only.size_bytes, read_only.room_bytes) == (113, most_data_bytes(1_048_576) - 1)

    ended = opened(token, config=SERVER).state
    assert ended.size_bytes == len(token)
    ended.end()
    assert ended.size_bytes == 113  # the shortest token

    copy = opened(token, config=SERVER).state.unkept()
    assert (copy.size_bytes, copy.most_bytes) == (len(token), 1_048_576)

    over = opened(token, config=SERVER)
    finished(over)
    assert over.state.size_bytes == len(token)


def test_a_peeked_state_has_its_size() -> None:
    world = World(MemoryStore(), max_state_bytes=SMALL)
    world.put({"a": "x" * 500})
    looked = world.conversations.peek(**PAIR)

    assert isinstance(looked, State)
    assert looked.size_bytes == len(world.sealed() or b"")
    assert looked.room_bytes == most_data_bytes(SMALL) - len(codec.encode({"a": "x" * 500}))


def test_the_size_of_what_cannot_be_kept_is_the_error_that_keeping_it_is() -> None:
    state = opened().state
    state["a"] = object()

    for name in ("size_bytes", "room_bytes"):
        with pytest.raises(StateError, match=r"at \$\.a is a object"):
            getattr(state, name)


def test_the_most_data_that_fits_into_a_token_fits_and_a_byte_more_does_not() -> None:
    for token_bytes in range(113, 500):
        most = most_data_bytes(token_bytes)
        assert sealed_bytes(most) <= token_bytes < sealed_bytes(most + 1)
    assert most_data_bytes(112) < 0
