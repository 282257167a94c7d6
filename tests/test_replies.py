"""Texts that are answered later, in memory and on the simulator's clock."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from convostate import (
    AsyncConversations,
    ConversationMiddleware,
    Conversations,
    OptedOutError,
    StateError,
    StoreError,
    UsageError,
    replies,
    state_from,
)
from convostate.replies import ANSWER_AGAIN_S, MOST_CHARS, SEND_AGAIN_S, fate_of
from convostate.stores import CookieStore, MemoryStore, RedisStore, memory_work
from convostate.stores.base import WAIT_S, Claim
from convostate.stores.redis import store as redis_store
from convostate.stores.redis.aio import AsyncRedisStore
from tests.conversing import ADA, BOB, PAIR, US, settings
from tests.deferring import Deferring
from tests.redis_servers import wait_until

if TYPE_CHECKING:
    from convostate import Answering
    from convostate.events import TurnEvent


Make = Callable[..., Deferring]


@pytest.fixture(params=["memory", "redis"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes installations, with nothing in their store."""
    made: list[Deferring] = []
    if request.param == "redis":
        client = request.getfixturevalue("redis")
        client.flushall()

    def make(door: str = "threads", wait_s: float = WAIT_S, **changes: Any) -> Deferring:
        store: Any
        if request.param == "memory":
            store = MemoryStore(wait_s=wait_s)
        elif door == "threads":
            store = RedisStore(client, wait_s=wait_s)
        else:
            port = client.connection_pool.connection_kwargs["port"]
            store = AsyncRedisStore.from_url(f"redis://127.0.0.1:{port}/0", wait_s=wait_s)
        made.append(Deferring(door, store, **changes))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture(params=["threads", "loop"])
def world(make: Make, request: pytest.FixtureRequest) -> Deferring:
    return make(request.param)


def advance(world: Deferring, seconds: float) -> None:
    world.twilio.clock.advance(seconds=seconds)


def test_a_text_is_swallowed_and_answered_by_a_worker(world: Deferring) -> None:
    ada = world.phone()

    reply = ada.text("hello")

    assert (reply.status, reply.messages) == (200, [])
    assert ada.inbox == []
    assert world.work() == ["hello"]
    assert [message.body for message in ada.inbox] == ["hello"]
    assert ada.state == {"log": ["hello"]}
    assert world.work() == []


def test_texts_that_came_meanwhile_are_answered_together(world: Deferring) -> None:
    ada = world.phone()
    for body in ("one", "two", "three"):
        ada.text(body)

    assert world.work() == ["one two three"]
    ada.text("four")
    assert world.work() == ["one two three four"]


def test_a_text_that_comes_while_another_is_answered_waits_for_the_next_answer(make: Make) -> None:
    world = make()
    ada = world.phone()
    log_and_reply = world.answer

    def answer(turn: Answering) -> None:
        if turn.texts[0].body == "one":
            assert ada.text("two").status == 200  # it does not wait for this answer
        log_and_reply(turn)

    world.answer = answer
    ada.text("one")

    assert world.work() == ["one", "one two"]


def test_people_do_not_see_each_other(world: Deferring) -> None:
    world.phone(ADA).text("from ada")
    world.phone(BOB).text("from bob")

    assert sorted(world.work()) == ["from ada", "from bob"]
    assert [message.body for message in world.phone(BOB).inbox] == ["from bob"]


def test_a_repetition_of_a_swallowed_text_stays_swallowed(world: Deferring) -> None:
    ada = world.phone()
    ada.text("hello", deliveries=3)
    assert world.work() == ["hello"]

    assert ada.resend().status == 200

    assert world.work() == []


def test_a_text_whose_webhook_fails_is_not_kept(world: Deferring) -> None:
    def view(environ: Any) -> None:
        world.conversations.answer_later(environ)
        raise RuntimeError

    world.view = view
    world.phone().text("hello")

    assert world.work() == []
    assert world.backlog()[0] == 0


