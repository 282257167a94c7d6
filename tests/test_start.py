"""The app writes first, through the caller's own Twilio client, and the reply finds its state."""

from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
from twilio.rest import Client

from convostate import (
    ConversationExistsError,
    Conversations,
    PhonePair,
    State,
    StateError,
    UsageError,
    Webhook,
)
from convostate.testing.configured import ACCOUNT_SID
from tests.conversing import ADA, PAIR, US, World, settings

SERVICE = "MG" + "0" * 32
KEY_SID, OTHER_ACCOUNT = "SK" + "0" * 32, "AC" + "9" * 32


def test_the_reply_arrives_with_the_state_that_belongs_to_it(world: World) -> None:
    message = world.start({"step": "confirm", "appointment": 42})
    reply = world.phone.text("yes")

    assert [(m.sid, m.body) for m in world.phone.inbox] == [(message.sid, "hello")]
    assert (message.status, message.to, message.from_) == ("queued", ADA, US)
    assert reply.messages == ["{'step': 'confirm', 'appointment': 42, 'log': ['yes']}"]


def test_the_reply_does_not_begin_the_conversation(world: World) -> None:
    world.handle = lambda state, _: f"{state.is_new} {dict(state)}"
    world.start()

    assert world.phone.text("yes").messages == ["False {}"]
    assert world.simulator.phone("+15550100002", texting=US).text("hi").messages == ["True {}"]


def test_it_starts_now_and_lasts_its_lifetime(world: World) -> None:
    world.start({"old": True})
    world.simulator.clock.advance(hours=3)
    world.start({"new": True})
    state = world.conversations.peek(**PAIR)
    now = world.simulator.clock.now()

    assert state == {"new": True}
    assert (state.started_at.timestamp(), state.expires_at.timestamp()) == (now, now + 4 * 3600)
    world.simulator.clock.advance(hours=4)
    assert world.peek() is None


