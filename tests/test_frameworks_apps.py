"""Apps in the shapes that people have: played by the simulator, and asked by their own test clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.test.utils import override_settings

from convostate import ConversationMiddleware, Settings
from convostate.testing import SignedClient, SignedDjangoClient, SignedTestApp, TwilioSimulator
from tests.apps import (
    chatlog_flask,
    directory_bottle,
    django_project,
    forwarding_flask,
    ivr_flask,
    survey,
    survey_flask,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA, BOB, AGENT, OURS = "+15550100001", "+15550100002", "+15550100003", "+15550100099"


def settings(**changes: Any) -> Settings:
    return Settings.from_environ(**{"store": "memory", **changes})


class TestMenu:
    @pytest.fixture(params=["memory", "cookie"])
    def app(self, request: pytest.FixtureRequest) -> Any:
        return ivr_flask.make_app(settings(store=request.param))

    def test_a_caller_goes_through_the_menu(self, app: Any) -> None:
        phone = TwilioSimulator(app, voice_url="https://example.com/voice").phone(ADA)

        call = phone.call()
        assert call.said == ["Welcome", "For sales press 1, for support press 2"]
        assert call.press("7").said == ["Sorry?", "For sales press 1, for support press 2"]
        assert call.press("1").said == ["This is sales. Who is calling?"]
        assert call.say("Ada").said == ["Ada, sales will call you back"]
        assert call.over

    def test_two_callers_are_at_their_own_places(self, app: Any) -> None:
        twilio = TwilioSimulator(app, voice_url="https://example.com/voice")
        ada, bob = (twilio.phone(number).call() for number in (ADA, BOB))

        ada.press("1")
        bob.press("2")

        assert ada.say("Ada").said == ["Ada, sales will call you back"]
        assert bob.say("Bob").said == ["Bob, support will call you back"]

    def test_its_own_tests_sign_by_one_line(self) -> None:
        app = ivr_flask.make_app(settings())
        assert app.test_client().post("/voice", data={"CallSid": "CA1"}).status_code == 403
        app.test_client_class = SignedClient
        client = app.test_client()

        assert "Welcome" in client.post("/voice", data={"CallStatus": "ringing"}).text
        assert "This is support" in client.post("/voice/menu", data={"Digits": "2"}).text
        said = client.post("/voice/name", data={"SpeechResult": "Ada"}).text
        assert "Ada, support will call you back" in said


class TestChatLog:
    def test_the_model_reads_all_that_was_said(self) -> None:
        phone = TwilioSimulator(chatlog_flask.make_app(settings())).phone(ADA)

        assert phone.text("hi").messages == ["2 lines, the last is: hi"]
        assert phone.text("<b>&").messages == ["4 lines, the last is: <b>&"]
        phone.text("reset")
        assert phone.text("again").messages == ["2 lines, the last is: again"]

    def test_what_a_model_that_fails_was_asked_is_not_kept(self) -> None:
        answers = iter(["one"])
        app = chatlog_flask.make_app(settings(), model=lambda _log: next(answers))
        phone = TwilioSimulator(app).phone(ADA)
        phone.text("hi")

        reply = phone.text("and?")

        assert reply.status == 500
        assert phone.state is not None
        assert [line["content"] for line in phone.state["log"][1:]] == ["hi", "one"]

    def test_its_own_tests_begin_in_the_middle(self) -> None:
        client = SignedClient(chatlog_flask.make_app(settings()))
        client.set_state({"log": [chatlog_flask.SYSTEM, {"role": "user", "content": "hi"}]})

        assert "3 lines, the last is: more" in client.post("/sms", data={"Body": "more"}).text


class TestDirectory:
    def test_a_name_gives_a_card_and_several_a_choice(self) -> None:
        app = directory_bottle.make_app(settings())
        phone = TwilioSimulator(app, webhook_url="https://example.com/directory/search").phone(ADA)

        card = phone.text("ada")
        assert card.messages == ["Ada Lovelace, +1 555 0111"]
        assert card.media == ["https://example.com/ada.png"]

        assert "1 Grace Hopper\n2 Grace Jones" in phone.text("grace").messages[0]
        assert phone.text("2").media == ["https://example.com/jones.png"]
        assert phone.text("2").messages == ["Nobody is called 2"]  # nothing to choose from

    def test_its_own_tests_sign_by_one_line(self) -> None:
        app = SignedTestApp(directory_bottle.make_app(settings()))

        assert "Which one?" in app.post("/directory/search", {"Body": "grace"})
        assert "Grace Hopper" in app.post("/directory/search", {"Body": "1"})


class TestForwarding:
    @pytest.fixture
    def twilio(self) -> TwilioSimulator:
        app = forwarding_flask.make_app(settings(account_sid="AC" + "0" * 31 + "1"), AGENT)
        twilio = TwilioSimulator(app)
        app.config["CLIENT"] = twilio.rest_client()
        return twilio

    def test_no_caller_sees_the_number_of_another(self, twilio: TwilioSimulator) -> None:
        ada, bob, agent = (twilio.phone(number, texting=OURS) for number in (ADA, BOB, AGENT))

        ada.text("Is it still there?")
        bob.text("How much?")
        ada.text("Hello?")
        assert [message.body for message in agent.inbox] == [
            "Otter: Is it still there?", "Heron: How much?", "Otter: Hello?",
        ]  # fmt: skip

        assert agent.text("Heron: 20").messages == []
        assert [message.body for message in bob.inbox] == ["20"]
        assert ada.inbox == []
        assert agent.text("Lynx: hi").messages == ["Nobody has this name. Write Name: text"]

        everything = [message.body for phone in (ada, bob, agent) for message in phone.inbox]
        assert not any(number in body for body in everything for number in (ADA, BOB, AGENT))


class TestSurvey:
    def test_its_own_tests_follow_redirects_over_get_and_post(self) -> None:
        client = SignedClient(survey_flask.make_app(settings(paths=survey.PATHS)))

        assert "/sms/question/0" in client.post("/sms", data={"Body": "hi"}).text
        assert (
            survey.QUESTIONS[0] in client.get("/sms/question/0", query_string={"Body": "hi"}).text
        )
        assert "/sms/answer/0" in client.post("/sms", data={"Body": "Ada"}).text
        assert "/sms/question/1" in client.post("/sms/answer/0", data={"Body": "Ada"}).text
        assert client.get("/").text == "<p>visit 1: ['visits']</p>"


class TestMembers:
    @pytest.fixture(autouse=True)
    def site(self) -> Iterator[None]:
        django_project.configure()
        from django.contrib.auth import get_user_model
        from django.core.management import call_command

        from tests.apps import members_django

        with override_settings(
            MIDDLEWARE=members_django.MIDDLEWARE,
            ROOT_URLCONF=members_django,
            SESSION_ENGINE="django.contrib.sessions.backends.db",
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            WSGI_APPLICATION=f"{__name__}.application",
        ):
            call_command("migrate", verbosity=0)
            get_user_model().objects.create_user("ada", password="secret")
            yield
            call_command("flush", verbosity=0, interactive=False)

    def rows(self) -> int:
        from django.contrib.sessions.models import Session

        return int(Session.objects.count())

    def test_texts_and_browsers_log_in_and_stay_apart(self) -> None:
        phone = TwilioSimulator(__getattr__("application")).phone(ADA)

        assert phone.text("hello").messages == ["Name and password?"]
        assert phone.text("ada wrong").messages == ["Name and password?"]
        assert phone.text("ada secret").messages == ["Hello ada, text 1"]
        assert phone.text("hello").messages == ["Hello ada, text 2"]
        assert self.rows() == 0

        browser = SignedDjangoClient(enforce_csrf_checks=True)
        assert browser.get("/account").content == b"AnonymousUser, visit 1"
        assert self.rows() == 1
        assert phone.text("bye").messages == ["Hello stranger, text 1"]
        assert phone.text("hello").messages == ["Name and password?"]

    def test_a_browser_needs_its_csrf_token_and_a_text_does_not(self) -> None:
        client = SignedDjangoClient(enforce_csrf_checks=True)
        named = {"name": "ada", "password": "secret"}

        assert client.post("/login", named).status_code == 403
        token = client.get("/login").content.decode()
        assert client.post("/login", {**named, "csrfmiddlewaretoken": token}).status_code == 200
        assert client.get("/account").content == b"ada, visit 1"
        assert b"Name and password?" in client.post("/sms", {"Body": "hi"}).content
        assert b"Hello ada, text 1" in client.post("/sms", {"Body": "ada secret"}).content


def __getattr__(name: str) -> Any:
    if name != "application":  # what WSGI_APPLICATION names
        raise AttributeError(name)
    return ConversationMiddleware(get_wsgi_application(), settings(paths="/sms"))