def test_the_state_is_read_only_on_deferred_paths(world: Deferring) -> None:
    raised: list[Exception] = []

    def view(environ: Any) -> None:
        with pytest.raises(StateError, match="read-only") as caught:
            state_from(environ)["x"] = 1
        raised.append(caught.value)
        assert state_from(environ) == seen

    seen: dict[str, Any] = {}
    world.view = view
    world.phone().text("hello")
    assert "CONVOSTATE_DEFER_PATHS" in str(raised[0])

    world.view = world.conversations.answer_later
    world.phone().text("hello")
    world.work()
    seen, world.view = {"log": ["hello"]}, view
    assert world.phone().text("again").status == 200
    assert len(raised) == 2


def test_the_function_may_send_several_messages_in_order_with_media(world: Deferring) -> None:
    def answer(turn: Answering) -> None:
        turn.reply("first")
        turn.reply(media_url=["https://example.com/cat.jpg"])
        turn.reply("x" * MOST_CHARS, status_callback="https://example.com/status")

    world.answer = answer
    ada = world.phone()
    ada.text("hello")

    assert world.work() == ["first", "", "x" * MOST_CHARS]
    assert ada.inbox[1].media == ("https://example.com/cat.jpg",)


def test_the_function_may_end_the_conversation_and_still_reply(world: Deferring) -> None:
    def answer(turn: Answering) -> None:
        turn.state.end()
        turn.reply("bye")

    ada = world.phone()
    ada.text("hello")
    world.work()
    world.answer = answer
    ada.text("that is all")

    assert world.work() == ["bye"]
    assert ada.state is None


def test_an_answer_without_a_reply_keeps_its_state(world: Deferring) -> None:
    def answer(turn: Answering) -> None:
        turn.state["seen"] = len(turn.texts)

    world.answer = answer
    world.phone().text("hello")

    assert world.work() == []
    assert world.phone().state == {"seen": 1}


def test_an_answer_that_raises_is_tried_again_and_then_its_texts_are_dead_letters(
    world: Deferring, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[list[str]] = []

    def answer(turn: Answering) -> None:
        bodies = [text.body for text in turn.texts]
        if "hello" not in bodies:
            good(turn)
            return
        tried.append(bodies)
        turn.state["half"] = True
        raise RuntimeError("secret words")

    good, world.answer = world.answer, answer
    ada = world.phone()
    ada.text("hello")
    for seconds in (0, *ANSWER_AGAIN_S):
        advance(world, seconds - 0.001 if seconds else 0)
        before = len(tried)
        if seconds:
            world.work()
            assert len(tried) == before  # not yet
            advance(world, 0.001)
        ada.text(f"after {before}")  # later texts wait for the next answer
        sent = world.work()
        assert len(tried) == before + 1

    assert tried[0] == ["hello", "after 0"]
    assert tried[1:] == tried[:1] * 3
    assert sent == ["after 1 after 2 after 3"]
    assert ada.state == {"log": ["after 1", "after 2", "after 3"]}
    assert world.backlog() == (0, False, 0, 2)
    assert "RuntimeError at" in caplog.text
    assert "secret words" not in caplog.text


def test_who_follows_the_answers_hears_of_a_failure_once_it_is_logged(
    world: Deferring, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, str, int]] = []

    def answer(turn: Answering) -> None:
        if len(heard) == 0:
            raise ZeroDivisionError
        if len(heard) == 1:
            turn.state["kept"] = {object()}

    def ended(pair: Any, error: Exception | None) -> None:
        heard.append((pair.theirs, type(error).__name__, caplog.text.count("an answer failed")))

    world.answer = answer
    world.conversations.deferred.ended = ended
    world.phone().text("hello")
    for wait_s in (0, *ANSWER_AGAIN_S[:2]):
        advance(world, wait_s)
        world.work()

    assert heard == [(ADA, "ZeroDivisionError", 1), (ADA, "StateError", 2), (ADA, "NoneType", 2)]


def test_a_reply_that_twilio_refuses_is_a_dead_letter_and_the_next_is_sent(
    world: Deferring,
) -> None:
    def answer(turn: Answering) -> None:
        turn.reply("one")
        turn.reply("two")

    world.answer = answer
    for code in (21610, 63016):
        world.twilio.refuse_sends(code, times=1)
        world.phone().text("hello")
        assert world.work() == ["two"]
    assert world.backlog() == (0, False, 0, 2)