def test_every_argument_of_messages_create_passes_through(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    keep = world.client.request

    def request(method: str, uri: str, **named: Any) -> Any:
        sent.append(dict(named["data"]))
        return keep(method, uri, **named)

    monkeypatch.setattr(world.client, "request", request)
    world.start(media_url=["https://m.example/1"], status_callback="https://a.example/s", attempt=2)

    assert sent == [
        {
            "To": ADA,
            "From": US,
            "Body": "hello",
            "MediaUrl": ["https://m.example/1"],
            "StatusCallback": "https://a.example/s",
            "Attempt": 2,
        }
    ]


def test_a_message_may_have_a_template_instead_of_a_body(world: World) -> None:
    world.conversations.start(world.client, to=ADA, from_=US, content_sid="HX" + "0" * 32)

    assert world.peek() == {}


class TestWhereAConversationGoesOn:
    """What `if_exists` says is done; without it the state is replaced."""

    def test_replace_is_the_default(self, world: World) -> None:
        world.put({"old": True})
        world.start({"new": True})

        assert world.peek() == {"new": True}

    def test_keep_sends_and_leaves_it_alone_for_another_lifetime(self, world: World) -> None:
        world.put({"old": True})
        world.simulator.clock.advance(hours=3)
        world.start({"new": True}, if_exists="keep")
        world.simulator.clock.advance(hours=3)
        state = world.conversations.peek(**PAIR)

        assert state == {"old": True}
        assert state.started_at.timestamp() == world.simulator.clock.now() - 6 * 3600
        assert [m.body for m in world.phone.inbox] == ["hello"]

    def test_refuse_sends_nothing_and_touches_nothing(self, world: World) -> None:
        world.put({"old": True})
        before = world.sealed()

        with pytest.raises(ConversationExistsError):
            world.start({"new": True}, if_exists="refuse")

        assert world.sealed() == before
        assert world.phone.inbox == []
        assert world.phone.text("hi").error is None

    @pytest.mark.parametrize("if_exists", ["replace", "keep", "refuse"])
    def test_without_a_conversation_every_mode_begins_one(
        self, world: World, if_exists: str
    ) -> None:
        world.put({"old": True})
        world.simulator.clock.advance(hours=5)
        world.start({"new": True}, if_exists=if_exists)

        assert world.peek() == {"new": True}

    def test_a_state_that_no_key_opens_is_not_a_conversation(self, world: World) -> None:
        world.put({"old": True})
        other = settings(
            keys="GPnE2vWrk5AtH7MJvs9NcoDxTZ4bUYqRLw3XhKe8gF0", index_key=settings().keys
        )  # the key was dropped
        conversations = Conversations(other, store=world.store, clock=world.simulator.clock)
        conversations.start(
            world.client, to=ADA, from_=US, body="hello", state={"new": 1}, if_exists="refuse"
        )

        assert conversations.peek(**PAIR) == {"new": 1}

    def test_anything_else_is_refused(self, world: World) -> None:
        with pytest.raises(UsageError, match='"replace", "keep" or "refuse"'):
            world.start({}, if_exists="ignore")

        assert world.peek() is None


def test_what_cannot_be_kept_is_not_sent(world: World) -> None:
    world.put({"old": True})

    with pytest.raises(StateError, match=r"\$\.when"):
        world.start({"when": object()})

    assert world.peek() == {"old": True}
    assert world.phone.inbox == []


@pytest.mark.parametrize("state", [[1], [("step", 1)], "step", {"step"}, 5, []])
def test_a_state_that_is_not_a_mapping_is_not_sent(world: World, state: Any) -> None:
    world.put({"old": True})

    with pytest.raises(UsageError, match="state is not a mapping"):
        world.start(state)

    assert world.peek() == {"old": True}
    assert world.phone.inbox == []


@pytest.mark.parametrize("state", [MappingProxyType({"step": 1}), OrderedDict(step=1)])
def test_any_mapping_is_a_state(world: World, state: Any) -> None:
    world.start(state)

    assert world.peek() == {"step": 1}


class TestTheSender:
    """The pair must be known before the message is sent."""

    def test_a_messaging_service_needs_its_sender_named(self, world: World) -> None:
        with pytest.raises(UsageError, match=r"Messaging Service picks the sender.*Give from_ as"):
            world.conversations.start(
                world.client, to=ADA, messaging_service_sid=SERVICE, body="hello"
            )
        assert world.simulator.arrived == []

        message = world.start({"step": 1}, messaging_service_sid=SERVICE)

        assert (message.messaging_service_sid, message.from_) == (SERVICE, US)
        assert world.peek() == {"step": 1}

    def test_without_either_it_is_missing(self, world: World) -> None:
        with pytest.raises(UsageError, match=r"there is no sender\. Give from_"):
            world.conversations.start(world.client, to=ADA, body="hello")

    @pytest.mark.parametrize(
        "dialled",
        ["15550100001", "(555)010-0001", "0555.010.0001", "+1 555 010 0001", "+1(555)010-0001"],
    )
    def test_a_number_that_no_webhook_spells_is_refused(self, world: World, dialled: str) -> None:
        for ends in ({"to": dialled}, {"from_": dialled}):
            with pytest.raises(UsageError, match=r"Write it in E\.164") as refused:
                world.start({}, **ends)
            assert dialled not in str(refused.value)
        assert world.simulator.arrived == []

    @pytest.mark.parametrize("sender", ["38000", "whatsapp:+15550100099", "12345678"])
    def test_a_short_code_and_a_channel_are_addresses(self, world: World, sender: str) -> None:
        world.start({"step": 1}, from_=sender)

        assert world.conversations.peek(ours=sender, theirs=ADA) == {"step": 1}

    def test_g4_a_sender_with_a_blank_inside_is_an_address(self, world: World) -> None:
        world.start({"step": 1}, from_="HSBC UK")

        assert world.conversations.peek(ours="HSBC UK", theirs=ADA) == {"step": 1}

    @pytest.mark.parametrize("sender", [" HSBC", "HSBC ", "HSBC\tUK", "H" * 257])
    def test_g4_a_blank_at_an_end_a_control_or_too_many_characters_are_not(
        self, world: World, sender: str
    ) -> None:
        with pytest.raises(UsageError, match="is not an address") as refused:
            world.start({}, from_=sender)

        assert sender not in str(refused.value)
        assert world.simulator.arrived == []


class TestTheAccount:
    """The argument, else the client's, else that of the settings."""

    def client(self, world: World, **named: Any) -> Client:
        client = Client(**{"password": "secret", **named}, http_client=world.client.http_client)
        client.auth = world.client.auth
        return client

    def seen(self, world: World) -> str:
        accounts: list[str] = []

        def handle(_: State, webhook: Webhook) -> None:
            assert isinstance(webhook.pair, PhonePair)
            accounts.append(webhook.pair.account_sid)

        world.handle = handle
        world.phone.text("hi")
        return accounts[0]

    def test_a_clients_account_is_that_of_the_reply(self, world: World) -> None:
        conversations = Conversations(
            settings(account_sid=OTHER_ACCOUNT), store=world.store, clock=world.simulator.clock
        )
        conversations.start(world.client, to=ADA, from_=US, body="hi", state={"step": 1})

        assert self.seen(world) == world.client.account_sid
        assert conversations.peek(**PAIR) is None
        assert conversations.peek(**PAIR, account_sid=ACCOUNT_SID) == {"step": 1}

    def test_an_api_key_comes_with_its_account(self, world: World) -> None:
        client = self.client(world, username=KEY_SID, account_sid=ACCOUNT_SID)
        conversations = Conversations(settings(account_sid=None), store=world.store)
        conversations.start(client, to=ADA, from_=US, body="hi", state={"step": 1})

        assert conversations.peek(**PAIR, account_sid=ACCOUNT_SID) == {"step": 1}

    def test_an_api_key_is_not_an_account(self, world: World) -> None:
        client = self.client(world, username=KEY_SID)
        conversations = Conversations(settings(account_sid=None), store=world.store)

        with pytest.raises(UsageError, match="Set TWILIO_ACCOUNT_SID=AC…, or pass account_sid"):
            conversations.start(client, to=ADA, from_=US, body="hi")

        assert world.simulator.arrived == []

    def test_the_argument_counts_before_the_client(self, world: World) -> None:
        world.start({"step": 1}, account_sid=OTHER_ACCOUNT)

        assert world.peek() is None
        assert world.conversations.peek(**PAIR, account_sid=OTHER_ACCOUNT) == {"step": 1}

    @pytest.mark.parametrize("method", ["turn", "peek", "end", "forget"])
    def test_without_a_client_it_is_the_argument_or_the_setting(
        self, world: World, method: str
    ) -> None:
        unset = Conversations(settings(account_sid=None), store=world.store)

        def call(conversations: Conversations, **named: str) -> None:
            made = getattr(conversations, method)(**PAIR, **named)
            if method == "turn":
                with made:
                    pass

        call(world.conversations)
        call(unset, account_sid=ACCOUNT_SID)
        with pytest.raises(UsageError, match="TWILIO_ACCOUNT_SID"):
            call(unset)