@pytest.mark.parametrize("code", [20429, 20500])
def test_a_reply_that_twilio_cannot_take_now_is_sent_later_in_order(
    world: Deferring, code: int
) -> None:
    ada = world.phone()
    world.twilio.refuse_sends(code, times=2)
    ada.text("one")
    assert world.work() == []
    ada.text("two")
    assert world.work() == []  # the next answer waits for an empty outbox
    assert ada.state == {"log": ["one"]}
    advance(world, SEND_AGAIN_S[0])
    assert world.work() == []
    advance(world, SEND_AGAIN_S[1] - 1)
    assert world.work() == []
    advance(world, 1)
    assert world.work() == ["one", "one two"]


def test_a_reply_that_twilio_never_takes_is_a_dead_letter_in_the_end(world: Deferring) -> None:
    world.twilio.refuse_sends(20500)
    world.phone().text("one")
    world.work()
    for seconds in SEND_AGAIN_S:
        assert world.backlog()[2:] == (1, 0)
        advance(world, seconds)
        world.work()
    assert world.backlog() == (0, False, 0, 1)


@pytest.mark.parametrize(
    ("error", "sent"), [(ConnectionRefusedError(), 1), (TimeoutError(), 0), (OSError(), 0)]
)
def test_a_request_that_may_have_arrived_is_not_sent_again(
    world: Deferring, error: Exception, sent: int, caplog: pytest.LogCaptureFixture
) -> None:
    world.twilio.refuse_sends(error, times=1)
    world.phone().text("one")
    assert world.work() == []
    assert (f"(unknown: {type(error).__name__} at" in caplog.text) is (sent == 0)
    advance(world, SEND_AGAIN_S[0])
    assert len(world.work()) == sent
    assert world.backlog()[3] == 1 - sent


@pytest.mark.parametrize("raises", [True, False])
def test_a_reply_for_which_no_client_is_made_is_sent_once_there_is_one(
    world: Deferring, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client = world.conversations.client

    def make(_: str) -> None:
        if raises:
            raise LookupError

    world.conversations.client = make
    world.phone().text("one")
    assert world.work() == []
    assert f"(no-client: {'LookupError at' if raises else 'UsageError: '}" in caplog.text
    world.conversations.client = lambda _: client
    advance(world, SEND_AGAIN_S[0])
    assert world.work() == ["one"]
    assert world.backlog() == (0, False, 0, 0)


def test_a_misspelt_argument_of_a_reply_is_named_and_nothing_is_said_to_be_sent(
    world: Deferring, caplog: pytest.LogCaptureFixture
) -> None:
    world.answer = lambda turn: turn.reply("one", mediaurl="https://example.com/cat.jpg")
    world.phone().text("hello")
    assert world.work() == []
    assert "(arguments: UsageError: turn.reply() has an argument that" in caplog.text
    assert "'mediaurl'" in caplog.text
    assert world.backlog() == (0, False, 0, 1)


def test_clients_wrap_a_connection_that_was_not_made() -> None:
    from requests.exceptions import ConnectionError as RequestsError
    from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

    unreached = MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]
    assert fate_of(RequestsError(unreached)) == (True, "unreached")
    assert fate_of(RequestsError(ProtocolError("aborted"))) == (False, "unknown")


def test_a_burst_is_one_turn_with_one_reply(make: Make) -> None:
    world = make(burst="1.5s")
    ada = world.phone()
    for body in ("I", "am", "here"):
        ada.text(body)
        assert world.work() == []
        advance(world, 1)
    assert world.work() == []
    advance(world, 0.5)
    assert world.work() == ["I am here"]


def test_a_full_mailbox_answers_503(world: Deferring, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory_work, redis_store):
        monkeypatch.setattr(module, "MOST_TEXTS", 2)
    assert [world.phone().text(body).status for body in "abc"] == [200, 200, 503]
    assert world.work() == ["a b"]


def test_stop_leaves_nothing_that_could_be_sent(world: Deferring) -> None:
    ada = world.phone()
    world.twilio.refuse_sends(20500, times=1)
    ada.text("hello")
    world.work()
    ada.text("hello?")
    assert world.backlog() == (1, False, 1, 0)

    assert ada.text("STOP").status == 200

    assert world.backlog() == (0, False, 0, 0)
    advance(world, 3600)
    assert world.work() == []
    assert ada.state is None


def test_start_lifts_a_stop_on_deferred_paths(make: Make) -> None:
    world = make()
    ada, client = world.phone(), world.twilio.rest_client()
    ada.text("STOP")
    with pytest.raises(OptedOutError):
        world.conversations.start(client, from_=US, to=ADA, body="hello")
    ada.text("START")
    world.work()

    world.conversations.start(client, from_=US, to=ADA, body="hello")

    assert ada.inbox[-1].body == "hello"


def test_a_message_status_and_a_call_are_not_texts(world: Deferring) -> None:
    errors: list[str] = []

    def view(environ: Any) -> None:
        state = state_from(environ)
        with pytest.raises(UsageError) as caught:
            world.conversations.answer_later(environ)
        errors.append(str(caught.value))
        if not state.is_new:
            state["delivered"] = True  # these may write, and wait for an answer that is under way

    def answer(turn: Answering) -> None:
        turn.state["log"] = ["hello"]
        turn.reply("hello", status_callback=world.twilio.webhook_url)

    world.answer = answer
    ada = world.phone()
    ada.text("hello")
    world.view = view
    world.work()  # after which the statuses come
    ada.call()

    assert ["kind message-status" in errors[0], "kind call" in errors[-1]] == [True, True]
    assert ada.state == {"log": ["hello"], "delivered": True}


@pytest.mark.parametrize("how", ["STOP", "end", "forget"])
def test_an_answer_that_is_under_way_is_lost_when_the_conversation_is_ended(
    make: Make, how: str
) -> None:
    events: list[TurnEvent] = []
    world = make()
    world.conversations.observer._on_turn = events.append
    ada = world.phone()

    def answer(turn: Answering) -> None:
        turn.state["secret"] = True
        turn.reply("too late")
        if how == "STOP":
            ada.text("STOP")
        else:
            # As another process does it.
            world.conversations.store.erase(turn_claim(world), replies=how == "forget")

    world.answer = answer
    ada.text("hello")

    assert world.work() == []
    assert ada.state is None
    assert [(event.kind, event.outcome, event.reason) for event in events] == [
        ("answer", "unavailable", "lost")
    ]


def turn_claim(world: Deferring) -> Any:
    return world.conversations._turn(US, ADA, None).claim


def test_who_looks_at_the_queue_sees_a_deferred_text_that_waits(make: Make) -> None:
    store, claim = make().conversations.store, Claim("ada".ljust(22, "-"), defers=True)
    held = store.begin(claim, "", 0)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(store.begin, claim, "", 0)
        wait_until(lambda: store.queue(claim).waiting == 1, "a text that waits", 5)
        store.abort(held)
        store.abort(waiting.result())
    assert store.queue(claim) == (None, 0)


def test_another_turn_waits_for_the_answer_and_gives_up(make: Make) -> None:
    world = make(wait_s=0.05)
    other = Conversations(world.settings, store=world.conversations.store)
    outcomes: list[str] = []

    def answer(turn: Answering) -> None:
        assert turn.texts

        def take() -> None:
            with pytest.raises(StoreError, match="took too long"), other.turn(**PAIR):
                pass
            outcomes.append("waited")

        contextvars.Context().run(take)  # as another process does it

    world.answer = answer
    world.phone().text("hello")
    world.work()

    assert outcomes == ["waited"]
    with other.turn(**PAIR) as state:
        assert state.is_new


def test_a_turn_of_the_same_conversation_inside_the_function_is_refused(make: Make) -> None:
    world = make()

    def answer(turn: Answering) -> None:
        with pytest.raises(UsageError, match="runs here already"), world.conversations.turn(**PAIR):
            pass
        turn.reply("refused")

    world.answer = answer
    world.phone().text("hello")

    assert world.work() == ["refused"]


@pytest.mark.parametrize(
    "error",
    [
        StoreError("down", "another store"),
        asyncio.CancelledError(),
        type("Timeout", (BaseException,), {})(),
    ],
)
def test_what_would_stop_a_worker_is_a_failure_of_the_function_that_raises_it(
    world: Deferring, error: BaseException
) -> None:
    """It asks another store, awaits a task that is cancelled, or runs out of gevent's time."""
    answer = world.answer

    def fails(_turn: Answering) -> None:
        world.answer = answer
        raise error

    world.answer = fails
    world.phone().text("hello")

    assert world.work() == []
    advance(world, ANSWER_AGAIN_S[0])
    assert world.work() == ["hello"]


def test_what_a_function_returns_is_not_lost_in_silence(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = make()

    async def forgotten() -> None: ...

    for returned in ("the reply", forgotten()):
        world.answer = lambda _turn: returned  # noqa: B023  # it is called in this round
        world.phone(BOB if returned == "the reply" else ADA).text("hello")
        assert world.work() == []
        assert (
            f"UsageError: The answer function returned an object of type {type(returned).__name__},"
            in caplog.text
        )
    assert world.backlog(ADA) == world.backlog(BOB) == (1, False, 0, 0)


@pytest.mark.parametrize("call", ["keep", "settle", "rest"])
def test_a_store_that_does_not_answer_for_a_moment_costs_no_answer_and_doubles_no_reply(
    world: Deferring, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(replies, "OUTAGE_S", 0.0)
    work = world.conversations.store.work
    do, failures, ran = getattr(work, call), iter(range(3)), []
    answer = world.answer

    def counted(turn: Answering) -> None:
        ran.append(1)
        answer(turn)

    async def failing(*args: Any) -> None:
        if next(failures, None) is not None:
            raise StoreError("down", "it does not answer")
        await do(*args)

    world.answer = counted
    monkeypatch.setattr(work, call, failing)
    world.phone().text("hello")

    assert world.work() == ["hello"]
    assert ran == [1]
    assert world.phone().state == {"log": ["hello"]}
    assert world.backlog() == (0, False, 0, 0)


def test_nothing_is_sent_after_the_lease_has_ended(make: Make) -> None:
    world = make()

    def answer(turn: Answering) -> None:
        turn.reply("one")
        turn.reply("two")

    async def send(_account_sid: str, message: dict[str, Any]) -> None:
        sent.append(message["body"])
        run.held_until = 0.0  # as after a long time without a renewal

    sent: list[str] = []
    world.answer = answer
    answers = world.conversations.deferred
    answers._send = send
    world.phone().text("hello")
    clock = world.twilio.clock
    world.conversations.clock = clock
    work = world.conversations.store.work
    (hint,) = finished(work.due(answers.queue, 1, clock()))
    run = replies.Run(hint)
    error = finished(answers.handle(run, 30))

    assert sent == ["one"]
    assert isinstance(error, StoreError)
    assert error.reason == "lost"
    assert world.backlog() == (0, True, 1, 0)


def finished(work: Any) -> Any:
    """The result of a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it has suspended")


def test_an_answer_is_an_event(make: Make) -> None:
    events: list[TurnEvent] = []
    world = make()
    world.conversations.observer._on_turn = events.append
    world.phone().text("hello")
    world.work()

    assert [(event.kind, event.outcome, event.status) for event in events] == [
        ("answer", "kept", None)
    ]
    assert events[0].token_bytes > 0


# Wrong use says what to do.


def test_wrong_uses_of_answer_later_say_what_to_do(world: Deferring) -> None:
    raised: list[str] = []

    def twice(environ: Any) -> None:
        world.conversations.answer_later(environ)
        with pytest.raises(UsageError) as caught:
            world.conversations.answer_later(environ)
        raised.append(str(caught.value))

    world.view = twice
    world.phone().text("hello")
    assert "twice" in raised[0]
    assert world.work() == ["hello"]

    def refused(environ: Any) -> None:
        with pytest.raises(UsageError) as caught:
            world.conversations.answer_later(environ)
        raised.append(str(caught.value))

    world.view = refused
    world.phone().call()
    assert "kind call" in raised[1]
    kept: list[Any] = []
    world.view = kept.append
    world.phone().text("hello")
    refused(kept[0])
    assert "after it" in raised[2]
    refused({})
    assert "neither an environ nor a scope" in raised[3]


@pytest.mark.parametrize("door", ["threads", "loop"])
def test_a_path_that_is_not_deferred_is_named(make: Make, door: str) -> None:
    world = make(door, defer_paths="/chat")
    raised: list[str] = []

    def view(environ: Any) -> None:
        with pytest.raises(UsageError) as caught:
            world.conversations.answer_later(environ)
        raised.append(str(caught.value))
        state_from(environ)["written"] = True

    world.view = view
    world.phone().text("hello")

    assert raised[0].endswith("Add the path to CONVOSTATE_DEFER_PATHS")
    assert world.phone().state == {"written": True}


def test_a_cookie_store_does_not_keep_texts() -> None:
    with pytest.raises(UsageError, match=r"CONVOSTATE_DEFER_PATHS.*CONVOSTATE_STORE=redis"):
        ConversationMiddleware(
            lambda *_: [], settings(store="cookie", defer_paths="/sms"), store=CookieStore()
        )


def test_a_reply_that_cannot_be_kept_names_the_argument(
    world: Deferring, caplog: pytest.LogCaptureFixture
) -> None:
    world.answer = lambda turn: turn.reply("one", media_url=iter(["https://example.com/cat.jpg"]))
    world.phone().text("hello")
    assert world.work() == []
    assert (
        "StateError: turn.reply(): the message cannot be kept: at $.media_url is a list_iterator"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("message", "match"),
    [
        ({}, "nothing to send"),
        ({"body": None}, "as a str, not as NoneType"),
        ({"body": "x" * (MOST_CHARS + 1)}, "has 1,601 characters"),
        ({"body": "x", "to": BOB}, "somebody else"),
        ({"body": "x", "from_": US}, "somebody else"),
    ],
)
def test_a_reply_without_a_recipient_is_refused_at_once(
    world: Deferring, message: dict[str, Any], match: str
) -> None:
    raised: list[Exception] = []

    def answer(turn: Answering) -> None:
        with pytest.raises(UsageError, match=match) as caught:
            turn.reply(**message)
        raised.append(caught.value)

    world.answer = answer
    world.phone().text("hello")
    assert world.work() == []
    assert raised


def test_a_reply_after_the_function_is_refused(world: Deferring) -> None:
    turns: list[Answering] = []
    world.answer = turns.append
    world.phone().text("hello")
    world.work()
    with pytest.raises(UsageError, match="before the function returns"):
        turns[0].reply("late")
    with pytest.raises(UsageError):
        turns[0].state["late"] = True


def test_wrong_functions_and_clients_are_refused_at_once() -> None:
    store = MemoryStore()

    async def wrong(turn: Answering) -> None: ...

    def right(turn: Answering) -> None: ...

    with pytest.raises(UsageError, match=r"client=…"):
        Conversations(settings(), store=store).answers(right)
    conversations = Conversations(settings(), store=store, client=lambda _sid: None)
    for function in (wrong, None, 5, lambda: None, lambda _one, _two: None):
        with pytest.raises(UsageError, match="takes a def"):
            conversations.answers(function)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="There is no answer function"):
        conversations.answer_due()
    assert conversations.answers(right) is right
    with pytest.raises(UsageError, match="once"):
        conversations.answers(right)
    for count in (0, -1, True, 1.5):
        with pytest.raises(UsageError, match="1 or more"):
            conversations.start_workers(count)  # type: ignore[arg-type]


def test_an_object_that_is_called_like_a_function_of_the_right_kind_may_answer() -> None:
    class Blocking:
        def __call__(self, turn: Answering) -> None: ...

    class Asynchronous:
        async def __call__(self, turn: Answering) -> None: ...

    for make, right, wrong in (
        (Conversations, Blocking(), Asynchronous()),
        (AsyncConversations, Asynchronous(), Blocking()),
    ):
        conversations: Any = make(settings(), store=MemoryStore(), client=print)
        with pytest.raises(UsageError, match="one argument, the turn"):
            conversations.answers(wrong)
        assert conversations.answers(right) is right


def test_the_client_of_an_account_is_asked_for(make: Make) -> None:
    asked: list[str] = []
    world = make()
    store = world.conversations.store

    def client_of(account_sid: str) -> Any:
        asked.append(account_sid)
        return world.twilio.rest_client()

    conversations = Conversations(world.settings, store=store, client=client_of)

    @conversations.answers
    def answer(turn: Answering) -> None:
        turn.reply("hello yourself")

    world.phone().text("hello")
    sent = world.twilio.work(conversations)

    assert [message.body for message in sent] == ["hello yourself"]
    assert asked == [world.twilio.account_sid]
